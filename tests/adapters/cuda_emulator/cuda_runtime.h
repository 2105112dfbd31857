// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "adapters/cuda_emulator/capture.hpp"
#include "adapters/cuda_emulator/machine.hpp"

// The words of CUDA that our kernels and our host code use, for this processor: found in place of the toolkit's header of
// this name where tests put the folder first. Work on a stream is done when it is asked for, or kept for a graph: see
// capture.hpp.

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__ __restrict
#define __shared__ static

namespace cuda_emulator {

/// A number that is asked for where it is used.
template <index3 (*Of)(), unsigned index3::*Member>
struct current_number {
  operator unsigned() const { return Of().*Member; }  // NOLINT(google-explicit-constructor)
};
template <index3 (*Of)()>
struct current_index {
  current_number<Of, &index3::x> x;
  current_number<Of, &index3::y> y;
};

}  // namespace cuda_emulator

inline constexpr ::cuda_emulator::current_index<&::cuda_emulator::thread_index> threadIdx{};
inline constexpr ::cuda_emulator::current_index<&::cuda_emulator::block_index> blockIdx{};
inline constexpr ::cuda_emulator::current_index<&::cuda_emulator::block_size> blockDim{};
inline constexpr ::cuda_emulator::current_index<&::cuda_emulator::grid_size> gridDim{};

#define PREFER_CUDA_SITE ::cuda_emulator::site at = {__builtin_FILE(), __builtin_LINE()}

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned of_x = 1, unsigned of_y = 1, unsigned of_z = 1)
      : x(of_x), y(of_y), z(of_z) {}
};

// Barriers, and what the lanes of a warp say to each other.

inline void __syncthreads(PREFER_CUDA_SITE) { ::cuda_emulator::block_barrier(at); }
inline void __syncwarp(unsigned mask = ~0u, PREFER_CUDA_SITE) {
  (void)::cuda_emulator::exchange("__syncwarp", mask, 0, at, true);
}

namespace cuda_emulator {

template <class T>
[[nodiscard]] std::uint64_t bits_of(T value) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}
template <class T>
[[nodiscard]] T from_bits(std::uint64_t bits) {
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T, class From>
[[nodiscard]] T shuffle(char const* name, unsigned mask, T value, site where, From const& from) {
  lanes const all = exchange(name, mask, bits_of(value), where);
  unsigned const other = from(all.self);
  // As on a device: who would take from beyond the warp keeps its own.
  return other >= 32 ? value : from_bits<T>(taken_from(all, other, name));
}
[[nodiscard]] inline unsigned votes(char const* name, unsigned mask, bool vote, site where) {
  lanes const all = exchange(name, mask, vote ? 1 : 0, where);
  unsigned out = 0;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (all.value[lane] != 0) out |= 1u << lane;
  }
  return out;
}

/// One step that no other thread can come between.
template <class T, class Change>
T atomically(T* to, Change const& change) {
  access(to, sizeof(T), false, true);
  access(to, sizeof(T), true, true);
  T before;
  copy(&before, to, sizeof before);
  T const after = change(before);
  copy(to, &after, sizeof after);
  return before;
}

}  // namespace cuda_emulator

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, PREFER_CUDA_SITE) {
  return ::cuda_emulator::shuffle("__shfl_sync", mask, value, at,
                                  [&](unsigned) { return static_cast<unsigned>(lane) % 32; });
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, PREFER_CUDA_SITE) {
  return ::cuda_emulator::shuffle("__shfl_xor_sync", mask, value, at, [&](unsigned self) {
    return self ^ static_cast<unsigned>(bits);
  });
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, PREFER_CUDA_SITE) {
  return ::cuda_emulator::shuffle("__shfl_down_sync", mask, value, at,
                                  [&](unsigned self) { return self + by; });
}
inline unsigned __ballot_sync(unsigned mask, int vote, PREFER_CUDA_SITE) {
  return ::cuda_emulator::votes("__ballot_sync", mask, vote != 0, at);
}
inline int __any_sync(unsigned mask, int vote, PREFER_CUDA_SITE) {
  return ::cuda_emulator::votes("__any_sync", mask, vote != 0, at) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int vote, PREFER_CUDA_SITE) {
  return ::cuda_emulator::votes("__all_sync", mask, vote == 0, at) == 0 ? 1 : 0;
}
template <class T>
T atomicAdd(T* to, T value) {
  return ::cuda_emulator::atomically(to, [&](T before) { return before + value; });
}
template <class T>
T atomicMax(T* to, T value) {
  return ::cuda_emulator::atomically(to, [&](T before) { return before < value ? value : before; });
}
template <class T>
T atomicCAS(T* to, T expected, T value) {
  return ::cuda_emulator::atomically(to,
                                     [&](T before) { return before == expected ? value : before; });
}

// The runtime.

enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };

