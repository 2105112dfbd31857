// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

namespace detail {

template <class C>
concept has_rank_and_size = requires(C const& processes) {
  { processes.rank() } -> std::convertible_to<std::size_t>;
  { processes.size() } -> std::convertible_to<std::size_t>;
};

template <class C, class T>
concept sums_over_processes =
    requires(C const& processes, std::span<T> values) { processes.all_sum(values); };

template <class C>
concept broadcasts = requires(C const& processes, std::span<std::byte> bytes) {
  processes.broadcast(bytes, std::size_t{0});
};

template <class C>
concept gathers = requires(C const& processes, std::span<double const> mine) {
  { processes.all_gather(mine) } -> std::convertible_to<std::vector<double>>;
};

template <class C, class T>
concept sums_shares =
    requires(C const& processes, std::span<T> values, std::span<std::size_t const> counts) {
      processes.sum_shares(values, counts);
    };

template <class C, class T>
concept gathers_shares =
    requires(C const& processes, std::span<T> values, std::span<std::size_t const> counts) {
      processes.gather_shares(values, counts);
    };

}  // namespace detail

/// Processes that hold parts of one batch each.
///
/// Asked for   `rank()` and `size()`; `all_sum(values)` over double and over float, which replaces each number by
///             its sum over processes; `broadcast(bytes, from)`, which replaces the bytes of every process by those of
///             process `from`; `all_gather(values)`, the numbers of all processes, one after another in order of rank
/// Semantics   collective: every process makes the same calls in the same order, `all_sum` and `broadcast` with as
///             many elements on each. Every process gets the same bits, and a second run gets them again; so sums are
///             taken in an order that depends on nothing but the number of processes and of elements
/// Errors      those of the engine; whether a process that ends leaves the others waiting is the engine's affair, see
///             `collectively` for what the library does about exceptions of its own
///
/// An engine (MPI, NCCL) joins with these functions; the library has none of its own.
template <class C>
concept Communicator =
    detail::has_rank_and_size<C> && detail::sums_over_processes<C, double> &&
    detail::sums_over_processes<C, float> && detail::broadcasts<C> && detail::gathers<C>;

/// A Communicator that can do the two halves of `all_sum` one by one, so that work on the sums can be shared out between
/// them: what is worked on by each process once needs not be worked on by all.
///
/// Asked for   over double and over float: `sum_shares(values, counts)`, after which the process of each rank has the
///             sums of its share of the values, and `gather_shares(values, counts)`, which gives the share of each
///             process to all. Shares lie one after another in order of rank, `counts[rank]` numbers each, which may be 0
/// Semantics   collective, with equal counts on every process. Of `sum_shares` the bits of the own share are those that
///             `all_sum` would give; what is in the other shares afterwards is not said. `gather_shares` copies
template <class C>
concept ShareCommunicator =
    Communicator<C> && detail::sums_shares<C, double> && detail::sums_shares<C, float> &&
    detail::gathers_shares<C, double> && detail::gathers_shares<C, float>;

/// One process, which has the whole batch.
struct single_process {
  [[nodiscard]] static constexpr std::size_t rank() { return 0; }
  [[nodiscard]] static constexpr std::size_t size() { return 1; }
  static constexpr void all_sum(std::span<double> /*values*/) {}
  static constexpr void all_sum(std::span<float> /*values*/) {}
  static constexpr void broadcast(std::span<std::byte> /*bytes*/, std::size_t /*from*/) {}
  template <class = on_demand>
  [[nodiscard]] static std::vector<double> all_gather(std::span<double const> mine) {
    std::vector<double> out;
    append(out, mine);
    return out;
  }
};

/// Replaces `values` on every process by those of process `from`.
template <class T, std::size_t N>
  requires std::is_trivially_copyable_v<T>
void broadcast(std::span<T, N> values, std::size_t from, Communicator auto const& processes) {
  processes.broadcast(std::as_writable_bytes(values), from);
}

