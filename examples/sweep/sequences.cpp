// SPDX-License-Identifier: MIT
#include "sequences.hpp"

#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <prefer/expects.hpp>
#include <prefer/model/bigram.hpp>

#include "exact_learner.hpp"

namespace sweep {

namespace {

constexpr double transition_spread = 1.2;
constexpr double transition_tilt = 0.7;
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
  /// `logits` of every policy by name; those of the start are the learner's too.
  sequence_problem(exact_numbers all, std::map<std::string, numbers> logits,
                   prefer::token_table const& table, std::size_t pairs, std::uint64_t seed,
                   label_noise const& noise)
      : exact_problem(std::move(all), pairs, seed, noise),
        logits_(std::move(logits)),
        table_(&table) {}

  [[nodiscard]] std::unique_ptr<learner> start(std::string const& reference) const override {
    auto const policy_of = [&](numbers const& logits) {
      return prefer::bigram<double>(sequences::vocabulary, *table_, logits);
    };
    std::optional<prefer::bigram<double>> reference_policy;
    if (auto const found = logits_.find(reference); found != logits_.end()) {
      reference_policy = policy_of(found->second);
    }
    // A sequence moves as many logits as it has tokens, where an action of a bandit moves one.
    return std::make_unique<exact_learner<prefer::bigram<double>>>(
        shared_from_this(), policy_of(logits_.at("start")), reference,
        1.0 / static_cast<double>(sequences::length), std::move(reference_policy));
  }
  [[nodiscard]] std::size_t start_parameters() const override { return transitions; }
  [[nodiscard]] token_policy start_tokens() const override {
    return {.vocabulary = sequences::vocabulary,
            .length = sequences::length,
            .logits = logits_.at("start")};
  }

 private:
  std::map<std::string, numbers> logits_;
  prefer::token_table const* table_;  // the task's, which outlives its problems
};

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
  return {"start", "near", "far", "uniform", "ema"};
}

std::shared_ptr<problem const> sequences::make(std::uint64_t seed, label_noise const& noise) const {
  double const per_token = 1.0 / std::sqrt(static_cast<double>(length));
  numbers const start = draw_normal(transitions, seed, drawn::start, transition_spread);
  numbers const worth = draw_normal(transitions, seed, drawn::reward, 1.0);
  numbers near = start;
  numbers far = draw_normal(transitions, seed, drawn::far, transition_spread);
  for (std::size_t i = 0; i < transitions; ++i) {
    near[i] += transition_tilt * worth[i];
    far[i] += transition_tilt * worth[i];
  }
  exact_numbers all;
  all.start = all_log_probs(table_, start);
  all.reward = over_transitions(table_, worth);
  all.taste = over_transitions(table_, draw_normal(transitions, seed, drawn::taste, 1.0));
  for (double& each : all.reward) each *= per_token;
  std::map<std::string, numbers> logits = {
      {"start", start}, {"near", near}, {"far", far}, {"uniform", numbers(transitions, 0.0)}};
  for (auto const& [name, of] : logits) all.reference[name] = all_log_probs(table_, of);
  return std::make_shared<sequence_problem>(std::move(all), std::move(logits), table_, pairs_, seed,
                                            noise);
}

}  // namespace sweep
