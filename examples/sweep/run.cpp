// SPDX-License-Identifier: MIT
#include "run.hpp"

#include <algorithm>
#include <cmath>

namespace sweep {

std::vector<measurement> run(grid const& all, setting const& what, task const& of,
                             problem const& given, step_rule const& rule) {
  std::size_t const n = given.pairs();
  auto const policy = given.start(what.reference);
  objective loss(all.losses[what.loss], what.beta, of.tokens());
  std::vector<double> chosen(n), rejected(n), up(n), down(n);
  std::vector<double> reference_chosen(n), reference_rejected(n);
  policy->reference_log_prob(reference_chosen, reference_rejected);
  double step = rule.step;
  if (rule.grows) {
    // A reference far from the start begins at large margins, where such a loss is steeper yet.
    policy->log_prob(chosen, rejected);
    double farthest = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      farthest = std::max(farthest, std::fabs((chosen[i] - rejected[i]) -
                                              (reference_chosen[i] - reference_rejected[i])));
    }
    step = step_size(all.losses[what.loss], what.beta, of.tokens(), farthest).step;
  }
  std::vector<measurement> out;
  std::uint64_t done = 0;
  for (std::uint64_t const until : all.steps) {
    for (; done < until; ++done) {
      policy->log_prob(chosen, rejected);
      loss.coefficients({chosen, rejected}, {reference_chosen, reference_rejected}, given.drawn(),
                        up, down);
      policy->descend(up, down, step);
      if (policy->reference_moves()) {
        policy->reference_log_prob(reference_chosen, reference_rejected);
      }
    }
    out.push_back({until, policy->judge()});
  }
  return out;
}

}  // namespace sweep
