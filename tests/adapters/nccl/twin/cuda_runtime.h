// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

// What the NCCL adapter calls of CUDA's runtime, for threads that stand for processes with a GPU each: found in place of
// the toolkit's header of this name where tests put the folder first. The device's memory is the host's.

enum cudaError_t : int {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorNotReady = 600,
  cudaErrorLaunchFailure = 719
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
inline constexpr unsigned cudaStreamNonBlocking = 1;

namespace nccl_twin {

/// What goes wrong on the thread that says so.
struct faults {
  bool no_memory = false;
  int device_error = 0;   // what a stream reports while it waits
  int error_of_call = 0;  // what the next call of NCCL returns
  int async_error = 0;    // what a communicator reports while a call is under way
  bool hangs_in_call = false;
  bool hangs_in_abort = false;
};
inline thread_local faults fault;
inline thread_local int current_device = 0;
inline std::atomic<int> allocations = 0;

}  // namespace nccl_twin

/// Work that has not been done yet, each flag shared with who does it.
struct nccl_twin_stream {
  std::vector<std::shared_ptr<std::atomic<bool>>> pending;

  [[nodiscard]] bool done() const {
    for (auto const& each : pending) {
      if (!*each) return false;
    }
    return true;
  }
};
using cudaStream_t = nccl_twin_stream*;

inline char const* cudaGetErrorName(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "cudaErrorMemoryAllocation"
                                            : "cudaErrorLaunchFailure";
}
inline char const* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory" : "unspecified launch failure";
}
inline cudaError_t cudaGetDevice(int* out) {
  *out = nccl_twin::current_device;
  return cudaSuccess;
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned) {
  ++nccl_twin::allocations;
  *out = new nccl_twin_stream;
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  --nccl_twin::allocations;
  delete stream;
  return cudaSuccess;
}
inline cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (nccl_twin::fault.device_error != 0) {
    return static_cast<cudaError_t>(nccl_twin::fault.device_error);
  }
  if (!stream->done()) return cudaErrorNotReady;
  stream->pending.clear();
  return cudaSuccess;
}
inline cudaError_t cudaMalloc(void** out, std::size_t bytes) {
  if (nccl_twin::fault.no_memory) return cudaErrorMemoryAllocation;
  ++nccl_twin::allocations;
  *out = std::malloc(bytes);
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* memory) {
  if (memory != nullptr) --nccl_twin::allocations;
  std::free(memory);
  return cudaSuccess;
}
/// A device would let the caller wait for what is before the copy, for ever if that does not end; so this refuses.
inline cudaError_t cudaMemcpyAsync(void* to, void const* from, std::size_t bytes, cudaMemcpyKind,
                                   cudaStream_t stream) {
  if (!stream->done()) return cudaErrorInvalidValue;
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
