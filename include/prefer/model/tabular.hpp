// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/model/choice_ids.hpp>
#include <prefer/model/softmax.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/policy.hpp>

namespace prefer::inline v0_1 {

/// A table with one logit for every prompt and completion: the policy without an assumption, for which what a loss does
/// can be computed exactly.
///
///   logit(x, y)    = logits[x, y]
///   log_prob(x, y) = logit(x, y) - log sum_y' exp(logit(x, y'))
///
/// Parameters  "logits" [prompts, completions], initially 0, which is the uniform policy
/// Errors      precondition_error for an id out of range, a batch whose shapes disagree, a column that is not one
///             number per completion; NaN and infinity in the logits flow through
template <std::floating_point T = float>
class tabular {
 public:
  using value_type = T;

  tabular(std::size_t prompts, std::size_t completions)
      : tabular(prompts, completions, std::vector<T>(prompts * completions)) {}
  tabular(std::size_t prompts, std::size_t completions, std::vector<T> logits)
      : prompts_(prompts),
        completions_(completions),
        logits_(static_cast<std::vector<T>&&>(logits)),
        gradient_(logits_.size()),
        normaliser_(prompts),
        in_batch_(prompts),
        sums_(prompts) {
    expects(prompts > 0, "tabular: prompts must be greater than zero");
    expects(completions > 0, "tabular: completions must be greater than zero");
    expects_size(logits_.size(), prompts * completions, "tabular", "logits");
    rows_.reserve(prompts);
  }

  [[nodiscard]] std::size_t prompts() const { return prompts_; }
  [[nodiscard]] std::size_t completions() const { return completions_; }
  [[nodiscard]] std::vector<parameter<T>> parameters() {
    return {{.name = "logits",
             .value = logits_,
             .gradient = gradient_,
             .shape = {prompts_, completions_}}};
  }
  void use(executor threads) { threads_ = threads; }

  void log_prob(choice_batch const& batch, std::span<T> out) {
    detail::expects_choices(batch, out.size(), prompts_, completions_, "tabular::log_prob");
    for (auto const prompt : batch.prompt) in_batch_.insert(prompt);
    list_rows([&](auto add) { in_batch_.drain([&](std::size_t x) { add(x, 0.0); }); });
    threads_.for_each_block(rows_.size(), rows_per_block(),
                            [&](std::size_t begin, std::size_t end) {
                              for (std::size_t r = begin; r != end; ++r) {
                                normaliser_[rows_[r].prompt] = normalise(row(rows_[r].prompt));
                              }
                            });
    for (std::size_t g = 0; g != batch.size(); ++g) {
      std::size_t const x = batch.prompt[g];
      for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
        out[i] = normaliser_[x].log_prob(logits_[x * completions_ + batch.completion[i]]);
      }
    }
  }

  void backward(choice_batch const& batch, std::span<T const> coefficient) {
    backward_logit(batch, coefficient);
    for (std::size_t g = 0; g != batch.size(); ++g) {
      for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
        sums_.add(batch.prompt[g], static_cast<double>(coefficient[i]));
      }
    }
  }

  void finish_backward() {
    list_rows([&](auto add) { sums_.drain(add); });
    threads_.for_each_block(
        rows_.size(), rows_per_block(), [&](std::size_t begin, std::size_t end) {
          for (std::size_t r = begin; r != end; ++r) {
            auto const [x, a] = rows_[r];
            auto const normaliser = normalise(row(x));
            add_exponentials(row(x), normaliser.max,
                             static_cast<T>(-a / static_cast<double>(normaliser.sum)),
                             std::span<T>(gradient_).subspan(x * completions_, completions_));
          }
        });
  }

  void logit(choice_batch const& batch, std::span<T> out) {
    detail::expects_choices(batch, out.size(), prompts_, completions_, "tabular::logit");
    for (std::size_t g = 0; g != batch.size(); ++g) {
      for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
        out[i] = logits_[batch.prompt[g] * completions_ + batch.completion[i]];
      }
    }
  }

  void backward_logit(choice_batch const& batch, std::span<T const> coefficient) {
    detail::expects_choices(batch, coefficient.size(), prompts_, completions_, "tabular::backward");
    for (std::size_t g = 0; g != batch.size(); ++g) {
      for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
        gradient_[batch.prompt[g] * completions_ + batch.completion[i]] += coefficient[i];
      }
    }
  }

  /// Log-probabilities of every completion of one prompt, the same bits as from a batch.
  void log_probs(std::uint32_t prompt, std::span<T> out) const {
    detail::expects_row(prompt, out.size(), prompts_, completions_, "tabular::log_probs");
    auto const logits = row(prompt);
    auto const normaliser = normalise(logits);
    for (std::size_t y = 0; y != completions_; ++y) out[y] = normaliser.log_prob(logits[y]);
  }

 private:
  struct row_sum {
    std::size_t prompt;
    double coefficient;
  };

  [[nodiscard]] std::span<T const> row(std::size_t prompt) const {
    return std::span<T const>(logits_).subspan(prompt * completions_, completions_);
  }
  // Enough work per block to be worth a thread's attention.
  [[nodiscard]] std::size_t rows_per_block() const { return 8192 / completions_ + 1; }

  void list_rows(auto&& from) {
    rows_.clear();
    from([&](std::size_t prompt, double a) { rows_.push_back({prompt, a}); });
  }

  std::size_t prompts_;
  std::size_t completions_;
  std::vector<T> logits_;                          // [prompts, completions]
  std::vector<T> gradient_;                        // [prompts, completions]
  std::vector<softmax_normaliser<T>> normaliser_;  // [prompts], those of the last batch
  detail::id_set in_batch_;
  detail::coefficient_sums sums_;
  std::vector<row_sum> rows_;
  executor threads_;
};

}  // namespace prefer::inline v0_1
