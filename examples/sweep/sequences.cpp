// SPDX-License-Identifier: MIT
#include "sequences.hpp"

#include <algorithm>
#include <cmath>

#include <prefer/expects.hpp>
#include <prefer/policy/markov.hpp>

namespace sweep {

namespace {

constexpr double start_spread = 1.2;
constexpr double reference_tilt = 0.7;
constexpr std::size_t transitions = sequences::vocabulary * sequences::vocabulary;

/// sum_t of[y_{t-1}, y_t] for every sequence; the prompt, token 0, stands before the first.
numbers over_transitions(prefer::token_table const& table, numbers const& of) {
  numbers out(table.size());
  for (std::uint32_t id = 0; id < out.size(); ++id) {
    std::size_t state = 0;
    for (std::uint32_t const token : table.tokens(id)) {
      out[id] += of[state * sequences::vocabulary + token];
      state = token;
    }
  }
  return out;
}

/// log_prob of every sequence under a policy of these logits.
numbers all_log_probs(prefer::token_table const& table, numbers const& logits) {
  numbers normalised;
  for (std::size_t state = 0; state < sequences::vocabulary; ++state) {
    auto const row = logits.begin() + static_cast<std::ptrdiff_t>(state * sequences::vocabulary);
    numbers const one = log_softmax(numbers(row, row + sequences::vocabulary));
    normalised.insert(normalised.end(), one.begin(), one.end());
  }
  return over_transitions(table, normalised);
}

class sequence_problem final : public exact_problem,
                               public std::enable_shared_from_this<sequence_problem> {
 public:
  sequence_problem(exact_numbers all, numbers logits, prefer::token_table const& table,
                   std::size_t pairs, std::uint64_t seed, label_noise const& noise)
      : exact_problem(std::move(all), pairs, seed, noise),
        logits_(std::move(logits)),
        table_(&table) {}

  [[nodiscard]] std::unique_ptr<learner> start() const override;
  [[nodiscard]] numbers const& logits() const { return logits_; }
  [[nodiscard]] prefer::token_table const& table() const { return *table_; }

 private:
  numbers logits_;
  prefer::token_table const* table_;  // the task's, which outlives its problems
};

class sequence_learner final : public learner {
 public:
  explicit sequence_learner(std::shared_ptr<sequence_problem const> of)
      : problem_(std::move(of)),
        policy_(sequences::vocabulary, problem_->table(), problem_->logits()),
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
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      numbers_[2 * i] = chosen[i];
      numbers_[2 * i + 1] = rejected[i];
    }
    std::fill(logits_.gradient.begin(), logits_.gradient.end(), 0.0);
    policy_.backward(batch(), numbers_);
    policy_.finish_backward();
    // A sequence moves as many logits as it has tokens, where an action of a bandit moves one.
    double const shorter = step / static_cast<double>(sequences::length);
    for (std::size_t i = 0; i < logits_.value.size(); ++i) {
      logits_.value[i] -= shorter * logits_.gradient[i];
    }
  }
  [[nodiscard]] judgement judge(std::string const& reference) const override {
    numbers const logits(logits_.value.begin(), logits_.value.end());
    return problem_->judge(all_log_probs(problem_->table(), logits), reference);
  }

 private:
  [[nodiscard]] prefer::choice_batch batch() const {
    return {prompt_, problem_->completions(), offset_};
  }

  std::shared_ptr<sequence_problem const> problem_;
  prefer::markov<double> policy_;
  prefer::parameter<double> logits_;         // views of policy_
  std::vector<std::uint32_t> prompt_ = {0};  // one list of all pairs' completions
  std::vector<std::size_t> offset_;
  numbers numbers_;
};

std::unique_ptr<learner> sequence_problem::start() const {
  return std::make_unique<sequence_learner>(shared_from_this());
}

}  // namespace

sequences::sequences(std::size_t pairs)
    : pairs_(pairs), table_(prefer::token_table::all_of_length(vocabulary, length)) {
  prefer::expects(pairs >= 1, "sequences: pairs must be at least 1");
}

std::string sequences::settings() const {
  return "markov vocabulary=" + std::to_string(vocabulary) + " length=" + std::to_string(length) +
         " pairs=" + std::to_string(pairs_);
}

std::vector<std::string> sequences::references() const {
  return {"start", "near", "far", "uniform"};
}

std::shared_ptr<problem const> sequences::make(std::uint64_t seed, label_noise const& noise) const {
  double const per_token = 1.0 / std::sqrt(static_cast<double>(length));
  numbers const start = draw_normal(transitions, seed, drawn::start, start_spread);
  numbers const worth = draw_normal(transitions, seed, drawn::reward, 1.0);
  numbers near = start;
  numbers far = draw_normal(transitions, seed, drawn::far, start_spread);
  for (std::size_t i = 0; i < transitions; ++i) {
    near[i] += reference_tilt * worth[i];
    far[i] += reference_tilt * worth[i];
  }
  exact_numbers all;
  all.start = all_log_probs(table_, start);
  all.reward = over_transitions(table_, worth);
  all.taste = over_transitions(table_, draw_normal(transitions, seed, drawn::taste, 1.0));
  for (double& each : all.reward) each *= per_token;
  all.reference = {{"start", all.start},
                   {"near", all_log_probs(table_, near)},
                   {"far", all_log_probs(table_, far)},
                   {"uniform", all_log_probs(table_, numbers(transitions, 0.0))}};
  return std::make_shared<sequence_problem>(std::move(all), start, table_, pairs_, seed, noise);
}

}  // namespace sweep
