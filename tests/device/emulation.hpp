// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

// The words of CUDA that kernels.cuh uses, for a host compiler: a launch is two loops. For kernels without barriers.
#define __global__

namespace prefer::test::device {

struct index {
  unsigned x = 0;
};
inline thread_local index block_index, block_size, thread_index;

template <class... Parameters, class... Arguments>
void launch(unsigned blocks, unsigned threads, void (*kernel)(Parameters...),
            Arguments const&... arguments) {
  block_size = {threads};
  for (unsigned b = 0; b < blocks; ++b) {
    for (unsigned t = 0; t < threads; ++t) {
      block_index = {b};
      thread_index = {t};
      kernel(arguments...);
    }
  }
}

}  // namespace prefer::test::device

#define blockIdx prefer::test::device::block_index
#define blockDim prefer::test::device::block_size
#define threadIdx prefer::test::device::thread_index
