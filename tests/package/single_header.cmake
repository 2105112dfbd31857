# Makes the single header, puts it in place of every header of the core, and builds and runs tests of the core with nothing
# else to include.
function(fail text)
  message(NOTICE "${text}")
  message(FATAL_ERROR "the check failed")
endfunction()

set(work "${WORK}/single_header")
file(REMOVE_RECURSE "${work}")
file(MAKE_DIRECTORY "${work}")
execute_process(COMMAND "${PYTHON}" "${SOURCE}/scripts/single-header" --output "${work}/prefer.hpp"
  COMMAND_ERROR_IS_FATAL ANY)
file(READ "${work}/prefer.hpp" text)
if(text MATCHES "#include <prefer/[^>]*>")
  fail("the single header includes another of ours: ${CMAKE_MATCH_0}")
endif()

# The tests name the headers that they are about.
include("${SOURCE}/cmake/headers.cmake")
foreach(header IN LISTS prefer_core_headers)
  file(WRITE "${work}/include/prefer/${header}" "#include \"${work}/prefer.hpp\"\n")
endforeach()
set(objects "")
foreach(test IN ITEMS scalar/half batch/strided loss/dpo)
  string(REPLACE "/" "_" object "${test}.o")
  set(object "${work}/${object}")
  execute_process(COMMAND "${COMPILER}" -std=c++20 -O0 -Wall -Wextra -Werror "-I${work}/include" "-I${SOURCE}/tests"
    -c "${SOURCE}/tests/${test}.test.cpp" -o "${object}" COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND objects "${object}")
endforeach()
execute_process(COMMAND "${COMPILER}" ${objects} "${MAIN}" -o "${work}/tests" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${work}/tests" -w NoTests COMMAND_ERROR_IS_FATAL ANY)
