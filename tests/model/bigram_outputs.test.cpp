// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <prefer/model/bigram.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>

#include "bigram_by_hand.hpp"
#include "token_sequences.hpp"

// What the bigram policy says of completions besides their log-probability.

using namespace prefer;
using namespace prefer::test;
using Catch::Matchers::Contains;

TEST_CASE("bigram: bits with a divergence do not depend on cuts and threads", "[policy][bigram]") {
  auto const table = test::table_of(150, 40);
  auto const start = test::filled_bigram<float>(150, table);
  frozen const reference(test::filled_bigram<float>(150, table, 30));
  auto const data = test::lists(40, 150, 40);
  auto const for_log_prob = test::numbers<float>(data.completion.size(), 7);
  auto const for_divergence = test::numbers<float>(data.completion.size(), 8);
  thread_pool pool(2);
  struct result {
    std::vector<float> divergence;
    std::vector<float> gradient;
  };
  auto const outcome = [&](std::size_t groups, executor threads) {
    auto policy = start;
    policy.use(threads);
    result out{std::vector<float>(data.completion.size()), {}};
    for (std::size_t begin = 0; begin < data.size(); begin += groups) {
      test::part_of_batch const part(data, begin, std::min(begin + groups, data.size()));
      std::size_t const first = data.offset[begin];
      std::size_t const count = part.batch.completions();
      policy.evaluate(part.batch, {.divergence = std::span(out.divergence).subspan(first, count)},
                      reference);
      policy.backward(part.batch, std::span(for_log_prob).subspan(first, count));
      policy.backward(part.batch, {.divergence = std::span(for_divergence).subspan(first, count)},
                      reference);
    }
    policy.finish_backward();
    out.gradient = test::gradient_of(policy);
    return out;
  };
  auto const whole = outcome(40, {});
  for (std::size_t const groups : {1u, 7u, 40u}) {
    for (auto const& threads : {executor(), test::backwards(), pool.executor()}) {
      auto const cut = outcome(groups, threads);
      CHECK(test::same_bytes(cut.divergence, whole.divergence));
      CHECK(test::same_bytes(cut.gradient, whole.gradient));
    }
  }
}

TEST_CASE("bigram: the divergence is the sum of the KL of every position", "[policy][bigram]") {
  auto const table = test::table_of(7, 20);
  auto policy = test::filled_bigram<double>(7, table);
  auto other = test::filled_bigram<double>(7, table, 31);
  auto const data = test::lists(12, 7, 20);
  auto const ours = values_of(policy);
  auto const theirs = values_of(other);
  std::vector<double> out(data.completion.size());
  policy.evaluate(data.batch(), {.divergence = out}, frozen(other));
  check_close(out, along(data.batch(), table, [&](std::size_t state, std::size_t) {
                auto const p = log_softmax(ours, state, 7);
                auto const r = log_softmax(theirs, state, 7);
                long double sum = 0;
                for (std::size_t v = 0; v != 7; ++v) sum += std::exp(r[v]) * (r[v] - p[v]);
                return sum;
              }));
  policy.evaluate(data.batch(), {.divergence = out}, policy);
  CHECK(out == std::vector<double>(out.size()));
}

TEST_CASE("bigram: the expected divergence is the KL over whole sequences", "[policy][bigram]") {
  // Chain rule: KL(r(y|x) || p(y|x)) = E_r sum_t KL(r(.|y_<t) || p(.|y_<t)), enumerated on both sides.
  auto const all = token_table::all_of_length(3, 4);
  auto policy = test::filled_bigram<double>(3, all);
  auto reference = test::filled_bigram<double>(3, all, 31);
  choice_data data;
  std::vector<std::uint32_t> ids;
  for (std::uint32_t i = 0; i != all.size(); ++i) ids.push_back(i);
  data.add_list(1, ids);
  std::vector<double> p(81);
  std::vector<double> r(81);
  std::vector<double> divergence(81);
  policy.log_prob(data.batch(), p);
  reference.log_prob(data.batch(), r);
  policy.evaluate(data.batch(), {.divergence = divergence}, reference);
  double whole = 0;
  double by_position = 0;
  for (std::size_t i = 0; i != 81; ++i) {
    whole += std::exp(r[i]) * (r[i] - p[i]);
    by_position += std::exp(r[i]) * divergence[i];
  }
  CHECK(whole > 0.1);
  CHECK(by_position == Approx(whole).epsilon(rounding));
}