inline char const* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorStreamCaptureUnsupported:
      return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorLaunchFailure:
      return "cudaErrorLaunchFailure";
    default:
      return "an error of streams and graphs";
  }
}
inline char const* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : "an error of the emulator";
}
/// Within a capture an address, where memory will be when the graph runs.
inline cudaError_t cudaMallocAsync(void** out, std::size_t bytes, cudaStream_t stream) {
  if (auto const error = ::cuda_emulator::outcome(); error != cudaSuccess) return error;
  if (!::cuda_emulator::is_captured(stream)) {
    auto const error = ::cuda_emulator::submit(stream, [] {});
    if (error != cudaSuccess) return error;
    *out = ::cuda_emulator::allocate(bytes);
    return *out == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
  }
  void* const at = ::cuda_emulator::reserve(bytes);
  if (at == nullptr) return cudaErrorMemoryAllocation;
  auto const error = ::cuda_emulator::submit(
      stream, [=] { ::cuda_emulator::allocate_at(at, bytes); }, static_cast<std::ptrdiff_t>(bytes));
  if (error != cudaSuccess) return error;
  stream->into->graph.allocated.emplace(at, bytes);
  *out = at;
  return cudaSuccess;
}
/// Within a capture memory of that graph alone is given back.
inline cudaError_t cudaFreeAsync(void* address, cudaStream_t stream) {
  if (auto const error = ::cuda_emulator::outcome(); error != cudaSuccess) return error;
  if (!::cuda_emulator::is_captured(stream)) {
    auto const error = ::cuda_emulator::submit(stream, [] {});
    if (error != cudaSuccess) return error;
    return ::cuda_emulator::release(address) ? cudaSuccess : cudaErrorInvalidValue;
  }
  auto& allocated = stream->into->graph.allocated;
  auto const found = allocated.find(address);
  if (found == allocated.end()) return cudaErrorInvalidValue;
  auto const error = ::cuda_emulator::submit(
      stream, [=] { (void)::cuda_emulator::release(address); },
      -static_cast<std::ptrdiff_t>(found->second));
  if (error == cudaSuccess) allocated.erase(found);
  return error;
}
inline cudaError_t cudaMalloc(void** out, std::size_t bytes) {
  if (auto const error = ::cuda_emulator::outside_of_captures(false); error != cudaSuccess) {
    return error;
  }
  *out = ::cuda_emulator::allocate(bytes);
  return *out == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
inline cudaError_t cudaFree(void* address) {
  if (auto const error = ::cuda_emulator::outside_of_captures(false); error != cudaSuccess) {
    return error;
  }
  return ::cuda_emulator::release(address) ? cudaSuccess : cudaErrorInvalidValue;
}
inline cudaError_t cudaMemcpyAsync(void* to, void const* from, std::size_t bytes,
                                   cudaMemcpyKind kind, cudaStream_t stream) {
  if (auto const error = ::cuda_emulator::outcome(); error != cudaSuccess) return error;
  // A graph copies when it runs, from or to what the host may have given back by then: refused, whatever a device does.
  if (::cuda_emulator::is_captured(stream) && kind != cudaMemcpyDeviceToDevice) {
    return ::cuda_emulator::wait_for(stream);
  }
  return ::cuda_emulator::submit(stream, [=] { ::cuda_emulator::copy_watched(to, from, bytes); });
}
inline cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  if (auto const error = ::cuda_emulator::outcome(); error != cudaSuccess) return error;
  return ::cuda_emulator::submit(stream, [=] {
    ::cuda_emulator::written_from_outside(to, bytes);
    ::cuda_emulator::fill(to, value, bytes);
  });
}

struct cudaLaunchConfig_t {
  dim3 gridDim;
  dim3 blockDim;
  std::size_t dynamicSmemBytes = 0;
  cudaStream_t stream = nullptr;
};
namespace cuda_emulator {

/// A kernel and its arguments, as one piece of memory that its threads may read.
template <class... Parameters>
struct call {
  void (*kernel)(Parameters...);
  std::tuple<Parameters...> arguments;

  static void run(void const* of) {
    auto const& self = *static_cast<call const*>(of);
    std::apply(self.kernel, self.arguments);
  }
};

}  // namespace cuda_emulator

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(cudaLaunchConfig_t const* how, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
  if (auto const error = ::cuda_emulator::outcome(); error != cudaSuccess) return error;
  using call = ::cuda_emulator::call<Parameters...>;
  call const of{kernel, {std::forward<Arguments>(arguments)...}};
  auto const size = [](dim3 const& d) { return ::cuda_emulator::index3{d.x, d.y, d.z}; };
  auto const blocks = size(how->gridDim), threads = size(how->blockDim);
  return ::cuda_emulator::submit(
      how->stream, [=] { ::cuda_emulator::launch(blocks, threads, &call::run, &of, sizeof of); });
}
