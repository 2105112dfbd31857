// SPDX-License-Identifier: MIT
#include "run.hpp"

#include <algorithm>
#include <cmath>

#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>

namespace sweep {

namespace {

using prefer::column_name;

/// The batch that a loss sees at each step, in vectors that are kept.
class columns {
 public:
  columns(objective const& loss, problem const& given, std::uint64_t seed)
      : loss_(loss.loss()),
        tokens_read_(loss.token_columns()),
        given_(given),
        seed_(seed),
        score_(given.scores(loss_.meaning.score)) {
    std::size_t const n = given.pairs();
    for (auto* each : {&policy_, &reference_}) {
      each->chosen.resize(n);
      each->rejected.resize(n);
    }
    if (loss_.needs.contains(column_name::uniform)) uniform_.resize(n);
    if (loss_.kl_examples) {
      mismatched_policy_.resize(2 * n);
      mismatched_reference_.resize(2 * n);
    }
  }

  void read_policy(learner& from) { from.log_prob(policy_.chosen, policy_.rejected); }
  void read_reference(learner& from) {
    from.reference_log_prob(reference_.chosen, reference_.rejected);
  }
  /// All else that the loss reads, before step number `step`.
  void read_rest(learner& from, std::uint64_t step) {
    from.read_tokens(tokens_read_, loss_.perturbation, tokens_);
    if (loss_.kl_examples) from.kl_log_prob(mismatched_policy_, mismatched_reference_);
    for (std::size_t i = 0; i < uniform_.size(); ++i) {
      prefer::random_stream numbers(
          {.seed = seed_, .purpose = prefer::random_purpose::selection, .step = step, .index = i});
      uniform_[i] = prefer::uniform01(numbers);
    }
  }
  /// The largest size of a margin.
  [[nodiscard]] double farthest() const {
    double out = 0.0;
    for (std::size_t i = 0; i < policy_.chosen.size(); ++i) {
      out = std::max(out, std::fabs((policy_.chosen[i] - policy_.rejected[i]) -
                                    (reference_.chosen[i] - reference_.rejected[i])));
    }
    return out;
  }
  [[nodiscard]] pair_batch batch() const {
    return {.policy = {policy_.chosen, policy_.rejected},
            .reference = {reference_.chosen, reference_.rejected},
            .score = {score_.chosen, score_.rejected},
            .tokens = &tokens_,
            .kl_policy = mismatched_policy_,
            .mismatched_reference = mismatched_reference_,
            .uniform = uniform_,
            .drawn = given_.drawn()};
  }

 private:
  named_loss const& loss_;
  prefer::column_set tokens_read_;
  problem const& given_;
  std::uint64_t seed_;
  sides policy_;
  sides reference_;
  sides score_;
  token_numbers tokens_;
  std::vector<double> mismatched_policy_;
  std::vector<double> mismatched_reference_;
  std::vector<double> uniform_;
};

}  // namespace

std::vector<measurement> run(grid const& all, setting const& what, task const& of,
                             problem const& given, std::uint64_t seed, step_rule const& rule) {
  std::vector<measurement> out;
  run(all, what, of, given, seed, rule, [&](std::uint64_t steps, learner& policy) {
    out.push_back({steps, policy.judge()});
  });
  return out;
}

void run(grid const& all, setting const& what, task const& of, problem const& given,
         std::uint64_t seed, step_rule const& rule,
         std::function<void(std::uint64_t, learner&)> const& look) {
  auto const policy = given.start(what.reference);
  objective loss(all.losses[what.loss], what.beta, of.tokens());
  columns numbers(loss, given, seed);
  numbers.read_reference(*policy);
  double step = rule.step;
  if (rule.grows) {
    // A reference far from the start begins at large margins, where such a loss is steeper yet.
    numbers.read_policy(*policy);
    step = step_size(all.losses[what.loss], what.beta, of.tokens(), numbers.farthest()).step;
  }
  std::vector<double> up(given.pairs()), down(given.pairs());
  std::uint64_t done = 0;
  for (std::uint64_t const until : all.steps) {
    for (; done < until; ++done) {
      numbers.read_policy(*policy);
      numbers.read_rest(*policy, done);
      loss.coefficients(numbers.batch(), up, down);
      policy->descend({up, down, loss.chosen_divergence(), loss.rejected_divergence()}, step);
      if (policy->reference_moves()) numbers.read_reference(*policy);
    }
    look(until, *policy);
  }
}

}  // namespace sweep
