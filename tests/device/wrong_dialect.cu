// expect: error: #error "prefer: CUDA sources are compiled as C++20: nvcc -std=c++20 --expt-relaxed-constexpr"
// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda.hpp>
