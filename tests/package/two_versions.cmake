# Makes a copy of the headers of the next minor version, by scripts/set-version, in which a loss has one member more and another
# value; compiles one object with each version, links both into one program, and expects each to get its own.
function(fail text)
  message(NOTICE "${text}")
  message(FATAL_ERROR "the check failed")
endfunction()

set(work "${WORK}/two_versions")
set(copy "${work}/copy")
file(REMOVE_RECURSE "${work}")
foreach(path IN ITEMS CHANGELOG.md README.md debian include packaging/vcpkg/prefer scripts tests/package/installed)
  cmake_path(GET path PARENT_PATH folder)
  file(COPY "${SOURCE}/${path}" DESTINATION "${copy}/${folder}")
endforeach()

# The script, in the copy: a patch leaves the namespace, a minor version changes it.
file(STRINGS "${SOURCE}/include/prefer/version.hpp" numbers REGEX "define PREFER_VERSION_(MAJOR|MINOR)")
string(REGEX MATCHALL "[0-9]+" numbers "${numbers}")
list(GET numbers 0 major)
list(GET numbers 1 minor)
math(EXPR next "${minor} + 1")
foreach(version IN ITEMS "${major}.${minor}.7" "${major}.${next}.0")
  execute_process(COMMAND "${copy}/scripts/set-version" "${version}" COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX REPLACE "\\.[0-9]+$" "" series "${version}")
  string(REPLACE "." "_" namespace "v${series}")
  foreach(place IN ITEMS
      "include/prefer/version.hpp|#define PREFER_VERSION_STRING \"${version}\"\n"
      "include/prefer/loss/hinge.hpp|\nnamespace prefer::inline ${namespace} {\n"
      "README.md|find_package(prefer ${series} "
      "tests/package/installed/CMakeLists.txt|find_package(prefer ${series} "
      "packaging/vcpkg/prefer/vcpkg.json|\"version\": \"${version}\"")
    string(REGEX REPLACE "\\|.*" "" file "${place}")
    string(REGEX REPLACE "^[^|]*\\|" "" phrase "${place}")
    file(READ "${copy}/${file}" text)
    string(FIND "${text}" "${phrase}" at)
    if(at EQUAL -1)
      fail("scripts/set-version ${version} must leave this in ${file}: ${phrase}")
    endif()
  endforeach()
  foreach(place IN ITEMS "CHANGELOG.md|^[^#]*# [^#]*## ${version} " "debian/changelog|^prefer \\(${version}\\) ")
    string(REGEX REPLACE "\\|.*" "" file "${place}")
    string(REGEX REPLACE "^[^|]*\\|" "" begins "${place}")
    file(READ "${copy}/${file}" text)
    if(NOT text MATCHES "${begins}")
      fail("after scripts/set-version ${version} ${file} must begin with an entry for it")
    endif()
  endforeach()
endforeach()
execute_process(COMMAND "${copy}/scripts/set-version" 0.2 RESULT_VARIABLE result ERROR_VARIABLE usage)
if(result EQUAL 0 OR NOT usage MATCHES "MAJOR.MINOR.PATCH")
  fail("scripts/set-version took 0.2 for a version: ${usage}")
endif()

# The other version's loss: three times as much, by a member that this one has not.
set(loss "${copy}/include/prefer/loss/hinge.hpp")
file(READ "${loss}" text)
string(REPLACE "  positive beta = 0.1;" "  positive scale = 3.0;\n  positive beta = 0.1;" changed "${text}")
string(REPLACE "return relu(" "return scale * relu(" changed_twice "${changed}")
if(changed STREQUAL text OR changed_twice STREQUAL changed)
  fail("hinge is not written as this test takes it to be; change what it replaces in ${loss}")
endif()
file(WRITE "${loss}" "${changed_twice}")

set(sources "${CMAKE_CURRENT_LIST_DIR}")
set(compile "${COMPILER}" -std=c++20 -O0)
execute_process(COMMAND ${compile} "-I${SOURCE}/include" -DANSWER=of_this_version -c "${sources}/two_versions.cpp"
  -o "${work}/this.o" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${compile} "-I${copy}/include" -DANSWER=of_the_other_version -c "${sources}/two_versions.cpp"
  -o "${work}/other.o" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${compile} "${sources}/two_versions_main.cpp" "${work}/this.o" "${work}/other.o" -o "${work}/program"
  COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${work}/program" OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
# Without a margin hinge is 1 whatever beta is; the other version's has two members of a kind instead of one.
if(NOT printed MATCHES "^1 ${minor} ([0-9]+)\n3 ${next} ([0-9]+)\n$")
  fail("each version must answer for itself, but they answered\n${printed}")
endif()
math(EXPR twice "2 * ${CMAKE_MATCH_1}")
if(NOT CMAKE_MATCH_2 EQUAL twice)
  fail("the other version's hinge is ${CMAKE_MATCH_2} bytes and not ${twice}")
endif()
