// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/choice_ids.hpp>
#include <prefer/policy/matrix_product.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/policy/softmax.hpp>

namespace prefer {

/// Matrix factorization with a softmax over all items: a recommender as a policy. The prompt is a user, the
/// completion an item.
///
///   score(u, i)    = sum_f user[u, f] * item[i, f] + bias[i]
///   log_prob(u, i) = score(u, i) - log sum_i' exp(score(u, i'))
///
/// Parameters  "user" [users, factors], "item" [items, factors], "bias" [items], initially 0; user or item
///             must be filled with something else before training, or neither moves
/// Errors      precondition_error for an id out of range, a batch whose shapes disagree, a column that is
///             not one number per completion; NaN and infinity flow through
template <std::floating_point T = float>
class factorized {
 public:
  using value_type = T;

  factorized(std::size_t users, std::size_t items, std::size_t factors)
      : users_(users),
        items_(items),
        factors_(factors),
        user_(users * factors),
        item_(items * factors),
        bias_(items),
        user_gradient_(users * factors),
        item_gradient_(items * factors),
        bias_gradient_(items),
        in_batch_(users),
        sums_(users) {}

  [[nodiscard]] std::size_t prompts() const { return users_; }
  [[nodiscard]] std::size_t completions() const { return items_; }
  [[nodiscard]] std::size_t factors() const { return factors_; }
  [[nodiscard]] std::vector<parameter<T>> parameters() {
    return {{.name = "user", .value = user_, .gradient = user_gradient_},
            {.name = "item", .value = item_, .gradient = item_gradient_},
            {.name = "bias", .value = bias_, .gradient = bias_gradient_}};
  }
  void use(executor threads) { threads_ = threads; }

  void log_prob(choice_batch const& batch, std::span<T> out) {
    detail::expects_choices(batch, out.size(), users_, items_, "factorized::log_prob");
    std::vector<softmax_normaliser<T>> normaliser(users_);
    std::vector<T> row(items_);
    for (auto const u : batch.prompt) in_batch_.insert(u);
    in_batch_.drain([&](std::size_t u) {
      for (std::size_t i = 0; i != items_; ++i) row[i] = score_of(u, i);
      normaliser[u] = normalise(std::span<T const>(row));
    });
    for_each(batch, [&](std::size_t n, std::size_t u, std::size_t i) {
      out[n] = normaliser[u].log_prob(score_of(u, i));
    });
  }

  void backward(choice_batch const& batch, std::span<T const> coefficient) {
    backward_score(batch, coefficient);
    for_each(batch, [&](std::size_t n, std::size_t u, std::size_t) {
      sums_.add(u, static_cast<double>(coefficient[n]));
    });
  }

  void finish_backward() {
    std::vector<T> row(items_);
    sums_.drain([&](std::size_t u, double a) {
      for (std::size_t i = 0; i != items_; ++i) row[i] = score_of(u, i);
      auto const normaliser = normalise(std::span<T const>(row));
      exponentiate(std::span<T>(row), normaliser.max);
      auto const scale = static_cast<T>(-a / static_cast<double>(normaliser.sum));
      for (std::size_t i = 0; i != items_; ++i) add_one(u, i, scale * row[i]);
    });
  }

  void score(choice_batch const& batch, std::span<T> out) {
    detail::expects_choices(batch, out.size(), users_, items_, "factorized::score");
    for_each(batch, [&](std::size_t n, std::size_t u, std::size_t i) { out[n] = score_of(u, i); });
  }

  void backward_score(choice_batch const& batch, std::span<T const> coefficient) {
    detail::expects_choices(batch, coefficient.size(), users_, items_, "factorized::backward");
    for_each(batch, [&](std::size_t n, std::size_t u, std::size_t i) {
      add_one(u, i, coefficient[n]);
    });
  }

  /// Sets the gradients to 0, in time that grows with the rows touched and not with all rows.
  void clear_gradient() {
    user_gradient_.assign(user_gradient_.size(), T(0));
    item_gradient_.assign(item_gradient_.size(), T(0));
    bias_gradient_.assign(bias_gradient_.size(), T(0));
  }

  /// Log-probabilities of every item for one user, the same bits as from a batch.
  void log_probs(std::uint32_t prompt, std::span<T> out) {
    detail::expects_row(prompt, out.size(), users_, items_, "factorized::log_probs");
    for (std::size_t i = 0; i != items_; ++i) out[i] = score_of(prompt, i);
    auto const normaliser = normalise(std::span<T const>(out));
    for (T& each : out) each = normaliser.log_prob(each);
  }
  /// The same for several users: out is [prompts, completions()]. Much faster than one by one.
  void log_probs(std::span<std::uint32_t const> prompts, std::span<T> out) {
    expects_size(out.size(), prompts.size() * items_, "factorized::log_probs", "out");
    for (std::size_t r = 0; r != prompts.size(); ++r) log_probs(prompts[r], out.subspan(r * items_, items_));
  }

 private:
  [[nodiscard]] T score_of(std::size_t u, std::size_t i) const {
    return detail::dot(user_.data() + u * factors_, item_.data() + i * factors_, factors_) + bias_[i];
  }
  void add_one(std::size_t u, std::size_t i, T c) {
    detail::add_scaled(user_gradient_.data() + u * factors_, c, item_.data() + i * factors_, factors_);
    detail::add_scaled(item_gradient_.data() + i * factors_, c, user_.data() + u * factors_, factors_);
    bias_gradient_[i] += c;
  }
  void for_each(choice_batch const& batch, auto&& f) const {
    for (std::size_t g = 0; g != batch.size(); ++g) {
      for (std::size_t n = batch.offset[g]; n != batch.offset[g + 1]; ++n) {
        f(n, static_cast<std::size_t>(batch.prompt[g]), static_cast<std::size_t>(batch.completion[n]));
      }
    }
  }

  std::size_t users_;
  std::size_t items_;
  std::size_t factors_;
  std::vector<T> user_;
  std::vector<T> item_;
  std::vector<T> bias_;
  std::vector<T> user_gradient_;
  std::vector<T> item_gradient_;
  std::vector<T> bias_gradient_;
  detail::id_set in_batch_;
  detail::coefficient_sums sums_;
  executor threads_;
};

static_assert(ScoringPolicy<factorized<float>, choice_batch>);

}  // namespace prefer
