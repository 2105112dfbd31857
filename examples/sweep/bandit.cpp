// SPDX-License-Identifier: MIT
#include "bandit.hpp"

#include <algorithm>
#include <cmath>

#include <prefer/expects.hpp>
#include <prefer/policy/tabular.hpp>
#include <prefer/train/random.hpp>

namespace sweep {

namespace {

constexpr double start_spread = 1.2;
constexpr double reference_tilt = 0.7;
constexpr double label_sharpness = 2.0;

constexpr prefer::random_purpose purpose(std::uint16_t which) {
  return static_cast<prefer::random_purpose>(
      static_cast<std::uint16_t>(prefer::random_purpose::user) + which);
}
// Each kind of draw has its own numbers, so that noise changes labels and nothing else.
constexpr auto start_numbers = purpose(0);
constexpr auto reward_numbers = purpose(1);
constexpr auto far_numbers = purpose(2);
constexpr auto taste_numbers = purpose(3);
constexpr auto annotator_numbers = purpose(4);

using numbers = std::vector<double>;

numbers log_softmax(numbers scores) {
  double const largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0.0;
  for (double const s : scores) sum += std::exp(s - largest);
  double const normaliser = largest + std::log(sum);
  for (double& s : scores) s -= normaliser;
  return scores;
}

numbers tilted(numbers scores, numbers const& reward, double by) {
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] += by * reward[i];
  return log_softmax(std::move(scores));
}

double expectation(numbers const& log_prob, numbers const& value) {
  double sum = 0.0;
  for (std::size_t i = 0; i < value.size(); ++i) sum += std::exp(log_prob[i]) * value[i];
  return sum;
}

double divergence(numbers const& p, numbers const& q) {
  double sum = 0.0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (double const weight = std::exp(p[i]); weight > 0.0) sum += weight * (p[i] - q[i]);
  }
  return std::max(sum, 0.0);
}

std::uint32_t draw(numbers const& cumulative, prefer::random_stream& stream) {
  double const u = prefer::uniform01(stream) * cumulative.back();
  auto const found = std::upper_bound(cumulative.begin(), cumulative.end(), u);
  return static_cast<std::uint32_t>(std::min(found, cumulative.end() - 1) - cumulative.begin());
}

/// The most reward within `kl` nats of the start. Along start * exp(tilt * R) / Z both grow with tilt =
/// 1 / beta, so bisection finds the tilt that spends the whole of it.
double best_reward(bandit_numbers const& b, double kl) {
  auto const at = [&](double tilt) { return tilted(b.start, b.reward, tilt); };
  double low = 0.0;
  double high = 1.0;
  while (divergence(at(high), b.start) < kl) {
    if (high > 1e6) return *std::max_element(b.reward.begin(), b.reward.end());
    low = high;
    high *= 2.0;
  }
  for (int i = 0; i < 60; ++i) {
    double const middle = 0.5 * (low + high);
    (divergence(at(middle), b.start) < kl ? low : high) = middle;
  }
  return expectation(at(high), b.reward);
}

class bandit_problem final : public problem, public std::enable_shared_from_this<bandit_problem> {
 public:
  bandit_problem(bandit_numbers n, std::size_t drawn, std::vector<std::uint32_t> chosen,
                 std::vector<std::uint32_t> rejected)
      : numbers_(std::move(n)),
        drawn_(drawn),
        chosen_(std::move(chosen)),
        rejected_(std::move(rejected)) {}

  [[nodiscard]] std::size_t pairs() const override { return chosen_.size(); }
  [[nodiscard]] std::size_t drawn() const override { return drawn_; }
  [[nodiscard]] std::unique_ptr<learner> start() const override;
  [[nodiscard]] reference_columns reference(std::string const& name) const override {
    numbers const all = all_log_probs(name);
    reference_columns out;
    for (auto const y : chosen_) out.chosen.push_back(all[y]);
    for (auto const y : rejected_) out.rejected.push_back(all[y]);
    return out;
  }
  [[nodiscard]] std::optional<optimum> best(double beta) const override {
    numbers const policy = tilted(numbers_.start, numbers_.reward, 1.0 / beta);
    return optimum{expectation(policy, numbers_.reward), divergence(policy, numbers_.start)};
  }

  [[nodiscard]] judgement judge(numbers const& policy, std::string const& reference) const {
    double const kl = divergence(policy, numbers_.start);
    return {.reward = expectation(policy, numbers_.reward),
            .kl_start = kl,
            .kl_reference = divergence(policy, all_log_probs(reference)),
            .best_reward = std::isfinite(kl) ? best_reward(numbers_, kl) : kl};
  }
  [[nodiscard]] numbers all_log_probs(std::string const& reference) const {
    if (reference == "near") return tilted(numbers_.start, numbers_.reward, reference_tilt);
    if (reference == "far") return tilted(numbers_.far, numbers_.reward, reference_tilt);
    if (reference == "uniform") return log_softmax(numbers(numbers_.start.size(), 0.0));
    return numbers_.start;
  }
  [[nodiscard]] bandit_numbers const& all() const { return numbers_; }
  [[nodiscard]] std::vector<std::uint32_t> const& chosen() const { return chosen_; }
  [[nodiscard]] std::vector<std::uint32_t> const& rejected() const { return rejected_; }

