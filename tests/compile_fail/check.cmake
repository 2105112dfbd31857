# cmake -DCOMPILER=... -DSOURCE=... -DINCLUDE=... [-DSYSTEM=<flag>|<flag>...] -P check.cmake
#
# The source begins with lines `// expect: <phrase>`, at least one: compilation must fail and its output must contain the
# phrases. `// expect compiles` is for the control: it must compile without a word. `// flags: <flag>...` may follow.

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
foreach(line IN LISTS lines)
  if(line MATCHES "^// expect: (.+)$")
    list(APPEND phrases "${CMAKE_MATCH_1}")
  elseif(line MATCHES "^// flags: (.+)$")
    separate_arguments(flags UNIX_COMMAND "${CMAKE_MATCH_1}")
  elseif(NOT line STREQUAL "// expect compiles")
    break()
  endif()
endforeach()
string(REPLACE "|" ";" SYSTEM "${SYSTEM}")
execute_process(
  COMMAND "${COMPILER}" -std=c++20 -fsyntax-only -Wall -Wextra ${flags} "-I${INCLUDE}" ${SYSTEM} "${SOURCE}"
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
else()
  fail("${SOURCE}:1: expected `// expect: <phrase>`, got: ${first_line}")
endif()