TEST_CASE("bigram: the gradient of the divergence agrees with differences", "[policy][bigram]") {
  auto const table = test::table_of(5, 20);
  auto policy = test::filled_bigram<double>(5, table);
  frozen const reference(test::filled_bigram<double>(5, table, 31));
  auto const data = test::lists(12, 5, 20);
  auto const coefficient = test::numbers<double>(data.completion.size(), 12);
  std::vector<double> out(coefficient.size());
  policy.backward(data.batch(), {.divergence = coefficient}, reference);
  policy.finish_backward();
  auto const gradient = test::gradient_of(policy);
  test::check_derivatives(policy, gradient, [&] {
    policy.evaluate(data.batch(), {.divergence = out}, reference);
    return test::weighted_sum(coefficient, out);
  });
  // What was remembered is spent, and a second step adds its own part only: here the same, so twice as much.
  policy.finish_backward();
  CHECK(test::same_bytes(test::gradient_of(policy), gradient));
  policy.backward(data.batch(), {.divergence = coefficient}, reference);
  policy.finish_backward();
  auto const twice = test::gradient_of(policy);
  for (std::size_t j = 0; j != twice.size(); ++j) CHECK(twice[j] == 2 * gradient[j]);
}

TEST_CASE("bigram: gradients of log_prob and of the divergence add up", "[policy][bigram]") {
  auto const table = test::table_of(5, 20);
  auto policy = test::filled_bigram<double>(5, table);
  auto other = test::filled_bigram<double>(5, table, 31);
  auto const data = test::lists(12, 5, 20);
  auto const first = test::numbers<double>(data.completion.size(), 12);
  auto const second = test::numbers<double>(data.completion.size(), 13);
  std::vector<double> out(first.size());
  policy.backward(data.batch(), first);
  policy.backward(data.batch(), {.divergence = second}, other);
  // The reference may go before the step is finished.
  test::fill_parameters(other, 99);
  auto const again = test::filled_bigram<double>(5, table, 31);
  policy.finish_backward();
  test::check_derivatives(policy, test::gradient_of(policy), [&] {
    policy.log_prob(data.batch(), out);
    long double const sum = test::weighted_sum(first, out);
    policy.evaluate(data.batch(), {.divergence = out}, again);
    return sum + test::weighted_sum(second, out);
  });
}

TEST_CASE("bigram: what the reference never says adds nothing to the divergence",
          "[policy][bigram]") {
  token_table table;
  table.add(std::vector<std::uint32_t>{0});
  choice_data data;
  data.add_list(0, std::vector<std::uint32_t>{0});
  bigram<double> policy(2, table);
  bigram<double> const certain(2, table, {0, -infinity, 0, 0});
  std::vector<double> out(1);
  policy.evaluate(data.batch(), {.divergence = out}, certain);
  CHECK(out[0] == Approx(std::log(2.0)));
  // The other way round the policy never says what the reference does.
  policy.parameters()[0].value[1] = -infinity;
  policy.evaluate(data.batch(), {.divergence = out}, bigram<double>(2, table));
  CHECK(out[0] == infinity);
}

TEST_CASE("bigram: alignment is the mean token log-probability against that of a draw",
          "[policy][bigram]") {
  auto const table = test::table_of(7, 20);
  auto policy = test::filled_bigram<double>(7, table);
  auto const data = test::lists(12, 7, 20);
  auto const logits = values_of(policy);
  auto expected = along(data.batch(), table, [&](std::size_t state, std::size_t token) {
    auto const p = log_softmax(logits, state, 7);
    long double squares = 0;
    for (auto const each : p) squares += std::exp(each) * std::exp(each);
    return p[token] - std::log(squares);
  });
  for (std::size_t i = 0; i != expected.size(); ++i) {
    expected[i] /= static_cast<long double>(table.length(data.completion[i]));
  }
  std::vector<double> out(data.completion.size());
  policy.evaluate(data.batch(), {.alignment = out});
  check_close(out, expected);
  // Of a uniform policy every completion is equally typical: -log V - log(V / V^2) = 0.
  bigram<double> uniform(7, table);
  uniform.evaluate(data.batch(), {.alignment = out});
  for (double const each : out) CHECK(std::abs(each) <= rounding);
}

