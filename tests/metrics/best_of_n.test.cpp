// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/metrics/best_of_n.hpp>

#include "support/message_of.hpp"

namespace {

using row_of_numbers = std::vector<double>;
using prefer::estimate_best_of_n;
using prefer::exact_best_of_n;
using prefer::test::message_of;

row_of_numbers logs(row_of_numbers of) {
  for (double& each : of) each = std::log(each);
  return of;
}

/// Calls visit(tuple, its probability) for every tuple of so many completions.
void for_each_tuple(row_of_numbers const& p, std::size_t length, auto&& visit) {
  std::vector<std::size_t> tuple(length);
  while (true) {
    double probability = 1.0;
    for (std::size_t const y : tuple) probability *= p[y];
    visit(tuple, probability);
    std::size_t i = 0;
    while (i != length && ++tuple[i] == p.size()) tuple[i++] = 0;
    if (i == length) return;
  }
}

/// Who is kept when completions are looked at one after another and only a higher score takes the place.
row_of_numbers kept_one_by_one(row_of_numbers const& p, row_of_numbers const& score,
                               std::size_t n) {
  row_of_numbers kept = p;
  for (std::size_t k = 1; k != n; ++k) {
    row_of_numbers next(p.size());
    for (std::size_t had = 0; had != p.size(); ++had) {
      for (std::size_t y = 0; y != p.size(); ++y) {
        next[score[y] > score[had] ? y : had] += kept[had] * p[y];
      }
    }
    kept = next;
  }
  return kept;
}

// Two of equal score, and one that is never written.
row_of_numbers const p = {0.4, 0.05, 0.3, 0.0, 0.25};
row_of_numbers const score = {0.5, 2.0, -1.0, 9.0, 0.5};

}  // namespace

TEST_CASE("best_of_n: equals the sum over all tuples", "[metrics][best_of_n]") {
  for (std::size_t const n : {1U, 2U, 4U}) {
    row_of_numbers kept(p.size());
    for_each_tuple(p, n, [&](std::vector<std::size_t> const& tuple, double probability) {
      std::size_t best = tuple[0];
      for (std::size_t const y : tuple) best = score[y] > score[best] ? y : best;
      kept[best] += probability;
    });
    auto const exact = exact_best_of_n(logs(p), score, n);
    CAPTURE(n);
    for (std::size_t y = 0; y != p.size(); ++y) {
      CHECK(exact.probability[y] == Approx(kept[y]).epsilon(1e-13).margin(1e-16));
    }
  }
}

TEST_CASE("best_of_n: reward and KL for n = 1, 2, 4, 16, and the bound of the KL",
          "[metrics][best_of_n]") {
  for (std::size_t const n : {1U, 2U, 4U, 16U}) {
    auto const kept = kept_one_by_one(p, score, n);
    double reward = 0.0;
    double kl = 0.0;
    for (std::size_t y = 0; y != p.size(); ++y) {
      reward += kept[y] * score[y];
      if (p[y] > 0.0) kl += kept[y] * std::log(kept[y] / p[y]);
    }
    auto const exact = exact_best_of_n(logs(p), score, n);
    CAPTURE(n, exact.kl, exact.kl_bound);
    CHECK(exact.score == Approx(reward).epsilon(1e-13));
    CHECK(exact.expected(score) == Approx(reward).epsilon(1e-13));
    CHECK(exact.kl == Approx(kl).epsilon(1e-12).margin(1e-15));
    auto const many = static_cast<double>(n);
    CHECK(exact.kl_bound == std::log(many) - (many - 1) / many);
    CHECK((n == 1 ? exact.kl == 0.0 : exact.kl < exact.kl_bound));
  }
}

TEST_CASE("best_of_n: the bound is reached as completions become many and unlikely",
          "[metrics][best_of_n]") {
  // Where log(probability / p) is taken at the ends of cells of width 1 / K, the error is of the order of n^2 / K.
  std::size_t const many = 100000;
  row_of_numbers const uniform(many, -std::log(static_cast<double>(many)));
  row_of_numbers rising(many);
  for (std::size_t i = 0; i != many; ++i) rising[i] = static_cast<double>(i);
  auto const fine = exact_best_of_n(uniform, rising, 4);
  CHECK(fine.kl < fine.kl_bound);
  CHECK(fine.kl == Approx(fine.kl_bound).epsilon(1e-3));
  // With two completions it is far from it: log 2 is the most that can be.
  auto const coarse = exact_best_of_n(logs({0.5, 0.5}), row_of_numbers{0, 1}, 16);
  CHECK(coarse.kl < std::log(2.0));
  CHECK(coarse.kl_bound > 1.8);
}

