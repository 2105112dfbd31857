// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <prefer/model/bigram.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>

#include "token_sequences.hpp"

using namespace prefer;
using Catch::Matchers::Contains;

namespace {

double const infinity = std::numeric_limits<double>::infinity();

// Three tokens; after 0 come 1/6, 2/6, 3/6, after 1 come 1/2, 1/4, 1/4, after 2 come 1/8, 1/8, 6/8.
// Rows are shifted by 1, 0 and -2 nats, which changes no probability.
std::vector<double> const by_hand = {
    1 + std::log(1 / 6.0),  1 + std::log(2 / 6.0),  1 + std::log(3 / 6.0),
    std::log(1 / 2.0),      std::log(1 / 4.0),      std::log(1 / 4.0),
    -2 + std::log(1 / 8.0), -2 + std::log(1 / 8.0), -2 + std::log(6 / 8.0)};

token_table table_by_hand() {
  token_table table;
  table.add(std::vector<std::uint32_t>{2, 1, 0});
  table.add(std::vector<std::uint32_t>{1});
  return table;
}

// The first completion after 0: 3/6 * 1/8 * 1/2. The second after 2: 1/8.
choice_data data_by_hand() {
  choice_data data;
  data.add_list(0, std::vector<std::uint32_t>{0});
  data.add_list(2, std::vector<std::uint32_t>{1});
  return data;
}

// log-probabilities of a row, by the textbook formula.
std::vector<long double> log_softmax(std::vector<double> const& logits, std::size_t row,
                                     std::size_t vocabulary) {
  std::vector<long double> out;
  long double sum = 0;
  for (std::size_t v = 0; v != vocabulary; ++v) {
    out.push_back(logits[row * vocabulary + v]);
    sum += std::exp(out.back());
  }
  for (auto& each : out) each -= std::log(sum);
  return out;
}

/// f(state, token) added up over the tokens of each completion of the batch.
template <class F>
std::vector<long double> along(choice_batch const& batch, token_table const& table, F const& f) {
  std::vector<long double> out;
  for (std::size_t g = 0; g != batch.size(); ++g) {
    for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
      std::uint32_t state = batch.prompt[g];
      long double sum = 0;
      for (std::uint32_t const token : table.tokens(batch.completion[i])) {
        sum += f(state, token);
        state = token;
      }
      out.push_back(sum);
    }
  }
  return out;
}

template <class P>
std::vector<double> values_of(P& policy) {
  auto const each = policy.parameters()[0].value;
  return {each.begin(), each.end()};
}

// Logits within 2 and a vocabulary of at most 7, so a token's log-probability is within 6 nats and wrong by
// some 6 * 4 ulp = 5e-15; completions have at most 5 tokens.
constexpr double rounding = 1e-13;

void check_close(std::vector<double> const& out, std::vector<long double> const& expected) {
  REQUIRE(out.size() == expected.size());
  for (std::size_t i = 0; i != out.size(); ++i) {
    CHECK(out[i] == Approx(static_cast<double>(expected[i])).margin(rounding).epsilon(rounding));
  }
}

}  // namespace

TEST_CASE("bigram: log_prob is the log of the product along the sequence", "[policy][bigram]") {
  auto const table = table_by_hand();
  bigram<double> policy(3, table, by_hand);
  auto const data = data_by_hand();
  std::vector<double> out(2);
  policy.log_prob(data.batch(), out);
  CHECK(out[0] == Approx(std::log(1 / 32.0)));
  CHECK(out[1] == Approx(std::log(1 / 8.0)));
  std::vector<double> token(4);
  policy.token_log_prob(data.batch(), token);
  CHECK(token[0] == Approx(std::log(3 / 6.0)));
  CHECK(token[1] == Approx(std::log(1 / 8.0)));
  CHECK(token[2] == Approx(std::log(1 / 2.0)));
  CHECK(token[3] == Approx(std::log(1 / 8.0)));
  std::vector<std::size_t> offset;
  policy.token_offsets(data.batch(), offset);
  CHECK(offset == std::vector<std::size_t>{0, 3, 4});
}

