// SPDX-License-Identifier: MIT
#include <cmath>
#include <utility>

#include "comparison.hpp"

namespace golden {

void compare_nash_md(golden_case const& row, trl_loss const& trl, precision stored,
                     tolerance const& allowed, outcome& into) {
  into.meaning = "nash_md";
  into.status = status::passed;
  auto const tokens = row.token_input("policy");
  auto const reference_tokens = row.token_input("ref");
  auto const probability = row.input("probability");
  std::vector<double> flat_policy, flat_reference, score;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    flat_policy.insert(flat_policy.end(), tokens[i].begin(), tokens[i].end());
    flat_reference.insert(flat_reference.end(), reference_tokens.at(i).begin(),
                          reference_tokens.at(i).end());
    score.insert(score.end(), tokens[i].size(), probability.at(i));
  }
  numbers const policy(std::move(flat_policy), stored);
  numbers const reference(std::move(flat_reference), stored);
  auto const result = evaluate_nash_md(
      trl, {.policy = policy.column(), .reference = reference.column(), .score = score});
  // At the reference the KL term is 0, and what is left is minus TRL's score.
  auto const without_kl = evaluate_nash_md(
      trl, {.policy = policy.column(), .reference = policy.column(), .score = score});

  comparison compare(row, allowed, into);
  double const completions = static_cast<double>(tokens.size());
  quantity q{.beta = trl.beta, .batch = completions, .shape = "nash_md"};
  double loss = 0.0;
  double whole = 0.0;  // sum of the completions' magnitudes
  std::size_t at = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    double own_score = 0.0;
    quantity sum = q;
    for (std::size_t t = 0; t < tokens[i].size(); ++t, ++at) {
      loss += result.value[at];
      own_score -= without_kl.value[at];
      double const size = size_at(policy, reference, at);
      q.kind = quantity_kind::coefficient;
      q.magnitude = trl.beta * size + 1.0;  // of what multiplies the token's log-probability
      compare.number_at("grad_policy", i, t, q, result.coefficient[at] / completions);
      sum.magnitude += (trl.beta * size + 1.0) * std::fabs(policy[at]);
    }
    sum.batch = 1.0;
    compare.element("score", i, sum, own_score);
    whole += sum.magnitude;
    // TRL's kl: the log-ratio of the completion, at beta = 1 its reward.
    double own_policy = 0.0;
    double own_reference = 0.0;
    for (std::size_t t = at - tokens[i].size(); t < at; ++t) {
      own_policy += policy[t];
      own_reference += reference[t];
    }
    compare_reward(compare, "kl", i, own_policy, own_reference, 1.0, {.beta = 1.0});
  }
  q.kind = quantity_kind::loss;
  q.magnitude = whole / completions;
  compare.number("loss", q, loss / completions);
}

}  // namespace golden
