// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/batch/strided.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

namespace detail {

/// Calls visit(numbers, per) for the column of this name, where a kind of data has one.
template <column_name Name, class Data, class Visit>
void with_column(Data const& data, Visit const& visit) {
  Data::describe(data, [&](auto is, per each, auto const& numbers) {
    if constexpr (is.name == Name) visit(numbers, each);
  });
}

/// What pairs have of their completions, which lie chosen, rejected, chosen, ..., as the two sides of a column.
template <class Both, class T>
void view_sides(Both& to, std::span<T> numbers) {
  std::size_t const pairs = numbers.size() / 2;
  to.chosen = strided<T>(numbers.data(), pairs, 2);
  to.rejected = strided<T>(pairs == 0 ? numbers.data() : numbers.data() + 1, pairs, 2);
}

}  // namespace detail

/// Numbers that a source has worked out for each example of a loss of arity 1, in double and beside its data: one for
/// each completion, or for each token where the loss is over tokens, end to end. What is empty is not there.
template <class = on_demand>
struct basic_example_numbers {
  std::vector<double> score = {};
  std::vector<double> weight = {};
  std::vector<double> behaviour = {};

  /// As that of unpaired_columns.
  static constexpr void describe(auto& self, auto&& visit) {
    visit(described::score, self.score);
    visit(described::weight, self.weight);
    visit(described::behaviour, self.behaviour);
  }
  /// Which of them are there.
  [[nodiscard]] column_set available() const {
    column_set set;
    describe(*this, [&](auto is, std::vector<double> const& numbers) {
      if (!numbers.empty()) set = set | is.name;
    });
    return set;
  }
};
using example_numbers = basic_example_numbers<>;

/// Rows of a choice_data gathered into one batch, of which any run of groups can be handed to a policy.
/// Keeps its memory from batch to batch.
///
/// Errors  precondition_error for a row that the data set does not have
template <class Data>
class basic_minibatch {  // a template, so that including it costs little
 public:
  /// `draw` addresses what is drawn at random for the batch.
  void gather(Data const& data, std::span<std::uint32_t const> rows, std::uint64_t draw = 0) {
    draw_ = draw;
    drawn_ = false;
    example_numbers::describe(numbers_, [](auto, std::vector<double>& each) { each.clear(); });
    for (std::uint32_t const r : rows) {
      if (r >= data.size()) {
        detail::broken("choice_minibatch::gather: row " + std::to_string(r) + " of a data set of " +
                       std::to_string(data.size()));
      }
    }
    rows_.prompt.clear();
    rows_.completion.clear();
    rows_.kl_examples.clear();
    rows_.offset.assign(1, 0);
    row_.clear();
    for (std::uint32_t const r : rows) {
      rows_.prompt.push_back(data.prompt[r]);
      row_.push_back(r);
      for (std::size_t i = data.offset[r]; i < data.offset[r + 1]; ++i) {
        rows_.completion.push_back(data.completion[i]);
      }
      rows_.offset.push_back(rows_.completion.size());
      if (!data.kl_examples.empty()) rows_.kl_examples.push_back(data.kl_examples[r]);
    }
    gather_columns(data, rows);
    one_each_.resize(rows_.prompt.size() + 1);
    for (std::size_t g = 0; g < one_each_.size(); ++g) one_each_[g] = g;
  }

  /// All examples of `data`, where they are those of one draw and of no data set; `names` is what `row` calls them.
  void gather_drawn(Data const& data, std::span<std::size_t const> names, std::uint64_t draw) {
    expects_size(names.size(), data.size(), "choice_minibatch::gather_drawn", "names");
    all_.resize(data.size());
    for (std::size_t r = 0; r < all_.size(); ++r) all_[r] = static_cast<std::uint32_t>(r);
    gather(data, view_of(all_), draw);
    row_.clear();
    append(row_, names);
    drawn_ = true;
  }

  /// What a source has to say of each example besides; empty after `gather`.
  [[nodiscard]] example_numbers& numbers() { return numbers_; }
  [[nodiscard]] example_numbers const& numbers() const { return numbers_; }
  /// Throws precondition_error unless there is one of each for every example of the loss.
  void expects_numbers(std::size_t examples) const {
    example_numbers::describe(numbers_, [&](auto is, std::vector<double> const& each) {
      if (each.empty() || each.size() == examples) return;
      detail::broken(std::string("trainer: the source gives ") + std::to_string(each.size()) +
                     " numbers of " + is.spelling + " for " + std::to_string(examples) +
                     " examples of this loss; a loss over tokens has one example for each token, "
                     "any other one for each completion");
    });
  }