TEST_CASE("bigram: probabilities of all sequences of a length add up to 1", "[policy][bigram]") {
  auto const all = token_table::all_of_length(3, 4);
  auto policy = test::filled_markov<double>(3, all);
  std::vector<std::uint32_t> ids(all.size());
  for (std::size_t i = 0; i != ids.size(); ++i) ids[i] = static_cast<std::uint32_t>(i);
  REQUIRE(ids.size() == 81);
  choice_data data;
  for (std::uint32_t x = 0; x != 3; ++x) data.add_list(x, ids);
  std::vector<double> out(data.completion.size());
  policy.log_prob(data.batch(), out);
  for (std::size_t x = 0; x != 3; ++x) {
    double sum = 0;
    for (std::size_t i = 0; i != 81; ++i) sum += std::exp(out[x * 81 + i]);
    CHECK(sum == Approx(1).epsilon(rounding));
  }
}

TEST_CASE("bigram: with one token per completion it is the tabular policy", "[policy][bigram]") {
  auto const single = token_table::all_of_length(5, 1);
  auto policy = test::filled_markov<float>(5, single);
  tabular<float> same(5, 5);
  test::fill_parameters(same, 3, 2.0);
  auto const data = test::lists(20, 5, 5);
  auto const coefficient = test::numbers<float>(data.completion.size(), 6);
  test::outcome<bigram<float>> const ours(policy, data, coefficient);
  test::outcome<tabular<float>> const theirs(same, data, coefficient);
  CHECK(test::same_bytes(ours.log_prob, theirs.log_prob));
  CHECK(test::same_bytes(ours.gradient, theirs.gradient));
}

TEST_CASE("bigram: the gradient of log_prob agrees with differences", "[policy][bigram]") {
  auto const table = test::table_of(7, 20);
  test::check_gradient(test::filled_markov<double>(7, table), test::lists(12, 7, 20));
}

TEST_CASE("bigram: the gradient of token log-probabilities agrees with differences",
          "[policy][bigram]") {
  auto const table = test::table_of(7, 20);
  auto policy = test::filled_markov<double>(7, table);
  auto const data = test::lists(12, 7, 20);
  std::vector<std::size_t> offset;
  policy.token_offsets(data.batch(), offset);
  auto const coefficient = test::numbers<double>(offset.back(), 12);
  policy.token_backward(data.batch(), coefficient);
  policy.finish_backward();
  std::vector<double> out(offset.back());
  test::check_derivatives(policy, test::gradient_of(policy), [&] {
    policy.token_log_prob(data.batch(), out);
    return test::weighted_sum(coefficient, out);
  });
}

TEST_CASE("bigram: one coefficient for all tokens of a completion is its coefficient",
          "[policy][bigram]") {
  auto const table = test::table_of(7, 20);
  auto policy = test::filled_markov<float>(7, table);
  auto const data = test::lists(12, 7, 20);
  auto const coefficient = test::numbers<float>(data.completion.size(), 12);
  std::vector<std::size_t> offset;
  policy.token_offsets(data.batch(), offset);
  std::vector<float> repeated;
  for (std::size_t i = 0; i != coefficient.size(); ++i) {
    repeated.insert(repeated.end(), offset[i + 1] - offset[i], coefficient[i]);
  }
  auto copy = policy;
  policy.backward(data.batch(), coefficient);
  policy.finish_backward();
  copy.token_backward(data.batch(), repeated);
  copy.finish_backward();
  CHECK(test::same_bytes(test::gradient_of(policy), test::gradient_of(copy)));
}

TEST_CASE("bigram: bits do not depend on cuts and threads", "[policy][bigram]") {
  auto const wide = test::table_of(150, 40);
  test::check_bits(test::filled_markov<float>(150, wide), test::lists(40, 150, 40));
  auto const narrow = test::table_of(3, 40);
  test::check_bits(test::filled_markov<double>(3, narrow), test::lists(40, 3, 40));
}

