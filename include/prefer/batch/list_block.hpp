// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include <prefer/batch/blocks.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/batch/load_record.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/scalar/interleave.hpp>

// Lists on lanes: lists of equal length travel together, one in each element of a lane, so that a formula which loops
// over a list runs once for all of them.

namespace prefer::inline v0_1::detail {

inline constexpr std::size_t short_list = 64;      // longer lists cost an allocation per chunk
inline constexpr std::size_t lists_at_once = 256;  // among which those of equal length are sought

inline constexpr std::size_t shuffled_length = 8;  // longer lists are taken apart number by number

inline constexpr std::size_t list_inputs = inputs_of<list_columns>;

/// Calls with_length<N>() where `length` is N and no longer than shuffled_length; whether it was.
template <class WithLength>
[[nodiscard]] bool for_short_length(std::size_t length, WithLength const& with_length) {
  return [&]<std::size_t... Is>(std::index_sequence<Is...>) {
    return ((length == Is + 1 && (with_length.template operator()<Is + 1>(), true)) || ...);
  }(std::make_index_sequence<shuffled_length>());
}

/// Groups of lists of N numbers that follow one another in memory, to lanes.
template <std::size_t N, class Lane, class T = typename Lane::value_type>
[[gnu::flatten]] void lists_to_lanes(T const* lists, std::size_t groups, T* lanes) {
  [&]<std::size_t... Is>(std::index_sequence<Is...>) {
    for (std::size_t g = 0; g < groups; ++g) {
      std::size_t const first = g * N * Lane::width;
      auto const apart =
          deinterleaved(std::array<Lane, N>{Lane::load(lists + first + Is * Lane::width)...});
      (apart[Is].store(lanes + first + Is * Lane::width), ...);
    }
  }(std::make_index_sequence<N>());
}
/// The way back.
template <std::size_t N, class Lane, class T = typename Lane::value_type>
[[gnu::flatten]] void lanes_to_lists(Lane const* lanes, std::size_t groups, T* lists) {
  [&]<std::size_t... Is>(std::index_sequence<Is...>) {
    for (std::size_t g = 0; g < groups; ++g) {
      auto const together = interleaved(std::array<Lane, N>{lanes[g * N + Is]...});
      (together[Is].store(lists + (g * N + Is) * Lane::width), ...);
    }
  }(std::make_index_sequence<N>());
}

/// Numbers of many lists of one length, in groups of `Lane::width`: completion by completion, those of list w of a group
/// in element w.
///
/// Many, because a lane that is loaded right after its elements were stored one by one waits for all of them. Short lists
/// that follow one another go through registers instead.
template <class Lane>
class list_block {
 public:
  using T = typename Lane::value_type;
  /// Numbers of room that a lane takes for one completion.
  static constexpr std::size_t room_per_completion = list_inputs * Lane::width;

  /// `numbers` for as many completions as `coefficients`: at least those of the longest list. `room` is the loss's.
  list_block(list_columns const& batch, column_set read, std::span<T> numbers,
             std::span<Lane> coefficients, std::span<Lane> room)
      : batch_(batch), from_(batch, read), coefficients_(coefficients), room_(room) {
    for (std::size_t c = 0; c < list_inputs; ++c) {
      at_[c] = numbers.data() + c * coefficients.size() * Lane::width;
    }
  }

  /// As many of the lists `which`, all of one length, as there is room for; returns how many. The last group repeats
  /// the last list in elements that are left over.
  std::size_t load(std::span<std::uint32_t const> which) {
    length_ = batch_.offset[which[0] + 1] - batch_.offset[which[0]];
    std::size_t const most = coefficients_.size() / length_;
    groups_ = at_most(most, (which.size() + Lane::width - 1) / Lane::width);
    which_ = which.first(at_most(which.size(), groups_ * Lane::width));
    bool const in_a_row = which_.back() - which_.front() + 1 == which_.size();
    groups_in_a_row_ = in_a_row ? which_.size() / Lane::width : 0;
    std::size_t next = 0;
    for_each_column(batch_, [&](auto, per each, column_side, auto const&) {
      std::size_t const c = next++;
      if (from_.at[c] == nullptr) return;
      if (each == per::example) {
        load_one_by_one(
            c, 0, [](std::size_t list) { return list; }, 1);
      } else {
        auto const begin = [&](std::size_t list) { return batch_.offset[list]; };
        load_one_by_one(c, load_groups_in_a_row(c), begin, length_);
      }
    });
    return which_.size();
  }

