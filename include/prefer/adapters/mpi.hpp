// SPDX-License-Identifier: MIT
#pragma once

// The C++ classes of old MPI libraries, which the standard has removed, are of no use here.
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>

#include <algorithm>
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
#include <thread>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/parallel/communicator.hpp>

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

/// How `communicator::all_sum` adds up.
enum class sum_order {
  by_rank,  ///< in order of rank, whatever the network: the same bits in every run on as many processes
  by_engine  ///< MPI_Allreduce, which promises only the same bits on the same machines, and often not more
};

struct communicator_options {
  sum_order order = sum_order::by_rank;
  /// How long a call waits for the others. It is longer than the longest step, evaluation or save of the slowest process.
  std::chrono::milliseconds patience = std::chrono::minutes(10);
};

/// A Communicator over the processes of an MPI communicator: a handle, copied freely.
///
/// Sums      with sum_order::by_rank each process adds up its share of the numbers in order of rank, in their type, and
///           sends the sums to all: 2 (P - 1) / P n numbers sent by each of P processes, as many as a ring moves
/// Messages  are its own: it works on a duplicate of the MPI communicator, so that nothing of the caller's is mixed in
/// Waiting   a call for which another process does not come within `patience` ends all processes by MPI_Abort with a
///           sentence on standard error: MPI offers no way back from a collective call that cannot end
/// Errors    backend_error with the MPI call and its message, where MPI returns instead of ending the program;
///           precondition_error on every process for an all_gather of more than 2^31 - 1 numbers
///
/// Needs MPI to be initialised, by `run` or by the caller, and to be finalised after the last handle is gone; calls come
/// from one thread at a time (MPI_THREAD_FUNNELED is enough if that is the main thread).
class communicator {
 public:
  explicit communicator(MPI_Comm of = MPI_COMM_WORLD, communicator_options const& options = {})
      : state_(std::make_shared<state const>(of, options)) {}

  [[nodiscard]] std::size_t rank() const { return state_->rank; }
  [[nodiscard]] std::size_t size() const { return state_->size; }

  void all_sum(std::span<double> values) const { sum(values, MPI_DOUBLE); }
  void all_sum(std::span<float> values) const { sum(values, MPI_FLOAT); }

  void broadcast(std::span<std::byte> bytes, std::size_t from) const {
    expects(from < size(), "mpi::communicator::broadcast: there is no process of this rank");
    for_each_part(bytes, [&](std::span<std::byte> part) {
      wait("MPI_Ibcast", [&](MPI_Request* request) {
        return MPI_Ibcast(part.data(), int_of(part.size()), MPI_BYTE, int_of(from), state_->mpi,
                          request);
      });
    });
  }

  [[nodiscard]] std::vector<double> all_gather(std::span<double const> mine) const {
    // Most calls give a number or two, which travel with their count: one message instead of two.
    std::array<double, 8> frame{static_cast<double>(mine.size())};
    std::size_t const inside = frame.size() - 1;
    if (mine.size() <= inside) std::copy(mine.begin(), mine.end(), frame.begin() + 1);
    std::vector<double> const frames = gather_equal(std::span<double const>(frame), MPI_DOUBLE);

    std::vector<int> counts;
    bool all_inside = true;
    for (std::size_t from = 0; from != size(); ++from) {
      auto const count = static_cast<std::size_t>(frames[from * frame.size()]);
      counts.push_back(int_of(count));
      all_inside = all_inside && count <= inside;
    }
    if (!all_inside) return gather(mine, counts, MPI_DOUBLE);
    std::vector<double> out;
    for (std::size_t from = 0; from != size(); ++from) {
      double const* const values = frames.data() + from * frame.size() + 1;
      out.insert(out.end(), values, values + counts[from]);
    }
    return out;
  }

