// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstddef>

#include <prefer/metrics/calibration.hpp>
#include <prefer/metrics/correlation.hpp>
#include <prefer/metrics/displacement.hpp>
#include <prefer/metrics/effective_sample.hpp>
#include <prefer/metrics/kl_estimates.hpp>
#include <prefer/metrics/length_bias.hpp>
#include <prefer/metrics/likelihood.hpp>
#include <prefer/metrics/reference_compatibility.hpp>
#include <prefer/metrics/tokens.hpp>

#include "support/near.hpp"

// What a metric adds up is constexpr in all that it calls: nvcc drops other calls without a word. tests/laws has the same of
// losses. g++ alone takes exponentials and logarithms for constants.

namespace {

namespace detail = prefer::detail;

constexpr prefer::pair_record<double> pair() {
  prefer::pair_record<double> out{};
  out.chosen.log_prob = -5.25;
  out.chosen.reference_log_prob = -6.5;
  out.chosen.completion_length = 6.0;
  out.rejected.log_prob = -7.5;
  out.rejected.reference_log_prob = -7.0;
  out.rejected.completion_length = 9.0;
  return out;
}
constexpr prefer::unpaired_record<double> completion() {
  prefer::unpaired_record<double> out{};
  out.log_prob = -5.25;
  out.reference_log_prob = -6.5;
  out.completion_length = 6.0;
  return out;
}

constexpr auto numbers_of(auto const& formula, auto const& record) {
  return detail::numbers_of_record(formula, record, 2.0);
}

/// In a constant expression a formula gives what it gives at run time.
template <auto Formula, auto Record>
void is_constant() {
#if defined(__GNUC__) && !defined(__clang__)
  constexpr auto constant = numbers_of(Formula(), Record());
#else
  auto const constant = numbers_of(Formula(), Record());
#endif
  auto const at_run_time = numbers_of(Formula(), Record());
  for (std::size_t i = 0; i < constant.size(); ++i) {
    CAPTURE(i);
    CHECK(prefer::test::near(constant[i], at_run_time[i], 1e-14, 1.0));
  }
}

constexpr prefer::reward_rule rule{.beta = 0.3};

TEST_CASE("metrics: what is added up of a pair is a constant expression", "[metrics][device]") {
  using prefer::column_side;
  is_constant<[] { return detail::scores_of_pair{rule}; }, pair>();
  is_constant<[] { return detail::bins_of_pair{rule, 0, 7.0}; }, pair>();
  is_constant<[] { return detail::falls_of_pair{}; }, pair>();
  is_constant<[] { return detail::is_active_pair{rule}; }, pair>();
  is_constant<[] { return detail::lengths_of_pair{}; }, pair>();
  is_constant<[] { return detail::margin_and_length_difference{rule}; }, pair>();
  is_constant<[] { return detail::likelihood_of_pair{}; }, pair>();
  is_constant<[] { return detail::orders_of_pair{rule}; }, pair>();
  is_constant<[] { return detail::rewards_of_pair{rule}; }, pair>();
  is_constant<[] {
    using side = detail::reward_and_length<column_side::rejected>;
    return detail::distances_from_means<side>{side{rule}, 0.5, 4.0};
  },
              pair>();
  is_constant<[] {
    return detail::distances_from_means<detail::margin_twice>{{rule}, 0.5, 0.5};
  },
              pair>();
}

TEST_CASE("metrics: what is added up of a completion is a constant expression",
          "[metrics][device]") {
  is_constant<[] { return detail::size_and_square{}; }, completion>();
  is_constant<[] { return detail::kl_of_example{}; }, completion>();
  is_constant<[] { return detail::number_and_tokens_by_label{}; }, completion>();
  is_constant<[] { return detail::rewards_of_example{rule}; }, completion>();
}

}  // namespace
