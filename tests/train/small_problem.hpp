// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <prefer/batch/choices.hpp>
#include <prefer/model/log_linear.hpp>
#include <prefer/model/matrix_factorization.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/train/adamw.hpp>
#include <string>
#include <vector>

#include "support/message_of.hpp"

/// Small data sets and policies over 6 prompts and 5 completions, for tests of training.
namespace small {

inline constexpr std::uint32_t prompts = 6;
inline constexpr std::uint32_t completions = 5;

inline std::uint32_t prompt_of(std::size_t row) {
  return static_cast<std::uint32_t>(row * 5 % prompts);
}

inline prefer::choice_data pairs(std::size_t count) {
  prefer::choice_data data;
  for (std::size_t i = 0; i < count; ++i) {
    auto const chosen = static_cast<std::uint32_t>((3 * i + 1) % completions);
    auto const rejected = static_cast<std::uint32_t>((chosen + 1 + i % 4) % completions);
    data.add_pair(prompt_of(i), chosen, rejected);
  }
  return data;
}

/// The same with a length of 1 to 3 tokens for each completion.
inline prefer::choice_data with_lengths(prefer::choice_data data) {
  for (std::size_t i = 0; i < data.completion.size(); ++i) {
    data.length.push_back(static_cast<float>(1 + i % 3));
  }
  return data;
}

inline prefer::choice_data labelled(std::size_t count) {
  prefer::choice_data data;
  for (std::size_t i = 0; i < count; ++i) {
    data.add_labelled(prompt_of(i), static_cast<std::uint32_t>(i * i % completions), i % 3 != 0);
  }
  data.pair_with_others();
  return data;
}

inline prefer::choice_data lists(std::size_t count) {
  prefer::choice_data data;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<std::uint32_t> ranked;
    for (std::uint32_t k = 0; k < 2 + i % 3; ++k) {
      ranked.push_back(static_cast<std::uint32_t>((i + 2 * k) % completions));
    }
    data.add_list(prompt_of(i), ranked);
  }
  return data;
}

/// Numbers from -1/2 to 3/4, in steps of 1/8: exact as float.
template <class T>
std::vector<T> values(std::size_t count) {
  std::vector<T> out;
  for (std::size_t k = 0; k < count; ++k) out.push_back(static_cast<T>(k * 37 % 11) / 8 - T(0.5));
  return out;
}

template <class P>
P policy();

template <>
inline prefer::tabular<float> policy() {
  return {prompts, completions, values<float>(prompts * completions)};
}
template <>
inline prefer::tabular<double> policy() {
  return {prompts, completions, values<double>(prompts * completions)};
}
template <>
inline prefer::log_linear<double> policy() {
  return {prompts, completions, 7, values<double>(prompts * completions * 7)};
}
template <>
inline prefer::matrix_factorization<float> policy() {
  prefer::matrix_factorization<float> out(prompts, completions, 9);
  for (auto& each : out.parameters()) {
    auto const from = values<float>(each.value.size());
    std::copy(from.begin(), from.end(), each.value.begin());
  }
  return out;
}

/// All parameters of a policy, one after another.
template <class P>
std::vector<typename P::value_type> state_of(P& policy) {
  std::vector<typename P::value_type> out;
  for (auto const& each : policy.parameters()) {
    out.insert(out.end(), each.value.begin(), each.value.end());
  }
  return out;
}

/// AdamW whose step is learning_rate / gradient_descent_scale * gradient to 1e-8: without memory, and
/// epsilon so large that the root of the squared gradient does not count beside it.
inline constexpr double gradient_descent_scale = 1e8;
inline constexpr prefer::adamw_options gradient_descent = {
    .beta1 = 0, .beta2 = 0, .epsilon = gradient_descent_scale};

using prefer::test::message_of;

}  // namespace small
