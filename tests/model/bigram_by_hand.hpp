// SPDX-License-Identifier: MIT
#pragma once

#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_table.hpp>

// What the tests of the bigram policy calculate themselves.

namespace prefer::test {

inline double const infinity = std::numeric_limits<double>::infinity();

// Three tokens; after 0 come 1/6, 2/6, 3/6, after 1 come 1/2, 1/4, 1/4, after 2 come 1/8, 1/8, 6/8.
// Rows are shifted by 1, 0 and -2 nats, which changes no probability.
inline std::vector<double> const by_hand = {
    1 + std::log(1 / 6.0),  1 + std::log(2 / 6.0),  1 + std::log(3 / 6.0),
    std::log(1 / 2.0),      std::log(1 / 4.0),      std::log(1 / 4.0),
    -2 + std::log(1 / 8.0), -2 + std::log(1 / 8.0), -2 + std::log(6 / 8.0)};

inline token_table table_by_hand() {
  token_table table;
  table.add(std::vector<std::uint32_t>{2, 1, 0});
  table.add(std::vector<std::uint32_t>{1});
  return table;
}

// The first completion after 0: 3/6 * 1/8 * 1/2. The second after 2: 1/8.
inline choice_data data_by_hand() {
  choice_data data;
  data.add_list(0, std::vector<std::uint32_t>{0});
  data.add_list(2, std::vector<std::uint32_t>{1});
  return data;
}

// log-probabilities of a row, by the textbook formula.
inline std::vector<long double> log_softmax(std::vector<double> const& logits, std::size_t row,
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
inline constexpr double rounding = 1e-13;

inline void check_close(std::vector<double> const& out, std::vector<long double> const& expected) {
  REQUIRE(out.size() == expected.size());
  for (std::size_t i = 0; i != out.size(); ++i) {
    CHECK(out[i] == Approx(static_cast<double>(expected[i])).margin(rounding).epsilon(rounding));
  }
}

}  // namespace prefer::test