  /// The rows as a data set of their own.
  [[nodiscard]] Data const& data() const { return rows_; }
  [[nodiscard]] std::size_t size() const { return rows_.prompt.size(); }
  [[nodiscard]] std::size_t completions() const { return rows_.completion.size(); }
  [[nodiscard]] std::span<std::size_t const> offset() const { return view_of(rows_.offset); }
  [[nodiscard]] std::span<std::size_t const> row() const { return view_of(row_); }
  [[nodiscard]] bool has_kl_examples() const { return !rows_.kl_examples.empty(); }

  /// Groups [begin, begin + count) as a batch; valid until the next gather or slice.
  [[nodiscard]] choice_batch slice(std::size_t begin, std::size_t count) {
    std::size_t const first = rows_.offset[begin];
    slice_offset_.resize(count + 1);
    for (std::size_t g = 0; g <= count; ++g) slice_offset_[g] = rows_.offset[begin + g] - first;
    return {.prompt = view_of(rows_.prompt, begin, count),
            .completion = view_of(rows_.completion, first, slice_offset_[count]),
            .offset = view_of(slice_offset_),
            .row = view_of(row_, begin, count),
            .drawn = drawn_,
            .draw = draw_};
  }
  /// The KL examples of groups [begin, begin + count), one each.
  [[nodiscard]] choice_batch kl_slice(std::size_t begin, std::size_t count) const {
    return {.prompt = view_of(rows_.prompt, begin, count),
            .completion = view_of(rows_.kl_examples, begin, count),
            .offset = view_of(one_each_, 0, count + 1),
            .row = view_of(row_, begin, count),
            .kl_examples = true,
            .drawn = drawn_,
            .draw = draw_};
  }
  /// Hands groups [begin, begin + count) of every column that the data has to the column of the same name of `out`; of
  /// pairs, two completions each, every second number to each side. A batch without rows hands over every column, each
  /// empty, so that nobody asks why one is missing.
  template <class Columns>
  void hand_over(Columns& out, std::size_t begin, std::size_t count) const {
    std::size_t const first = rows_.offset[begin];
    std::size_t const completions = rows_.offset[begin + count] - first;
    Columns::describe(out, [&](auto is, per, auto& to) {
      detail::with_column<is.name>(rows_, [&](std::vector<float> const& numbers, per each) {
        if (numbers.empty() && size() != 0) return;
        if constexpr (requires { to.rejected; }) {
          detail::view_sides(to, view_of(numbers, first, completions));
        } else {
          to = each == per::completion ? view_of(numbers, first, completions)
                                       : view_of(numbers, begin, count);
        }
      });
    });
  }
  /// Hands `count` examples from `begin` on of all numbers() to the columns of the same name. Without examples every one
  /// is handed over, each empty.
  template <class Columns>
  void hand_over_numbers(Columns& out, std::size_t begin, std::size_t count) const {
    Columns::describe(out, [&](auto is, per, auto& to) {
      example_numbers::describe(numbers_, [&](auto of, std::vector<double> const& numbers) {
        if constexpr (of.name == is.name) {
          if (!numbers.empty()) to = view_of(numbers, begin, count);
          if (numbers.empty() && size() == 0) to = view_of(numbers);
        }
      });
    });
  }

 private:
  void gather_columns(Data const& data, std::span<std::uint32_t const> rows) {
    Data::describe(rows_, [&](auto is, per each, std::vector<float>& to) {
      to.clear();
      Data::describe(data, [&](auto of, per, std::vector<float> const& from) {
        if (of.name != is.name || from.empty()) return;
        for (std::uint32_t const r : rows) {
          bool const ragged = each == per::completion;
          std::size_t const begin = ragged ? data.offset[r] : r;
          std::size_t const end = ragged ? data.offset[r + 1] : begin + 1;
          for (std::size_t i = begin; i < end; ++i) to.push_back(from[i]);
        }
      });
    });
  }

  Data rows_;  // those of the data set that the batch is made of
  std::vector<std::size_t> slice_offset_;
  std::vector<std::size_t> one_each_;
  std::vector<std::size_t> row_;
  std::vector<std::uint32_t> all_;
  example_numbers numbers_;
  bool drawn_ = false;
  std::uint64_t draw_ = 0;
};

using choice_minibatch = basic_minibatch<choice_data>;

/// Identity of a data set: every column, in order.
template <std::same_as<choice_data> Data>
[[nodiscard]] std::uint64_t fingerprint_of(Data const& data) {
  fingerprint identity;
  identity.add(view_of(data.prompt)).add(view_of(data.completion));
  Data::describe(data, [&](auto, per, auto const& column) { identity.add(view_of(column)); });
  identity.add(view_of(data.kl_examples));
  for (std::size_t const o : data.offset) identity.add(static_cast<std::uint64_t>(o));
  return identity.value();
}

}  // namespace prefer::inline v0_1