/// The processes as work sees them that `collectively` runs: every collective call begins with the question whether
/// all are still there.
template <Communicator Processes>
class watched_processes {
 public:
  /// `where` is the caller's name in messages. Both are borrowed.
  watched_processes(Processes const& processes, char const* where)
      : processes_(&processes), where_(where) {}

  [[nodiscard]] std::size_t rank() const { return processes_->rank(); }
  [[nodiscard]] std::size_t size() const { return processes_->size(); }
  void all_sum(std::span<double> values) const {
    agree();
    processes_->all_sum(values);
  }
  void all_sum(std::span<float> values) const {
    agree();
    processes_->all_sum(values);
  }
  void broadcast(std::span<std::byte> bytes, std::size_t from) const {
    agree();
    processes_->broadcast(bytes, from);
  }
  [[nodiscard]] std::vector<double> all_gather(std::span<double const> mine) const {
    agree();
    return processes_->all_gather(mine);
  }
  template <class T>
    requires ShareCommunicator<Processes>
  void sum_shares(std::span<T> values, std::span<std::size_t const> counts) const {
    agree();
    processes_->sum_shares(values, counts);
  }
  template <class T>
    requires ShareCommunicator<Processes>
  void gather_shares(std::span<T> values, std::span<std::size_t const> counts) const {
    agree();
    processes_->gather_shares(values, counts);
  }

  /// Returns when all processes have come here, or to another collective call; throws on each of them if one has
  /// failed. To be called where what follows must happen on all processes or on none.
  ///
  /// Errors  backend_error with the message of the process of lowest rank that failed
  void agree() const { exchange(nullptr); }

  /// Calls work(*this); see `collectively`, of which it is the inside. Where such calls are nested, a failure is told once.
  template <class Work>
  void run(Work&& work) const {
    if constexpr (std::same_as<Processes, single_process>) {
      work(*processes_);
    } else {
      scope const inside(*this);
      detail::on_failure(
          [&] {
            work(*this);
            agree();
          },
          [&](char const* what) {
            std::string_view const reason = what;
            if (!told_) exchange(&reason);
          });
    }
  }

 private:
  struct scope {
    explicit scope(watched_processes const& of) : watched(of) { ++watched.depth_; }
    scope(scope const&) = delete;
    ~scope() {
      if (--watched.depth_ == 0) watched.told_ = false;
    }
    watched_processes const& watched;
  };

  void exchange(std::string_view const* failure) const {
    double const failed[] = {failure != nullptr ? 1.0 : 0.0};
    std::vector<double> const of_all = processes_->all_gather(failed);
    std::size_t first = 0;
    while (first != of_all.size() && of_all[first] == 0.0) ++first;
    told_ = first != of_all.size();
    if (!told_) return;
    bool const tells = first == rank();
    std::uint64_t length[] = {tells ? failure->size() : 0};
    prefer::broadcast(std::span(length), first, *processes_);
    std::string message(static_cast<std::size_t>(length[0]), ' ');
    if (tells) message = *failure;
    prefer::broadcast(std::span(message), first, *processes_);
    if (failure != nullptr) return;  // what it throws itself says more
    detail::fail(backend_error(where_, "process " + std::to_string(first), message));
  }

  Processes const* processes_;
  char const* where_;
  mutable std::size_t depth_ = 0;
  mutable bool told_ = false;  // all know of a failure
};

/// Calls `work(watched)` on every process so that all return or all throw: `watched` is a Communicator over the same
/// processes, and a process in whose work an exception is thrown tells those that wait in a collective call of theirs,
/// or at the end of their work, instead of leaving them there.
///
///   prefer::collectively(processes, "my_step", [&](auto const& all) { ... all.all_sum(values); ... });
///
/// With one process it is the call alone.
///
/// Calls over the same processes are nested by `watched.run(work)`, and not by a second `collectively`.
///
/// Errors  on the process that failed what `work` throws; on the others backend_error, "my_step: process 2: " and its
///         message
/// Cost    one all_gather of one number before each collective call, and one at the end
template <Communicator Processes, class Work>
void collectively(Processes const& processes, char const* where, Work&& work) {
  watched_processes<Processes>(processes, where).run(work);
}

}  // namespace prefer::inline v0_1