 private:
  bandit_numbers numbers_;
  std::size_t drawn_;
  std::vector<std::uint32_t> chosen_;
  std::vector<std::uint32_t> rejected_;
};

class bandit_learner final : public learner {
 public:
  explicit bandit_learner(std::shared_ptr<bandit_problem const> of)
      : problem_(std::move(of)),
        policy_(1, problem_->all().start.size(), problem_->all().start),
        logits_(policy_.parameters().front()),
        offset_{0, 2 * problem_->pairs()},
        numbers_(2 * problem_->pairs()) {
    // Chosen and rejected side by side: opposite coefficients then add up to exactly 0, which spares the
    // policy the gradient of its normaliser.
    for (std::size_t i = 0; i < problem_->pairs(); ++i) {
      completion_.push_back(problem_->chosen()[i]);
      completion_.push_back(problem_->rejected()[i]);
    }
  }

  void log_prob(std::span<double> chosen, std::span<double> rejected) override {
    policy_.log_prob(batch(), numbers_);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      chosen[i] = numbers_[2 * i];
      rejected[i] = numbers_[2 * i + 1];
    }
  }
  void descend(std::span<double const> chosen, std::span<double const> rejected,
               double step) override {
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
  [[nodiscard]] prefer::choice_batch batch() const { return {prompt_, completion_, offset_}; }

  std::shared_ptr<bandit_problem const> problem_;
  prefer::tabular<double> policy_;
  prefer::parameter<double> logits_;         // views of policy_
  std::vector<std::uint32_t> prompt_ = {0};  // one list of all pairs' completions
  std::vector<std::uint32_t> completion_;
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

bandit_numbers draw_bandit(std::size_t actions, std::uint64_t seed) {
  bandit_numbers out;
  auto const draw = [&](prefer::random_purpose what, double spread) {
    numbers values(actions);
    prefer::fill_normal(std::span(values), {.seed = seed, .purpose = what}, 0.0, spread);
    return values;
  };
  out.start = log_softmax(draw(start_numbers, start_spread));
  out.reward = draw(reward_numbers, 1.0);
  out.far = draw(far_numbers, start_spread);
  out.taste = draw(taste_numbers, 1.0);
  return out;
}

std::shared_ptr<problem const> bandit::make(std::uint64_t seed, label_noise const& noise) const {
  bandit_numbers n = draw_bandit(actions_, seed);
  numbers cumulative(actions_);
  double sum = 0.0;
  for (std::size_t i = 0; i < actions_; ++i) cumulative[i] = sum += std::exp(n.start[i]);

  std::vector<std::uint32_t> chosen;
  std::vector<std::uint32_t> rejected;
  for (std::uint64_t i = 0; i < pairs_; ++i) {
    prefer::random_stream stream(
        {.seed = seed, .purpose = prefer::random_purpose::data, .index = i});
    std::uint32_t const first = draw(cumulative, stream);
    std::uint32_t const second = draw(cumulative, stream);
    double const gap = label_sharpness * (n.reward[first] - n.reward[second]);
    bool first_wins = prefer::uniform01(stream) < 1.0 / (1.0 + std::exp(-gap));
    prefer::random_stream annotator({.seed = seed, .purpose = annotator_numbers, .index = i});
    if (prefer::uniform01(annotator) < noise.bias) first_wins = n.taste[first] > n.taste[second];
    // The same number whatever the rate: what is flipped at 0.1 is flipped at 0.3 as well.
    prefer::random_stream slip(
        {.seed = seed, .purpose = prefer::random_purpose::label_noise, .index = i});
    if (prefer::uniform01(slip) < noise.flip) first_wins = !first_wins;
    if (first == second) continue;
    chosen.push_back(first_wins ? first : second);
    rejected.push_back(first_wins ? second : first);
  }
  // So few pairs of so few actions that all were equal: the run would have nothing to evaluate.
  if (chosen.empty()) {
    prefer::detail::broken("bandit: seed " + std::to_string(seed) + " drew " +
                           std::to_string(pairs_) +
                           " pairs of equal actions and nothing else; ask for more --pairs");
  }
  return std::make_shared<bandit_problem>(std::move(n), pairs_, std::move(chosen),
                                          std::move(rejected));
}

}  // namespace sweep