TEST_CASE("bigram: perturbed log-probabilities are those of extrapolated logits",
          "[policy][bigram]") {
  auto const table = test::table_of(7, 20);
  auto policy = test::filled_bigram<double>(7, table);
  auto other = test::filled_bigram<double>(7, table, 31);
  frozen const reference(other);
  auto const data = test::lists(12, 7, 20);
  auto const ours = values_of(policy);
  auto const theirs = values_of(other);
  std::vector<double> out(data.completion.size());
  for (double const amount : {0.25, -0.01}) {
    std::vector<double> moved(ours.size());
    for (std::size_t j = 0; j != moved.size(); ++j) {
      moved[j] = (1 + amount) * ours[j] - amount * theirs[j];
    }
    policy.evaluate(data.batch(), {.perturbed_away = out, .perturbation = amount}, reference);
    check_close(out, along(data.batch(), table, [&](std::size_t state, std::size_t token) {
                  return log_softmax(moved, state, 7)[token];
                }));
  }
}

TEST_CASE("bigram: perturbed by 0 is the policy to the bit, by -1 the reference",
          "[policy][bigram]") {
  auto const table = test::table_of(7, 20);
  auto policy = test::filled_bigram<double>(7, table);
  auto other = test::filled_bigram<double>(7, table, 31);
  auto const data = test::lists(12, 7, 20);
  std::vector<double> out(data.completion.size());
  std::vector<double> expected(out.size());
  policy.evaluate(data.batch(), {.perturbed_away = out, .perturbation = 0}, other);
  policy.log_prob(data.batch(), expected);
  CHECK(test::same_bytes(out, expected));
  policy.evaluate(data.batch(), {.perturbed_away = out, .perturbation = -1}, other);
  other.log_prob(data.batch(), expected);
  for (std::size_t i = 0; i != out.size(); ++i) {
    CHECK(out[i] == Approx(expected[i]).margin(rounding));
  }
  // Nothing of it stays behind.
  policy.log_prob(data.batch(), out);
  policy.evaluate(data.batch(), {.perturbed_away = expected, .perturbation = 0.5}, policy);
  for (std::size_t i = 0; i != out.size(); ++i) {
    CHECK(out[i] == Approx(expected[i]).margin(rounding));
  }
}

TEST_CASE("bigram: one forward pass gives the bits of each column asked for alone",
          "[policy][bigram]") {
  auto const table = test::table_of(7, 20);
  auto policy = test::filled_bigram<float>(7, table);
  frozen const reference(test::filled_bigram<float>(7, table, 31));
  auto const data = test::lists(12, 7, 20);
  std::vector<std::size_t> offset;
  policy.token_offsets(data.batch(), offset);
  std::size_t const n = data.completion.size();
  using column = std::span<float> completion_outputs<float>::*;
  std::vector<column> const columns = {
      &completion_outputs<float>::log_prob,       &completion_outputs<float>::token_log_prob,
      &completion_outputs<float>::divergence,     &completion_outputs<float>::alignment,
      &completion_outputs<float>::perturbed_away, &completion_outputs<float>::perturbed_toward,
      &completion_outputs<float>::entropy,        &completion_outputs<float>::mean_logit,
      &completion_outputs<float>::token_accuracy};
  std::vector<std::vector<float>> together(columns.size());
  completion_outputs<float> all{.perturbation = 0.25};
  for (std::size_t c = 0; c != columns.size(); ++c) {
    together[c].resize(columns[c] == &completion_outputs<float>::token_log_prob ? offset.back()
                                                                                : n);
    all.*columns[c] = together[c];
  }
  CHECK(all.wanted() == bigram<float>::gives);
  policy.evaluate(data.batch(), all, reference);
  for (std::size_t c = 0; c != columns.size(); ++c) {
    CAPTURE(c);
    std::vector<float> alone(together[c].size());
    completion_outputs<float> one{.perturbation = 0.25};
    one.*columns[c] = alone;
    policy.evaluate(data.batch(), one, reference);
    CHECK(test::same_bytes(alone, together[c]));
    CHECK(alone != std::vector<float>(alone.size()));
  }
}

