// SPDX-License-Identifier: MIT
#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/loss/catalogue.hpp>
#include <prefer/metrics/calibration.hpp>
#include <prefer/metrics/displacement.hpp>
#include <prefer/metrics/effective_sample.hpp>
#include <prefer/metrics/kl_estimates.hpp>
#include <prefer/metrics/length_bias.hpp>
#include <prefer/metrics/likelihood.hpp>
#include <prefer/metrics/reference_compatibility.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/objective/on_backend.hpp>

#include "support/near.hpp"
#include "support/toy_backend.hpp"

// What every backend owes: the numbers of the host, for every loss with its statistics, coefficients and metrics. The
// toy computes with plain doubles and the standard library's functions, in its own loops, so the two agree to rounding.

namespace {

using namespace prefer::test;
using numbers = std::vector<double>;
using prefer::column_name;

constexpr std::size_t examples = 30;

/// Numbers between `low` and `low + width`, the same in every run.
numbers between(double low, double width, std::size_t n, std::uint32_t seed) {
  numbers out(n);
  std::uint32_t state = seed * 2654435761u + 1u;
  for (double& x : out) {
    state = state * 1664525u + 1013904223u;
    x = low + width * static_cast<double>(state >> 8) * 0x1p-24;
  }
  return out;
}

numbers numbers_of(column_name name, std::size_t n, std::uint32_t seed) {
  switch (name) {
    case column_name::length:
      return between(5.0, 20.0, n, seed);
    case column_name::score:
    case column_name::uniform:
      return between(0.05, 0.9, n, seed);
    case column_name::divergence:
      return between(0.0, 2.0, n, seed);
    case column_name::label:
    case column_name::chosen_from_reference:
    case column_name::alignment:
      return between(-1.0, 2.0, n, seed);
    case column_name::weight:
    case column_name::beta:
      return between(0.1, 1.0, n, seed);
    case column_name::target_margin:
      return between(0.0, 1.0, n, seed);
    default:
      return between(-9.0, 6.0, n, seed);  // log-probabilities
  }
}

/// The same numbers as columns of the host and of the toy: those that a loss reads, weights, and its beta if it has one.
template <template <class> class Kind>
struct twice {
  Kind<prefer::column> here{};
  Kind<toy_column> there{};
  toy_crossings crossings{};
  std::vector<numbers> kept = std::vector<numbers>(40);
  std::vector<std::size_t> offset{};

