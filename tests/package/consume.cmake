# Configures, builds and runs one consumer; with NO_PROGRAM only configures it; with COMPLAINT, expects that configuring fails
# with that phrase.
# FATAL_ERROR would wrap the lines.
function(fail text)
  message(NOTICE "${text}")
  message(FATAL_ERROR "the check failed")
endfunction()

set(prefix "${WORK}/install/moved")
set(build "${WORK}/${TEST}")
set(log_two 0.693147180560)
file(REMOVE_RECURSE "${build}")
file(MAKE_DIRECTORY "${build}")

if(CONSUMER STREQUAL "pkg_config")
  find_program(pkg_config NAMES pkg-config pkgconf)
  if(NOT pkg_config)
    message("skipped: there is no pkg-config on this machine")
    return()
  endif()
  set(ENV{PKG_CONFIG_PATH} "${prefix}/share/pkgconfig")
  execute_process(COMMAND "${pkg_config}" --cflags prefer
    OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  execute_process(COMMAND "${COMPILER}" -std=c++20 ${flags} "${CMAKE_CURRENT_LIST_DIR}/program.cpp"
    -o "${build}/consumer" COMMAND_ERROR_IS_FATAL ANY)
else()
  string(REPLACE "|" ";" ARGUMENTS "${ARGUMENTS}")
  execute_process(COMMAND "${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/${CONSUMER}" -B "${build}"
    -G "${GENERATOR}" "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DPREFER_SOURCE=${SOURCE}"
    "-DCMAKE_PREFIX_PATH=${prefix}" ${ARGUMENTS}
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(COMPLAINT)
    # CMake wraps its messages, so the phrase is compared without white space.
    string(REGEX REPLACE "[ \n]+" " " output "${output}")
    string(FIND "${output}" "${COMPLAINT}" at)
    if(result EQUAL 0 OR at EQUAL -1)
      fail("configuring must fail with: ${COMPLAINT}\nIt ended with ${result} and said:\n${output}")
    endif()
    return()
  endif()
  if(NOT result EQUAL 0)
    fail("configuring failed:\n${output}")
  endif()
  if(NO_PROGRAM)
    return()
  endif()
  execute_process(COMMAND "${CMAKE_COMMAND}" --build "${build}" COMMAND_ERROR_IS_FATAL ANY)
endif()

execute_process(COMMAND "${build}/consumer" OUTPUT_VARIABLE printed OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
if(NOT printed STREQUAL log_two)
  fail("the consumer printed ${printed} instead of ${log_two}")
endif()