TEST_CASE("bigram: token weights count in log_prob and its perturbed forms, and in their gradient",
          "[policy][bigram]") {
  auto const table = test::table_of(5, 20);
  auto policy = test::filled_bigram<double>(5, table);
  auto other = test::filled_bigram<double>(5, table, 31);
  auto const data = test::lists(12, 5, 20);
  std::size_t const n = data.completion.size();
  std::vector<std::size_t> offset;
  policy.token_offsets(data.batch(), offset);
  auto weight = test::numbers<double>(offset.back(), 21);
  weight[0] = 0;
  std::vector<double> token(offset.back());
  std::vector<double> out(n);
  std::vector<double> theirs(n);
  policy.evaluate(data.batch(), {.log_prob = out, .token_log_prob = token, .token_weight = weight});
  for (std::size_t i = 0; i != n; ++i) {
    double sum = 0;
    for (std::size_t t = offset[i]; t != offset[i + 1]; ++t) sum += weight[t] * token[t];
    CHECK(out[i] == Approx(sum).margin(rounding));
  }
  // Moved all the way it is the reference, weighted.
  policy.evaluate(data.batch(),
                  {.perturbed_toward = out, .perturbation = 1, .token_weight = weight}, other);
  other.evaluate(data.batch(), {.log_prob = theirs, .token_weight = weight});
  for (std::size_t i = 0; i != n; ++i) CHECK(out[i] == Approx(theirs[i]).margin(rounding));

  auto const coefficient = test::numbers<double>(n, 12);
  policy.backward(data.batch(), {.log_prob = coefficient, .token_weight = weight});
  policy.finish_backward();
  test::check_derivatives(policy, test::gradient_of(policy), [&] {
    policy.evaluate(data.batch(), {.log_prob = out, .token_weight = weight});
    return test::weighted_sum(coefficient, out);
  });
}

TEST_CASE("bigram: a column that only a reference can give is refused without one",
          "[policy][bigram]") {
  auto const table = table_by_hand();
  bigram<double> policy(3, table, by_hand);
  auto const data = data_by_hand();
  std::vector<double> two(2);
  CHECK_THROWS_WITH(policy.evaluate(data.batch(), {.divergence = two}),
                    Contains("bigram::evaluate: this policy does not give divergence"));
  CHECK_THROWS_WITH(policy.evaluate(data.batch(), {.perturbed_away = two}),
                    Contains("does not give perturbed_toward and perturbed_away"));
  CHECK_THROWS_WITH(policy.evaluate(data.batch(), {.value = two}, policy),
                    Contains("does not give value"));
  CHECK_THROWS_WITH(policy.backward(data.batch(), {.divergence = two}),
                    Contains("bigram::backward: this policy does not give divergence"));
}

TEST_CASE("bigram: entropy, mean logit and token accuracy by hand", "[policy][bigram]") {
  auto const table = table_by_hand();
  bigram<double> policy(3, table, by_hand);
  auto const data = data_by_hand();
  double const after_0 = (std::log(6.0) + 2 * std::log(3.0) + 3 * std::log(2.0)) / 6;
  double const after_1 = 1.5 * std::log(2.0);
  double const after_2 = 0.25 * std::log(8.0) + 0.75 * std::log(8 / 6.0);
  std::vector<double> out(2);
  policy.evaluate(data.batch(), {.entropy = out});
  CHECK(out[0] == Approx((after_0 + after_2 + after_1) / 3));
  CHECK(out[1] == Approx(after_2));

  auto const row_mean = [](std::size_t row) {
    return (by_hand[3 * row] + by_hand[3 * row + 1] + by_hand[3 * row + 2]) / 3;
  };
  policy.evaluate(data.batch(), {.mean_logit = out});
  CHECK(out[0] == Approx((row_mean(0) + row_mean(2) + row_mean(1)) / 3));
  CHECK(out[1] == Approx(row_mean(2)));

  // Most likely after 0 is 2, after 2 is 2, after 1 is 0: two of the three tokens 2, 1, 0; not the 1 after 2.
  policy.evaluate(data.batch(), {.token_accuracy = out});
  CHECK(out[0] == Approx(2 / 3.0));
  CHECK(out[1] == 0);
  // All equal: the first token counts.
  bigram<double> uniform(3, table);
  token_table zeros;
  zeros.add(std::vector<std::uint32_t>{0, 0, 1, 2});
  choice_data first;
  first.add_list(1, std::vector<std::uint32_t>{0});
  std::vector<double> share(1);
  bigram<double>(3, zeros).evaluate(first.batch(), {.token_accuracy = share});
  CHECK(share[0] == 0.5);
  uniform.evaluate(data.batch(), {.entropy = out});
  CHECK(out[0] == Approx(std::log(3.0)));
}

TEST_CASE("bigram: a token that is never said has no part in the entropy", "[policy][bigram]") {
  token_table table;
  table.add(std::vector<std::uint32_t>{0});
  choice_data data;
  data.add_list(0, std::vector<std::uint32_t>{0});
  bigram<double> policy(2, table, {0, -infinity, 0, 0});
  std::vector<double> out(1, 7.0);
  policy.evaluate(data.batch(), {.entropy = out});
  CHECK(out[0] == 0);
}
