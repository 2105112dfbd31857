// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <prefer/batch/choices.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/policy/parameter.hpp>
#include <span>
#include <vector>

/// A table with an adapter: logits = base + adapter. The base is frozen, and copies share it.
class adapted {
 public:
  using value_type = double;

  explicit adapted(prefer::tabular<double> base)
      : base_(std::make_shared<prefer::tabular<double>>(std::move(base))),
        sum_(*base_),
        adapter_(sum_.parameters()[0].value.size()),
        gradient_(adapter_.size()) {}

  void log_prob(prefer::choice_batch const& batch, std::span<double> out) {
    add_up();
    sum_.log_prob(batch, out);
  }
  void base_log_prob(prefer::choice_batch const& batch, std::span<double> out) {
    base_->log_prob(batch, out);
  }
  void backward(prefer::choice_batch const& batch, std::span<double const> coefficient) {
    sum_.backward(batch, coefficient);
  }
  void finish_backward() {
    sum_.finish_backward();
    auto const from = sum_.parameters()[0].gradient;
    for (std::size_t i = 0; i < from.size(); ++i) {
      gradient_[i] += from[i];
      from[i] = 0;
    }
  }
  std::vector<prefer::parameter<double>> parameters() {
    return {{.name = "base", .value = base_->parameters()[0].value, .gradient = {}, .frozen = true},
            {.name = "adapter", .value = adapter_, .gradient = gradient_}};
  }

 private:
  void add_up() {
    auto const to = sum_.parameters()[0].value;
    auto const base = base_->parameters()[0].value;
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = base[i] + adapter_[i];
  }

  std::shared_ptr<prefer::tabular<double>> base_;
  prefer::tabular<double> sum_;
  std::vector<double> adapter_;
  std::vector<double> gradient_;
};
