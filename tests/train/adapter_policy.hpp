// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/policy/parameter.hpp>

namespace small {

/// A frozen base and an adapter that is trained, both stored as float, with log-probabilities in double:
///
///   log_prob(y) = log softmax(base + adapter)_y
///
/// It works on a copy of base + adapter that it makes when it is told that parameters have moved.
class adapter_policy {
 public:
  using value_type = double;
  using parameter_type = float;

  explicit adapter_policy(std::vector<float> base)
      : base_(std::move(base)), adapter_(base_.size()), gradient_(base_.size()) {
    parameters_moved();
    times_moved = 0;
  }

  void log_prob(prefer::choice_batch const& batch, std::span<double> out) {
    double const normaliser = log_sum();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = sum_[batch.completion[i]] - normaliser;
  }
  void backward(prefer::choice_batch const& batch, std::span<double const> coefficient) {
    double const normaliser = log_sum();
    for (std::size_t i = 0; i < coefficient.size(); ++i) {
      for (std::size_t y = 0; y < sum_.size(); ++y) {
        double const p = std::exp(sum_[y] - normaliser);
        gradient_[y] +=
            static_cast<float>(coefficient[i] * ((y == batch.completion[i] ? 1.0 : 0.0) - p));
      }
    }
  }
  void parameters_moved() {
    sum_.clear();
    for (std::size_t y = 0; y < base_.size(); ++y) sum_.push_back(double{base_[y]} + adapter_[y]);
    ++times_moved;
  }
  /// The prompt has as many tokens as its number, each completion one.
  void group_tokens(prefer::choice_batch const& batch, std::vector<std::size_t>& out) {
    out.clear();
    for (std::size_t g = 0; g < batch.size(); ++g) {
      out.push_back(batch.prompt[g] + batch.offset[g + 1] - batch.offset[g]);
    }
  }

  /// The base alone, for a reference.
  void log_prob_without_adapter(prefer::choice_batch const& batch, std::span<double> out) {
    double total = 0.0;
    for (float const each : base_) total += std::exp(double{each});
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = double{base_[batch.completion[i]]} - std::log(total);
    }
  }

  std::vector<prefer::parameter<float>> parameters() {
    return {
        {.name = "base", .value = base_, .gradient = {}, .frozen = true, .shape = {base_.size()}},
        {.name = "adapter", .value = adapter_, .gradient = gradient_, .shape = shape}};
  }

  std::size_t times_moved = 0;
  prefer::tensor_shape shape = {};

 private:
  [[nodiscard]] double log_sum() const {
    double total = 0.0;
    for (double const each : sum_) total += std::exp(each);
    return std::log(total);
  }

  std::vector<float> base_, adapter_, gradient_;
  std::vector<double> sum_;
};

}  // namespace small