  [[nodiscard]] std::size_t size() const { return length_; }
  [[nodiscard]] std::size_t groups() const { return groups_; }
  [[nodiscard]] bool has(std::size_t input) const { return from_.at[input] != nullptr; }
  /// Of completion i of a group's lists; columns with one number for a list have it at i = 0.
  [[nodiscard]] Lane number(std::size_t input, std::size_t i, std::size_t group) const {
    return Lane::load(at_[input] + (group * length_ + i) * Lane::width);
  }

  /// Those of a group's completions.
  [[nodiscard]] std::span<Lane> coefficients(std::size_t group) const {
    return coefficients_.subspan(group * length_, length_);
  }
  /// For whatever a loss's own rule keeps while it looks at one group.
  [[nodiscard]] std::span<Lane> room(std::size_t count) const { return room_.first(count); }
  /// The coefficients of all lists.
  void write_coefficients(mutable_column const& to) const {
    std::size_t done = 0;
    if (T* const lists = to.direct<T>(batch_.offset[which_[0]]); lists != nullptr) {
      bool const short_lists = for_short_length(length_, [&]<std::size_t N>() {
        lanes_to_lists<N>(coefficients_.data(), groups_in_a_row_, lists);
      });
      if (short_lists) done = groups_in_a_row_ * Lane::width;
    }
    for (std::size_t k = done; k < which_.size(); ++k) {
      Lane const* const from = coefficients_.data() + k / Lane::width * length_;
      std::size_t const begin = batch_.offset[which_[k]];
      if (T* const direct = to.direct<T>(begin)) {
        for (std::size_t i = 0; i < length_; ++i) direct[i] = element(from[i], k % Lane::width);
      } else {
        for (std::size_t i = 0; i < length_; ++i) {
          T const one = element(from[i], k % Lane::width);
          to.assign(begin + i, 1, &one);
        }
      }
    }
  }

 private:
  /// Column c of the groups of short lists that lie in memory as they are wanted; how many lists that are.
  std::size_t load_groups_in_a_row(std::size_t c) {
    T const* const lists = from_.at[c]->template direct<T>(batch_.offset[which_[0]]);
    if (lists == nullptr) return 0;
    bool const short_lists = for_short_length(length_, [&]<std::size_t N>() {
      lists_to_lanes<N, Lane>(lists, groups_in_a_row_, at_[c]);
    });
    return short_lists ? groups_in_a_row_ * Lane::width : 0;
  }
  /// Column c of the lists from number `done` on, `count` numbers from `begin_of(list)` on.
  template <class Begin>
  void load_one_by_one(std::size_t c, std::size_t done, Begin const& begin_of, std::size_t count) {
    for (std::size_t k = done; k < groups_ * Lane::width; ++k) {
      std::size_t const begin = begin_of(k < which_.size() ? which_[k] : which_.back());
      T* const to = at_[c] + k / Lane::width * length_ * Lane::width + k % Lane::width;
      if (T const* const numbers = from_.at[c]->template direct<T>(begin)) {
        for (std::size_t i = 0; i < count; ++i) to[i * Lane::width] = numbers[i];
      } else {
        for (std::size_t i = 0; i < count; ++i) {
          to[i * Lane::width] = static_cast<T>((*from_.at[c])[begin + i]);
        }
      }
    }
  }
  /// Straight from memory: compilers store the whole lane first to index it.
  static T element(Lane const& from, std::size_t w) {
    T out;
    std::memcpy(&out, reinterpret_cast<char const*>(&from) + w * sizeof(T), sizeof out);
    return out;
  }

