// SPDX-License-Identifier: MIT
#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <prefer/model/bigram.hpp>
#include <prefer/policy/aggregated.hpp>
#include <utility>
#include <vector>

#include "model/token_sequences.hpp"

namespace aggregated_subjects {

using namespace prefer;
using Catch::Matchers::Contains;

using model = bigram<double>;

/// Pairs as a batch with row numbers and a draw.
struct drawn_batch {
  choice_data data;
  std::vector<std::size_t> row;

  explicit drawn_batch(choice_data pairs) : data(std::move(pairs)) {
    for (std::size_t g = 0; g != data.size(); ++g) row.push_back(100 + g);
  }
  [[nodiscard]] choice_batch at(std::uint64_t draw) const {
    auto out = data.batch();
    out.row = row;
    out.draw = draw;
    return out;
  }
};

template <class P>
std::vector<double> log_probs(P& policy, choice_batch const& batch) {
  std::vector<double> out(batch.completions());
  policy.log_prob(batch, out);
  return out;
}

/// Token log-probabilities of each completion.
inline std::vector<std::vector<double>> by_token(model& policy, choice_batch const& batch) {
  std::vector<std::size_t> offset;
  policy.token_offsets(batch, offset);
  std::vector<double> token(offset.back());
  policy.token_log_prob(batch, token);
  std::vector<std::vector<double>> out;
  for (std::size_t i = 0; i != batch.completions(); ++i) {
    out.emplace_back(token.begin() + static_cast<std::ptrdiff_t>(offset[i]),
                     token.begin() + static_cast<std::ptrdiff_t>(offset[i + 1]));
  }
  return out;
}

inline double sum_of(std::vector<double> const& values, std::size_t count) {
  double sum = 0;
  for (std::size_t t = 0; t != count; ++t) sum += values[t];
  return sum;
}

template <class A>
void check_gradient(A const& aggregation, choice_batch const& batch, token_table const& table) {
  aggregated policy(test::filled_bigram<double>(5, table), aggregation);
  auto const coefficient = test::numbers<double>(batch.completions(), 12);
  policy.backward(batch, coefficient);
  policy.finish_backward();
  test::check_derivatives(policy, test::gradient_of(policy), [&] {
    auto const out = log_probs(policy, batch);
    return test::weighted_sum(coefficient, out);
  });
}

}  // namespace aggregated_subjects
