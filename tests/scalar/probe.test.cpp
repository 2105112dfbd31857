// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <string>

#include <prefer/batch/columns.hpp>
#include <prefer/loss/compose.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/scalar/probe.hpp>

namespace {

using prefer::column_name;
using prefer::column_set;
using prefer::margin_only;

// Formulas over a pair: c and r are the policy's log-probabilities.
#define PREFER_FORMULA(expression)                       \
  prefer::pair_loss([](auto const& p) {                  \
    [[maybe_unused]] auto const c = p.chosen.log_prob;   \
    [[maybe_unused]] auto const r = p.rejected.log_prob; \
    return expression;                                   \
  })
template <class L>
constexpr bool sees_only_the_margin(L const&) {
  return margin_only<L>;
}

TEST_CASE("probe: differences of chosen and rejected are recognised", "[scalar][probe]") {
  CHECK(sees_only_the_margin(PREFER_FORMULA(c - r)));
  CHECK(sees_only_the_margin(PREFER_FORMULA(r - c)));
  CHECK(sees_only_the_margin(PREFER_FORMULA(-(c - r))));
  CHECK(sees_only_the_margin(PREFER_FORMULA(c + 1.0 - r)));
  CHECK(sees_only_the_margin(PREFER_FORMULA(p.chosen.log_ratio() - p.rejected.log_ratio())));
  CHECK(sees_only_the_margin(PREFER_FORMULA(0.5 * (c - r))));
  CHECK(sees_only_the_margin(PREFER_FORMULA((c - r) / 3.0)));
  CHECK(sees_only_the_margin(PREFER_FORMULA((c - r) / p.chosen.completion_length)));
  CHECK(sees_only_the_margin(PREFER_FORMULA(p.beta_or(0.1) * (c - r) - p.target_margin_or(1.0))));
  CHECK(sees_only_the_margin(PREFER_FORMULA(softplus(c - r) * sigmoid(r - c))));
  CHECK(sees_only_the_margin(PREFER_FORMULA(square(c - r) + (c - r))));
  CHECK(sees_only_the_margin(PREFER_FORMULA(select(c - r > 0.0, c - r, 2.0 * (r - c)))));
  CHECK(sees_only_the_margin(PREFER_FORMULA(select(p.chosen.completion_length > 2.0, c - r, 0.0))));
  CHECK(sees_only_the_margin(PREFER_FORMULA(value_of(c - r) * (c - r))));
  CHECK(
      sees_only_the_margin(PREFER_FORMULA(exp(p.chosen.reference_log_prob))));  // no policy at all
}

TEST_CASE("probe: anything else is answered with no", "[scalar][probe]") {
  CHECK(!sees_only_the_margin(PREFER_FORMULA(-c)));
  CHECK(!sees_only_the_margin(PREFER_FORMULA(r + 0.0)));
  CHECK(!sees_only_the_margin(PREFER_FORMULA(c + r)));
  CHECK(!sees_only_the_margin(PREFER_FORMULA(c * r)));
  CHECK(!sees_only_the_margin(PREFER_FORMULA(c / r)));
  CHECK(!sees_only_the_margin(PREFER_FORMULA(c - r - r)));
  CHECK(!sees_only_the_margin(PREFER_FORMULA(exp(c) - exp(r))));
  CHECK(!sees_only_the_margin(PREFER_FORMULA(log1mexp(c) - log1mexp(r))));
  CHECK(!sees_only_the_margin(PREFER_FORMULA(select(c > r, c, r))));
  CHECK(!sees_only_the_margin(PREFER_FORMULA(select(c > -1.0, c - r, 0.0))));
  CHECK(!sees_only_the_margin(PREFER_FORMULA((c - r) + 0.1 * c)));
  CHECK(!sees_only_the_margin(PREFER_FORMULA(softplus(r - c) - 0.1 * c)));
  CHECK(
      !sees_only_the_margin(PREFER_FORMULA(p.chosen.mean_log_prob() - p.rejected.mean_log_prob())));
  CHECK(!sees_only_the_margin(PREFER_FORMULA(relu(r))));
  CHECK(!sees_only_the_margin(PREFER_FORMULA(clamp(c, -1.0, 0.0) - r)));
}

TEST_CASE("probe: a scaled side is answered with no even where the scales agree",
          "[scalar][probe]") {
  // They agree for this constant, but need not for the next value of a parameter.
  CHECK(!sees_only_the_margin(PREFER_FORMULA(2.0 * c - 2.0 * r)));
}

TEST_CASE("probe: a difference to something without a gradient is no difference",
          "[scalar][probe]") {
  // d/dr of c - value_of(r) is 0 and not -1.
  CHECK(!sees_only_the_margin(PREFER_FORMULA(c - value_of(r))));
  CHECK(!sees_only_the_margin(PREFER_FORMULA(value_of(c) - value_of(r))));
  CHECK(!sees_only_the_margin(PREFER_FORMULA(exp(value_of(c)) * (c - r))));
}

TEST_CASE("probe: a captured parameter leaves the question open, which counts as no",
          "[scalar][probe]") {
  double const beta = 0.3;
  auto const captured =
      prefer::pair_loss([beta](auto const& p) { return softplus(-beta * p.log_ratio_margin()); });
  CHECK(!sees_only_the_margin(captured));
  CHECK(reads(captured) == (column_name::policy | column_name::reference));
}

TEST_CASE("probe: reads names every column that the formula touches", "[scalar][probe]") {
  auto const policy = column_set(column_name::policy);
  CHECK(reads(PREFER_FORMULA(c - r)) == policy);
  CHECK(reads(PREFER_FORMULA(value_of(c))) == policy);
  CHECK(reads(PREFER_FORMULA(p.log_ratio_margin())) == (policy | column_name::reference));
  CHECK(reads(PREFER_FORMULA(p.chosen.mean_log_prob())) == (policy | column_name::length));
  CHECK(reads(PREFER_FORMULA(p.beta_or(1.0) * c)) == (policy | column_name::beta));
  CHECK(reads(PREFER_FORMULA(c - p.target_margin_or(1.0))) ==
        (policy | column_name::target_margin));
  CHECK(reads(PREFER_FORMULA(select(p.chosen.completion_length > 3.0, 1.0, 2.0))) ==
        column_set(column_name::length));
  CHECK(reads(PREFER_FORMULA(select(1.0 > c, p.rejected.reference_log_prob, 0.0))) ==
        (policy | column_name::reference));
  CHECK(reads(prefer::unpaired_loss([](auto const& e) {
          return select(e.desirable, 1.0, -1.0) * e.log_prob;
        })) == (policy | column_name::label));
  CHECK(reads(prefer::list_loss([](auto const& l) { return l.beta_or(1.0) * l[0].log_ratio(); })) ==
        (policy | column_name::reference | column_name::beta));
}

}  // namespace