TEST_CASE("bigram: bits with a divergence do not depend on cuts and threads", "[policy][bigram]") {
  auto const table = test::table_of(150, 40);
  auto const start = test::filled_markov<float>(150, table);
  frozen const reference(test::filled_markov<float>(150, table, 30));
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
      policy.divergence(reference, part.batch, std::span(out.divergence).subspan(first, count));
      policy.backward(part.batch, std::span(for_log_prob).subspan(first, count));
      policy.backward_divergence(reference, part.batch,
                                 std::span(for_divergence).subspan(first, count));
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
  auto policy = test::filled_markov<double>(7, table);
  auto other = test::filled_markov<double>(7, table, 31);
  auto const data = test::lists(12, 7, 20);
  auto const ours = values_of(policy);
  auto const theirs = values_of(other);
  std::vector<double> out(data.completion.size());
  policy.divergence(frozen(other), data.batch(), out);
  check_close(out, along(data.batch(), table, [&](std::size_t state, std::size_t) {
                auto const p = log_softmax(ours, state, 7);
                auto const r = log_softmax(theirs, state, 7);
                long double sum = 0;
                for (std::size_t v = 0; v != 7; ++v) sum += std::exp(r[v]) * (r[v] - p[v]);
                return sum;
              }));
  policy.divergence(policy, data.batch(), out);
  CHECK(out == std::vector<double>(out.size()));
}

TEST_CASE("bigram: the expected divergence is the KL over whole sequences", "[policy][bigram]") {
  // Chain rule: KL(r(y|x) || p(y|x)) = E_r sum_t KL(r(.|y_<t) || p(.|y_<t)), enumerated on both sides.
  auto const all = token_table::all_of_length(3, 4);
  auto policy = test::filled_markov<double>(3, all);
  auto reference = test::filled_markov<double>(3, all, 31);
  choice_data data;
  std::vector<std::uint32_t> ids;
  for (std::uint32_t i = 0; i != all.size(); ++i) ids.push_back(i);
  data.add_list(1, ids);
  std::vector<double> p(81);
  std::vector<double> r(81);
  std::vector<double> divergence(81);
  policy.log_prob(data.batch(), p);
  reference.log_prob(data.batch(), r);
  policy.divergence(reference, data.batch(), divergence);
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
  auto policy = test::filled_markov<double>(5, table);
  frozen const reference(test::filled_markov<double>(5, table, 31));
  auto const data = test::lists(12, 5, 20);
  auto const coefficient = test::numbers<double>(data.completion.size(), 12);
  std::vector<double> out(coefficient.size());
  policy.backward_divergence(reference, data.batch(), coefficient);
  policy.finish_backward();
  auto const gradient = test::gradient_of(policy);
  test::check_derivatives(policy, gradient, [&] {
    policy.divergence(reference, data.batch(), out);
    return test::weighted_sum(coefficient, out);
  });
  // What was remembered is spent, and a second step adds its own part only: here the same, so twice as much.
  policy.finish_backward();
  CHECK(test::same_bytes(test::gradient_of(policy), gradient));
  policy.backward_divergence(reference, data.batch(), coefficient);
  policy.finish_backward();
  auto const twice = test::gradient_of(policy);
  for (std::size_t j = 0; j != twice.size(); ++j) CHECK(twice[j] == 2 * gradient[j]);
}

