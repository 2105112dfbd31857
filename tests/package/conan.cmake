# Makes the Conan package from the checkout, without any remote, and lets Conan build and run the consumer with it.
function(fail text)
  message(NOTICE "${text}")
  message(FATAL_ERROR "the check failed")
endfunction()

set(work "${WORK}/conan")
file(REMOVE_RECURSE "${work}")
set(ENV{CONAN_HOME} "${work}/home")
set(ENV{CXX} "${COMPILER}")
execute_process(COMMAND "${CONAN}" profile detect OUTPUT_QUIET ERROR_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${CONAN}" create "${SOURCE}/packaging/conan" --no-remote --build=missing
    -s compiler.cppstd=20 -c "tools.cmake.cmake_layout:test_folder=${work}/consumer"
    -c "tools.cmake.cmaketoolchain:user_presets="
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result EQUAL 0 OR NOT output MATCHES "\n0\\.693147180560\n")
  fail("conan create ended with ${result}, and must end with log 2 from the consumer:\n${output}")
endif()
