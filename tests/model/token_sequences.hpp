// SPDX-License-Identifier: MIT
#pragma once

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <prefer/batch/token_table.hpp>
#include <prefer/model/bigram.hpp>

#include "choice_policy.hpp"
#include "support/finite_difference.hpp"

// What tests of token-level policies share.
namespace prefer::test {

/// `count` completions of 1 to 5 tokens.
inline token_table table_of(std::size_t vocabulary, std::size_t count, std::uint64_t seed = 9) {
  spread from(seed);
  token_table out;
  for (std::size_t id = 0; id != count; ++id) {
    std::vector<std::uint32_t> tokens(1 + from.below(5));
    for (auto& each : tokens) each = static_cast<std::uint32_t>(from.below(vocabulary));
    out.add(tokens);
  }
  return out;
}

template <class T>
bigram<T> filled_bigram(std::size_t vocabulary, token_table const& table, std::uint64_t seed = 3) {
  bigram<T> policy(vocabulary, table);
  fill_parameters(policy, seed, 2.0);
  return policy;
}

/// Pairs of different completions; prompts are tokens.
inline choice_data token_pairs(std::size_t count, std::size_t vocabulary, std::size_t completions,
                               std::uint64_t seed = 4) {
  spread from(seed);
  choice_data data;
  for (std::size_t i = 0; i != count; ++i) {
    auto const chosen = from.below(completions);
    auto const rejected = (chosen + 1 + from.below(completions - 1)) % completions;
    data.add_pair(static_cast<std::uint32_t>(from.below(vocabulary)),
                  static_cast<std::uint32_t>(chosen), static_cast<std::uint32_t>(rejected));
  }
  return data;
}

template <class T>
long double weighted_sum(std::vector<T> const& weight, std::vector<T> const& value) {
  long double sum = 0;
  for (std::size_t i = 0; i != value.size(); ++i) {
    sum += static_cast<long double>(weight[i]) * static_cast<long double>(value[i]);
  }
  return sum;
}

/// `computed` is the gradient of value(), by differences of every parameter.
///
/// value() adds up some 100 terms of at most 6 nats, in double: with h = 2^-8 rounding costs
/// 3 * 1.1e-16 * 600 / h = 5e-11 and truncation h^4 / 480 times a fifth derivative, which is at most
/// some 10 per term: 5e-10.
template <class P, class Value>
void check_derivatives(P& policy, std::vector<double> const& computed, Value const& value) {
  std::size_t at = 0;
  for (auto const& each : policy.parameters()) {
    for (double& here : each.value) {
      double const before = here;
      auto const expected = derivative(
          [&](long double x) {
            here = static_cast<double>(x);
            return static_cast<long double>(value());
          },
          before, 0x1p-8L);
      here = before;
      INFO(each.name << ", element " << at);
      CHECK(computed[at] == Approx(static_cast<double>(expected)).margin(1e-9).epsilon(1e-8));
      ++at;
    }
  }
  REQUIRE(at == computed.size());
}

}  // namespace prefer::test
