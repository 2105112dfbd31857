// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "adapters/cuda_emulator/machine.hpp"

// Streams, events, and graphs that streams are captured into. Work on a stream is done when it is asked for; while the
// stream is captured it is kept instead, and done by each launch of the graph. What a device refuses while something is
// captured is refused here, with its code.

enum cudaError_t : int {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorIllegalState = 401,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorStreamCaptureInvalidated = 901,
  cudaErrorStreamCaptureMerge = 902,
  cudaErrorStreamCaptureUnmatched = 903,
  cudaErrorStreamCaptureUnjoined = 904,
  cudaErrorStreamCaptureIsolation = 905,
  cudaErrorStreamCaptureImplicit = 906,
  cudaErrorCapturedEvent = 907
};
enum cudaStreamCaptureMode {
  cudaStreamCaptureModeGlobal,
  cudaStreamCaptureModeThreadLocal,
  cudaStreamCaptureModeRelaxed
};
enum cudaStreamCaptureStatus {
  cudaStreamCaptureStatusNone,
  cudaStreamCaptureStatusActive,
  cudaStreamCaptureStatusInvalidated
};
using cudaStream_t = struct emulated_stream*;
using cudaEvent_t = struct emulated_event*;
using cudaGraph_t = struct emulated_graph*;
using cudaGraphExec_t = struct emulated_graph_exec*;
inline constexpr unsigned cudaStreamNonBlocking = 1;
inline constexpr unsigned cudaEventDisableTiming = 2;
inline constexpr unsigned long long cudaGraphInstantiateFlagAutoFreeOnLaunch = 1;

struct emulated_graph {
  struct node {
    std::function<void()> work;
    std::ptrdiff_t bytes = 0;  // that it allocates, or gives back
  };
  std::vector<node> nodes;
  std::map<void*, std::size_t> allocated;  // by its nodes, and given back by none of them
};
struct emulated_graph_exec {
  emulated_graph of;
  bool frees_on_launch;
};

namespace cuda_emulator {

/// How much of each stream's work comes before a point.
using order = std::map<emulated_stream const*, std::size_t>;

struct capture {
  emulated_stream const* origin;
  cudaStreamCaptureMode mode;
  emulated_graph graph = {};
  order given = {};  // work that each stream was given
  bool invalid = false;
};

/// Captures that go on.
[[nodiscard]] inline std::vector<std::weak_ptr<capture>>& captures() {
  static std::vector<std::weak_ptr<capture>> all;
  return all;
}

}  // namespace cuda_emulator

struct emulated_stream {
  bool blocks;  // waits for the stream null, which waits for it
  std::shared_ptr<cuda_emulator::capture> into = nullptr;
  cuda_emulator::order after = {};  // of what is captured
};
struct emulated_event {
  std::weak_ptr<cuda_emulator::capture> of = {};
  cuda_emulator::order after = {};
};

namespace cuda_emulator {

[[nodiscard]] inline cudaError_t outcome() {
  return static_cast<cudaError_t>(std::exchange(state().next_error, 0));
}

/// Ends captures that `is_concerned`, as a call does that a device refuses while it captures.
template <class Concerned>
cudaError_t invalidate(cudaError_t error, Concerned const& is_concerned) {
  cudaError_t out = cudaSuccess;
  for (auto const& each : captures()) {
    auto const one = each.lock();
    if (one == nullptr || !is_concerned(*one)) continue;
    one->invalid = true;
    out = error;
  }
  return out;
}
/// What a call says that may block, or that allocates in the order of no stream.
[[nodiscard]] inline cudaError_t outside_of_captures(bool also_relaxed) {
  return invalidate(cudaErrorStreamCaptureUnsupported, [&](capture const& one) {
    return also_relaxed || one.mode != cudaStreamCaptureModeRelaxed;
  });
}
/// What a call on the stream null says: streams that wait for it cannot do so within a graph.
[[nodiscard]] inline cudaError_t without_blocking_captures(bool harmless = false) {
  cudaError_t out = cudaSuccess;
  for (auto const& each : captures()) {
    auto const one = each.lock();
    if (one == nullptr || !one->origin->blocks) continue;
    if (!harmless) one->invalid = true;
    out = cudaErrorStreamCaptureImplicit;
  }
  return out;
}
[[nodiscard]] inline cudaError_t wait_for(cudaStream_t stream) {
  if (auto const error = outcome(); error != cudaSuccess) return error;
  if (stream == nullptr) return without_blocking_captures();
  if (stream->into == nullptr) return cudaSuccess;
  stream->into->invalid = true;
  return cudaErrorStreamCaptureUnsupported;
}

/// Gives work to a stream: done at once, or kept. `bytes` that it allocates or, below 0, gives back.
template <class Work>
cudaError_t submit(cudaStream_t stream, Work const& work, std::ptrdiff_t bytes = 0) {
  if (stream == nullptr) {
    if (auto const error = without_blocking_captures(); error != cudaSuccess) return error;
  } else if (stream->into != nullptr) {
    capture& into = *stream->into;
    if (into.invalid) return cudaErrorStreamCaptureInvalidated;
    into.graph.nodes.push_back({work, bytes});
    stream->after[stream] = ++into.given[stream];
    return cudaSuccess;
  }
  work();
  return cudaSuccess;
}
[[nodiscard]] inline bool is_captured(cudaStream_t stream) {
  return stream != nullptr && stream->into != nullptr;
}

}  // namespace cuda_emulator

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned flags) {
  if (auto const error = ::cuda_emulator::outcome(); error != cudaSuccess) return error;
  *out = new emulated_stream{.blocks = flags != cudaStreamNonBlocking};
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  ++::cuda_emulator::state().synchronisations;
  return ::cuda_emulator::wait_for(stream);
}
inline cudaError_t cudaStreamQuery(cudaStream_t stream) {
  return ::cuda_emulator::wait_for(stream);
}
inline cudaError_t cudaDeviceSynchronize() {
  ++::cuda_emulator::state().synchronisations;
  return ::cuda_emulator::outside_of_captures(true);
}

inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned) {
  if (auto const error = ::cuda_emulator::outcome(); error != cudaSuccess) return error;
  *out = new emulated_event{};
  return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  auto const error = ::cuda_emulator::submit(stream, [] {});
  if (error != cudaSuccess) return error;
  bool const captured = ::cuda_emulator::is_captured(stream);
  event->of = captured ? stream->into : nullptr;
  event->after = captured ? stream->after : ::cuda_emulator::order{};
  return ::cuda_emulator::outcome();
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  auto const of = event->of.lock();
  if (of == nullptr) return ::cuda_emulator::outcome();
  of->invalid = true;
  return cudaErrorCapturedEvent;
}
/// A stream that waits for captured work is captured with it from then on.
inline cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  auto const of = event->of.lock();
  if (of == nullptr) {
    if (!::cuda_emulator::is_captured(stream)) return ::cuda_emulator::outcome();
    stream->into->invalid = true;
    return cudaErrorStreamCaptureIsolation;
  }
  if (stream == nullptr) {
    of->invalid = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  if (stream->into != nullptr && stream->into != of) {
    of->invalid = stream->into->invalid = true;
    return cudaErrorStreamCaptureMerge;
  }
  stream->into = of;
  of->given.try_emplace(stream, 0);
  for (auto const& [each, count] : event->after) {
    stream->after[each] = std::max(stream->after[each], count);
  }
  return ::cuda_emulator::outcome();
}

inline cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (auto const error = ::cuda_emulator::outcome(); error != cudaSuccess) return error;
  if (stream == nullptr) return cudaErrorStreamCaptureUnsupported;
  if (stream->into != nullptr) return cudaErrorIllegalState;
  stream->into = std::make_shared<::cuda_emulator::capture>(
      ::cuda_emulator::capture{.origin = stream, .mode = mode});
  stream->after.clear();
  ::cuda_emulator::captures().push_back(stream->into);
  return cudaSuccess;
}
/// Asks nothing of the device: an error that a test has ordered is for the call after it.
inline cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* out) {
  *out = cudaStreamCaptureStatusNone;
  if (stream == nullptr) return ::cuda_emulator::without_blocking_captures(true);
  if (stream->into != nullptr) {
    *out =
        stream->into->invalid ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
  }
  return cudaSuccess;
}
inline cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* out) {
  *out = nullptr;
  if (!::cuda_emulator::is_captured(stream)) return cudaErrorIllegalState;
  auto const ended = stream->into;
  if (ended->origin != stream) {
    ended->invalid = true;
    return cudaErrorStreamCaptureUnmatched;
  }
  bool const joined = std::ranges::all_of(
      ended->given, [&](auto const& each) { return stream->after[each.first] >= each.second; });
  for (auto const& each : ended->given) {
    const_cast<cudaStream_t>(each.first)->into = nullptr;
  }
  stream->into = nullptr;
  std::erase_if(::cuda_emulator::captures(),
                [&](auto const& each) { return each.lock() == ended; });
  if (ended->invalid) return cudaErrorStreamCaptureInvalidated;
  if (!joined) return cudaErrorStreamCaptureUnjoined;
  *out = new emulated_graph(ended->graph);
  return cudaSuccess;
}

inline cudaError_t cudaGraphInstantiate(cudaGraphExec_t* out, cudaGraph_t graph,
                                        unsigned long long flags = 0) {
  if (auto const error = ::cuda_emulator::outcome(); error != cudaSuccess) return error;
  *out = new emulated_graph_exec{*graph, flags == cudaGraphInstantiateFlagAutoFreeOnLaunch};
  return cudaSuccess;
}
inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
/// Memory that the graph allocates lies where it lay at the launch before, which must have been given back.
inline cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  if (auto const error = ::cuda_emulator::outcome(); error != cudaSuccess) return error;
  if (::cuda_emulator::is_captured(stream)) return cudaErrorStreamCaptureUnsupported;
  for (auto const& each : exec->of.allocated) {
    bool const kept = exec->frees_on_launch ? false : ::cuda_emulator::is_allocated(each.first);
    if (kept) return cudaErrorInvalidValue;
    if (exec->frees_on_launch) (void)::cuda_emulator::release(each.first);
  }
  auto const& counted = ::cuda_emulator::state();
  auto now = static_cast<std::ptrdiff_t>(counted.allocated);
  for (auto const& each : exec->of.nodes) {
    now += each.bytes;
    if (now > 0 && static_cast<std::size_t>(now) > counted.limit) return cudaErrorMemoryAllocation;
  }
  for (auto const& each : exec->of.nodes) each.work();
  return cudaSuccess;
}
