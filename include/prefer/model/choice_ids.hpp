// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1::detail {

/// Throws precondition_error unless the batch's shapes agree, a value per completion goes with it, and every id is
/// below its limit. `where` is the caller's name.
template <class = on_demand>
void expects_choices(choice_batch const& batch, std::size_t values, std::size_t prompts,
                     std::size_t completions, char const* where) {
  expects_size(batch.offset.size(), batch.size() + 1, where, "batch.offset");
  expects_size(values, batch.completions(), where, "the column of values");
  expects_size(batch.offset.front(), 0, where,
               "the part of batch.completion before its first group");
  expects_size(batch.offset.back(), batch.completions(), where, "the batch up to its last offset");
  for (std::size_t g = 0; g != batch.size(); ++g) {
    if (batch.prompt[g] >= prompts) {
      broken(std::string(where) + ": prompt of group " + std::to_string(g) + " is " +
             std::to_string(batch.prompt[g]) + ", expected less than " + std::to_string(prompts));
    }
    if (batch.offset[g] > batch.offset[g + 1]) {
      broken(std::string(where) + ": offset falls from " + std::to_string(batch.offset[g]) +
             " to " + std::to_string(batch.offset[g + 1]) + " in group " + std::to_string(g));
    }
  }
  for (std::size_t i = 0; i != batch.completions(); ++i) {
    if (batch.completion[i] >= completions) {
      broken(std::string(where) + ": completion " + std::to_string(i) + " is " +
             std::to_string(batch.completion[i]) + ", expected less than " +
             std::to_string(completions));
    }
  }
}

/// Throws precondition_error unless `prompt` is a prompt and `values` one number per completion.
template <class = on_demand>
void expects_row(std::size_t prompt, std::size_t values, std::size_t prompts,
                 std::size_t completions, char const* where) {
  if (prompt >= prompts) {
    broken(std::string(where) + ": prompt is " + std::to_string(prompt) + ", expected less than " +
           std::to_string(prompts));
  }
  expects_size(values, completions, where, "out");
}

/// A set of numbers below a fixed limit. Lists its members in ascending order without a sort, and does not allocate
/// after construction.
template <class = on_demand>
class basic_id_set {
 public:
  basic_id_set() = default;
  explicit basic_id_set(std::size_t limit) : words_(limit / 64 + 1) {}

  void insert(std::size_t id) { words_[id / 64] |= std::uint64_t{1} << (id % 64); }

  /// Calls f(id) for every member in ascending order, and leaves the set empty.
  template <class F>
  void drain(F&& f) {
    for (std::size_t w = 0; w != words_.size(); ++w) {
      for (std::uint64_t word = words_[w]; word != 0; word &= word - 1) {
        f(w * 64 + static_cast<std::size_t>(std::countr_zero(word)));
      }
      words_[w] = 0;
    }
  }

 private:
  std::vector<std::uint64_t> words_;
};
using id_set = basic_id_set<>;

/// What backward has to remember of a softmax: the sum of coefficients of each prompt.
///
///   d sum_i c_i log_prob_i / d score_j = sum over i with completion j of c_i  -  a * softmax_j,
///   a = sum_i c_i
///
/// The first part touches the rows of a batch's completions; the second every completion, but once per prompt. Sums are
/// in example order, so no cut into micro-batches changes them, and where coefficients of chosen and rejected are
/// opposite they are exactly 0 and the second part is left out.
template <class = on_demand>
class basic_coefficient_sums {
 public:
  basic_coefficient_sums() = default;
  explicit basic_coefficient_sums(std::size_t prompts) : sum_(prompts), seen_(prompts) {}

  void add(std::size_t prompt, double coefficient) {
    seen_.insert(prompt);
    sum_[prompt] += coefficient;
  }
  /// Calls f(prompt, sum) for every prompt whose sum is not 0, in ascending order, and starts again.
  template <class F>
  void drain(F&& f) {
    seen_.drain([&](std::size_t prompt) {
      double const sum = sum_[prompt];
      sum_[prompt] = 0;
      if (sum != 0) f(prompt, sum);
    });
  }

 private:
  std::vector<double> sum_;
  id_set seen_;
};
using coefficient_sums = basic_coefficient_sums<>;

}  // namespace prefer::inline v0_1::detail
