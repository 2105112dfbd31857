// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/model/choice_ids.hpp>
#include <prefer/model/matrix_product.hpp>
#include <prefer/model/softmax.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/policy.hpp>

namespace prefer::inline v0_1 {

/// A softmax over a linear function of known features: the policy class of the theory of preference optimization.
///
///   logit(x, y)    = sum_f features[x, y, f] * weight[f]
///   log_prob(x, y) = logit(x, y) - log sum_y' exp(logit(x, y'))
///
/// Features are [prompts, completions, F], or [completions, F] when they do not depend on the prompt; the policy owns
/// them.
///
/// Parameters  "weight" [F], initially 0, which is the uniform policy
/// Errors      precondition_error for an id out of range, a batch whose shapes disagree, a column that is not one
///             number per completion; NaN and infinity flow through
template <std::floating_point T = float>
class log_linear {
 public:
  using value_type = T;

  log_linear(std::size_t prompts, std::size_t completions, std::size_t features_per_completion,
             std::vector<T> features)
      : prompts_(prompts),
        completions_(completions),
        width_(features_per_completion),
        features_(static_cast<std::vector<T>&&>(features)),
        weight_(width_),
        gradient_(width_) {
    expects(prompts > 0, "log_linear: prompts must be greater than zero");
    expects(completions > 0, "log_linear: completions must be greater than zero");
    expects(width_ > 0, "log_linear: features_per_completion must be greater than zero");
    std::size_t const shared = completions_ * width_;
    if (features_.size() != shared && features_.size() != prompts_ * shared) {
      detail::broken("log_linear: features has " + std::to_string(features_.size()) +
                     " elements, expected " + std::to_string(shared) +
                     " (the same for every prompt) or " + std::to_string(prompts_ * shared));
    }
    rows_ = features_.size() / shared;
    group_ = rows_ < 64 ? rows_ : 64;
    normaliser_.resize(rows_);
    in_batch_ = detail::id_set(rows_);
    sums_ = detail::coefficient_sums(rows_);
    logit_.resize(group_ * completions_);
    expected_.resize(group_ * width_);
    list_.reserve(rows_);
  }

  [[nodiscard]] std::size_t prompts() const { return prompts_; }
  [[nodiscard]] std::size_t completions() const { return completions_; }
  [[nodiscard]] std::size_t features_per_completion() const { return width_; }
  [[nodiscard]] std::vector<parameter<T>> parameters() {
    return {{.name = "weight", .value = weight_, .gradient = gradient_, .shape = {width_}}};
  }
  /// Of the features.
  [[nodiscard]] std::uint64_t identity() const {
    return fingerprint()
        .add("log_linear")
        .add(prompts_)
        .add(completions_)
        .add(std::span<T const>(features_))
        .value();
  }
  void use(executor threads) { threads_ = threads; }

  void log_prob(choice_batch const& batch, std::span<T> out) {
    detail::expects_choices(batch, out.size(), prompts_, completions_, "log_linear::log_prob");
    for (auto const prompt : batch.prompt) in_batch_.insert(row_of(prompt));
    list_.clear();
    in_batch_.drain([&](std::size_t row) { list_.push_back({row, 0.0}); });
    for (std::size_t first = 0; first < list_.size(); first += group_) {
      std::size_t const count = detail::at_most(group_, list_.size() - first);
      threads_.for_each_chunk(count, [&](std::size_t i) {
        std::size_t const row = list_[first + i].row;
        normaliser_[row] = normalise(std::span<T const>(logits(row, i)));
      });
    }
    for_each(batch, [&](std::size_t i, std::size_t row, std::size_t y) {
      out[i] = normaliser_[row].log_prob(logit_of(row, y));
    });
  }

  void backward(choice_batch const& batch, std::span<T const> coefficient) {
    backward_logit(batch, coefficient);
    for_each(batch, [&](std::size_t i, std::size_t row, std::size_t) {
      sums_.add(row, static_cast<double>(coefficient[i]));
    });
  }

