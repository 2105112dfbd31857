// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/trainer.hpp>

#include "train/small_problem.hpp"

namespace small {

/// Rows in batches of 7, so that no number of processes divides every batch: 7, 7, 7 and 6 rows.
inline constexpr std::size_t rows = 27;
inline constexpr prefer::train_options for_processes = {.batch_size = 7,
                                                        .epochs = 2,
                                                        .rate = 0.3 * gradient_descent_scale,
                                                        .optimizer = gradient_descent,
                                                        .max_gradient_norm = 0.5};

/// Blocks of parameters for up to six processes: 12,000 numbers, 10,000 and a few.
inline prefer::matrix_factorization<float> wide_policy() {
  prefer::matrix_factorization<float> out(prompts, completions, 2000);
  for (auto& each : out.parameters()) {
    auto const from = values<float>(each.value.size());
    for (std::size_t i = 0; i != from.size(); ++i) each.value[i] = from[i] / 16;
  }
  return out;
}

/// A policy near which another is held, so that log-ratios are not 0: half of every parameter.
template <class P>
P half_of(P policy) {
  for (auto const& each : policy.parameters()) {
    for (auto& value : each.value) value = value / 2;
  }
  return policy;
}

template <class T>
struct course {
  std::vector<T> parameters;
  std::vector<prefer::step_report> reports;
};

/// A whole run of this process; with `single_process` the run that others are compared with.
template <class P, class L>
course<typename P::value_type> course_of(P policy, L const& loss, prefer::choice_data const& data,
                                         prefer::train_options const& how, auto const& processes) {
  auto reference = prefer::frozen(half_of(policy));
  prefer::trainer training(policy, loss, reference, data, how, {}, processes);
  course<typename P::value_type> out;
  training.run([&](prefer::step_report const& report) { out.reports.push_back(report); });
  out.parameters = state_of(policy);
  return out;
}

}  // namespace small
