// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <prefer/batch/column_rules.hpp>
#include <prefer/batch/each_column.hpp>

namespace {

using prefer::column_rule;
using prefer::rule_of;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// A number on the edge of each rule, the nearest of interest that it allows and that it does not.
struct edge {
  column_rule rule;
  std::vector<double> good, bad;
};
std::vector<edge> const edges = {
    {column_rule::log_prob,
     {0.0, -1e5, 1e-7},
     {0.5, -infinity}},  // rounding: a float's, of a token
    {column_rule::divergence, {0.0, 3.0, -1e-7}, {-0.5}},
    {column_rule::tokens,
     {1.0, 0.25, 4096.0},
     {0.0, -1.0}},  // weights of tokens add up to any number
    {column_rule::truth, {0.0, 1.0}, {0.5, -1.0, 2.0}},
    {column_rule::positive, {1e-300, 5.0}, {0.0, -0.1}},
    {column_rule::non_negative, {0.0, 5.0}, {-1e-9}},
    {column_rule::uniform, {0.0, 0.999}, {1.0, -0.001}},
    {column_rule::probability, {0.0, 1.0}, {1.001, -0.001}},
    {column_rule::finite, {-1e300, 0.0, 1e300}, {}},
};

}  // namespace

TEST_CASE("column_rules: what a column holds ends where its meaning ends", "[batch][rules]") {
  for (edge const& each : edges) {
    INFO(rule_of(each.rule).expected);
    for (double const x : each.good) CHECK(rule_of(each.rule).holds(x));
    for (double const x : each.bad) CHECK_FALSE(rule_of(each.rule).holds(x));
    CHECK_FALSE(rule_of(each.rule).holds(not_a_number));
    CHECK_FALSE(rule_of(each.rule).holds(infinity));
  }
}

TEST_CASE("column_rules: no described column is without a rule that refuses NaN",
          "[batch][rules]") {
  std::size_t columns = 0;
  auto const check = [&](auto const& of_nothing) {
    prefer::detail::for_each_column(of_nothing, [&](auto is, auto, auto, auto const&) {
      CHECK_FALSE(rule_of(is, {}).holds(not_a_number));
      ++columns;
    });
  };
  check(prefer::pair_columns{});
  check(prefer::unpaired_columns{});
  check(prefer::list_columns{});
  CHECK(columns == 21 + 13 + 6);
}

TEST_CASE("column_rules: what a loss takes its batch for narrows or widens a rule",
          "[batch][rules]") {
  using prefer::batch_meaning;
  using prefer::score_kind;
  namespace described = prefer::described;
  CHECK(rule_of(described::score, {}).holds(-3.0));
  batch_meaning const wins{.score = score_kind::win_probability};
  CHECK_FALSE(rule_of(described::score, wins).holds(-3.0));
  CHECK(rule_of(described::score, wins).holds(0.25));
  CHECK(rule_of(described::target_margin, wins).holds(-3.0));  // about scores only
  CHECK_FALSE(rule_of(described::policy, wins).holds(3.0));
  batch_meaning const scores{.policy_is_score = true};
  CHECK(rule_of(described::policy, scores).holds(3.0));
  CHECK_FALSE(rule_of(described::policy, scores).holds(not_a_number));
}
