# cmake -DCOMPILER=... -DSOURCE=... -DINCLUDE=... [-DSYSTEM=<flag>|<flag>...] [-DPRECOMPILED=<flag>|<flag>...] -P check.cmake
#
# PRECOMPILED is how prefer.hpp is given precompiled to a source that has it among its first lines, which are all includes.
# The source begins with lines `// expect: <phrase>`, at least one: compilation must fail and its output must contain the
# phrases; one of `// expect first: <phrase>` must be in the first error or warning. `// expect compiles` is for the control: it must compile without a word. `// flags: <flag>...` may follow.

cmake_policy(SET CMP0007 NEW)  # empty lines count

# FATAL_ERROR would wrap the lines.
function(fail text)
  message(NOTICE "${text}")
  message(FATAL_ERROR "the check failed")
endfunction()

# A phrase may contain `;`, at which CMake would cut a list of lines.
file(READ "${SOURCE}" text)
string(REPLACE ";" "<semicolon>" text "${text}")
string(REPLACE "\n" ";" lines "${text}")
list(GET lines 0 first_line)
set(phrases "")
set(flags "")
set(first "")
foreach(line IN LISTS lines)
  if(line MATCHES "^// expect: (.+)$")
    list(APPEND phrases "${CMAKE_MATCH_1}")
  elseif(line MATCHES "^// expect first: (.+)$")
    set(first "${CMAKE_MATCH_1}")
    list(APPEND phrases "${first}")
  elseif(line MATCHES "^// flags: (.+)$")
    separate_arguments(flags UNIX_COMMAND "${CMAKE_MATCH_1}")
  elseif(NOT line STREQUAL "// expect compiles")
    break()
  endif()
endforeach()
string(REPLACE "|" ";" SYSTEM "${SYSTEM}")
string(REPLACE "|" ";" PRECOMPILED "${PRECOMPILED}")
if(flags OR NOT text MATCHES "^(//[^\n]*\n|\n|#include [^\n]*\n)*#include <prefer/prefer\\.hpp>")
  set(PRECOMPILED "")
endif()
execute_process(
  COMMAND "${COMPILER}" -std=c++20 -fsyntax-only -Wall -Wextra ${flags} "-I${INCLUDE}" ${PRECOMPILED} ${SYSTEM} "${SOURCE}"
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)

if(first_line STREQUAL "// expect compiles")
  if(NOT result EQUAL 0 OR NOT output STREQUAL "")
    fail("${SOURCE} must compile without a word, but ${COMPILER} says:\n${output}")
  endif()
elseif(phrases)
  foreach(phrase IN LISTS phrases)
    string(REPLACE "<semicolon>" ";" phrase "${phrase}")
    if(result EQUAL 0)
      fail("${SOURCE} compiles, but must fail with: ${phrase}")
    endif()
    string(FIND "${output}" "${phrase}" at)
    if(at EQUAL -1)
      fail("${SOURCE} fails, but ${COMPILER} does not say: ${phrase}\nIt says:\n${output}")
    endif()
  endforeach()
  if(first)
    string(REGEX MATCH "[^\n]*(error|warning): [^\n]*" complaint "${output}")
    string(FIND "${complaint}" "${first}" at)
    if(at EQUAL -1)
      fail("${SOURCE}: ${COMPILER} says something else first:\n${complaint}")
    endif()
  endif()
else()
  fail("${SOURCE}:1: expected `// expect: <phrase>`, got: ${first_line}")
endif()
