# Runs the vcpkg port with functions in the place of vcpkg's that do what its documentation says of them, and then the consumer
# with the package that comes out. vcpkg itself cannot be had from a distribution.
set(CURRENT_PACKAGES_DIR "${WORK}/vcpkg/packages/prefer")
file(REMOVE_RECURSE "${WORK}/vcpkg")

function(vcpkg_cmake_configure)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "SOURCE_PATH" "OPTIONS")
  execute_process(COMMAND "${CMAKE_COMMAND}" -S "${arg_SOURCE_PATH}" -B "${WORK}/vcpkg/build" -G "${GENERATOR}"
    "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR}" ${arg_OPTIONS}
    OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endfunction()
function(vcpkg_cmake_install)
  execute_process(COMMAND "${CMAKE_COMMAND}" --install "${WORK}/vcpkg/build" OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
endfunction()
# Package files move to share/<port>, two folders deep, and find their prefix from there.
function(vcpkg_cmake_config_fixup)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "CONFIG_PATH" "")
  file(GLOB files "${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}/*.cmake")
  file(COPY ${files} DESTINATION "${CURRENT_PACKAGES_DIR}/share/prefer")
  file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/share/cmake")
  file(GLOB files "${CURRENT_PACKAGES_DIR}/share/prefer/*.cmake")
  set(up "get_filename_component(_IMPORT_PREFIX \"\${_IMPORT_PREFIX}\" PATH)\n")
  foreach(file IN LISTS files)
    file(READ "${file}" text)
    string(REPLACE "${up}${up}${up}" "${up}${up}" text "${text}")
    file(WRITE "${file}" "${text}")
  endforeach()
endfunction()
function(vcpkg_fixup_pkgconfig)
  if(NOT EXISTS "${CURRENT_PACKAGES_DIR}/share/pkgconfig/prefer.pc")
    message(FATAL_ERROR "there is no prefer.pc")
  endif()
endfunction()
function(vcpkg_install_copyright)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "FILE_LIST")
  file(COPY_FILE "${arg_FILE_LIST}" "${CURRENT_PACKAGES_DIR}/share/prefer/copyright")
endfunction()

include("${SOURCE}/packaging/vcpkg/prefer/portfile.cmake")

# The version, and a feature for each component that has a dependency.
file(READ "${SOURCE}/packaging/vcpkg/prefer/vcpkg.json" port)
string(JSON version GET "${port}" version)
file(READ "${SOURCE}/include/prefer/version.hpp" text)
if(NOT text MATCHES "PREFER_VERSION_STRING \"${version}\"")
  message(FATAL_ERROR "the port says version ${version}, version.hpp does not")
endif()
string(REPLACE "|" ";" COMPONENTS "${COMPONENTS}")
foreach(component IN LISTS COMPONENTS)
  string(JSON found ERROR_VARIABLE missing GET "${port}" features ${component})
  if(missing)
    message(FATAL_ERROR "the port has no feature ${component}")
  endif()
endforeach()

set(consumer "${WORK}/vcpkg/consumer")
execute_process(COMMAND "${CMAKE_COMMAND}" -S "${SOURCE}/tests/package/components" -B "${consumer}" -G "${GENERATOR}"
  "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_PREFIX_PATH=${CURRENT_PACKAGES_DIR}" -DREQUIRED=report
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${CMAKE_COMMAND}" --build "${consumer}" OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${consumer}/consumer" OUTPUT_VARIABLE printed OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
if(NOT printed STREQUAL "0.693147180560")
  message(FATAL_ERROR "the consumer printed ${printed} instead of log 2")
endif()
