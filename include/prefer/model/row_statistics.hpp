// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <span>

#include <prefer/model/softmax.hpp>

namespace prefer::inline v0_1 {

// What can be said of one position of a language model from its row of logits, [vocabulary], and the normaliser of
// that row. Sums are in double, whatever the logits are; NaN flows through.

/// Entropy of the next token, nats: -sum_v p_v log p_v. What is never said adds nothing.
template <class T>
[[nodiscard]] double row_entropy(std::span<T const> logit, softmax_normaliser<T> const& by) {
  double sum = 0;
  for (T const each : logit) {
    auto const log_p = static_cast<double>(by.log_prob(each));
    double const p = std::exp(log_p);
    if (p != 0) sum -= p * log_p;
  }
  return sum;
}

/// log sum_v p_v^2: of the probability that two draws are the same token.
///
/// Source  Zhou et al. 2024, arXiv:2406.11827: the alignment of a token is its log-probability minus this
template <class T>
[[nodiscard]] double row_log_sum_of_squares(std::span<T const> logit,
                                            softmax_normaliser<T> const& by) {
  double sum = 0;
  for (T const each : logit) sum += std::exp(2 * static_cast<double>(by.log_prob(each)));
  return std::log(sum);
}

template <class T>
[[nodiscard]] double row_mean(std::span<T const> logit) {
  double sum = 0;
  for (T const each : logit) sum += static_cast<double>(each);
  return sum / static_cast<double>(logit.size());
}

/// The most likely token; of equal logits the first.
template <class T>
[[nodiscard]] std::size_t row_argmax(std::span<T const> logit) {
  std::size_t best = 0;
  for (std::size_t v = 1; v < logit.size(); ++v) {
    if (logit[v] > logit[best]) best = v;
  }
  return best;
}

/// KL(reference || policy) of the next token, nats. What the reference never says adds nothing, whatever the policy
/// thinks of it.
template <class T>
[[nodiscard]] double row_divergence(std::span<T const> policy,
                                    softmax_normaliser<T> const& policy_by,
                                    std::span<T const> reference,
                                    softmax_normaliser<T> const& reference_by) {
  double sum = 0;
  for (std::size_t v = 0; v != policy.size(); ++v) {
    auto const log_p = static_cast<double>(reference_by.log_prob(reference[v]));
    double const p = std::exp(log_p);
    if (p != 0) sum += p * (log_p - static_cast<double>(policy_by.log_prob(policy[v])));
  }
  return sum;
}

/// to_v += coefficient * d row_divergence / d logit_v of the policy = coefficient * (p_v of policy - of reference)
template <class T>
void add_row_divergence_gradient(std::span<T const> policy, softmax_normaliser<T> const& policy_by,
                                 std::span<T const> reference,
                                 softmax_normaliser<T> const& reference_by, double coefficient,
                                 std::span<double> to) {
  for (std::size_t v = 0; v != policy.size(); ++v) {
    to[v] += coefficient * (std::exp(static_cast<double>(policy_by.log_prob(policy[v]))) -
                            std::exp(static_cast<double>(reference_by.log_prob(reference[v]))));
  }
}

/// A logit moved away from the reference's by `amount` of their difference; 0 leaves it, -1 gives the reference's.
///
/// Source  Lee et al. 2025, arXiv:2502.13177
template <class T>
[[nodiscard]] T perturbed_logit(T policy, T reference, T amount) {
  return policy + amount * (policy - reference);
}

}  // namespace prefer::inline v0_1
