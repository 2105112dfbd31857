// expect: prefer: formulas are constexpr, and run on a device by nvcc --expt-relaxed-constexpr
// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda.hpp>
