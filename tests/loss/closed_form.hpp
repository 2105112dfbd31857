// SPDX-License-Identifier: MIT
#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <vector>

#include "loss/one_pair.hpp"
#include "support/near.hpp"

// Losses against formulas in long double, written as their papers write them: w is the chosen completion (the winner),
// l the rejected one.

namespace prefer::test {

/// log(1 + exp(x)) and its derivative, from the standard library alone.
[[nodiscard]] inline long double sp(long double x) {
  return (x > 0 ? x : 0) + std::log1p(std::exp(-std::fabs(x)));
}
[[nodiscard]] inline long double sig(long double x) {
  return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
}

/// What the formulas are written in.
struct paper_numbers {
  long double a_w, a_l;          // log-probabilities under the policy
  long double r_w, r_l;          // log-ratios to the reference
  long double n_w, n_l;          // lengths
  long double score_w, score_l;  // rewards, or probabilities of winning

  explicit paper_numbers(pair_record<double> const& p)
      : a_w(p.chosen.log_prob),
        a_l(p.rejected.log_prob),
        r_w(a_w - p.chosen.reference_log_prob),
        r_l(a_l - p.rejected.reference_log_prob),
        n_w(p.chosen.completion_length),
        n_l(p.rejected.completion_length),
        score_w(p.chosen.score),
        score_l(p.rejected.score) {}
};

struct closed_form {
  long double value, by_chosen, by_rejected;
};

/// Derivatives of f(beta * (r_w - r_l)), from f and f'.
[[nodiscard]] inline closed_form of_margin(long double f, long double slope, double beta) {
  return {f, beta * slope, -(beta * slope)};
}

struct tolerance {
  // Numbers of the pairs below, and beta and lengths that are powers of two, make arguments without rounding. What is
  // left are some ten operations of half a unit each in the last place, 2^-53; 1e-14 is ninety.
  double relative = 1e-14;
  double floor = 1e-300;  // below it digits are lost, as everywhere in double
};

/// Pairs of all these log-ratios. Lengths 1 to 16 and scores 1/4 to 2, chosen above rejected.
[[nodiscard]] inline std::vector<pair_record<double>> pairs_of(
    std::vector<double> const& chosen, std::vector<double> const& rejected) {
  std::vector<pair_record<double>> out;
  for (double const c : chosen) {
    for (double const r : rejected) {
      double const k = static_cast<double>(out.size() % 5);
      auto pair = pair_with_log_ratios(c, r);
      pair.chosen.completion_length = std::exp2(k);
      pair.rejected.completion_length = std::exp2(static_cast<double>(out.size() % 4));
      pair.chosen.score = 0.75 + k / 4;
      pair.rejected.score = 0.25 + k / 8;
      out.push_back(pair);
    }
  }
  return out;
}

/// From far below the reference to far above it.
[[nodiscard]] inline std::vector<pair_record<double>> const& some_pairs() {
  static auto const pairs = pairs_of({-1200.0, -37.5, -2.25, -0.5, 0.0, 0.75, 3.0, 52.0, 1300.0},
                                     {-800.0, -3.5, 0.0, 1.25, 40.0, 900.0});
  return pairs;
}

/// Log-ratios whose exponentials are of a size to compute with.
[[nodiscard]] inline std::vector<pair_record<double>> const& near_pairs() {
  static auto const pairs =
      pairs_of({-3.0, -1.25, -0.125, 0.0, 0.5, 1.75, 4.0}, {-2.5, -0.75, 0.0, 0.25, 2.0, 3.5});
  return pairs;
}

inline void compare(value_and_slopes const& computed, closed_form const& exact,
                    paper_numbers const& at, tolerance const& t) {
  auto const close = [&](double a, long double b) {
    return near(a, static_cast<double>(b), t.relative, t.floor);
  };
  if (close(computed.value, exact.value) && close(computed.chosen, exact.by_chosen) &&
      close(computed.rejected, exact.by_rejected)) {
    SUCCEED();
    return;
  }
  CAPTURE(at.r_w, at.r_l, at.a_w, at.a_l, at.n_w, at.n_l);
  CAPTURE(computed.value, exact.value, computed.chosen, exact.by_chosen);
  CAPTURE(computed.rejected, exact.by_rejected);
  FAIL_CHECK("value or a derivative differs from the closed form");
}

/// The loss has the value and the derivatives that `formula(paper_numbers)` gives, on each of the pairs.
template <class L, class Formula>
void has_closed_form(L const& loss, Formula const& formula,
                     std::vector<pair_record<double>> const& pairs = some_pairs(),
                     tolerance const& t = {}) {
  for (auto const& pair : pairs) {
    paper_numbers const n(pair);
    compare(at(loss, pair), formula(n), n, t);
  }
}

}  // namespace prefer::test