TEST_CASE("best_of_n: what rounding leaves of a sum of 1 is not taken to the power of n",
          "[metrics][best_of_n]") {
  // As of a softmax in float, and further off by what is allowed. 1.0009^65536 is 4e25.
  row_of_numbers rounded;
  row_of_numbers rising;
  for (std::size_t i = 0; i != 50; ++i) {
    rising.push_back(static_cast<double>(i * 7 % 50));
    rounded.push_back(std::log(static_cast<double>(1 + i * i) / 40475.0));  // the sum of those
  }
  for (double const off : {-9e-4, 1.3e-7, 9e-4}) {
    row_of_numbers shifted = rounded;
    for (double& each : shifted) each += off;
    for (std::size_t const n : {1U, 64U, 65536U, 100000000U}) {
      auto const exact = exact_best_of_n(rounded, rising, n);
      auto const of_shifted = exact_best_of_n(shifted, rising, n);
      double total = 0.0;
      for (double const each : of_shifted.probability) total += each;
      CAPTURE(off, n);
      // F is rounded to 1e-16 and then taken to the power of n.
      double const close = 1e-13 + 1e-15 * static_cast<double>(n);
      CHECK(total == Approx(1.0).margin(close));
      CHECK(of_shifted.score == Approx(exact.score).margin(50 * close));
      CHECK(of_shifted.kl == Approx(exact.kl).margin(20 * close));
      CHECK(of_shifted.kl <= of_shifted.kl_bound + close);
    }
  }
}

TEST_CASE("best_of_n: the estimate from N completions has no bias", "[metrics][best_of_n]") {
  row_of_numbers const three = {0.2, 0.5, 0.3};
  row_of_numbers const by = {1.0, 0.0, 1.0};  // what is chosen by, with a tie
  row_of_numbers const truth = {-1.0, 0.5, 3.0};
  for (std::size_t n = 1; n != 5; ++n) {
    double mean = 0.0;
    for_each_tuple(three, 4, [&](std::vector<std::size_t> const& tuple, double probability) {
      row_of_numbers chosen_by, worth;
      for (std::size_t const y : tuple) {
        chosen_by.push_back(by[y]);
        worth.push_back(truth[y]);
      }
      mean += probability * estimate_best_of_n(chosen_by, worth, n);
    });
    CAPTURE(n);
    CHECK(mean == Approx(exact_best_of_n(logs(three), by, n).expected(truth)).epsilon(1e-13));
  }
  // The best of all four, and their mean.
  row_of_numbers const four = {3.0, -1.0, 7.0, 2.0};
  CHECK(estimate_best_of_n(four, four, 4) == 7.0);
  CHECK(estimate_best_of_n(four, four, 1) == 2.75);
  CHECK(estimate_best_of_n(four, four, 2) == Approx((3 * 7.0 + 2 * 3.0 + 2.0) / 6));
  // Of equal scores each is kept as often, whichever stands first.
  CHECK(estimate_best_of_n(row_of_numbers{1, 1, 0}, row_of_numbers{0, 4, 9}, 3) == 2.0);
  CHECK(estimate_best_of_n(row_of_numbers{1, 0, 1}, row_of_numbers{4, 9, 0}, 3) == 2.0);
}

TEST_CASE("best_of_n: what has no meaning is refused", "[metrics][best_of_n]") {
  CHECK(message_of([] { (void)exact_best_of_n(logs(p), score, 0); }) ==
        "exact_best_of_n: n must be at least 1");
  CHECK(message_of([] {
          (void)exact_best_of_n(logs({0.5, 0.25}), row_of_numbers{0, 1}, 2);
        }) ==
        "exact_best_of_n: the probabilities sum to 0.750000, expected 1; every completion of the "
        "prompt is listed once");
  CHECK(message_of([] {
          (void)exact_best_of_n(logs({0.5, 0.5}), row_of_numbers{0, NAN}, 2);
        }) == "exact_best_of_n: score 1 is nan; expected a finite number");
  CHECK(message_of([] { (void)estimate_best_of_n(score, score, 6); }) ==
        "estimate_best_of_n: 5 completions; expected at least n, 6");
}
