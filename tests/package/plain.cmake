# Configures prefer as README says, with its defaults, on a machine that lacks what ARGUMENTS take away, checks what it SAYS,
# installs it and compiles a program with it; or, with COMPLAINT, expects that configuring fails with that phrase.
function(fail text)
  message(NOTICE "${text}")
  message(FATAL_ERROR "the check failed")
endfunction()

set(work "${WORK}/${TEST}")
file(REMOVE_RECURSE "${work}")
string(REPLACE "|" ";" ARGUMENTS "${ARGUMENTS}")
execute_process(COMMAND "${CMAKE_COMMAND}" -S "${SOURCE}" -B "${work}/build" -G "${GENERATOR}"
  "-DCMAKE_CXX_COMPILER=${COMPILER}" ${ARGUMENTS}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE errors)
# CMake wraps its messages, so phrases are compared without white space.
string(REGEX REPLACE "[ \n]+" " " said "${output} ${errors}")
if(COMPLAINT)
  string(FIND "${said}" "${COMPLAINT}" at)
  if(result EQUAL 0 OR at EQUAL -1)
    fail("configuring must fail with: ${COMPLAINT}\nIt ended with ${result} and said:\n${output}${errors}")
  endif()
  return()
endif()
if(NOT result EQUAL 0)
  fail("configuring failed:\n${output}${errors}")
endif()
string(REPLACE "|" ";" SAYS "${SAYS}")
foreach(phrase IN LISTS SAYS)
  string(FIND "${said}" "${phrase}" at)
  if(at EQUAL -1)
    fail("configuring must say: ${phrase}\nIt said:\n${output}${errors}")
  endif()
endforeach()

execute_process(COMMAND "${CMAKE_COMMAND}" --install "${work}/build" --prefix "${work}/prefix"
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${COMPILER}" -std=c++20 "-I${work}/prefix/include" "${CMAKE_CURRENT_LIST_DIR}/program.cpp"
  -o "${work}/program" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${work}/program" OUTPUT_VARIABLE printed OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
if(NOT printed STREQUAL "0.693147180560")
  fail("the program printed ${printed} instead of log 2")
endif()
