// SPDX-License-Identifier: MIT
#include "bandit.hpp"

#include <algorithm>

#include <prefer/expects.hpp>
#include <prefer/policy/tabular.hpp>

namespace sweep {

namespace {

constexpr double start_spread = 1.2;
constexpr double reference_tilt = 0.7;

class bandit_problem final : public exact_problem,
                             public std::enable_shared_from_this<bandit_problem> {
 public:
  using exact_problem::exact_problem;
  [[nodiscard]] std::unique_ptr<learner> start() const override;
};

class bandit_learner final : public learner {
 public:
  explicit bandit_learner(std::shared_ptr<bandit_problem const> of)
      : problem_(std::move(of)),
        policy_(1, problem_->all().start.size(), problem_->all().start),
        logits_(policy_.parameters().front()),
        offset_{0, problem_->completions().size()},
        numbers_(problem_->completions().size()) {}

  void log_prob(std::span<double> chosen, std::span<double> rejected) override {
    policy_.log_prob(batch(), numbers_);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      chosen[i] = numbers_[2 * i];
      rejected[i] = numbers_[2 * i + 1];
    }
  }
  void descend(std::span<double const> chosen, std::span<double const> rejected,
               double step) override {
    // Side by side, opposite coefficients add up to exactly 0, which spares the policy the gradient of its
    // normaliser.
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      numbers_[2 * i] = chosen[i];
      numbers_[2 * i + 1] = rejected[i];
    }
    std::fill(logits_.gradient.begin(), logits_.gradient.end(), 0.0);
    policy_.backward(batch(), numbers_);
    policy_.finish_backward();
    for (std::size_t i = 0; i < logits_.value.size(); ++i) {
      logits_.value[i] -= step * logits_.gradient[i];
    }
  }
  [[nodiscard]] judgement judge(std::string const& reference) const override {
    numbers all(logits_.value.size());
    policy_.log_probs(0, all);
    return problem_->judge(all, reference);
  }

 private:
  [[nodiscard]] prefer::choice_batch batch() const {
    return {prompt_, problem_->completions(), offset_};
  }

  std::shared_ptr<bandit_problem const> problem_;
  prefer::tabular<double> policy_;
  prefer::parameter<double> logits_;         // views of policy_
  std::vector<std::uint32_t> prompt_ = {0};  // one list of all pairs' completions
  std::vector<std::size_t> offset_;
  numbers numbers_;
};

std::unique_ptr<learner> bandit_problem::start() const {
  return std::make_unique<bandit_learner>(shared_from_this());
}

}  // namespace

bandit::bandit(std::size_t actions, std::size_t pairs) : actions_(actions), pairs_(pairs) {
  prefer::expects(actions >= 2, "bandit: actions must be at least 2");
  prefer::expects(pairs >= 1, "bandit: pairs must be at least 1");
}

std::string bandit::settings() const {
  return "bandit actions=" + std::to_string(actions_) + " pairs=" + std::to_string(pairs_);
}

std::vector<std::string> bandit::references() const { return {"start", "near", "far", "uniform"}; }

exact_numbers draw_bandit(std::size_t actions, std::uint64_t seed) {
  exact_numbers out;
  numbers near = draw_normal(actions, seed, drawn::start, start_spread);
  numbers far = draw_normal(actions, seed, drawn::far, start_spread);
  out.reward = draw_normal(actions, seed, drawn::reward, 1.0);
  out.taste = draw_normal(actions, seed, drawn::taste, 1.0);
  out.start = log_softmax(near);
  for (std::size_t i = 0; i < actions; ++i) {
    near[i] += reference_tilt * out.reward[i];
    far[i] += reference_tilt * out.reward[i];
  }
  out.reference = {{"start", out.start},
                   {"near", log_softmax(std::move(near))},
                   {"far", log_softmax(std::move(far))},
                   {"uniform", log_softmax(numbers(actions, 0.0))}};
  return out;
}

std::shared_ptr<problem const> bandit::make(std::uint64_t seed, label_noise const& noise) const {
  return std::make_shared<bandit_problem>(draw_bandit(actions_, seed), pairs_, seed, noise);
}

}  // namespace sweep
