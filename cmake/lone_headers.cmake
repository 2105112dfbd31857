# Every header alone, as CMake's own CMAKE_VERIFY_INTERFACE_HEADER_SETS has it, in less than half the time: the target lone_headers.
#
# A header that includes loss.hpp compiles alone if it compiles after loss.hpp, since loss.hpp itself compiles alone and no header
# has an include after its first line of code (tests/tree/include_direction.test.cpp sees to that). So headers that many include
# are precompiled, and each header is compiled after the dearest of them among those that it includes, of which it would have read
# all the same. Nothing that it does not include stands before it.

# What many include, dearest first. A header that is missing here costs time, nothing else.
set(prefer_precompiled_headers
  lm/model/llama_base.hpp lm/files/model_file.hpp lm/files/model_tensors.hpp adapters/torch/token_outputs.hpp adapters/torch/column.hpp
  lm/files/json_file.hpp data/json_lines.hpp data/message_json.hpp lm/text/tokenizer_json.hpp data/json_row.hpp
  policy/sampling_policy.hpp policy/parameter.hpp loss/loss.hpp lm/files/gguf_contents.hpp lm/arithmetic/lanes.hpp batch/columns.hpp
  text/utf8.hpp expects.hpp)

# prefer_included_headers(<variable> <header>): ours that a header includes, itself or through others, whatever is defined.
function(prefer_included_headers variable header)
  get_property(known GLOBAL PROPERTY "PREFER_INCLUDED_BY_${header}" SET)
  if(NOT known)
    file(STRINGS "${PROJECT_SOURCE_DIR}/include/prefer/${header}" directives REGEX "^ *# *(if|endif|include *<prefer/)")
    set(included "")
    set(depth 0)
    foreach(directive IN LISTS directives)
      if(directive MATCHES "# *if")
        math(EXPR depth "${depth} + 1")
      elseif(directive MATCHES "# *endif")
        math(EXPR depth "${depth} - 1")
      elseif(depth EQUAL 0 AND directive MATCHES "<prefer/([^>]+)>")
        set(other "${CMAKE_MATCH_1}")
        prefer_included_headers(others "${other}")
        list(APPEND included "${other}" ${others})
      endif()
    endforeach()
    list(REMOVE_DUPLICATES included)
    set_property(GLOBAL PROPERTY "PREFER_INCLUDED_BY_${header}" "${included}")
    set_property(DIRECTORY "${PROJECT_SOURCE_DIR}" APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "include/prefer/${header}")
  endif()
  get_property(included GLOBAL PROPERTY "PREFER_INCLUDED_BY_${header}")
  set(${variable} "${included}" PARENT_SCOPE)
endfunction()

# prefer_lone_headers(<target> <header>...): its headers, grouped by what is precompiled for them.
function(prefer_lone_headers target)
  set(groups "")
  foreach(header IN LISTS ARGN)
    prefer_included_headers(included "${header}")
    set(before nothing)
    foreach(candidate IN LISTS prefer_precompiled_headers)
      if(candidate IN_LIST included)
        set(before "${candidate}")
        break()
      endif()
    endforeach()
    set(source "${PROJECT_BINARY_DIR}/lone_headers/${header}.cpp")
    file(CONFIGURE OUTPUT "${source}" CONTENT "#include <prefer/@header@>\n" @ONLY)
    list(APPEND groups "${before}")
    list(APPEND "sources_${before}" "${source}")
  endforeach()
  list(REMOVE_DUPLICATES groups)
  foreach(before IN LISTS groups)
    string(MAKE_C_IDENTIFIER "lone_headers_${target}_after_${before}" group)
    add_library(${group} OBJECT EXCLUDE_FROM_ALL ${sources_${before}})
    target_link_libraries(${group} PRIVATE ${target})
    target_compile_options(${group} PRIVATE -O0)
    if(NOT before STREQUAL "nothing")
      target_precompile_headers(${group} PRIVATE "<prefer/${before}>")
    endif()
    add_dependencies(lone_headers ${group})
  endforeach()
endfunction()

add_custom_target(lone_headers)
prefer_lone_headers(prefer ${prefer_core_headers})
get_property(components GLOBAL PROPERTY PREFER_COMPONENTS)
list(REMOVE_ITEM components cuda)  # for a CUDA compiler
foreach(component IN LISTS components)
  if(TARGET prefer::${component})
    prefer_lone_headers(prefer_${component} ${prefer_${component}_headers})
  endif()
endforeach()
