// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/testing/finding.hpp>
#include <prefer/testing/sample_numbers.hpp>

namespace prefer::inline v0_1::testing {

/// The same numbers as columns of the host and of a backend: those that are read, policy's and weights, and the completions
/// of other prompts. A batch of 30 examples; lists of `list_size` completions, or of 1 to 4 where it is 0.
template <template <class> class Kind, class Column, class Upload>
class sample_columns {
 public:
  using numbers = std::vector<double>;

  static constexpr std::size_t examples = 30;
  static constexpr std::size_t none = 40;  // no column is number 40

  Kind<column> here{};
  Kind<Column> there{};

  /// `upload(numbers)` makes a column, or what has one as view(). `moved`: the column, in the order of the description, that
  /// has other numbers than usual.
  sample_columns(Upload const& upload, column_set read, std::size_t list_size = 0,
                 std::size_t moved = none) {
    std::size_t completions = examples;
    if constexpr (requires { here.offset; }) {
      offset_.push_back(0);
      for (std::size_t g = 0; g < examples; ++g) {
        offset_.push_back(offset_.back() + (list_size == 0 ? 1 + g % 4 : list_size));
      }
      here.offset = offset_;
      there.offset = offset_;
      completions = offset_.back();
    }
    prefer::detail::for_each_column(here, [&](auto is, per each, column_side, column const&) {
      std::size_t const own = kept_.size();
      bool const wanted = read.contains(is.name) || is.name == column_name::weight ||
                          is.name == column_name::policy || each == per::kl_example;
      kept_.push_back(wanted
                          ? numbers_of(is.rule, each == per::completion ? completions : examples,
                                       static_cast<std::uint32_t>(own == moved ? own + none : own))
                          : numbers());
    });
    std::size_t at = 0;
    prefer::detail::for_each_column(here, [&](auto, per, column_side, column& to) {
      numbers const& own = kept_[at++];
      if (!own.empty()) to = own;
    });
    owners_.reserve(kept_.size());
    at = 0;
    prefer::detail::for_each_column(there, [&](auto, per, column_side, Column& to) {
      numbers const& own = kept_[at++];
      if (own.empty()) return;
      owners_.push_back(upload(own));
      to = detail::view_of_uploaded<Column>(owners_.back());
    });
  }
  // What views see stays where it is.
  sample_columns(sample_columns const&) = delete;
  sample_columns& operator=(sample_columns const&) = delete;

  /// Of all lists together, and of other examples.
  [[nodiscard]] std::size_t completions() const {
    return offset_.empty() ? examples : offset_.back();
  }

 private:
  std::vector<numbers> kept_;
  std::vector<std::invoke_result_t<Upload const&, numbers const&>> owners_;
  std::vector<std::size_t> offset_;
};

}  // namespace prefer::inline v0_1::testing
