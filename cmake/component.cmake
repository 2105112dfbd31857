# prefer_header_set(<target> <header>...): the headers, relative to include/prefer, that a target offers.
function(prefer_header_set target)
  list(TRANSFORM ARGN PREPEND "${PROJECT_SOURCE_DIR}/include/prefer/")
  target_sources(${target} INTERFACE
    FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}/include" FILES ${ARGN})
endfunction()

# prefer_component(<name> [PACKAGES <package>...] [TARGETS <target>...]): the target prefer::<name>.
#
# The rules to install a component do not depend on what this machine has: an install is complete, and
# find_package(prefer COMPONENTS <name>) looks for the packages where the component is used. In this build
# and its parents prefer::<name> exists only if its packages were found.
function(prefer_component name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "PACKAGES;TARGETS")
  string(TOUPPER "${name}" upper)
  set(wanted AUTO)
  if(arg_PACKAGES)
    set(PREFER_WITH_${upper} AUTO CACHE STRING "prefer::${name}, which needs ${arg_PACKAGES}: AUTO, ON or OFF")
    set_property(CACHE PREFER_WITH_${upper} PROPERTY STRINGS AUTO ON OFF)
    set(wanted "${PREFER_WITH_${upper}}")
  endif()
  if(NOT wanted STREQUAL "AUTO" AND NOT wanted)
    return()
  endif()

  # A package's targets are seen by the project around this one too, which links to what they link to.
  set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL TRUE)
  # FindCBLAS.cmake, Finddnnl.cmake, FindNCCL.cmake and FindPCRE2.cmake are ours.
  list(PREPEND CMAKE_MODULE_PATH "${PROJECT_SOURCE_DIR}/cmake")
  set(missing "")
  foreach(package IN LISTS arg_PACKAGES)
    # QUIET does not reach whom a finder asks in its turn: FindMPI has pkg-config say that it found no module mpi-cxx.
    set(level "${CMAKE_MESSAGE_LOG_LEVEL}")
    set(CMAKE_MESSAGE_LOG_LEVEL NOTICE)
    find_package(${package} QUIET)
    set(CMAKE_MESSAGE_LOG_LEVEL "${level}")
    if(NOT ${package}_FOUND)
      list(APPEND missing ${package})
    endif()
    include("${PROJECT_SOURCE_DIR}/cmake/${package}_target.cmake" OPTIONAL)
  endforeach()
  list(JOIN missing " and " missing)
  if(missing AND NOT wanted STREQUAL "AUTO")
    message(FATAL_ERROR "PREFER_WITH_${upper}=${wanted}, but ${missing} was not found")
  endif()

  set(target prefer_${name})
  add_library(${target} INTERFACE)
  target_link_libraries(${target} INTERFACE prefer ${arg_TARGETS})
  prefer_header_set(${target} ${prefer_${name}_headers})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  if(missing)
    message(STATUS "prefer: no prefer::${name} in this build, ${missing} was not found")
    set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS OFF)
  else()
    add_library(prefer::${name} ALIAS ${target})
  endif()
  set_property(GLOBAL APPEND PROPERTY PREFER_COMPONENTS ${name})
  set_property(GLOBAL PROPERTY PREFER_${name}_PACKAGES "${arg_PACKAGES}")
endfunction()
