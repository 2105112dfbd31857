// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/objective/evaluate.hpp>

namespace prefer::inline v0_1 {

namespace detail {

/// A number that a column with this rule can hold, from one of 256 in [0, 1): exact, whatever the machine.
[[nodiscard]] constexpr double example_number(column_rule rule, double u) {
  switch (rule) {
    case column_rule::log_prob:
      return -0.25 - 8.0 * u;
    case column_rule::tokens:
      return 1.0 + static_cast<double>(static_cast<int>(8.0 * u));
    case column_rule::truth:
      return u < 0.5 ? 0.0 : 1.0;
    case column_rule::positive:
      return 0.25 + u;
    case column_rule::finite:
      return 2.0 * u - 1.0;
    case column_rule::divergence:
    case column_rule::non_negative:
    case column_rule::uniform:
    case column_rule::probability:
      break;
  }
  return u;
}

/// Examples of a kind, with every column but those that take the place of a loss's parameters, and the weight.
template <class Columns>
class example_columns {
 public:
  static constexpr std::size_t most = 8;  // completions

  explicit example_columns(std::size_t completions) {
    std::uint32_t state = 1;
    std::size_t next = 0;
    for_each_column(columns_, [&](auto is, per each, column_side, column& to) {
      if (each == per::kl_example || is.name == column_name::weight ||
          optional_columns.contains(is.name)) {
        return;
      }
      auto const numbers = std::span(numbers_[next++]).first(completions);
      for (double& number : numbers) {
        state = state * 1664525u + 1013904223u;
        number = example_number(is.rule, static_cast<double>(state >> 24) / 256.0);
      }
      to = numbers;
    });
  }
  [[nodiscard]] Columns& columns() { return columns_; }

 private:
  double numbers_[inputs_of<Columns>][most];
  Columns columns_{};  // of numbers_
};

}  // namespace detail

/// What a loss computes: its values on a few fixed examples. Tells apart losses without a name, and
/// lambdas with other constants. As float, so that the last bits of a C library do not count.
template <Loss L>
[[nodiscard]] std::uint64_t fingerprint_of_formula(L const& loss) {
  constexpr std::size_t most = detail::example_columns<pair_columns>::most;
  double value[most] = {};
  std::size_t count = most;
  if constexpr (L::arity == 1) {
    detail::example_columns<unpaired_columns> examples(count);
    evaluate_into(loss, examples.columns(), {.value = value}, loss_state<L>{});
  } else if constexpr (L::arity == 2) {
    detail::example_columns<pair_columns> examples(count);
    evaluate_into(loss, examples.columns(), {.value = value}, loss_state<L>{});
  } else {
    // Lists of three and five; of what the loss takes where it takes no other size.
    constexpr std::size_t size = list_size_of<L>();
    static_assert(2 * size <= most);
    constexpr std::size_t offset[] = {0, size == 0 ? 3 : size, size == 0 ? most : 2 * size};
    count = 2;
    detail::example_columns<list_columns> lists(offset[2]);
    lists.columns().offset = offset;
    evaluate_into(loss, lists.columns(), {.value = std::span(value).first(count)}, loss_state<L>{});
  }
  fingerprint identity;
  for (std::size_t i = 0; i < count; ++i) {
    identity.add(std::isnan(value[i]) ? std::numeric_limits<float>::quiet_NaN()
                                      : static_cast<float>(value[i]));
  }
  return identity.value();
}

}  // namespace prefer::inline v0_1
