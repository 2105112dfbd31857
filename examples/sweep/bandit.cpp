// SPDX-License-Identifier: MIT
#include "bandit.hpp"

#include <prefer/expects.hpp>
#include <prefer/model/tabular.hpp>

#include "exact_learner.hpp"

namespace sweep {

namespace {

constexpr double start_spread = 1.2;
constexpr double reference_tilt = 0.7;

class bandit_problem final : public exact_problem,
                             public std::enable_shared_from_this<bandit_problem> {
 public:
  using exact_problem::exact_problem;

  [[nodiscard]] std::unique_ptr<learner> start(std::string const& reference) const override {
    prefer::tabular<double> policy(1, all().start.size(), all().start);
    return std::make_unique<exact_learner<prefer::tabular<double>>>(
        shared_from_this(), std::move(policy), reference, 1.0);
  }
  [[nodiscard]] std::size_t start_parameters() const override { return all().start.size(); }
  /// An action is a token, and the row of the prompt is all that there is.
  [[nodiscard]] token_policy start_tokens() const override {
    return {.vocabulary = all().start.size(), .length = 1, .logits = all().start};
  }
};

}  // namespace

bandit::bandit(std::size_t actions, std::size_t pairs) : actions_(actions), pairs_(pairs) {
  prefer::expects(actions >= 2, "bandit: actions must be at least 2");
  prefer::expects(pairs >= 1, "bandit: pairs must be at least 1");
}

std::string bandit::settings() const {
  return "bandit actions=" + std::to_string(actions_) + " pairs=" + std::to_string(pairs_);
}

std::vector<std::string> bandit::references() const {
  return {"start", "near", "far", "uniform", "ema"};
}

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
