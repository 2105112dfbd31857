// SPDX-License-Identifier: MIT
#pragma once

// Who calls nvcc by hand gives our path with -I, where what it remarks on our templates would stand between its remarks on
// the user's. Each of these headers calls itself a system's; the library's own builds see all warnings. g++, clang and nvcc
// with either of them know this pragma.
#if !defined(PREFER_SHOW_WARNINGS)
#pragma GCC system_header
#endif

// What a CUDA compiler must be told, and one name for all that it makes of this version for these devices. Nothing is
// included before it, so that a wrong dialect is the first error.

#if defined(__cplusplus) && __cplusplus < 202002L
#error "prefer: CUDA sources are compiled as C++20: nvcc -std=c++20 --expt-relaxed-constexpr"
#endif
#if defined(__NVCC__) && !defined(__CUDACC_RELAXED_CONSTEXPR__)
#error "prefer: formulas are constexpr, and run on a device by nvcc --expt-relaxed-constexpr"
#endif
#if !defined(__CUDACC__) && !defined(PREFER_CUDA_ON_THE_HOST)
#error \
    "prefer: adapters/cuda.hpp has kernels: include it in .cu files, which a CUDA compiler compiles"
#endif

#include <prefer/version.hpp>

// prefer_cuda_0_1_0_800x900xxxxxx: two libraries in one process, of other versions or for other devices, share no kernel.
#define PREFER_CUDA_GLUE_(a, b, c, d) prefer_cuda_##a##_##b##_##c##_##d
#define PREFER_CUDA_GLUE(a, b, c, d) PREFER_CUDA_GLUE_(a, b, c, d)
#define PREFER_CUDA_LIST_(a, b, c, d, e, f, g, h, ...) a##x##b##x##c##x##d##x##e##x##f##x##g##x##h
#define PREFER_CUDA_LIST(...) PREFER_CUDA_LIST_(__VA_ARGS__)
#if defined(__CUDA_ARCH_LIST__)
#define PREFER_CUDA_DEVICES PREFER_CUDA_LIST(__CUDA_ARCH_LIST__, , , , , , , , )
#else
#define PREFER_CUDA_DEVICES host
#endif
#define PREFER_CUDA_BUILD                                                            \
  PREFER_CUDA_GLUE(PREFER_VERSION_MAJOR, PREFER_VERSION_MINOR, PREFER_VERSION_PATCH, \
                   PREFER_CUDA_DEVICES)

/// A kernel is nobody else's: not exported from the library that it is compiled into.
#define PREFER_CUDA_KERNEL [[gnu::visibility("hidden")]] __global__