  list_columns const& batch_;
  input_columns<list_columns> from_;
  T* at_[list_inputs];
  std::span<Lane> coefficients_;
  std::span<Lane> room_;
  std::span<std::uint32_t const> which_;
  std::size_t length_ = 0;
  std::size_t groups_ = 0;
  std::size_t groups_in_a_row_ = 0;  // whole ones, from the first on
};

/// What a formula over lists reads of every batch, and what it can read at all, where it says so.
template <class F>
inline constexpr column_set surely_read = [] {
  if constexpr (requires { F::needs; }) {
    return F::needs;
  } else {
    return column_set{};
  }
}();
template <class F>
inline constexpr column_set possibly_read = [] {
  if constexpr (requires { F::may_read; }) {
    return F::may_read;
  } else {
    return column_set{~0u};
  }
}();

/// Gives a record's members what a block has of completion i of a group and the formula reads.
template <class F, class Lane, class Record>
void load_from(list_block<Lane> const& block, std::size_t i, std::size_t group, Record& record) {
  Record::describe(record, [&](auto is, auto& member) {
    constexpr std::size_t at = input_of<list_columns, is.name>;
    if constexpr (at != list_inputs && possibly_read<F>.contains(is.name)) {
      if (surely_read<F>.contains(is.name) || block.has(at)) {
        set_member<is.rule>(member, block.number(at, i, group));
      }
    }
  });
}

/// Completion i of a group of lists.
template <class Lane, class F>
struct list_at {
  list_block<Lane> const* block;
  std::size_t group;

  completion_record<Lane> operator()(std::size_t i) const {
    completion_record<Lane> out;
    load_from<F>(*block, i, group, out);
    return out;
  }
};

template <class F, class Lane>
[[nodiscard]] inline auto record_of(list_block<Lane> const& block, std::size_t group) {
  list_record<Lane, list_at<Lane, F>> list(block.size(), {&block, group});
  load_from<F>(block, 0, group, list);
  return list;
}

/// A group of lists through a formula, without what is inlined into it spreading over the loop around.
template <class Lane, class F>
[[gnu::noinline, gnu::flatten]] Lane apply_to_group(F const& formula, list_block<Lane> const& block,
                                                    std::size_t group, Lane const& weight) {
  std::span<Lane> const out = block.coefficients(group);
  return formula(record_of<F>(block, group), weight, out, block.room(F::room * out.size()));
}

/// Those of the shortest and of the longest list of a batch.
struct list_lengths {
  std::size_t shortest;
  std::size_t longest;

  explicit list_lengths(std::span<std::size_t const> offset)
      : shortest(offset[1] - offset[0]), longest(shortest) {
    for (std::size_t g = 1; g + 1 < offset.size(); ++g) {
      std::size_t const length = offset[g + 1] - offset[g];
      if (length < shortest) shortest = length;
      if (length > longest) longest = length;
    }
  }
  [[nodiscard]] bool all_alike() const { return shortest == longest; }
};

/// The numbers [begin, begin + order.size()) of lists in ascending order of their lengths, those above short_list last
/// and as they come.
template <class = on_demand>
void order_by_length(list_columns const& batch, list_lengths const& lengths, std::size_t begin,
                     std::span<std::uint32_t> order) {
  if (lengths.all_alike()) {
    for (std::size_t k = 0; k < order.size(); ++k) order[k] = static_cast<std::uint32_t>(begin + k);
    return;
  }
  auto const length_of = [&](std::size_t k) {
    return at_most(short_list + 1, batch.offset[begin + k + 1] - batch.offset[begin + k]);
  };
  std::size_t place[short_list + 3] = {};  // lengths are at least 1
  for (std::size_t k = 0; k < order.size(); ++k) ++place[length_of(k) + 1];
  for (std::size_t v = 1; v < short_list + 2; ++v) place[v] += place[v - 1];
  for (std::size_t k = 0; k < order.size(); ++k) {
    order[place[length_of(k)]++] = static_cast<std::uint32_t>(begin + k);
  }
}

/// How many lists of that order have the length of the first one.
template <class = on_demand>
[[nodiscard]] std::size_t count_alike(list_columns const& batch, list_lengths const& lengths,
                                      std::span<std::uint32_t const> order) {
  if (lengths.all_alike()) return order.size();
  auto const length_of = [&](std::uint32_t g) { return batch.offset[g + 1] - batch.offset[g]; };
  std::size_t alike = 1;
  while (alike < order.size() && length_of(order[alike]) == length_of(order[0])) ++alike;
  return alike;
}

/// Lanes for lists that are too long for the stack. No std::vector, which names a std::initializer_list of them: nvcc compiles
/// that one's constexpr members for a device, where there are no vector types.
template <class Lane>
class lanes_of_long_lists {
 public:
  explicit lanes_of_long_lists(std::size_t n) : at_(n == 0 ? nullptr : new Lane[n]()), size_(n) {}
  lanes_of_long_lists(lanes_of_long_lists const&) = delete;
  lanes_of_long_lists& operator=(lanes_of_long_lists const&) = delete;
  ~lanes_of_long_lists() { delete[] at_; }

