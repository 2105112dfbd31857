# cmake -DCOMPILER=... -DNM=... -DSOURCE=... -DINCLUDE=... -P link.cmake
#
# Objects that were compiled for different processors do not become one program, except behind the border of a shared
# library that keeps its functions to itself.

# FATAL_ERROR would wrap the lines.
function(fail text)
  message(NOTICE "${text}")
  message(FATAL_ERROR "the check failed")
endfunction()

get_filename_component(compiler_name "${COMPILER}" NAME)
set(work "${CMAKE_CURRENT_BINARY_DIR}/target.${compiler_name}")

function(compile to)
  execute_process(COMMAND "${COMPILER}" -std=c++20 "-I${INCLUDE}" ${ARGN} -c "${SOURCE}" -o "${work}.${to}.o"
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    fail("${SOURCE} must compile with ${ARGN}, but ${COMPILER} says:\n${output}")
  endif()
endfunction()
function(link result_to output_to to)
  list(TRANSFORM ARGN PREPEND "${work}." OUTPUT_VARIABLE objects)
  execute_process(COMMAND "${COMPILER}" ${objects} -o "${work}.${to}"
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  set(${result_to} "${result}" PARENT_SCOPE)
  set(${output_to} "${output}" PARENT_SCOPE)
endfunction()
# The functions of the library in an object or library that others are linked to.
function(weak_functions_of to)
  execute_process(COMMAND "${NM}" ${ARGN} OUTPUT_VARIABLE symbols)
  string(REGEX MATCHALL "[WTu] _ZNK?6prefer[^\n]*" found "${symbols}")
  set(${to} "${found}" PARENT_SCOPE)
endfunction()

compile(rest -march=x86-64)
compile(same -march=x86-64 -DPART)
compile(other -march=x86-64-v3 -DPART)
compile(mixed_rest -march=x86-64 -DPREFER_MIXED_PROCESSORS)
compile(mixed_other -march=x86-64-v3 -DPART -DPREFER_MIXED_PROCESSORS)

link(result output alike rest.o same.o)
if(NOT result EQUAL 0)
  fail("objects for one processor must link, but:\n${output}")
endif()
link(result output unlike rest.o other.o)
if(result EQUAL 0 OR NOT output MATCHES "prefer_objects_are_compiled_for_one_processor")
  fail("objects for different processors must be refused by name, but:\n${result} ${output}")
endif()

# What the refusal is for: without it a function of the library is taken from either object.
link(result output mixed mixed_rest.o mixed_other.o)
weak_functions_of(of_rest "${work}.mixed_rest.o")
weak_functions_of(of_other "${work}.mixed_other.o")
set(shared "")
foreach(symbol IN LISTS of_rest)
  list(FIND of_other "${symbol}" at)
  if(NOT at EQUAL -1)
    list(APPEND shared "${symbol}")
  endif()
endforeach()
if(NOT result EQUAL 0 OR shared STREQUAL "")
  fail("PREFER_MIXED_PROCESSORS must link, and share functions:\n${shared}\n${output}")
endif()

# A shared library that hides its functions is a program of its own in this.
execute_process(COMMAND "${COMPILER}" -std=c++20 "-I${INCLUDE}" -march=x86-64-v3 -DPART -fPIC -shared
    -fvisibility=hidden -fvisibility-inlines-hidden "${SOURCE}" -o "${work}.so"
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result EQUAL 0)
  fail("a shared library must compile, but:\n${output}")
endif()
weak_functions_of(exported -D --defined-only "${work}.so")
if(exported)
  fail("the shared library hides its functions, but exports:\n${exported}")
endif()
link(result output bordered rest.o so)
if(NOT result EQUAL 0)
  fail("a shared library for another processor must link, but:\n${output}")
endif()
