// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/reference/reference.hpp>

namespace prefer {

/// How far the policy is from the reference, exactly, where a prompt's completions can be listed.
///
///   KL = mean over prompts of sum_y exp(log_prob(y)) * log_ratio(y)
///
/// Group g of the batch lists every completion of prompt[g] once. A weight of 0 under the policy counts 0,
/// whatever the reference says. For text, whose completions cannot be listed, an estimate takes the mean
/// log-ratio of completions that were drawn from the policy.
///
/// Units   nats; at least 0 up to rounding
/// Errors  precondition_error for an empty batch, and for a prompt whose probabilities under the policy do not
///         sum to 1 (to 1e-3): its completions are not all there, or one is there twice
template <class P, class R>
  requires Policy<P, choice_batch> && Reference<R, choice_batch>
[[nodiscard]] double kl_divergence(P& policy, R& reference, choice_batch const& all) {
  expects(all.size() > 0, "kl_divergence: the batch has no prompts");
  std::vector<typename P::value_type> ours(all.completions());
  std::vector<typename R::value_type> theirs(all.completions());
  policy.log_prob(all, ours);
  reference.log_prob(all, theirs);
  double total = 0.0;
  for (std::size_t g = 0; g < all.size(); ++g) {
    double mass = 0.0;
    for (std::size_t i = all.offset[g]; i < all.offset[g + 1]; ++i) {
      double const probability = std::exp(static_cast<double>(ours[i]));
      mass += probability;
      if (probability == 0.0) continue;
      total += probability * (static_cast<double>(ours[i]) - static_cast<double>(theirs[i]));
    }
    if (std::abs(mass - 1.0) > 1e-3) {
      detail::broken("kl_divergence: the probabilities of prompt " + std::to_string(all.prompt[g]) +
                     " sum to " + std::to_string(mass) +
                     ", expected 1; the batch lists every completion of a prompt once");
    }
  }
  return total / static_cast<double>(all.size());
}

}  // namespace prefer
