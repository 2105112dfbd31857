# cmake -DCOMPILER=... -DSOURCE=... -DINCLUDE=... -P check.cmake
#
# Line 1 of the source is `// expect: <phrase>`: compilation must fail and its output must contain the phrase.
# `// expect compiles` is for the control: it must compile without a word. Line 2 may be `// flags: <flag>...`.

# FATAL_ERROR would wrap the lines.
function(fail text)
  message(NOTICE "${text}")
  message(FATAL_ERROR "the check failed")
endfunction()

file(STRINGS "${SOURCE}" first_lines LIMIT_COUNT 2)
list(GET first_lines 0 first_line)
list(GET first_lines 1 second_line)
set(flags "")
if(second_line MATCHES "^// flags: (.+)$")
  separate_arguments(flags UNIX_COMMAND "${CMAKE_MATCH_1}")
endif()
execute_process(
  COMMAND "${COMPILER}" -std=c++20 -fsyntax-only -Wall -Wextra ${flags} "-I${INCLUDE}" "${SOURCE}"
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)

if(first_line STREQUAL "// expect compiles")
  if(NOT result EQUAL 0 OR NOT output STREQUAL "")
    fail("${SOURCE} must compile without a word, but ${COMPILER} says:\n${output}")
  endif()
elseif(first_line MATCHES "^// expect: (.+)$")
  set(phrase "${CMAKE_MATCH_1}")
  if(result EQUAL 0)
    fail("${SOURCE} compiles, but must fail with: ${phrase}")
  endif()
  string(FIND "${output}" "${phrase}" at)
  if(at EQUAL -1)
    fail("${SOURCE} fails, but ${COMPILER} does not say: ${phrase}\nIt says:\n${output}")
  endif()
else()
  fail("${SOURCE}:1: expected `// expect: <phrase>`, got: ${first_line}")
endif()
