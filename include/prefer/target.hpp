// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/dialect.hpp>

// What the compiler must be told, and told alike for all objects of a program, because results would be wrong without a
// word, or the program would end by an illegal instruction. Whatever computes or refuses something
// includes this.

// Exponentials round by adding and subtracting 1.5 * 2^23, which these flags let the compiler leave out.
#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__)
#error "prefer: results are wrong under -ffast-math, -Ofast or -fassociative-math; compile without"
#endif
#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error "prefer: infinities and NaN have a meaning here; compile without -ffinite-math-only"
#endif

// 16 and above are about formats narrower than float.
#if defined(__FLT_EVAL_METHOD__) && \
    (__FLT_EVAL_METHOD__ < 0 || (__FLT_EVAL_METHOD__ > 0 && __FLT_EVAL_METHOD__ < 16))
#error "prefer: float has excess precision, results are wrong; on 32-bit x86: -msse2 -mfpmath=sse"
#endif

// A function that two objects have, one of the library or of the standard library, is kept once, with the instructions of
// whichever object comes first. So the objects of a program are compiled for one processor, and linkers refuse others: each
// object defines this number, and two definitions of one number are an error only where they differ. (Inside of a function,
// because link-time optimisation takes two definitions at namespace scope for an error whatever they say.)
#if defined(__ELF__) && (defined(__x86_64__) || defined(__i386__)) && \
    !defined(PREFER_MIXED_PROCESSORS) && !defined(__CUDA_ARCH__)

#if defined(__AVX512F__)
#define PREFER_WIDEST_REGISTER "512"
#elif defined(__AVX__)
#define PREFER_WIDEST_REGISTER "256"
#else
#define PREFER_WIDEST_REGISTER "128"
#endif
#if defined(__SSE4_2__)
#define PREFER_SSE4_2 "1"
#else
#define PREFER_SSE4_2 "0"
#endif
#if defined(__AVX2__)
#define PREFER_AVX2 "1"
#else
#define PREFER_AVX2 "0"
#endif
#if defined(__FMA__)
#define PREFER_FMA "1"
#else
#define PREFER_FMA "0"
#endif

namespace prefer::inline v0_1::detail {

[[gnu::used]] inline void compiled_for_one_processor() {
  __asm__(
      ".globl prefer_objects_are_compiled_for_one_processor\n"
      ".hidden prefer_objects_are_compiled_for_one_processor\n"
      ".set prefer_objects_are_compiled_for_one_processor, " PREFER_WIDEST_REGISTER
      " * 1000 + " PREFER_SSE4_2 " * 100 + " PREFER_AVX2 " * 10 + " PREFER_FMA "\n");
}

}  // namespace prefer::inline v0_1::detail

#undef PREFER_WIDEST_REGISTER
#undef PREFER_SSE4_2
#undef PREFER_AVX2
#undef PREFER_FMA

#endif
