// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/loss/loss.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/objective/on_backend.hpp>
#include <prefer/testing/sample_numbers.hpp>

#include "support/near.hpp"
#include "support/toy_backend.hpp"

// The same numbers on the host and on the toy, and what evaluate says of them there and there. The toy computes with plain
// doubles and the standard library's functions, in its own loops, so the two agree to rounding.

namespace prefer::test {

using numbers = std::vector<double>;

inline constexpr std::size_t examples = 30;

using testing::numbers_of;

/// The same numbers as columns of the host and of the toy: those that a loss reads, weights, and its beta if it has one.
template <template <class> class Kind>
struct twice {
  Kind<column> here{};
  Kind<toy_column> there{};
  toy_crossings crossings{};
  static constexpr std::size_t none = 40;  // no column is number 40

  std::vector<numbers> kept = std::vector<numbers>(none);
  std::vector<std::size_t> offset{};

  /// `moved`: the column, in the order of the description, that has other numbers than usual.
  explicit twice(column_set read, std::size_t list_size = 0, std::size_t moved = none) {
    std::size_t completions = examples;
    if constexpr (requires { here.offset; }) {
      offset.push_back(0);
      for (std::size_t g = 0; g < examples; ++g) {
        offset.push_back(offset.back() + (list_size == 0 ? 1 + g % 4 : list_size));
      }
      here.offset = there.offset = offset;
      completions = offset.back();
    }
    std::size_t at = 0;
    detail::for_each_column(here, [&](auto is, per each, column_side, column& to) {
      std::size_t const own = at++;
      bool const wanted = read.contains(is.name) || is.name == column_name::weight ||
                          is.name == column_name::policy || each == per::kl_example;
      if (!wanted) return;
      kept[own] = numbers_of(is.rule, each == per::completion ? completions : examples,
                             static_cast<std::uint32_t>(own == moved ? own + none : own));
      to = kept[own];
    });
    at = 0;
    detail::for_each_column(there, [&](auto, per, column_side, toy_column& to) {
      numbers const& own = kept[at++];
      if (!own.empty()) to = toy_column(own, crossings);
    });
  }
};

inline void check_all_near(numbers const& here, numbers const& there, double floor) {
  REQUIRE(here.size() == there.size());
  for (std::size_t i = 0; i < here.size(); ++i) {
    CAPTURE(i);
    CHECK(near(here[i], there[i], 1e-11, floor));
  }
}

inline double loss_of(toy_number mean, toy_crossings& crossings) {
  return toy(crossings).read(std::array{mean})[0];
}

/// What `prepare` and `match` of a loss may wait for.
template <class L>
void check_crossings(toy_crossings const& crossed) {
  bool const state = !std::is_same_v<loss_state<L>, nothing>;
  CHECK((crossed.sums > 0) == state);
  CHECK(crossed.columns == (std::string(name_of<L>()) == "beta_dpo" ? 1u : 0u));  // its sorted keys
}

template <PairLoss L>
void same_on_the_toy(L const& loss) {
  twice<basic_pair_columns> batch(reads(loss));
  loss_memory<L> memory_here{}, memory_there{};
  auto const here = evaluate(loss, batch.here, memory_here);
  auto const room = [&] { return toy_column(numbers(examples), batch.crossings); };
  basic_pair_results<toy_column> there{.value = room(), .chosen = room(), .rejected = room()};
  if constexpr (detail::differentiates_divergence<L>) {
    there.chosen_divergence = room();
    there.rejected_divergence = room();
  }
  auto const state = prepare(loss, batch.there, memory_there);
  auto const mean = evaluate_into(loss, batch.there, there, state);
  check_crossings<L>(batch.crossings);
  CHECK(near(here.loss, loss_of(mean, batch.crossings), 1e-11, 1.0));
  check_all_near(here.value, there.value.look(), 1.0);
  check_all_near(here.coefficient.chosen, there.chosen.look(), 1e-2);
  check_all_near(here.coefficient.rejected, there.rejected.look(), 1e-2);
  if constexpr (detail::differentiates_divergence<L>) {
    check_all_near(here.divergence_coefficient.chosen, there.chosen_divergence.look(), 1e-2);
    check_all_near(here.divergence_coefficient.rejected, there.rejected_divergence.look(), 1e-2);
  }
  auto const rule = reward_rule_of(loss);
  auto const ours = metrics(batch.here, rule), theirs = metrics(batch.there, rule);
  for (auto const& each : pair_metric_names) {
    CHECK(near((ours.*each.field).mean(), (theirs.*each.field).mean(), 1e-12, 1.0));
  }
}

template <UnpairedLoss L>
void same_on_the_toy(L const& loss) {
  twice<basic_unpaired_columns> batch(reads(loss) | column_name::label);
  loss_memory<L> memory_here{}, memory_there{};
  auto const here = evaluate(loss, batch.here, memory_here);
  auto const room = [&] { return toy_column(numbers(examples), batch.crossings); };
  basic_unpaired_results<toy_column> there{.value = room(), .coefficient = room()};
  if constexpr (detail::differentiates_value<L>) there.value_estimate = room();
  auto const state = prepare(loss, batch.there, memory_there);
  auto const mean = evaluate_into(loss, batch.there, there, state);
  check_crossings<L>(batch.crossings);
  CHECK(near(here.loss, loss_of(mean, batch.crossings), 1e-11, 1.0));
  check_all_near(here.value, there.value.look(), 1.0);
  check_all_near(here.coefficient, there.coefficient.look(), 1e-2);
  if constexpr (detail::differentiates_value<L>) {
    check_all_near(here.value_coefficient, there.value_estimate.look(), 1e-2);
  }
  auto const rule = reward_rule_of(loss);
  auto const ours = metrics(batch.here, rule), theirs = metrics(batch.there, rule);
  for (auto const& each : unpaired_metric_names) {
    CHECK((ours.*each.field).count == (theirs.*each.field).count);
    CHECK(near((ours.*each.field).sum, (theirs.*each.field).sum, 1e-12, 1.0));
  }
}

template <ListLoss L>
void same_on_the_toy(L const& loss) {
  twice<basic_list_columns> batch(reads(loss), list_size_of<L>());
  auto const here = evaluate(loss, batch.here);
  basic_list_results<toy_column> const there{
      .value = toy_column(numbers(examples), batch.crossings),
      .coefficient = toy_column(numbers(batch.offset.back()), batch.crossings)};
  auto const mean = evaluate_into(loss, batch.there, there);
  check_crossings<L>(batch.crossings);
  CHECK(near(here.loss, loss_of(mean, batch.crossings), 1e-11, 1.0));
  check_all_near(here.value, there.value.look(), 1.0);
  check_all_near(here.coefficient, there.coefficient.look(), 1e-2);
}

}  // namespace prefer::test