  void finish_backward() {
    list_.clear();
    sums_.drain([&](std::size_t row, double a) { list_.push_back({row, a}); });
    for (std::size_t first = 0; first < list_.size(); first += group_) {
      std::size_t const count = detail::at_most(group_, list_.size() - first);
      threads_.for_each_chunk(count, [&](std::size_t i) { expect_features(list_[first + i], i); });
      for (std::size_t i = 0; i != count; ++i) {
        detail::add_scaled(gradient_.data(), T(-1), expected_.data() + i * width_, width_);
      }
    }
  }

  void logit(choice_batch const& batch, std::span<T> out) {
    detail::expects_choices(batch, out.size(), prompts_, completions_, "log_linear::logit");
    for_each(batch,
             [&](std::size_t i, std::size_t row, std::size_t y) { out[i] = logit_of(row, y); });
  }

  void backward_logit(choice_batch const& batch, std::span<T const> coefficient) {
    detail::expects_choices(batch, coefficient.size(), prompts_, completions_,
                            "log_linear::backward");
    for_each(batch, [&](std::size_t i, std::size_t row, std::size_t y) {
      detail::add_scaled(gradient_.data(), coefficient[i], features_of(row, y), width_);
    });
  }

  /// Log-probabilities of every completion of one prompt, the same bits as from a batch.
  void log_probs(std::uint32_t prompt, std::span<T> out) const {
    detail::expects_row(prompt, out.size(), prompts_, completions_, "log_linear::log_probs");
    for (std::size_t y = 0; y != completions_; ++y) out[y] = logit_of(row_of(prompt), y);
    auto const normaliser = normalise(std::span<T const>(out));
    for (T& each : out) each = normaliser.log_prob(each);
  }

 private:
  struct row_sum {
    std::size_t row;
    double coefficient;
  };

  // Prompts with the same features have one row of logits between them.
  [[nodiscard]] std::size_t row_of(std::size_t prompt) const { return rows_ == 1 ? 0 : prompt; }
  [[nodiscard]] T const* features_of(std::size_t row, std::size_t y) const {
    return features_.data() + (row * completions_ + y) * width_;
  }
  [[nodiscard]] T logit_of(std::size_t row, std::size_t y) const {
    return detail::dot(features_of(row, y), weight_.data(), width_);
  }

  void for_each(choice_batch const& batch, auto&& f) const {
    for (std::size_t g = 0; g != batch.size(); ++g) {
      for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
        f(i, row_of(batch.prompt[g]), static_cast<std::size_t>(batch.completion[i]));
      }
    }
  }

  // Logits of a whole row, in place i of the group's working memory.
  std::span<T> logits(std::size_t row, std::size_t i) {
    auto const out = std::span<T>(logit_).subspan(i * completions_, completions_);
    for (std::size_t y = 0; y != completions_; ++y) out[y] = logit_of(row, y);
    return out;
  }

  // coefficient * sum_y softmax_y features_y
  void expect_features(row_sum const& of, std::size_t i) {
    auto const logit = logits(of.row, i);
    auto const normaliser = normalise(std::span<T const>(logit));
    exponentiate(logit, normaliser.max);
    auto const scale = static_cast<T>(of.coefficient / static_cast<double>(normaliser.sum));
    T* const expected = expected_.data() + i * width_;
    for (std::size_t f = 0; f != width_; ++f) expected[f] = 0;
    for (std::size_t y = 0; y != completions_; ++y) {
      detail::add_scaled(expected, scale * logit[y], features_of(of.row, y), width_);
    }
  }

  std::size_t prompts_;
  std::size_t completions_;
  std::size_t width_;
  std::size_t rows_ = 1;
  std::size_t group_ = 1;
  std::vector<T> features_;  // [rows, completions, width]
  std::vector<T> weight_;
  std::vector<T> gradient_;
  std::vector<softmax_normaliser<T>> normaliser_;  // [rows], those of the last batch
  detail::id_set in_batch_;
  detail::coefficient_sums sums_;
  std::vector<row_sum> list_;
  std::vector<T> logit_;     // [group, completions]
  std::vector<T> expected_;  // [group, width]
  executor threads_;
};

}  // namespace prefer::inline v0_1