  explicit twice(prefer::column_set read, std::size_t list_size = 0) {
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
    prefer::detail::for_each_column(
        here, [&](auto is, prefer::per each, prefer::column_side, prefer::column& to) {
          std::size_t const own = at++;
          bool const wanted = read.contains(is.name) || is.name == column_name::weight ||
                              is.name == column_name::policy || each == prefer::per::kl_example;
          if (!wanted) return;
          kept[own] = numbers_of(is.name, each == prefer::per::completion ? completions : examples,
                                 static_cast<std::uint32_t>(own));
          to = kept[own];
        });
    at = 0;
    prefer::detail::for_each_column(there,
                                    [&](auto, prefer::per, prefer::column_side, toy_column& to) {
                                      numbers const& own = kept[at++];
                                      if (!own.empty()) to = toy_column(own, crossings);
                                    });
  }
};

void check_all_near(numbers const& here, numbers const& there, double floor) {
  REQUIRE(here.size() == there.size());
  for (std::size_t i = 0; i < here.size(); ++i) {
    CAPTURE(i);
    CHECK(near(here[i], there[i], 1e-11, floor));
  }
}

double loss_of(toy_number mean, toy_crossings& crossings) {
  return toy(crossings).read(std::array{mean})[0];
}

/// What `prepare` and `match` of a loss may wait for.
template <class L>
void check_crossings(toy_crossings const& crossed) {
  bool const state = !std::is_same_v<prefer::loss_state<L>, prefer::nothing>;
  CHECK((crossed.sums > 0) == state);
  CHECK(crossed.columns == (std::string(L::name) == "beta_dpo" ? 1u : 0u));  // its sorted keys
}

template <prefer::PairLoss L>
void same_on_the_toy(L const& loss) {
  twice<prefer::basic_pair_columns> batch(prefer::reads(loss));
  prefer::loss_memory<L> memory_here{}, memory_there{};
  auto const here = prefer::evaluate(loss, batch.here, memory_here);
  auto const room = [&] { return toy_column(numbers(examples), batch.crossings); };
  prefer::basic_pair_results<toy_column> there{
      .value = room(), .chosen = room(), .rejected = room()};
  if constexpr (prefer::detail::differentiates_divergence<L>) {
    there.chosen_divergence = room();
    there.rejected_divergence = room();
  }
  auto const state = prefer::prepare(loss, batch.there, memory_there);
  auto const mean = prefer::evaluate_into(loss, batch.there, there, state);
  check_crossings<L>(batch.crossings);
  CHECK(near(here.loss, loss_of(mean, batch.crossings), 1e-11, 1.0));
  check_all_near(here.value, there.value.look(), 1.0);
  check_all_near(here.coefficient.chosen, there.chosen.look(), 1e-2);
  check_all_near(here.coefficient.rejected, there.rejected.look(), 1e-2);
  if constexpr (prefer::detail::differentiates_divergence<L>) {
    check_all_near(here.divergence_coefficient.chosen, there.chosen_divergence.look(), 1e-2);
    check_all_near(here.divergence_coefficient.rejected, there.rejected_divergence.look(), 1e-2);
  }
  auto const rule = prefer::reward_rule_of(loss);
  auto const ours = prefer::metrics(batch.here, rule), theirs = prefer::metrics(batch.there, rule);
  for (auto const& each : prefer::pair_metric_names) {
    CHECK(near((ours.*each.field).mean(), (theirs.*each.field).mean(), 1e-12, 1.0));
  }
}

template <prefer::UnpairedLoss L>
void same_on_the_toy(L const& loss) {
  twice<prefer::basic_unpaired_columns> batch(prefer::reads(loss) | column_name::label);
  prefer::loss_memory<L> memory_here{}, memory_there{};
  auto const here = prefer::evaluate(loss, batch.here, memory_here);
  auto const room = [&] { return toy_column(numbers(examples), batch.crossings); };
  prefer::basic_unpaired_results<toy_column> const there{.value = room(), .coefficient = room()};
  auto const state = prefer::prepare(loss, batch.there, memory_there);
  auto const mean = prefer::evaluate_into(loss, batch.there, there, state);
  check_crossings<L>(batch.crossings);
  CHECK(near(here.loss, loss_of(mean, batch.crossings), 1e-11, 1.0));
  check_all_near(here.value, there.value.look(), 1.0);
  check_all_near(here.coefficient, there.coefficient.look(), 1e-2);
  auto const rule = prefer::reward_rule_of(loss);
  auto const ours = prefer::metrics(batch.here, rule), theirs = prefer::metrics(batch.there, rule);
  for (auto const& each : prefer::unpaired_metric_names) {
    CHECK((ours.*each.field).count == (theirs.*each.field).count);
    CHECK(near((ours.*each.field).sum, (theirs.*each.field).sum, 1e-12, 1.0));
  }
}

template <prefer::ListLoss L>
void same_on_the_toy(L const& loss) {
  twice<prefer::basic_list_columns> batch(prefer::reads(loss), prefer::detail::list_size_of<L>());
  auto const here = prefer::evaluate(loss, batch.here);
  prefer::basic_list_results<toy_column> const there{
      .value = toy_column(numbers(examples), batch.crossings),
      .coefficient = toy_column(numbers(batch.offset.back()), batch.crossings)};
  auto const mean = prefer::evaluate_into(loss, batch.there, there);
  check_crossings<L>(batch.crossings);
  CHECK(near(here.loss, loss_of(mean, batch.crossings), 1e-11, 1.0));
  check_all_near(here.value, there.value.look(), 1.0);
  check_all_near(here.coefficient, there.coefficient.look(), 1e-2);
}

TEST_CASE(
    "laws: every loss with its statistics, coefficients and metrics is the same on every backend",
    "[laws][backend]") {
  STATIC_REQUIRE(prefer::Backend<toy>);
  std::size_t losses = 0;
  prefer::for_each_loss([&]<prefer::Loss L>(L const& loss, auto const&) {
    INFO("loss " << L::name);
    ++losses;
    same_on_the_toy(loss);
  });
  CHECK(losses > 60);
}

void check_same(prefer::correlation const& a, prefer::correlation const& b) {
  CHECK(a.count() == b.count());
  CHECK(near(a.value(), b.value(), 1e-11, 1.0));
  CHECK(near(a.mean_x(), b.mean_x(), 1e-12, 1.0));
  CHECK(near(a.deviation_y(), b.deviation_y(), 1e-12, 1.0));
}

TEST_CASE("laws: every metric of pairs is the same on every backend, and crosses in sums only",
          "[laws][backend]") {
  twice<prefer::basic_pair_columns> batch(column_name::reference | column_name::length);
  prefer::reward_rule const rule{.beta = 0.3};
  auto const same = [](prefer::sum_and_count a, prefer::sum_and_count b) {
    CHECK(near(a.count, b.count, 1e-12));
    CHECK(near(a.sum, b.sum, 1e-12, 1.0));
  };
  auto const both = [&](auto const& metric) {
    return std::pair(metric(batch.here), metric(batch.there));
  };
  auto const [bins, toy_bins] = both([&](auto const& b) { return calibration_of(b, rule); });
  same(bins.brier, toy_bins.brier);
  same(bins.log_loss, toy_bins.log_loss);
  CHECK(near(bins.expected_error(), toy_bins.expected_error(), 1e-12));
  auto const [fall, toy_fall] = both([](auto const& b) { return displacement_of(b); });
  same(fall.chosen.fall_per_token, toy_fall.chosen.fall_per_token);
  same(fall.rejected.fall, toy_fall.rejected.fall);
  same(fall.both_fell, toy_fall.both_fell);
  auto const [bias, toy_bias] = both([&](auto const& b) { return length_bias_of(b, rule); });
  same(bias.length_chosen, toy_bias.length_chosen);
  check_same(bias.reward_length, toy_bias.reward_length);
  check_same(bias.margin_length_difference, toy_bias.margin_length_difference);
  auto const [fit, toy_fit] = both([&](auto const& b) { return compatibility_of(b, rule); });
  check_same(fit.margins, toy_fit.margins);
  same(fit.reference_accuracy, toy_fit.reference_accuracy);
  auto const [odds, toy_odds] = both([](auto const& b) { return likelihood(b); });
  same(odds.nll, toy_odds.nll);
  same(odds.log_odds_ratio, toy_odds.log_odds_ratio);
  auto const [active, toy_active] = both([&](auto const& b) { return active_share(b, rule); });
  same(active, toy_active);
  auto const [kl, toy_kl] =
      both([](auto const& b) { return prefer::estimate_kl(b.policy.chosen, b.reference.chosen); });
  same(kl.k1, toy_kl.k1);
  same(kl.k3, toy_kl.k3);
  auto const [size, toy_size] =
      both([](auto const& b) { return prefer::effective_sample_of(b.policy.chosen); });
  CHECK(near(size.size(), toy_size.size(), 1e-12));
  CHECK(batch.crossings.columns == 0);
}

}  // namespace