  [[nodiscard]] std::span<Lane> view() const { return {at_, size_}; }

 private:
  Lane* at_;
  std::size_t size_;
};

/// What `formula(list, weight, out, room)` gives for the lists [begin, begin + count): its number to `value`, and one for
/// each completion, which it writes to `out`, to `of_completions`. Returns the sum over lists.
template <class Lane, class F>
[[nodiscard]] double map_chunk_of_lists(F const& formula, list_columns const& batch,
                                        column_set read, mutable_column const& of_lists,
                                        mutable_column const& of_completions, std::size_t begin,
                                        std::size_t count, list_lengths const& lengths) {
  using T = typename Lane::value_type;
  constexpr std::size_t per_completion = list_block<Lane>::room_per_completion;
  constexpr std::size_t lanes_per_completion = 1 + F::room;
  T numbers[short_list * per_completion];
  Lane lanes[short_list * lanes_per_completion];
  bool const fits = lengths.longest <= short_list;
  std::vector<T> more_numbers(fits ? 0 : lengths.longest * per_completion);
  lanes_of_long_lists<Lane> const more_lanes(fits ? 0 : lengths.longest * lanes_per_completion);
  std::span<Lane> const all = fits ? std::span<Lane>(lanes) : more_lanes.view();
  std::size_t const completions = all.size() / lanes_per_completion;
  constexpr std::size_t weights = input_of<list_columns, column_name::weight>;
  list_block<Lane> block(batch, read, fits ? std::span<T>(numbers) : more_numbers,
                         all.first(completions), all.subspan(completions));
  lane_sum<Lane> sum;
  std::uint32_t room[lists_at_once];
  for (std::size_t done = 0; done < count; done += lists_at_once) {
    std::span<std::uint32_t> const order(room, at_most(lists_at_once, count - done));
    order_by_length(batch, lengths, begin + done, order);
    for (std::size_t first = 0; first < order.size();) {
      auto const rest = order.subspan(first);
      auto const lists = rest.first(block.load(rest.first(count_alike(batch, lengths, rest))));
      for (std::size_t group = 0; group < block.groups(); ++group) {
        Lane const weight = block.has(weights) ? block.number(weights, 0, group) : Lane(1.0);
        Lane const of_group = apply_to_group(formula, block, group, weight);
        auto const which = lists.subspan(group * Lane::width);
        std::size_t const valid = at_most(Lane::width, which.size());
        sum.add(without_padding(of_group, valid));
        if (!of_lists.present()) continue;
        for (std::size_t w = 0; w < valid; ++w) {
          T const number = of_group[w];
          of_lists.assign(which[w], 1, &number);
        }
      }
      if (of_completions.present()) block.write_coefficients(of_completions);
      first += lists.size();
    }
  }
  sum.flush();
  return sum.total();
}

/// The same for all lists of a batch.
template <class Lane, class F>
[[nodiscard]] double map_lists(F const& formula, list_columns const& batch, column_set read,
                               mutable_column const& of_lists, mutable_column const& of_completions,
                               executor threads) {
  list_lengths const lengths(batch.offset);
  return sum_over_chunks(batch.size(), threads, [&](std::size_t begin, std::size_t count) {
    return map_chunk_of_lists<Lane>(formula, batch, read, of_lists, of_completions, begin, count,
                                    lengths);
  });
}

}  // namespace prefer::inline v0_1::detail
