// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <prefer/diagnosis/training_report.hpp>
#include <prefer/loss/catalogue.hpp>
#include <prefer/metrics/calibration.hpp>
#include <prefer/metrics/effective_sample.hpp>
#include <prefer/metrics/length_bias.hpp>
#include <prefer/metrics/rewards.hpp>

// Rewards and metrics go by what a loss reads: the same loss on the same numbers says the same thing, whatever else the
// batch holds.

namespace {

using numbers = std::vector<double>;
using prefer::column_name;

constexpr std::size_t examples = 12;

/// A batch with every column, or with those alone that a loss reads.
template <class Columns>
struct filled {
  std::vector<numbers> kept;
  std::vector<std::size_t> offset;
  Columns batch{};

  explicit filled(prefer::column_set columns, std::size_t list_size = 2) {
    kept.reserve(32);
    std::size_t completions = examples;
    if constexpr (requires { batch.offset; }) {
      for (std::size_t g = 0; g <= examples; ++g) offset.push_back(g * list_size);
      batch.offset = offset;
      completions = offset.back();
    }
    std::uint32_t seed = 0;
    prefer::detail::for_each_column(batch, [&](auto is, prefer::per each, prefer::column_side,
                                               prefer::column& to) {
      std::uint32_t state = ++seed * 2654435761u;
      if (!columns.contains(is.name)) return;
      numbers& own = kept.emplace_back();
      bool const log_prob = is.rule == prefer::column_rule::log_prob;
      for (std::size_t i = 0; i < (each == prefer::per::completion ? completions : examples); ++i) {
        state = state * 1664525u + 1013904223u;
        double const u = static_cast<double>(state >> 8) * 0x1p-24;
        own.push_back(log_prob ? -9.0 * u : 0.25 + u);
      }
      to = own;
    });
  }
};

void check_same(prefer::sum_and_count a, prefer::sum_and_count b) {
  CHECK(a.sum == b.sum);
  CHECK(a.count == b.count);
}
void check_same(prefer::pair_metrics const& a, prefer::pair_metrics const& b) {
  for (auto const& each : prefer::pair_metric_names) check_same(a.*each.field, b.*each.field);
}

TEST_CASE("laws: columns that a loss does not read change no number that is reported",
          "[laws][rewards]") {
  prefer::column_set const every{~0u};
  std::size_t without_reference = 0;
  prefer::for_each_loss([&]<prefer::Loss L>(L const& loss, auto const&) {
    INFO("loss " << L::name);
    auto const rule = prefer::reward_rule_of(loss);
    auto const read = prefer::reads(loss) | column_name::policy;
    if (!rule.from_reference) ++without_reference;
    if constexpr (L::arity == 2) {
      filled<prefer::pair_columns> const alone(read), all(every);
      check_same(prefer::metrics(alone.batch, rule), prefer::metrics(all.batch, rule));
      check_same(prefer::active_share(alone.batch, rule), prefer::active_share(all.batch, rule));
      // Weights go with every loss: those of the calibration are left out on both sides.
      auto const calibration_without_weight = [&](prefer::pair_columns batch) {
        batch.weight = {};
        return prefer::calibration_of(batch, rule);
      };
      auto const a = calibration_without_weight(alone.batch);
      auto const b = calibration_without_weight(all.batch);
      check_same(a.brier, b.brier);
      CHECK(a.expected_error() == b.expected_error());
      auto const summary_a = prefer::summary_of(alone.batch, loss);
      auto const summary_b = prefer::summary_of(all.batch, loss);
      check_same(summary_a.rewards, summary_b.rewards);
      check_same(summary_a.active, summary_b.active);
      if (read.contains(column_name::length)) {
        CHECK(summary_a.lengths.reward_length.value() == summary_b.lengths.reward_length.value());
      }
    } else if constexpr (L::arity == 1) {
      filled<prefer::unpaired_columns> const alone(read | column_name::label), all(every);
      auto const a = prefer::metrics(alone.batch, rule), b = prefer::metrics(all.batch, rule);
      for (auto const& each : prefer::unpaired_metric_names) {
        check_same(a.*each.field, b.*each.field);
      }
    } else {
      constexpr std::size_t asked = prefer::list_size_of<L>();
      constexpr std::size_t size = asked == 0 ? 4 : asked;
      filled<prefer::list_columns> const alone(read, size), all(every, size);
      check_same(prefer::metrics(alone.batch, rule), prefer::metrics(all.batch, rule));
    }
  });
  CHECK(without_reference >= 12);  // simpo, cpo, orpo, rrhf, pro, ...
}

TEST_CASE("laws: a loss that reads no reference has rewards without one", "[laws][rewards]") {
  // Log-probabilities -20 and -30 of ten tokens each; under the reference -10 and -40.
  numbers const chosen = {-20.0}, rejected = {-30.0}, reference_chosen = {-10.0},
                reference_rejected = {-40.0}, length = {10.0};
  prefer::pair_columns const batch{.policy = {chosen, rejected},
                                   .reference = {reference_chosen, reference_rejected},
                                   .length = {length, length}};
  auto const own = prefer::metrics(batch, prefer::reward_rule_of(prefer::simpo{.beta = 2.5}));
  CHECK(own.accuracy.mean() == 1.0);
  CHECK(own.reward_margin.mean() == 2.5);  // 2.5 * (-2 + 3)
  auto const sums = prefer::metrics(batch, prefer::reward_rule_of(prefer::cpo{.beta = 0.1}));
  CHECK(sums.reward_margin.mean() == Approx(1.0));
  auto const from_reference = prefer::metrics(batch, prefer::reward_rule_of(prefer::dpo{}));
  CHECK(from_reference.accuracy.mean() == 0.0);
  CHECK(from_reference.reward_margin.mean() == Approx(-2.0));  // 0.1 * (-10 - 10)
}

TEST_CASE("laws: lists are compared as their loss compares them", "[laws][rewards]") {
  numbers const policy = {-30.0, -20.0, -24.0}, length = {30.0, 10.0, 10.0},
                score = {1.0, 3.0, 0.0};
  std::vector<std::size_t> const offset = {0, 3}, of_two = {0, 2};
  prefer::list_columns const batch{
      .policy = policy, .length = length, .score = score, .offset = offset};
  // TPO's first completion is the reference answer: -20 against -24.
  auto const tpo = prefer::metrics(batch, prefer::reward_rule_of(prefer::tpo{.beta = 1.0}));
  CHECK(tpo.accuracy.mean() == 1.0);
  // In tokens: -1, -2, -2.4; by score the second is the best: -2 against the mean of -1 and -2.4.
  auto const rrhf = prefer::metrics(batch, prefer::reward_rule_of(prefer::rrhf{}));
  CHECK(rrhf.accuracy.mean() == 0.0);
  CHECK(rrhf.reward_margin.mean() == Approx(-0.3));
  // Without scores the first is: -1 against -2 and -2.4.
  auto const best = prefer::metrics(batch, prefer::reward_rule_of(prefer::nll_of_best{}));
  CHECK(best.accuracy.mean() == 1.0);
  CHECK(best.reward_margin.mean() == Approx(1.2));
  // A list with nothing to compare is left out.
  numbers const two = {-30.0, -20.0};
  std::vector<std::size_t> const singles = {0, 1, 2};
  auto const none =
      prefer::metrics(prefer::list_columns{.policy = two, .length = two, .offset = singles},
                      prefer::reward_rule_of(prefer::nll_of_best{}));
  CHECK(none.accuracy.count == 0.0);
}

}  // namespace
