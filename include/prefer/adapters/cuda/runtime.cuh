// SPDX-License-Identifier: MIT
#pragma once

#if !defined(PREFER_SHOW_WARNINGS)
#pragma GCC system_header
#endif

#include <prefer/adapters/cuda/dialect.cuh>

#include <cuda_runtime.h>

#include <cstddef>
#include <string>
#include <utility>

#include <prefer/expects.hpp>

// The calls of CUDA's runtime that the adapter makes, each with its error as a sentence.

namespace prefer::inline v0_1::cuda {
inline namespace PREFER_CUDA_BUILD {

/// Throws backend_error unless the call went well: the call, what it was for, and the runtime's code with its words.
inline void expect_success(cudaError_t error, char const* call, std::string const& place) {
  if (error == cudaSuccess) return;
  refuse(backend_error(call, place,
                       std::string(cudaGetErrorName(error)) + " (" +
                           std::to_string(static_cast<int>(error)) + "), " +
                           cudaGetErrorString(error)));
}

/// Memory of the device, allocated and given back in the order of a stream: nobody waits for either.
///
/// Errors  backend_error where the device has no more; nothing is leaked
class allocation {
 public:
  allocation() = default;
  allocation(std::size_t bytes, cudaStream_t stream, char const* place) : stream_(stream) {
    if (bytes == 0) return;
    expect_success(cudaMallocAsync(&at_, bytes, stream), "cudaMallocAsync",
                   std::string(place) + ", " + std::to_string(bytes) + " bytes");
  }
  allocation(allocation&& from) noexcept
      : at_(std::exchange(from.at_, nullptr)), stream_(from.stream_) {}
  allocation& operator=(allocation&& from) noexcept {
    std::swap(at_, from.at_);
    std::swap(stream_, from.stream_);
    return *this;
  }
  // What is wrong with a stream is told by the next call on it; a destructor has nobody to tell.
  ~allocation() {
    if (at_ != nullptr) (void)cudaFreeAsync(at_, stream_);
  }

  [[nodiscard]] void* get() const { return at_; }
  [[nodiscard]] cudaStream_t stream() const { return stream_; }

 private:
  void* at_ = nullptr;
  cudaStream_t stream_ = nullptr;
};

/// Refuses what the host takes part in while the stream is captured: a graph runs when the host is elsewhere.
inline void expect_no_capture(cudaStream_t stream, char const* place, char const* instead) {
  cudaStreamCaptureStatus now = cudaStreamCaptureStatusNone;
  expect_success(cudaStreamIsCapturing(stream, &now), "cudaStreamIsCapturing", place);
  if (now == cudaStreamCaptureStatusNone) return;
  refuse(std::string(place) + ": the stream is captured into a graph, in which " + instead);
}
inline void copy_to_device(void* to, void const* from, std::size_t bytes, cudaStream_t stream,
                           char const* place) {
  if (bytes == 0) return;
  expect_no_capture(stream, place, "numbers of the host are not copied; copy them before");
  expect_success(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream),
                 "cudaMemcpyAsync to the device", place);
}
/// What is copied is there when the stream has been waited for.
inline void start_copy_to_host(void* to, void const* from, std::size_t bytes, cudaStream_t stream,
                               char const* place) {
  expect_no_capture(stream, place, "the host reads nothing; read when the graph has run");
  expect_success(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream),
                 "cudaMemcpyAsync to the host", place);
}
inline void wait_for(cudaStream_t stream, char const* place) {
  expect_success(cudaStreamSynchronize(stream), "cudaStreamSynchronize", place);
}
/// Waits for the stream.
inline void copy_to_host(void* to, void const* from, std::size_t bytes, cudaStream_t stream,
                         char const* place) {
  if (bytes == 0) return;
  start_copy_to_host(to, from, bytes, stream, place);
  wait_for(stream, place);
}
inline void copy_on_device(void* to, void const* from, std::size_t bytes, cudaStream_t stream,
                           char const* place) {
  if (bytes == 0) return;
  expect_success(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream),
                 "cudaMemcpyAsync on the device", place);
}
inline void set_to_zero(void* to, std::size_t bytes, cudaStream_t stream, char const* place) {
  if (bytes == 0) return;
  expect_success(cudaMemsetAsync(to, 0, bytes, stream), "cudaMemsetAsync", place);
}

/// A point in a stream's work that another stream can wait for, so that the host need not.
class event {
 public:
  event() {
    expect_success(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming),
                   "cudaEventCreateWithFlags", "event");
  }
  event(event const&) = delete;
  event& operator=(event const&) = delete;
  ~event() { (void)cudaEventDestroy(event_); }

  void record(cudaStream_t on) {
    expect_success(cudaEventRecord(event_, on), "cudaEventRecord", "event");
  }
  /// What `stream` is given from now on comes after what was recorded.
  void precedes(cudaStream_t stream) const {
    expect_success(cudaStreamWaitEvent(stream, event_, 0), "cudaStreamWaitEvent", "event");
  }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Runs a kernel, one-dimensional, in the order of a stream.
template <class... Parameters, class... Arguments>
void launch(cudaStream_t stream, std::size_t blocks, unsigned threads, char const* place,
            void (*kernel)(Parameters...), Arguments const&... arguments) {
  if (blocks == 0) return;
  cudaLaunchConfig_t how{};
  how.gridDim = dim3(static_cast<unsigned>(blocks));
  how.blockDim = dim3(threads);
  how.stream = stream;
  expect_success(cudaLaunchKernelEx(&how, kernel, Parameters(arguments)...), "cudaLaunchKernelEx",
                 place);
}

}  // namespace PREFER_CUDA_BUILD
}  // namespace prefer::inline v0_1::cuda
