// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstddef>
#include <vector>

#include <prefer/loss/aot.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/objective/evaluate.hpp>

#include "support/near.hpp"

namespace {

using namespace prefer;
using test::near;

// Multiples of 1/16: exact in float, too.
template <class T>
std::vector<T> numbers(std::size_t n, std::size_t salt) {
  std::vector<T> out;
  for (std::size_t i = 0; i < n; ++i) {
    out.push_back(static_cast<T>((i * 37 + salt * 101 + i * i % 53) % 160) / T(16) - T(20));
  }
  return out;
}

template <class T>
struct batch {
  std::vector<T> pc, pr, rc, rr, length;
  explicit batch(std::size_t n)
      : pc(numbers<T>(n, 1)),
        pr(numbers<T>(n, 2)),
        rc(numbers<T>(n, 3)),
        rr(numbers<T>(n, 4)),
        length(n) {
    for (std::size_t i = 0; i < n; ++i) length[i] = static_cast<T>(1 + i % 4);
  }
  [[nodiscard]] pair_columns columns() const {
    return {.policy = {pc, pr}, .reference = {rc, rr}, .length = {length, length}};
  }
};

// value, chosen and rejected, one after another, of first + factor * second.
std::vector<double> sum_of(pair_evaluation const& first, double factor,
                           pair_evaluation const& second) {
  std::vector<double> out;
  auto const add = [&](std::vector<double> const& x, std::vector<double> const& y) {
    for (std::size_t i = 0; i < x.size(); ++i) out.push_back(x[i] + factor * y[i]);
  };
  add(first.value, second.value);
  add(first.coefficient.chosen, second.coefficient.chosen);
  add(first.coefficient.rejected, second.coefficient.rejected);
  return out;
}
bool all_near(std::vector<double> const& a, std::vector<double> const& b, double relative) {
  bool same = a.size() == b.size();
  for (std::size_t i = 0; same && i < a.size(); ++i) same = near(a[i], b[i], relative, 1e-3);
  return same;
}

// A sum's value and coefficients are those of its terms, each evaluated alone.
template <class T>
void terms_are_evaluated_alone(double relative) {
  batch<T> const b(300);
  auto const columns = b.columns();
  auto const paired = evaluate(aot{.beta = 0.5}, columns);
  auto const unpaired = evaluate(aot_unpaired{.beta = 0.25}, columns);
  auto const likelihood = evaluate(nll_per_token{}, columns);
  auto const zero = [&](auto const& loss) { return evaluate(0.0 * loss, columns); };

  auto const with_nll = evaluate(aot{.beta = 0.5} + 0.3 * nll_per_token{}, columns);
  CHECK(all_near(sum_of(with_nll, 0.0, paired), sum_of(paired, 0.3, likelihood), relative));
  CHECK(near(with_nll.loss, paired.loss + 0.3 * likelihood.loss, relative));

  // Two terms of which each puts the rows together in its own way, one scaled twice, nested to either side.
  auto const both = evaluate(
      0.5 * (2.0 * aot{.beta = 0.5} + nll_per_token{}) + aot_unpaired{.beta = 0.25}, columns);
  CHECK(near(both.loss, paired.loss + 0.5 * likelihood.loss + unpaired.loss, relative));
  auto expected = sum_of(paired, 0.5, likelihood);
  auto const more = sum_of(unpaired, 0.0, unpaired);
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += more[i];
  CHECK(all_near(sum_of(both, 0.0, paired), expected, relative));
  CHECK(zero(aot{}).loss == 0.0);
}

TEST_CASE("matched: a sum has the values and coefficients of its terms alone, in double",
          "[objective][matched]") {
  terms_are_evaluated_alone<double>(1e-13);  // a few additions of numbers up to 20, floor 1e-3
}

TEST_CASE("matched: a sum has the values and coefficients of its terms alone, in float",
          "[objective][matched]") {
  terms_are_evaluated_alone<float>(1e-5);  // 2^-24, a few times
}

TEST_CASE("matched: float columns are matched like double ones", "[objective][matched]") {
  auto const in_float = evaluate(aot_unpaired{.beta = 0.5}, batch<float>(300).columns());
  auto const in_double = evaluate(aot_unpaired{.beta = 0.5}, batch<double>(300).columns());
  CHECK(all_near(sum_of(in_float, 0.0, in_float), sum_of(in_double, 0.0, in_double), 1e-5));
}

TEST_CASE("matched: a term with a batch statistic has the statistic of the batch as it came",
          "[objective][matched]") {
  batch<double> const b(40);
  auto const paired = evaluate(aot{}, b.columns());
  auto const baselines = evaluate(kto_pair{}, b.columns());
  auto const sum = evaluate(aot{} + 2.0 * kto_pair{}, b.columns());
  CHECK(all_near(sum_of(sum, 0.0, paired), sum_of(paired, 2.0, baselines), 1e-13));
}

TEST_CASE("matched: a weight belongs to the pair whose chosen completion it is",
          "[objective][matched]") {
  batch<double> const b(40);
  auto const plain = evaluate(aot_unpaired{.beta = 0.5}, b.columns());
  auto weighted_columns = b.columns();
  std::vector<double> weight(40, 1.0);
  weight[7] = 3.0;
  weighted_columns.weight = weight;
  auto const weighted = evaluate(aot_unpaired{.beta = 0.5}, weighted_columns);
  std::size_t moved = 0;
  for (std::size_t i = 0; i < 40; ++i) {
    CAPTURE(i);
    double const factor = i == 7 ? 3.0 : 1.0;
    CHECK(near(weighted.value[i], factor * plain.value[i], 1e-14));
    CHECK(near(weighted.coefficient.chosen[i], factor * plain.coefficient.chosen[i], 1e-14));
    if (weighted.coefficient.rejected[i] != plain.coefficient.rejected[i]) {
      ++moved;  // the completion that chosen 7 was compared with
      CHECK(near(weighted.coefficient.rejected[i], -weighted.coefficient.chosen[7], 1e-14));
    }
  }
  CHECK(moved == 1);
}

TEST_CASE("matched: results are of the mean or of each pair, and need not all be wanted",
          "[objective][matched]") {
  batch<double> const b(40);
  auto const mean = evaluate(aot{}, b.columns());
  std::vector<double> chosen(40);
  std::vector<float> rejected(40);
  double const loss =
      evaluate_into(aot{}, b.columns(), pair_results{.chosen = chosen, .rejected = rejected},
                    {.reduce = reduction::none});
  CHECK(loss == mean.loss);
  for (std::size_t i = 0; i < 40; ++i) {
    CHECK(near(chosen[i], 40.0 * mean.coefficient.chosen[i], 1e-14));
    CHECK(near(static_cast<double>(rejected[i]), 40.0 * mean.coefficient.rejected[i], 1e-6));
  }
}

// Compares each chosen completion with the rejected one of the next row, lengths and scores included.
struct with_next {
  static constexpr std::size_t arity = 2;
  std::uint32_t beyond = 0;
  std::size_t missing = 0;

