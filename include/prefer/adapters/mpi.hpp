// SPDX-License-Identifier: MIT
#pragma once

// The C++ classes of old MPI libraries, which the standard has removed, are of no use here.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/parallel/engine_communicator.hpp>
#include <prefer/parallel/patience.hpp>

// Processes that MPI starts, on one machine or on many, as a Communicator.
//
//   int main() {
//     return prefer::mpi::run([](prefer::mpi::communicator const& processes) {
//       ...
//       prefer::trainer training(policy, loss, reference, data, options, {}, processes);
//       training.run();
//     });
//   }
//
//   $ mpirun -n 4 ./my_training

namespace prefer::inline v0_1::mpi {

struct communicator_options {
  sum_order order = sum_order::by_rank;
  /// How long a call waits for the others. It is longer than the longest step, evaluation or save of the slowest process.
  std::chrono::milliseconds patience = std::chrono::minutes(10);
};

namespace detail {

/// MPI's exchanges, see engine_communicator.
class engine {
 public:
  engine(MPI_Comm of, communicator_options const& options)
      : order_(options.order), patience_(options.patience) {
    int begun = 0;
    MPI_Initialized(&begun);
    expects(begun != 0,
            "mpi::communicator: MPI is not initialised; call prefer::mpi::run or MPI_Init_thread "
            "first");
    expects(patience_.count() > 0, "mpi::communicator: patience must be greater than zero");
    succeed(MPI_Comm_dup(of, &mpi_), "MPI_Comm_dup");
    succeed(MPI_Comm_set_errhandler(mpi_, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    int number = 0;
    succeed(MPI_Comm_rank(mpi_, &number), "MPI_Comm_rank");
    rank_ = static_cast<std::size_t>(number);
    succeed(MPI_Comm_size(mpi_, &number), "MPI_Comm_size");
    size_ = static_cast<std::size_t>(number);
  }
  engine(engine const&) = delete;
  engine& operator=(engine const&) = delete;
  ~engine() {
    int ended = 0;
    MPI_Finalized(&ended);
    if (ended == 0) MPI_Comm_free(&mpi_);
  }

  [[nodiscard]] std::size_t rank() const { return rank_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] sum_order order() const { return order_; }
  mutable working_memory room;

  void broadcast(std::span<std::byte> bytes, std::size_t from) const {
    wait("MPI_Ibcast", [&](MPI_Request* request) {
      return MPI_Ibcast(bytes.data(), int_of(bytes.size()), MPI_BYTE, int_of(from), mpi_, request);
    });
  }
  template <class T>
  void gather_equal(std::span<T const> mine, std::span<T> all) const {
    int const count = int_of(mine.size());
    wait("MPI_Iallgather", [&](MPI_Request* request) {
      return MPI_Iallgather(mine.data(), count, type_of(mine), all.data(), count, type_of(mine),
                            mpi_, request);
    });
  }
  template <class T>
  void gather_shares(std::span<T> values, std::span<std::size_t const> counts) const {
    places const shares(counts);
    wait("MPI_Iallgatherv", [&](MPI_Request* request) {
      return MPI_Iallgatherv(MPI_IN_PLACE, 0, type_of(values), values.data(), shares.count.data(),
                             shares.begin.data(), type_of(values), mpi_, request);
    });
  }
  template <class T>
  void exchange_shares(std::span<T const> values, std::span<std::size_t const> counts,
                       std::span<T> terms) const {
    places shares(counts);
    std::vector<std::size_t> const own(size_, counts[rank_]);
    places received(own);
    shares.count[rank_] = received.count[rank_] = 0;
    wait("MPI_Ialltoallv", [&](MPI_Request* request) {
      return MPI_Ialltoallv(values.data(), shares.count.data(), shares.begin.data(),
                            type_of(values), terms.data(), received.count.data(),
                            received.begin.data(), type_of(values), mpi_, request);
    });
  }
  template <class T>
  void reduce(std::span<T> values) const {
    wait("MPI_Iallreduce", [&](MPI_Request* request) {
      return MPI_Iallreduce(MPI_IN_PLACE, values.data(), int_of(values.size()), type_of(values),
                            MPI_SUM, mpi_, request);
    });
  }
  template <class T>
  void reduce_shares(std::span<T> values, std::span<std::size_t const> counts) const {
    places const shares(counts);
    std::vector<T> sums(counts[rank_]);
    wait("MPI_Ireduce_scatter", [&](MPI_Request* request) {
      return MPI_Ireduce_scatter(values.data(), sums.data(), shares.count.data(), type_of(values),
                                 MPI_SUM, mpi_, request);
    });
    std::size_t const begin = static_cast<std::size_t>(shares.begin[rank_]);
    for (std::size_t i = 0; i != sums.size(); ++i) values[begin + i] = sums[i];
  }

 private:
  /// Numbers of each process, one after another, as MPI counts them.
  struct places {
    explicit places(std::span<std::size_t const> counts) {
      std::size_t sum = 0;
      for (std::size_t const each : counts) {
        begin.push_back(int_of(sum));
        count.push_back(int_of(each));
        sum += each;
      }
      (void)int_of(sum);
    }
    std::vector<int> count;
    std::vector<int> begin;
  };

  static MPI_Datatype type_of(std::span<double const>) { return MPI_DOUBLE; }
  static MPI_Datatype type_of(std::span<float const>) { return MPI_FLOAT; }

  static void succeed(int code, char const* call) {
    if (code == MPI_SUCCESS) return;
    std::array<char, MPI_MAX_ERROR_STRING> message{};
    int length = 0;
    MPI_Error_string(code, message.data(), &length);
    refuse(backend_error("mpi::communicator", call, message.data()));
  }

  /// MPI counts by int.
  static int int_of(std::size_t count) {
    expects(count <= static_cast<std::size_t>(std::numeric_limits<int>::max()),
            "mpi::communicator: more than 2^31 - 1 numbers in one call");
    return static_cast<int>(count);
  }

  /// Begins a collective call and returns when it has ended.
  template <class Begin>
  void wait(char const* call, Begin&& begin) const {
    MPI_Request request = MPI_REQUEST_NULL;
    succeed(begin(&request), call);
    bool const ended =
        prefer::detail::done_before(std::chrono::steady_clock::now() + patience_, [&] {
          int done = 0;
          succeed(MPI_Test(&request, &done, MPI_STATUS_IGNORE), call);
          return done != 0;
        });
    if (!ended) give_up(call);
  }

  [[noreturn]] void give_up(char const* call) const {
    std::fprintf(stderr,
                 "prefer: process %zu of %zu: mpi::communicator: %s: %s. All processes end now; "
                 "the last checkpoint is whole.\n",
                 rank_, size_, call, prefer::detail::nobody_came(patience_).c_str());
    std::fflush(stderr);
    MPI_Abort(mpi_, EXIT_FAILURE);
    std::abort();
  }

  sum_order order_;
  std::chrono::milliseconds patience_;
  MPI_Comm mpi_ = MPI_COMM_NULL;
  std::size_t rank_ = 0;
  std::size_t size_ = 0;
};

}  // namespace detail

/// A ShareCommunicator over the processes of an MPI communicator: a handle, copied freely.
///
/// Sums      see engine_communicator; sum_order::by_engine leaves them to MPI_Allreduce and MPI_Reduce_scatter
/// Messages  are its own: it works on a duplicate of the MPI communicator, so that nothing of the caller's is mixed in
/// Waiting   a call for which another process does not come within `patience` ends all processes by MPI_Abort with a
///           sentence on standard error: MPI offers no way back from a collective call that cannot end
/// Errors    backend_error with the MPI call and its message, where MPI returns instead of ending the program;
///           precondition_error on every process for more than 2^31 - 1 numbers in an all_gather or in shares
///
/// Needs MPI to be initialised, by `run` or by the caller, and to be finalised after the last handle is gone; calls come
/// from one thread at a time (MPI_THREAD_FUNNELED is enough if that is the main thread).
class communicator : public engine_communicator<std::shared_ptr<detail::engine const>> {
 public:
  explicit communicator(MPI_Comm of = MPI_COMM_WORLD, communicator_options const& options = {})
      : engine_communicator(std::make_shared<detail::engine const>(of, options)) {}
};

static_assert(ShareCommunicator<communicator>);

/// Begins MPI, calls `body(communicator)` and ends MPI. Returns the exit status of main: what the body returns, and 0 where
/// that is nothing.
///
/// Errors  what leaves the body of one process ends all of them: its message on standard error with the process's rank,
///         then MPI_Abort, so that mpirun reports a failure and nobody waits for a process that has gone
template <class Body>
int run(Body&& body, communicator_options const& options = {}) {
  int given = MPI_THREAD_SINGLE;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &given);
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  int status = EXIT_FAILURE;
  prefer::detail::on_failure(
      [&] {
        communicator const processes(MPI_COMM_WORLD, options);
        if constexpr (std::convertible_to<decltype(body(processes)), int>) {
          status = body(processes);
        } else {
          body(processes);
          status = EXIT_SUCCESS;
        }
      },
      [&](char const* what) {
        std::fprintf(stderr, "prefer: process %d: %s\n", rank, what);
        std::fflush(stderr);
        MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
        std::abort();
      });
  MPI_Finalize();
  return status;
}

}  // namespace prefer::inline v0_1::mpi
