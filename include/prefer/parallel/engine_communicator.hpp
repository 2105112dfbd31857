// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/parallel/communicator.hpp>

namespace prefer::inline v0_1 {

/// How a communicator over an engine adds up.
enum class sum_order {
  by_rank,  ///< in order of rank, whatever the network: the same bits in every run on as many processes
  by_engine  ///< as the engine does, which promises only the same bits on the same machines, and often not more
};

/// What an engine keeps for engine_communicator from call to call.
struct working_memory {
  std::vector<double> doubles;
  std::vector<float> floats;
};

namespace detail {

/// own[i] becomes the sum over ranks of terms[rank * own.size() + i], in order of rank, beginning with 0; the term of
/// process `rank` is what is in own[i].
template <class T>
void add_in_order(std::span<T> own, std::span<T const> terms, std::size_t rank) {
  // As many sums at a time as stay in the nearest cache while terms pass.
  constexpr std::size_t block = 2048;
  T mine[block];
  for (std::size_t at = 0; at < own.size(); at += block) {
    std::size_t const count = at_most(block, own.size() - at);
    T* const sums = own.data() + at;
    for (std::size_t i = 0; i != count; ++i) {
      mine[i] = sums[i];
      sums[i] = 0;
    }
    for (std::size_t from = 0; from * own.size() < terms.size(); ++from) {
      T const* const term = from == rank ? mine : terms.data() + from * own.size() + at;
      for (std::size_t i = 0; i != count; ++i) sums[i] += term[i];
    }
  }
}

}  // namespace detail

/// A ShareCommunicator from the few exchanges that an engine has: what is the same over MPI and over NCCL.
///
/// `Engine` is a handle: `engine->` gives
///
///   rank(), size(), order()
///   broadcast(bytes, from)                     as Communicator asks for
///   gather_equal(mine, all)                    as many numbers of each, in order of rank
///   gather_shares(values, counts)              as ShareCommunicator asks for
///   exchange_shares(values, counts, terms)     each process gets what the others have in its share, as
///                                              terms[rank * count + i]; its own place is left alone
///   reduce(values)                             all_sum in the engine's order
///   reduce_shares(values, counts)              sum_shares in the engine's order
///   room                                       a mutable working_memory
///
/// over double and float. `broadcast` and `reduce` are asked for at most 2^28 bytes at once.
///
/// Sums      with sum_order::by_rank each process adds up its share of the numbers in order of rank, in their type, and
///           sends the sums to all: 2 (P - 1) / P n numbers sent by each of P processes, as many as a ring moves
/// Threads   calls come from one thread at a time: working memory is kept from call to call, for all copies of a handle
template <class Engine>
class engine_communicator {
 public:
  [[nodiscard]] std::size_t rank() const { return engine_->rank(); }
  [[nodiscard]] std::size_t size() const { return engine_->size(); }

  void all_sum(std::span<double> values) const { sum(values, engine_->room.doubles); }
  void all_sum(std::span<float> values) const { sum(values, engine_->room.floats); }

  void broadcast(std::span<std::byte> bytes, std::size_t from) const {
    expects(from < size(), "broadcast: there is no process of this rank");
    if (size() == 1) return;
    for_each_part(bytes, [&](std::span<std::byte> part) { engine_->broadcast(part, from); });
  }

