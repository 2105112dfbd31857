// SPDX-License-Identifier: MIT
#pragma once

#include <cuda_runtime.h>
#include <nccl.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/parallel/engine_communicator.hpp>
#include <prefer/parallel/patience.hpp>
#include <prefer/parallel/watchdog.hpp>

// Processes that have a GPU each and speak through NCCL, as a Communicator. It has never run on a GPU: it is compiled
// against NCCL's header, and run with functions of the host in NCCL's place.
//
//   prefer::mpi::communicator const starters;  // or any other Communicator that the processes have already
//   cudaSetDevice(my_device);
//   prefer::nccl::communicator const processes(starters);
//   prefer::trainer training(policy, loss, reference, data, options, {}, processes);

namespace prefer::inline v0_1::nccl {

struct communicator_options {
  sum_order order = sum_order::by_rank;
  /// How long a call waits for the others. It is longer than the longest step, evaluation or save of the slowest process.
  std::chrono::milliseconds patience = std::chrono::minutes(10);
  /// How long NCCL may take to abort after that, before this process is ended by force.
  std::chrono::milliseconds abort_patience = std::chrono::seconds(30);
};

namespace detail {

/// NCCL's exchanges, see engine_communicator. Numbers come from the host and go back there.
class engine {
 public:
  engine(ncclUniqueId const& id, std::size_t rank, std::size_t size,
         communicator_options const& options)
      : rank_(rank),
        size_(size),
        options_(options),
        dog_("process " + std::to_string(rank) + " of " + std::to_string(size) +
             ": nccl::communicator") {
    expects(rank < size, "nccl::communicator: rank must be less than the number of processes");
    expects(options.patience.count() > 0 && options.abort_patience.count() > 0,
            "nccl::communicator: patience and abort_patience must be greater than zero");
    auto const watch = watched("ncclCommInitRankConfig");
    auto const end = end_of_patience();
    expect(cudaGetDevice(&device_), "cudaGetDevice");
    expect(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    // Not blocking: the call returns at once, and a process that does not come is noticed by asking.
    ncclConfig_t how = NCCL_CONFIG_INITIALIZER;
    how.blocking = 0;
    settle(ncclCommInitRankConfig(&comm_, static_cast<int>(size), id, static_cast<int>(rank), &how),
           "ncclCommInitRankConfig", end);
  }
  engine(engine const&) = delete;
  engine& operator=(engine const&) = delete;
  // Nobody hears an exception here; a call that hangs is ended with the program.
  ~engine() {
    auto const watch = watched("ncclCommDestroy");
    if (comm_ != nullptr) {
      ncclResult_t state = ncclCommFinalize(comm_);
      bool const ended = prefer::detail::done_before(end_of_patience(), [&] {
        if (state == ncclInProgress && ncclCommGetAsyncError(comm_, &state) != ncclSuccess) {
          state = ncclInternalError;
        }
        return state != ncclInProgress;
      });
      (void)(ended && state == ncclSuccess ? ncclCommDestroy(comm_) : ncclCommAbort(comm_));
    }
    release();
  }

  [[nodiscard]] std::size_t rank() const { return rank_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] sum_order order() const { return options_.order; }
  mutable working_memory room;

  void broadcast(std::span<std::byte> bytes, std::size_t from) const {
    std::span<std::byte> const given = from == rank_ ? bytes : std::span<std::byte>();
    perform("ncclBroadcast", std::as_bytes(given), bytes, [&](void const* in, void* out) {
      return ncclBroadcast(in, out, bytes.size(), ncclUint8, static_cast<int>(from), comm_,
                           stream_);
    });
  }
  template <class T>
  void gather_equal(std::span<T const> mine, std::span<T> all) const {
    perform("ncclAllGather", std::as_bytes(mine), std::as_writable_bytes(all),
            [&](void const* in, void* out) {
              return ncclAllGather(in, out, mine.size(), type_of(mine), comm_, stream_);
            });
  }
  template <class T>
  void gather_shares(std::span<T> values, std::span<std::size_t const> counts) const {
    auto const own = own_share(values, counts);
    perform("ncclBroadcast of shares", std::as_bytes(own), std::as_writable_bytes(values),
            [&](void const* in, void* out) {
              return for_each_share<T>(counts, [&](int root, std::size_t begin, std::size_t count) {
                return ncclBroadcast(in, static_cast<T*>(out) + begin, count, type_of(own), root,
                                     comm_, stream_);
              });
            });
  }
  template <class T>
  void exchange_shares(std::span<T const> values, std::span<std::size_t const> counts,
                       std::span<T> terms) const {
    std::size_t const own = counts[rank_];
    perform("ncclSend and ncclRecv of shares", std::as_bytes(values), std::as_writable_bytes(terms),
            [&](void const* in, void* out) {
              return for_each_process(counts, [&](int peer, std::size_t begin, std::size_t count) {
                auto const other = static_cast<std::size_t>(peer);
                ncclResult_t state = ncclSuccess;
                if (count != 0 && other != rank_) {
                  state = ncclSend(static_cast<T const*>(in) + begin, count, type_of(values), peer,
                                   comm_, stream_);
                }
                if (own != 0 && other != rank_ && went_well(state)) {
                  state = ncclRecv(static_cast<T*>(out) + other * own, own, type_of(values), peer,
                                   comm_, stream_);
                }
                return state;
              });
            });
  }
  template <class T>
  void reduce(std::span<T> values) const {
    perform("ncclAllReduce", std::as_bytes(values), std::as_writable_bytes(values),
            [&](void const* in, void* out) {
              return ncclAllReduce(in, out, values.size(), type_of(values), ncclSum, comm_,
                                   stream_);
            });
  }
  template <class T>
  void reduce_shares(std::span<T> values, std::span<std::size_t const> counts) const {
    auto const own = own_share(values, counts);
    perform("ncclReduce of shares", std::as_bytes(values), std::as_writable_bytes(own),
            [&](void const* in, void* out) {
              return for_each_share<T>(counts, [&](int root, std::size_t begin, std::size_t count) {
                return ncclReduce(static_cast<T const*>(in) + begin, out, count, type_of(own),
                                  ncclSum, root, comm_, stream_);
              });
            });
  }

 private:
  using instant = std::chrono::steady_clock::time_point;

  static ncclDataType_t type_of(std::span<double const>) { return ncclFloat64; }
  static ncclDataType_t type_of(std::span<float const>) { return ncclFloat32; }

  static bool went_well(ncclResult_t state) {
    return state == ncclSuccess || state == ncclInProgress;
  }

  template <class T>
  std::span<T> own_share(std::span<T> values, std::span<std::size_t const> counts) const {
    std::size_t begin = 0;
    for (std::size_t before = 0; before != rank_; ++before) begin += counts[before];
    return values.subspan(begin, counts[rank_]);
  }

  /// call(rank, where its share begins, how many) for each process, as one group: none waits for another.
  template <class Call>
  static ncclResult_t for_each_process(std::span<std::size_t const> counts, Call&& call) {
    ncclResult_t state = ncclGroupStart();
    if (!went_well(state)) return state;
    std::size_t begin = 0;
    for (std::size_t rank = 0; rank != counts.size() && went_well(state); ++rank) {
      state = call(static_cast<int>(rank), begin, counts[rank]);
      begin += counts[rank];
    }
    ncclResult_t const ended = ncclGroupEnd();
    return went_well(state) ? ended : state;
  }
  template <class T, class Call>
  static ncclResult_t for_each_share(std::span<std::size_t const> counts, Call&& call) {
    return for_each_process(counts, [&](int rank, std::size_t begin, std::size_t count) {
      return count == 0 ? ncclSuccess : call(rank, begin, count);
    });
  }

  /// Copies `in` to the device, lets `begin(in, out)` begin a collective call there, and copies `out` back when it has
  /// ended.
  template <class Begin>
  void perform(char const* call, std::span<std::byte const> in, std::span<std::byte> out,
               Begin&& begin) const {
    expect_whole(call);
    auto const watch = watched(call);
    auto const end = end_of_patience();
    constexpr std::size_t alignment = 256;
    std::size_t const behind = (in.size() + alignment - 1) / alignment * alignment;
    reserve(behind + out.size());
    auto* const from = static_cast<std::byte*>(memory_);
    if (!in.empty()) {
      expect(cudaMemcpyAsync(from, in.data(), in.size(), cudaMemcpyHostToDevice, stream_),
             "cudaMemcpyAsync to the device");
    }
    settle(begin(from, from + behind), call, end);
    // A copy to the host waits inside of CUDA for what is before it; so nothing is before it that might not end.
    wait(call, end);
    if (out.empty()) return;
    expect(cudaMemcpyAsync(out.data(), from + behind, out.size(), cudaMemcpyDeviceToHost, stream_),
           "cudaMemcpyAsync to the host");
    wait("cudaMemcpyAsync to the host", end);
  }

  void reserve(std::size_t bytes) const {
    if (bytes <= reserved_) return;
    reserved_ = 0;
    expect(cudaFree(std::exchange(memory_, nullptr)), "cudaFree");
    expect(cudaMalloc(&memory_, bytes), "cudaMalloc");
    reserved_ = bytes;
  }

  /// Returns when NCCL has taken in what it was asked for.
  void settle(ncclResult_t state, char const* call, instant end) const {
    bool const settled = prefer::detail::done_before(end, [&] {
      if (state == ncclInProgress) state = state_of_communicator(call);
      return state != ncclInProgress;
    });
    if (!settled) break_off(call, prefer::detail::nobody_came(options_.patience));
    if (state != ncclSuccess) break_off(call, words_of(state));
  }
  /// Returns when the device has done it.
  void wait(char const* call, instant end) const {
    bool const done = prefer::detail::done_before(end, [&] {
      cudaError_t const device = cudaStreamQuery(stream_);
      if (device == cudaSuccess) return true;
      if (device != cudaErrorNotReady) break_off(call, words_of(device));
      ncclResult_t const state = state_of_communicator(call);
      if (!went_well(state)) break_off(call, words_of(state));
      return false;
    });
    if (!done) break_off(call, prefer::detail::nobody_came(options_.patience));
  }
  ncclResult_t state_of_communicator(char const* call) const {
    ncclResult_t state = ncclSuccess;
    ncclResult_t const asked = ncclCommGetAsyncError(comm_, &state);
    if (asked != ncclSuccess) break_off(call, "ncclCommGetAsyncError: " + words_of(asked));
    return state;
  }

  static std::string words_of(ncclResult_t state) {
    return std::string(ncclGetErrorString(state)) + " (ncclResult_t " +
           std::to_string(static_cast<int>(state)) + ")";
  }
  static std::string words_of(cudaError_t error) {
    return std::string(cudaGetErrorString(error)) + " (" + cudaGetErrorName(error) + ", " +
           std::to_string(static_cast<int>(error)) + ")";
  }

  void expect(cudaError_t error, char const* call) const {
    if (error != cudaSuccess) break_off(call, words_of(error));
  }
  void expect_whole(char const* call) const {
    if (!broken_.empty()) {
      refuse(backend_error("nccl::communicator", place(call), "was aborted before: " + broken_));
    }
    int current = device_;
    expect(cudaGetDevice(&current), "cudaGetDevice");
    expects(current == device_,
            "nccl::communicator: another device is current than when it was made");
  }

  /// Aborts what goes on, here and, by that, with the others. The watchdog that was set at the beginning of the call
  /// ends the program where that does not succeed.
  [[noreturn]] void break_off(char const* call, std::string const& reason) const {
    broken_ = std::string(call) + ": " + reason;
    if (comm_ != nullptr) (void)ncclCommAbort(std::exchange(comm_, nullptr));
    release();
    refuse(backend_error("nccl::communicator", place(call), reason));
  }
  void release() const {
    (void)cudaFree(std::exchange(memory_, nullptr));
    reserved_ = 0;
    if (stream_ != nullptr) (void)cudaStreamDestroy(std::exchange(stream_, nullptr));
  }

  [[nodiscard]] std::string place(char const* call) const {
    return "process " + std::to_string(rank_) + " of " + std::to_string(size_) + ": " + call;
  }
  [[nodiscard]] watchdog::watched_call watched(char const* call) const {
    return dog_.over(call, options_.patience + options_.abort_patience);
  }
  [[nodiscard]] instant end_of_patience() const {
    return std::chrono::steady_clock::now() + options_.patience;
  }

  std::size_t rank_;
  std::size_t size_;
  communicator_options options_;
  int device_ = 0;
  // A collective call changes what is behind the handle, which is const as that of every Communicator.
  mutable ncclComm_t comm_ = nullptr;
  mutable cudaStream_t stream_ = nullptr;
  mutable void* memory_ = nullptr;
  mutable std::size_t reserved_ = 0;
  mutable std::string broken_;  // why it has ended, if it has
  mutable watchdog dog_;
};

/// An id that process 0 has made, on all processes.
[[nodiscard]] inline ncclUniqueId id_through(Communicator auto const& others) {
  ncclUniqueId id{};
  collectively(others, "nccl::communicator", [&](auto const& all) {
    if (all.rank() == 0) {
      ncclResult_t const made = ncclGetUniqueId(&id);
      if (made != ncclSuccess) {
        refuse(backend_error("nccl::communicator", "ncclGetUniqueId", ncclGetErrorString(made)));
      }
    }
    broadcast(std::span(&id, 1), 0, all);
  });
  return id;
}

}  // namespace detail

/// A ShareCommunicator over processes with a GPU each: a handle, copied freely.
///
/// Sums      see engine_communicator. By rank, shares are sent to their processes and added on the host in order of rank;
///           by engine, ncclAllReduce and ncclReduce add on the devices
/// Device    the one that is current when it is made, and in every call. Numbers are copied there and back; memory of
///           the largest call is kept
/// Waiting   NCCL is asked and never waited for. A call for which another process does not come within `patience` throws
///           backend_error with rank and call, after ncclCommAbort; so does an error that NCCL or the device reports.
///           Every later call throws at once. Where aborting, or any call of NCCL, does not come back within
///           `abort_patience` more, the process ends with a sentence and EXIT_FAILURE
/// Errors    backend_error: "nccl::communicator: process 1 of 4: ncclAllGather: " and what NCCL says, with its code
///
/// Calls come from one thread at a time.
class communicator : public engine_communicator<std::shared_ptr<detail::engine const>> {
 public:
  /// Over the processes of another Communicator, which tells them of each other.
  template <Communicator Others>
  explicit communicator(Others const& others, communicator_options const& options = {})
      : communicator(detail::id_through(others), others.rank(), others.size(), options) {}

  /// With an id that ncclGetUniqueId has given to one process, and all have.
  communicator(ncclUniqueId const& id, std::size_t rank, std::size_t size,
               communicator_options const& options = {})
      : engine_communicator(std::make_shared<detail::engine const>(id, rank, size, options)) {}
};

static_assert(ShareCommunicator<communicator>);

}  // namespace prefer::inline v0_1::nccl
