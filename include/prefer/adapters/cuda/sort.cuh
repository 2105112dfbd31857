// SPDX-License-Identifier: MIT
#pragma once

#if !defined(PREFER_SHOW_WARNINGS)
#pragma GCC system_header
#endif

#include <prefer/adapters/cuda/backend.cuh>

#include <cub/device/device_radix_sort.cuh>

#include <cstddef>
#include <cstdint>

// For losses that sort their batch (aot, aot_unpaired). Apart, because CUB's header is most of what it costs to compile.

namespace prefer::inline v0_1::cuda {
inline namespace PREFER_CUDA_BUILD {

template <>
struct sorter<std::uint64_t> {
  /// Sorts keys ascending and their rows with them; equal keys keep their order.
  static void sort(std::uint64_t* keys, std::uint32_t* rows, std::size_t count,
                   cudaStream_t stream) {
    allocation const sorted_keys(count * sizeof(std::uint64_t), stream, "sort");
    allocation const sorted_rows(count * sizeof(std::uint32_t), stream, "sort");
    auto* const to_keys = static_cast<std::uint64_t*>(sorted_keys.get());
    auto* const to_rows = static_cast<std::uint32_t*>(sorted_rows.get());
    std::size_t bytes = 0;
    auto const pass = [&](void* room) {
      expect_success(cub::DeviceRadixSort::SortPairs(room, bytes, keys, to_keys, rows, to_rows,
                                                     count, 0, 64, stream),
                     "cub::DeviceRadixSort::SortPairs", "sort");
    };
    pass(nullptr);  // says how much room it takes
    allocation const room(bytes, stream, "sort");
    pass(room.get());
    copy_on_device(keys, to_keys, count * sizeof(std::uint64_t), stream, "sort");
    copy_on_device(rows, to_rows, count * sizeof(std::uint32_t), stream, "sort");
  }
};

}  // namespace PREFER_CUDA_BUILD
}  // namespace prefer::inline v0_1::cuda
