// SPDX-License-Identifier: MIT
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

// The one function of CUB that we call, for this processor: a stable sort, by the bits of the keys that are asked for.

namespace cub {

struct DeviceRadixSort {
  template <class Key, class Value>
  static cudaError_t SortPairs(void* room, std::size_t& bytes, Key const* keys, Key* sorted_keys,
                               Value const* values, Value* sorted_values, std::size_t count,
                               int first_bit, int last_bit, cudaStream_t stream) {
    if (room == nullptr) {
      bytes = 1;
      return cudaSuccess;
    }
    if (first_bit != 0 || last_bit != 64) return cudaErrorInvalidValue;
    return ::cuda_emulator::submit(stream, [=] {
      std::vector<Key> key(count);
      std::vector<Value> value(count);
      ::cuda_emulator::copy_watched(key.data(), keys, count * sizeof(Key));
      ::cuda_emulator::copy_watched(value.data(), values, count * sizeof(Value));
      std::vector<std::size_t> order(count);
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return key[a] < key[b]; });
      std::vector<Key> to_keys;
      std::vector<Value> to_values;
      for (std::size_t const i : order) {
        to_keys.push_back(key[i]);
        to_values.push_back(value[i]);
      }
      ::cuda_emulator::copy_watched(sorted_keys, to_keys.data(), count * sizeof(Key));
      ::cuda_emulator::copy_watched(sorted_values, to_values.data(), count * sizeof(Value));
    });
  }
};

}  // namespace cub
