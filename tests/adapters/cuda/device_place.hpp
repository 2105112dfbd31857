// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/adapters/cuda/sort.cuh>

#include <prefer/adapters/cuda.hpp>

#include <cstddef>
#include <vector>

namespace prefer::test {

/// A device, emulated or real, as a place where the laws of backends hold.
struct device_place {
  cudaStream_t stream = nullptr;

  [[nodiscard]] cuda::backend on() const { return cuda::backend(stream); }
  [[nodiscard]] cuda::device_column<double> upload(std::vector<double> const& from) const {
    return {from, stream};
  }
#if defined(PREFER_CUDA_ON_THE_HOST)
  [[nodiscard]] static std::size_t waits() { return cuda_emulator::state().synchronisations; }
#endif
};

}  // namespace prefer::test