TEST_CASE("bigram: gradients of log_prob and of the divergence add up", "[policy][bigram]") {
  auto const table = test::table_of(5, 20);
  auto policy = test::filled_markov<double>(5, table);
  auto other = test::filled_markov<double>(5, table, 31);
  auto const data = test::lists(12, 5, 20);
  auto const first = test::numbers<double>(data.completion.size(), 12);
  auto const second = test::numbers<double>(data.completion.size(), 13);
  std::vector<double> out(first.size());
  policy.backward(data.batch(), first);
  policy.backward_divergence(other, data.batch(), second);
  // The reference may go before the step is finished.
  test::fill_parameters(other, 99);
  auto const again = test::filled_markov<double>(5, table, 31);
  policy.finish_backward();
  test::check_derivatives(policy, test::gradient_of(policy), [&] {
    policy.log_prob(data.batch(), out);
    long double const sum = test::weighted_sum(first, out);
    policy.divergence(again, data.batch(), out);
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
  policy.divergence(certain, data.batch(), out);
  CHECK(out[0] == Approx(std::log(2.0)));
  // The other way round the policy never says what the reference does.
  policy.parameters()[0].value[1] = -infinity;
  policy.divergence(bigram<double>(2, table), data.batch(), out);
  CHECK(out[0] == infinity);
}

TEST_CASE("bigram: alignment is the mean token log-probability against that of a draw",
          "[policy][bigram]") {
  auto const table = test::table_of(7, 20);
  auto policy = test::filled_markov<double>(7, table);
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
  policy.alignment(data.batch(), out);
  check_close(out, expected);
  // Of a uniform policy every completion is equally typical: -log V - log(V / V^2) = 0.
  bigram<double> uniform(7, table);
  uniform.alignment(data.batch(), out);
  for (double const each : out) CHECK(std::abs(each) <= rounding);
}

TEST_CASE("bigram: perturbed log-probabilities are those of extrapolated logits",
          "[policy][bigram]") {
  auto const table = test::table_of(7, 20);
  auto policy = test::filled_markov<double>(7, table);
  auto other = test::filled_markov<double>(7, table, 31);
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
    policy.perturbed_log_prob(reference, amount, data.batch(), out);
    check_close(out, along(data.batch(), table, [&](std::size_t state, std::size_t token) {
                  return log_softmax(moved, state, 7)[token];
                }));
  }
}

TEST_CASE("bigram: perturbed by 0 is the policy to the bit, by -1 the reference",
          "[policy][bigram]") {
  auto const table = test::table_of(7, 20);
  auto policy = test::filled_markov<double>(7, table);
  auto other = test::filled_markov<double>(7, table, 31);
  auto const data = test::lists(12, 7, 20);
  std::vector<double> out(data.completion.size());
  std::vector<double> expected(out.size());
  policy.perturbed_log_prob(other, 0, data.batch(), out);
  policy.log_prob(data.batch(), expected);
  CHECK(test::same_bytes(out, expected));
  policy.perturbed_log_prob(other, -1, data.batch(), out);
  other.log_prob(data.batch(), expected);
  for (std::size_t i = 0; i != out.size(); ++i) {
    CHECK(out[i] == Approx(expected[i]).margin(rounding));
  }
  // Nothing of it stays behind.
  policy.log_prob(data.batch(), out);
  policy.perturbed_log_prob(policy, 0.5, data.batch(), expected);
  for (std::size_t i = 0; i != out.size(); ++i) {
    CHECK(out[i] == Approx(expected[i]).margin(rounding));
  }
  std::vector<std::size_t> offset;
  policy.token_offsets(data.batch(), offset);
  std::vector<double> token(offset.back());
  policy.perturbed_log_prob(other, 0.5, data.batch(), out);
  policy.perturbed_token_log_prob(other, 0.5, data.batch(), token);
  for (std::size_t i = 0; i != out.size(); ++i) {
    double sum = 0;
    for (std::size_t t = offset[i]; t != offset[i + 1]; ++t) sum += token[t];
    CHECK(sum == out[i]);
  }
}

TEST_CASE("bigram: entropy, mean logit and token accuracy by hand", "[policy][bigram]") {
  auto const table = table_by_hand();
  bigram<double> policy(3, table, by_hand);
  auto const data = data_by_hand();
  double const after_0 = (std::log(6.0) + 2 * std::log(3.0) + 3 * std::log(2.0)) / 6;
  double const after_1 = 1.5 * std::log(2.0);
  double const after_2 = 0.25 * std::log(8.0) + 0.75 * std::log(8 / 6.0);
  std::vector<double> out(2);
  policy.entropy(data.batch(), out);
  CHECK(out[0] == Approx((after_0 + after_2 + after_1) / 3));
  CHECK(out[1] == Approx(after_2));

  auto const row_mean = [](std::size_t row) {
    return (by_hand[3 * row] + by_hand[3 * row + 1] + by_hand[3 * row + 2]) / 3;
  };
  policy.mean_logit(data.batch(), out);
  CHECK(out[0] == Approx((row_mean(0) + row_mean(2) + row_mean(1)) / 3));
  CHECK(out[1] == Approx(row_mean(2)));

  // Most likely after 0 is 2, after 2 is 2, after 1 is 0: two of the three tokens 2, 1, 0; not the 1 after 2.
  policy.token_accuracy(data.batch(), out);
  CHECK(out[0] == Approx(2 / 3.0));
  CHECK(out[1] == 0);
  // All equal: the first token counts.
  bigram<double> uniform(3, table);
  token_table zeros;
  zeros.add(std::vector<std::uint32_t>{0, 0, 1, 2});
  choice_data first;
  first.add_list(1, std::vector<std::uint32_t>{0});
  std::vector<double> share(1);
  bigram<double>(3, zeros).token_accuracy(first.batch(), share);
  CHECK(share[0] == 0.5);
  uniform.entropy(data.batch(), out);
  CHECK(out[0] == Approx(std::log(3.0)));
}

TEST_CASE("bigram: a token that is never said has no part in the entropy", "[policy][bigram]") {
  token_table table;
  table.add(std::vector<std::uint32_t>{0});
  choice_data data;
  data.add_list(0, std::vector<std::uint32_t>{0});
  bigram<double> policy(2, table, {0, -infinity, 0, 0});
  std::vector<double> out(1, 7.0);
  policy.entropy(data.batch(), out);
  CHECK(out[0] == 0);
}

TEST_CASE("bigram: next-token probabilities are those of a batch", "[policy][bigram]") {
  auto const single = token_table::all_of_length(7, 1);
  auto policy = test::filled_markov<float>(7, single);
  std::vector<float> row(7);
  std::vector<float> batch(7);
  choice_data data;
  data.add_list(4, std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6});
  policy.token_log_probs(4, row);
  policy.log_prob(data.batch(), batch);
  CHECK(test::same_bytes(row, batch));
}

