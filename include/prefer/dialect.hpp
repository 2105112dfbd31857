// SPDX-License-Identifier: MIT
#pragma once

// What every header is written in. A header that includes no other of ours includes this one, before anything that an
// earlier dialect lacks, so that the wrong dialect is the first error and one sentence.
#if __cplusplus < 202002L
#error "prefer: the library is C++20: compile with -std=c++20 or later"
#endif

#if defined(min) || defined(max)
// A standard library removes such macros where its first header is included, and only there.
#include <cstddef>
#endif
#if defined(min) || defined(max)
#error "prefer: min or max is a macro here: #undef it, define NOMINMAX, or include prefer first"
#endif
