# What our own programs are built with and no user ever sees: warnings, sanitizers, processor flags, ccache.

add_library(prefer_dev INTERFACE)
target_compile_options(prefer_dev INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow $<$<BOOL:${PREFER_WERROR}>:-Werror>
  # g++ collects its garbage again and again on the way to the 800 MB that a file of many losses takes: a fifth of its time.
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:--param=ggc-min-heapsize=1000000>)
if(PREFER_SANITIZE)
  # g++ documents that sanitizers give it false alarms of this kind.
  target_compile_options(prefer_dev INTERFACE
    -fsanitize=${PREFER_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  target_link_options(prefer_dev INTERFACE -fsanitize=${PREFER_SANITIZE})
endif()

# Apart from prefer_dev: the tests check the portable build, not that of one machine.
add_library(prefer_native INTERFACE)
target_compile_options(prefer_native INTERFACE $<$<BOOL:${PREFER_NATIVE}>:-march=native>)

if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_CXX_EXTENSIONS OFF)
  find_program(PREFER_CCACHE ccache)
  if(PREFER_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${PREFER_CCACHE}")
  endif()
endif()

# Who builds everything links a hundred programs: gold, which comes with ld, takes half of ld's time for each.
find_program(PREFER_GOLD ld.gold)
mark_as_advanced(PREFER_GOLD)
if(PREFER_TESTS_IN_PIECES AND PREFER_GOLD AND NOT PREFER_SANITIZE)  # which exports what gold warns of
  add_link_options(-fuse-ld=gold)
endif()

# prefer_missing(<variable> <need>...): which of the needs are not here. A need is a component of prefer or
# the name of a package.
function(prefer_missing variable)
  set(missing "")
  foreach(need IN LISTS ARGN)
    if(NOT TARGET prefer_${need})
      find_package(${need} QUIET)
      if(NOT ${need}_FOUND)
        list(APPEND missing ${need})
      endif()
    elseif(NOT TARGET prefer::${need})
      list(APPEND missing "prefer::${need}")
    endif()
  endforeach()
  list(JOIN missing ", " missing)
  set(${variable} "${missing}" PARENT_SCOPE)
endfunction()

# prefer_link_present(<target> <PUBLIC, PRIVATE or INTERFACE> <component>...): links those components that are here, and
# defines PREFER_HAS_<COMPONENT> for each.
function(prefer_link_present target scope)
  foreach(component IN LISTS ARGN)
    if(TARGET prefer::${component})
      string(TOUPPER "${component}" upper)
      target_link_libraries(${target} ${scope} prefer::${component})
      target_compile_definitions(${target} ${scope} PREFER_HAS_${upper})
    endif()
  endforeach()
endfunction()