 private:
  struct state {
    state(MPI_Comm of, communicator_options const& options)
        : order(options.order), patience(options.patience) {
      int begun = 0;
      MPI_Initialized(&begun);
      expects(begun != 0,
              "mpi::communicator: MPI is not initialised; call prefer::mpi::run or MPI_Init_thread "
              "first");
      expects(patience.count() > 0, "mpi::communicator: patience must be greater than zero");
      succeed(MPI_Comm_dup(of, &mpi), "MPI_Comm_dup");
      succeed(MPI_Comm_set_errhandler(mpi, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
      int number = 0;
      succeed(MPI_Comm_rank(mpi, &number), "MPI_Comm_rank");
      rank = static_cast<std::size_t>(number);
      succeed(MPI_Comm_size(mpi, &number), "MPI_Comm_size");
      size = static_cast<std::size_t>(number);
    }
    state(state const&) = delete;
    state& operator=(state const&) = delete;
    ~state() {
      int ended = 0;
      MPI_Finalized(&ended);
      if (ended == 0) MPI_Comm_free(&mpi);
    }

    sum_order order;
    std::chrono::milliseconds patience;
    mutable MPI_Comm mpi = MPI_COMM_NULL;
    std::size_t rank = 0;
    std::size_t size = 0;
  };

  static void succeed(int code, char const* call) {
    if (code == MPI_SUCCESS) return;
    std::array<char, MPI_MAX_ERROR_STRING> message{};
    int length = 0;
    MPI_Error_string(code, message.data(), &length);
    detail::fail(backend_error("mpi::communicator", call, message.data()));
  }

  /// MPI counts by int.
  static int int_of(std::size_t count) {
    expects(count <= static_cast<std::size_t>(std::numeric_limits<int>::max()),
            "mpi::communicator: more than 2^31 - 1 numbers in one all_gather");
    return static_cast<int>(count);
  }
  static constexpr std::size_t most_bytes_at_once = std::size_t{1} << 28;

  template <class T, class Action>
  static void for_each_part(std::span<T> values, Action&& action) {
    std::size_t const most = most_bytes_at_once / sizeof(T);
    for (std::size_t at = 0; at < values.size(); at += most) {
      action(values.subspan(at, values.size() - at < most ? values.size() - at : most));
    }
  }

  /// Begins a collective call and returns when it has ended.
  template <class Begin>
  void wait(char const* call, Begin&& begin) const {
    MPI_Request request = MPI_REQUEST_NULL;
    succeed(begin(&request), call);
    auto const began = std::chrono::steady_clock::now();
    while (true) {
      // Asking is how MPI moves messages. Where there are more processes than cores the others need this one.
      for (int asked = 0; asked != 256; ++asked) {
        int done = 0;
        succeed(MPI_Test(&request, &done, MPI_STATUS_IGNORE), call);
        if (done != 0) return;
      }
      std::this_thread::yield();
      if (std::chrono::steady_clock::now() - began > state_->patience) give_up(call);
    }
  }

  [[noreturn]] void give_up(char const* call) const {
    std::fprintf(stderr,
                 "prefer: process %zu of %zu: mpi::communicator: %s: another process did not come "
                 "within %.3g s: it "
                 "hangs, or works longer than `patience`. All processes end now; the last "
                 "checkpoint is whole.\n",
                 rank(), size(), call, std::chrono::duration<double>(state_->patience).count());
    std::fflush(stderr);
    MPI_Abort(state_->mpi, EXIT_FAILURE);
    std::abort();
  }

  /// As many numbers of each process, in order of rank.
  template <class T>
  std::vector<T> gather_equal(std::span<T const> mine, MPI_Datatype type) const {
    std::vector<T> out(size() * mine.size());
    wait("MPI_Iallgather", [&](MPI_Request* request) {
      return MPI_Iallgather(mine.data(), int_of(mine.size()), type, out.data(), int_of(mine.size()),
                            type, state_->mpi, request);
    });
    return out;
  }

  /// counts[rank] numbers of each process, in order of rank.
  template <class T>
  std::vector<T> gather(std::span<T const> mine, std::vector<int> const& counts,
                        MPI_Datatype type) const {
    std::vector<int> const begins = sums_before(counts);
    std::vector<T> out(static_cast<std::size_t>(begins.back()));
    wait("MPI_Iallgatherv", [&](MPI_Request* request) {
      return MPI_Iallgatherv(mine.data(), int_of(mine.size()), type, out.data(), counts.data(),
                             begins.data(), type, state_->mpi, request);
    });
    return out;
  }

  /// Where each one's numbers begin, and the sum of all counts at the end.
  static std::vector<int> sums_before(std::vector<int> const& counts) {
    std::vector<int> out{0};
    std::size_t sum = 0;
    for (int const count : counts) out.push_back(int_of(sum += static_cast<std::size_t>(count)));
    return out;
  }

  template <class T>
  void sum(std::span<T> values, MPI_Datatype type) const {
    if (size() == 1) return;
    for_each_part(values, [&](std::span<T> part) {
      if (state_->order == sum_order::by_engine) {
        wait("MPI_Iallreduce", [&](MPI_Request* request) {
          return MPI_Iallreduce(MPI_IN_PLACE, part.data(), int_of(part.size()), type, MPI_SUM,
                                state_->mpi, request);
        });
      } else if (part.size() <= few_numbers) {
        add_in_order(part, gather_equal(std::span<T const>(part), type));
      } else {
        sum_shares(part, type);
      }
    });
  }

  // So few that one exchange of all is faster than two exchanges of shares.
  static constexpr std::size_t few_numbers = 1024;

  /// Each process adds up one share of the numbers, and all get all shares.
  template <class T>
  void sum_shares(std::span<T> values, MPI_Datatype type) const {
    std::vector<int> counts;
    for (std::size_t owner = 0; owner != size(); ++owner) {
      counts.push_back(
          int_of(values.size() * (owner + 1) / size() - values.size() * owner / size()));
    }
    std::vector<int> const begins = sums_before(counts);
    auto const share = values.subspan(static_cast<std::size_t>(begins[rank()]),
                                      static_cast<std::size_t>(counts[rank()]));

    std::vector<T> terms(size() * share.size());
    std::vector<int> const share_counts(size(), int_of(share.size()));
    std::vector<int> const share_begins = sums_before(share_counts);
    wait("MPI_Ialltoallv", [&](MPI_Request* request) {
      return MPI_Ialltoallv(values.data(), counts.data(), begins.data(), type, terms.data(),
                            share_counts.data(), share_begins.data(), type, state_->mpi, request);
    });
    add_in_order(share, terms);
    wait("MPI_Iallgatherv", [&](MPI_Request* request) {
      return MPI_Iallgatherv(MPI_IN_PLACE, 0, type, values.data(), counts.data(), begins.data(),
                             type, state_->mpi, request);
    });
  }

  /// sums[i] = sum over ranks of terms[rank * sums.size() + i], in order of rank.
  template <class T>
  static void add_in_order(std::span<T> sums, std::vector<T> const& terms) {
    std::fill(sums.begin(), sums.end(), T{0});
    for (std::size_t begin = 0; begin != terms.size(); begin += sums.size()) {
      for (std::size_t i = 0; i != sums.size(); ++i) sums[i] += terms[begin + i];
    }
  }

  std::shared_ptr<state const> state_;
};

static_assert(Communicator<communicator>);

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
  detail::on_failure(
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