TEST_CASE("bigram: NaN flows through", "[policy][bigram]") {
  auto const table = table_by_hand();
  bigram<double> policy(3, table, by_hand);
  policy.parameters()[0].value[6] = std::nan("");
  auto const data = data_by_hand();
  std::vector<double> out(2);
  policy.log_prob(data.batch(), out);
  CHECK(std::isnan(out[0]));
  policy.divergence(bigram<double>(3, table), data.batch(), out);
  CHECK(std::isnan(out[0]));
  policy.alignment(data.batch(), out);
  CHECK(std::isnan(out[0]));
  policy.entropy(data.batch(), out);
  CHECK(std::isnan(out[0]));
}

TEST_CASE("bigram: what does not fit is refused by every member", "[policy][bigram]") {
  token_table table;
  table.add(std::vector<std::uint32_t>{1, 0});
  table.add(std::vector<std::uint32_t>{2, 3});
  bigram<double> policy(3, table);
  bigram<double> const wide(4, table);
  std::vector<double> one(1);
  std::vector<double> two(2);
  std::vector<double> three(3);
  auto const refused = [&](choice_batch const& batch, std::vector<double>& column,
                           std::string const& why) {
    CHECK_THROWS_WITH(policy.log_prob(batch, column), Contains("bigram::log_prob: " + why));
    CHECK_THROWS_WITH(policy.backward(batch, column), Contains("bigram::backward: " + why));
    CHECK_THROWS_WITH(policy.divergence(policy, batch, column),
                      Contains("bigram::divergence: " + why));
    CHECK_THROWS_WITH(policy.backward_divergence(policy, batch, column),
                      Contains("bigram::backward_divergence: " + why));
    CHECK_THROWS_WITH(policy.alignment(batch, column), Contains("bigram::alignment: " + why));
    CHECK_THROWS_WITH(policy.perturbed_log_prob(policy, 0.1, batch, column),
                      Contains("bigram::perturbed_log_prob: " + why));
    CHECK_THROWS_WITH(policy.entropy(batch, column), Contains("bigram::entropy: " + why));
    CHECK_THROWS_WITH(policy.mean_logit(batch, column), Contains("bigram::mean_logit: " + why));
    CHECK_THROWS_WITH(policy.token_accuracy(batch, column),
                      Contains("bigram::token_accuracy: " + why));
  };
  choice_data good;
  good.add_list(0, std::vector<std::uint32_t>{0});
  refused(good.batch(), two, "the column of values has 2 elements, expected 1");
  choice_data prompt;
  prompt.add_list(3, std::vector<std::uint32_t>{0});
  refused(prompt.batch(), one, "prompt of group 0 is 3, expected less than 3");
  choice_data unknown;
  unknown.add_list(0, std::vector<std::uint32_t>{2});
  refused(unknown.batch(), one, "completion 0 is 2, expected less than 2");
  choice_data token;
  token.add_list(0, std::vector<std::uint32_t>{1});
  refused(token.batch(), one, "completion 1 has token 3, expected less than 3");

  CHECK_THROWS_WITH(policy.token_log_prob(good.batch(), three),
                    Contains("bigram::token_log_prob: the column of token values has 3 elements, "
                             "expected 2"));
  CHECK_THROWS_WITH(policy.token_backward(good.batch(), one),
                    Contains("bigram::token_backward: the column of token values has 1 elements, "
                             "expected 2"));
  CHECK_THROWS_WITH(policy.perturbed_token_log_prob(policy, 0.1, good.batch(), three),
                    Contains("bigram::perturbed_token_log_prob: the column of token values"));
  CHECK_THROWS_WITH(
      policy.divergence(wide, good.batch(), one),
      Contains("bigram::divergence: the reference has a vocabulary of 4, expected 3"));
  CHECK_THROWS_WITH(policy.token_log_probs(3, three),
                    Contains("bigram::token_log_probs: prompt is 3, expected less than 3"));
  CHECK_THROWS_WITH((bigram<double>(0, table)), Contains("vocabulary must be greater than zero"));
  CHECK_THROWS_WITH((bigram<double>(2, table, {1, 2, 3})),
                    Contains("logits has 3 elements, expected 4"));

  policy.finish_backward();
  CHECK(test::gradient_of(policy) == std::vector<double>(9));
}

