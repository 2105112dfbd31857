// SPDX-License-Identifier: MIT
#include "run.hpp"

#include <algorithm>
#include <cmath>

namespace sweep {

std::vector<measurement> run(grid const& all, setting const& what, task const& of,
                             problem const& given, step_rule const& rule) {
  std::size_t const n = given.pairs();
  auto const policy = given.start();
  objective loss(all.losses[what.loss], what.beta, of.tokens());
  reference_columns const held_near =
      what.reference == "none"
          ? reference_columns{std::vector<double>(n, 0.0), std::vector<double>(n, 0.0)}
          : given.reference(what.reference);
  std::vector<double> chosen(n), rejected(n), up(n), down(n);
  double step = rule.step;
  if (rule.grows) {
    // A reference far from the start begins at large margins, where such a loss is steeper yet.
    policy->log_prob(chosen, rejected);
    double farthest = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      farthest = std::max(farthest, std::fabs((chosen[i] - rejected[i]) -
                                              (held_near.chosen[i] - held_near.rejected[i])));
    }
    step = step_size(all.losses[what.loss], what.beta, of.tokens(), farthest).step;
  }
  std::vector<measurement> out;
  std::uint64_t done = 0;
  for (std::uint64_t const until : all.steps) {
    for (; done < until; ++done) {
      policy->log_prob(chosen, rejected);
      loss.coefficients({chosen, rejected}, {held_near.chosen, held_near.rejected}, given.drawn(),
                        up, down);
      policy->descend(up, down, step);
      // A reference that moves changes here: its columns would be made anew from what it has become.
    }
    out.push_back({until, policy->judge(what.reference)});
  }
  return out;
}

}  // namespace sweep