  [[nodiscard]] std::vector<double> all_gather(std::span<double const> mine) const {
    // Most calls give a number or two, which travel with their count: one message instead of two.
    constexpr std::size_t inside = 7;
    double frame[1 + inside] = {static_cast<double>(mine.size())};
    for (std::size_t i = 0; mine.size() <= inside && i != mine.size(); ++i) frame[1 + i] = mine[i];
    std::vector<double> frames((1 + inside) * size());
    engine_->gather_equal(std::span<double const>(frame), std::span<double>(frames));

    std::vector<std::size_t> counts;
    std::size_t all = 0;
    bool all_inside = true;
    for (std::size_t from = 0; from != size(); ++from) {
      counts.push_back(static_cast<std::size_t>(frames[from * (1 + inside)]));
      all += counts.back();
      all_inside = all_inside && counts.back() <= inside;
    }
    std::vector<double> out(all);
    std::size_t own = 0;
    for (std::size_t from = 0, at = 0; from != size(); at += counts[from++]) {
      if (from == rank()) own = at;
      for (std::size_t i = 0; all_inside && i != counts[from]; ++i) {
        out[at + i] = frames[from * (1 + inside) + 1 + i];
      }
    }
    if (all_inside) return out;
    for (std::size_t i = 0; i != mine.size(); ++i) out[own + i] = mine[i];
    engine_->gather_shares(std::span<double>(out), std::span<std::size_t const>(counts));
    return out;
  }

  void sum_shares(std::span<double> values, std::span<std::size_t const> counts) const {
    sum_own(values, counts, engine_->room.doubles);
  }
  void sum_shares(std::span<float> values, std::span<std::size_t const> counts) const {
    sum_own(values, counts, engine_->room.floats);
  }
  void gather_shares(std::span<double> values, std::span<std::size_t const> counts) const {
    if (size() != 1) engine_->gather_shares(values, counts);
  }
  void gather_shares(std::span<float> values, std::span<std::size_t const> counts) const {
    if (size() != 1) engine_->gather_shares(values, counts);
  }

 protected:
  explicit engine_communicator(Engine engine) : engine_(std::move(engine)) {}

 private:
  static constexpr std::size_t most_bytes_at_once = std::size_t{1} << 28;
  // So few that one exchange of all is faster than two exchanges of shares.
  static constexpr std::size_t few_numbers = 1024;

  template <class T, class Action>
  static void for_each_part(std::span<T> values, Action&& action) {
    std::size_t const most = most_bytes_at_once / sizeof(T);
    for (std::size_t at = 0; at < values.size(); at += most) {
      action(values.subspan(at, detail::at_most(most, values.size() - at)));
    }
  }

  template <class T>
  void sum(std::span<T> values, std::vector<T>& room) const {
    if (size() == 1) return;
    for_each_part(values, [&](std::span<T> part) {
      if (engine_->order() == sum_order::by_engine) {
        engine_->reduce(part);
      } else if (part.size() <= few_numbers) {
        auto const terms = room_for(size() * part.size(), room);
        engine_->gather_equal(std::span<T const>(part), terms);
        detail::add_in_order(part, std::span<T const>(terms), rank());
      } else {
        std::vector<std::size_t> counts;
        for (std::size_t owner = 0; owner != size(); ++owner) {
          counts.push_back(part.size() * (owner + 1) / size() - part.size() * owner / size());
        }
        sum_own(part, std::span<std::size_t const>(counts), room);
        engine_->gather_shares(part, std::span<std::size_t const>(counts));
      }
    });
  }

  template <class T>
  void sum_own(std::span<T> values, std::span<std::size_t const> counts,
               std::vector<T>& room) const {
    expects_size(counts.size(), size(), "sum_shares", "counts");
    if (size() == 1) return;
    if (engine_->order() == sum_order::by_engine) {
      engine_->reduce_shares(values, counts);
      return;
    }
    std::size_t begin = 0;
    for (std::size_t before = 0; before != rank(); ++before) begin += counts[before];
    std::size_t const own = counts[rank()];
    auto const terms = room_for(size() * own, room);
    engine_->exchange_shares(std::span<T const>(values), counts, terms);
    detail::add_in_order(values.subspan(begin, own), std::span<T const>(terms), rank());
  }

  // Kept: to get and clear as much memory for each sum takes as long as to send it.
  template <class T>
  static std::span<T> room_for(std::size_t count, std::vector<T>& room) {
    if (room.size() < count) room.resize(count);
    return std::span<T>(room).first(count);
  }

  Engine engine_;
};

}  // namespace prefer::inline v0_1
