// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/reference/moving_average.hpp>

#include "exact.hpp"

namespace sweep {

/// Plain gradient descent of any policy over an exact problem's completions.
///
/// Reference `ema` is a moving average of the policy itself, a hundredth of which it takes in after every step.
template <class P>
  requires prefer::Policy<P, prefer::choice_batch>
class exact_learner final : public learner {
 public:
  /// `step_share`: what a step for one logit per completion is multiplied by. `reference_policy` has the
  /// reference's probabilities, for what is read of tokens.
  exact_learner(std::shared_ptr<exact_problem const> of, P policy, std::string const& reference,
                double step_share, std::optional<P> reference_policy = {})
      : problem_(std::move(of)),
        policy_(std::move(policy)),
        parameters_(policy_.parameters()),
        step_share_(step_share),
        reference_policy_(std::move(reference_policy)),
        pairs_(problem_->completions()),
        numbers_(problem_->completions().size()) {
    if (reference == "ema") {
      average_.emplace(policy_, prefer::ema{});
    } else if (auto const found = problem_->all().reference.find(reference);
               found != problem_->all().reference.end()) {
      fixed_ = &found->second;
    }
  }

  void log_prob(std::span<double> chosen, std::span<double> rejected) override {
    policy_.log_prob(pairs_.batch(), numbers_);
    split(numbers_, chosen, rejected);
  }
  void reference_log_prob(std::span<double> chosen, std::span<double> rejected) override {
    reference_numbers();
    split(numbers_, chosen, rejected);
  }
  [[nodiscard]] bool reference_moves() const override { return average_.has_value(); }

  /// With one prompt, no other prompt's completion is there: the next pair's stands for it.
  void kl_log_prob(std::span<double> policy, std::span<double> reference) override {
    std::size_t const n = numbers_.size();
    policy_.log_prob(pairs_.batch(), numbers_);
    for (std::size_t i = 0; i < n; ++i) policy[i] = numbers_[(i + 2) % n];
    reference_numbers();
    for (std::size_t i = 0; i < n; ++i) reference[i] = numbers_[(i + 2) % n];
  }

  void read_tokens(prefer::column_set wanted, double perturbation, token_numbers& out) override {
    if constexpr (prefer::BigramReference<P, double>) {
      using prefer::column_name;
      auto const batch = pairs_.batch();
      auto const room = [&](column_name name) {
        return numbers(wanted.contains(name) ? numbers_.size() : 0);
      };
      auto alignment = room(column_name::alignment);
      policy_.evaluate(batch, {.alignment = alignment});
      auto divergence = room(column_name::divergence);
      auto toward = room(column_name::perturbed_toward);
      auto away = room(column_name::perturbed_away);
      with_reference_policy([&](auto const& reference) {
        policy_.evaluate(batch,
                         {.divergence = divergence,
                          .perturbed_toward = toward,
                          .perturbed_away = away,
                          .perturbation = perturbation},
                         reference);
      });
      auto const fill = [&](sides& to, numbers const& from) {
        to.chosen.resize(from.size() / 2);
        to.rejected.resize(from.size() / 2);
        split(from, to.chosen, to.rejected);
      };
      fill(out.alignment, alignment);
      fill(out.divergence, divergence);
      fill(out.perturbed_toward, toward);
      fill(out.perturbed_away, away);
    } else {
      (void)perturbation;
      (void)out;
      prefer::expects(wanted == prefer::column_set{}, "exact_learner: this policy has no tokens");
    }
  }

  void descend(pair_gradient const& slope, double step) override {
    // Side by side, opposite coefficients add up to exactly 0, which spares a policy the gradient of its
    // normaliser.
    side_by_side(slope.chosen, slope.rejected);
    for (auto const& each : parameters_) {
      for (double& g : each.gradient) g = 0.0;
    }
    policy_.backward(pairs_.batch(), numbers_);
    if constexpr (prefer::BigramReference<P, double>) {
      if (!slope.chosen_divergence.empty()) {
        side_by_side(slope.chosen_divergence, slope.rejected_divergence);
        with_reference_policy([&](auto const& reference) {
          policy_.backward(pairs_.batch(), {.divergence = numbers_}, reference);
        });
      }
    }
    if constexpr (requires { policy_.finish_backward(); }) policy_.finish_backward();
    for (auto const& each : parameters_) {
      for (std::size_t i = 0; i < each.value.size(); ++i) {
        each.value[i] -= step_share_ * step * each.gradient[i];
      }
    }
    ++steps_;
    if (average_) average_->after_step(policy_, steps_);
  }

  [[nodiscard]] judgement judge() override {
    numbers const all = every_log_prob();
    if (!average_) return problem_->judge(all, fixed_);
    numbers reference(all.size());
    average_->log_prob(every().batch(), std::span(reference));
    return problem_->judge(all, &reference);
  }
  [[nodiscard]] numbers every_log_prob() override {
    numbers all(problem_->all().start.size());
    policy_.log_prob(every().batch(), all);
    return all;
  }

 private:
  /// Completions of prompt 0 as one list.
  struct list {
    list() = default;
    explicit list(std::vector<std::uint32_t> completions)
        : completion(std::move(completions)), offset{0, completion.size()} {}
    [[nodiscard]] prefer::choice_batch batch() const { return {prompt, completion, offset}; }

    std::vector<std::uint32_t> prompt = {0};
    std::vector<std::uint32_t> completion;
    std::vector<std::size_t> offset;
  };

  /// All completions that there are; made when somebody judges.
  [[nodiscard]] list every() const {
    std::vector<std::uint32_t> all(problem_->all().start.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint32_t>(i);
    return list(std::move(all));
  }

  void reference_numbers() {
    if (average_) {
      average_->log_prob(pairs_.batch(), std::span(numbers_));
    } else {
      for (std::size_t i = 0; i < numbers_.size(); ++i) {
        numbers_[i] = fixed_ == nullptr ? 0.0 : (*fixed_)[problem_->completions()[i]];
      }
    }
  }

  void with_reference_policy(auto&& use) const {
    if (average_) {
      use(*average_);
    } else if (reference_policy_) {
      use(*reference_policy_);
    }
  }

  void side_by_side(std::span<double const> chosen, std::span<double const> rejected) {
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      numbers_[2 * i] = chosen[i];
      numbers_[2 * i + 1] = rejected[i];
    }
  }

  static void split(numbers const& from, std::span<double> chosen, std::span<double> rejected) {
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      chosen[i] = from[2 * i];
      rejected[i] = from[2 * i + 1];
    }
  }

  std::shared_ptr<exact_problem const> problem_;
  P policy_;
  std::vector<prefer::parameter<double>> parameters_;  // views of policy_
  double step_share_;
  std::optional<P> reference_policy_;
  numbers const* fixed_ = nullptr;  // log_prob under a reference that stays; null for none
  std::optional<prefer::moving_average<P, prefer::ema>> average_;
  std::uint64_t steps_ = 0;
  list pairs_;
  numbers numbers_;  // one per completion of pairs_
};

}  // namespace sweep
