# Makes the package of the vcpkg port, checks its manifest, and builds and runs the consumer with it. With VCPKG, the program of a
# vcpkg checkout, vcpkg does it, offline, and the consumer uses its toolchain file. vcpkg cannot be had from a distribution, so
# that elsewhere functions stand for its own and do what its documentation says of them.
file(REMOVE_RECURSE "${WORK}/vcpkg")
if(VCPKG)
  cmake_path(GET VCPKG PARENT_PATH root)
  set(ENV{VCPKG_ROOT} "${root}")
  set(ENV{VCPKG_FORCE_SYSTEM_BINARIES} 1)
  set(ENV{CXX} "${COMPILER}")
  execute_process(COMMAND "${VCPKG}" install prefer "--overlay-ports=${SOURCE}/packaging/vcpkg" --classic --no-downloads
      --x-asset-sources=x-block-origin --binarysource=clear --enforce-port-checks
      "--x-install-root=${WORK}/vcpkg/installed" "--x-packages-root=${WORK}/vcpkg/packages"
      "--x-buildtrees-root=${WORK}/vcpkg/buildtrees"
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(NOTICE "${output}")
    message(FATAL_ERROR "vcpkg install ended with ${result}")
  endif()
  set(use "-DCMAKE_TOOLCHAIN_FILE=${root}/scripts/buildsystems/vcpkg.cmake"
    "-DVCPKG_INSTALLED_DIR=${WORK}/vcpkg/installed" -DVCPKG_MANIFEST_MODE=OFF)
else()
  include("${CMAKE_CURRENT_LIST_DIR}/vcpkg_stand_ins.cmake")
  include("${SOURCE}/packaging/vcpkg/prefer/portfile.cmake")
  set(use "-DCMAKE_PREFIX_PATH=${CURRENT_PACKAGES_DIR}")
endif()


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
  "-DCMAKE_CXX_COMPILER=${COMPILER}" ${use} -DREQUIRED=report
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${CMAKE_COMMAND}" --build "${consumer}" OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${consumer}/consumer" OUTPUT_VARIABLE printed OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
if(NOT printed STREQUAL "0.693147180560")
  message(FATAL_ERROR "the consumer printed ${printed} instead of log 2")
endif()
