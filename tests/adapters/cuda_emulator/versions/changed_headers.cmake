# cmake -DFROM=<include> -DTO=<folder> -DVERSION=next|same -P changed_headers.cmake
#
# A copy of the headers whose spread_over_tokens writes the number plus 1, of the next patch where VERSION is next.
file(REMOVE_RECURSE "${TO}")
file(COPY "${FROM}/" DESTINATION "${TO}")

function(replace_in file before after)
  file(READ "${TO}/prefer/${file}" text)
  string(FIND "${text}" "${before}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "${file} does not say ${before} any more; change this copy in another place")
  endif()
  string(REPLACE "${before}" "${after}" text "${text}")
  file(WRITE "${TO}/prefer/${file}" "${text}")
endfunction()

replace_in(adapters/cuda/token_sums.cuh "of_tokens.write(t, number)" "of_tokens.write(t, number + 1)")
if(VERSION STREQUAL "next")
  file(STRINGS "${FROM}/prefer/version.hpp" line REGEX "define PREFER_VERSION_PATCH")
  string(REGEX MATCH "[0-9]+" patch "${line}")
  math(EXPR next "${patch} + 1")
  replace_in(version.hpp "PREFER_VERSION_PATCH ${patch}" "PREFER_VERSION_PATCH ${next}")
endif()