TEST_CASE("bigram: a table may grow after its policy is made", "[policy][bigram]") {
  token_table table;
  bigram<double> policy(2, table);
  table.add(std::vector<std::uint32_t>{0, 1, 1});
  choice_data data;
  data.add_list(0, std::vector<std::uint32_t>{0});
  std::vector<double> out(1);
  policy.log_prob(data.batch(), out);
  CHECK(out[0] == Approx(3 * std::log(0.5)));
}

TEST_CASE("bigram: is a value", "[policy][bigram]") {
  auto const table = test::table_of(5, 20);
  test::check_value_semantics(test::filled_markov<float>(5, table), test::lists(10, 5, 20));
}

TEST_CASE("bigram: is found inside of references, if it is of the same type", "[policy][bigram]") {
  STATIC_REQUIRE(MarkovReference<bigram<float>, float>);
  STATIC_REQUIRE(MarkovReference<frozen<bigram<float>>, float>);
  STATIC_REQUIRE(MarkovReference<frozen<frozen<bigram<float>>>, float>);
  STATIC_REQUIRE_FALSE(MarkovReference<frozen<bigram<float>>, double>);
  STATIC_REQUIRE_FALSE(MarkovReference<no_reference<float>, float>);
  STATIC_REQUIRE_FALSE(MarkovReference<frozen<tabular<float>>, float>);
  token_table const table;
  frozen const reference(bigram<float>(3, table));
  CHECK(&markov_of<float>(reference) == &reference.policy());
}