  void match(auto const& batch, pair_order& order) const {
    auto const n = static_cast<std::uint32_t>(batch.count()) - static_cast<std::uint32_t>(missing);
    for (std::uint32_t i = 0; i < n; ++i) order.rejected.push_back((i + 1) % n + beyond);
  }
  constexpr auto operator()(auto const& pair) const {
    return pair.chosen.log_prob * pair.rejected.completion_length +
           pair.rejected.log_prob * pair.rejected.score + pair.rejected.reference_log_prob;
  }
};

TEST_CASE("matched: all columns of a completion go with it", "[objective][matched]") {
  std::vector<double> const pc = {-1.0, -2.0, -3.0}, pr = {-4.0, -5.0, -6.0};
  std::vector<double> const ref = {-7.0, -8.0, -9.0}, length = {1.0, 2.0, 4.0},
                            score = {0.5, 0.25, 2.0};
  std::vector<double> const other = {100.0, 100.0, 100.0};
  auto const y = evaluate_into(with_next{},
                               pair_columns{.policy = {pc, pr},
                                            .reference = {other, ref},
                                            .length = {other, length},
                                            .score = {other, score}},
                               pair_results{});
  double expected = 0.0;
  for (std::size_t i = 0; i < 3; ++i) {
    std::size_t const next = (i + 1) % 3;
    expected += (pc[i] * length[next] + pr[next] * score[next] + ref[next]) / 3.0;
  }
  CHECK(near(y, expected, 1e-15));
}

TEST_CASE("matched: an order of another size, or of rows that are not there, is refused",
          "[objective][matched]") {
  std::vector<double> const v = {-1.0, -2.0, -3.0};
  pair_columns const columns{
      .policy = {v, v}, .reference = {v, v}, .length = {v, v}, .score = {v, v}};
  CHECK_THROWS_WITH(evaluate(with_next{.beyond = 1}, columns),
                    "evaluate: a loss matches a row that the batch does not have");
  CHECK_THROWS_WITH(
      evaluate(with_next{.missing = 1}, columns),
      "evaluate: the order of a loss that matches its batch has 2 elements, expected 3");
}

}  // namespace
