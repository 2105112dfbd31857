// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rlhf_claims {

/// One number for each completion that there is, by its id.
using numbers = std::vector<double>;

/// One prompt whose completions can be listed, so that every expectation is a sum.
///
///   P(a is labelled chosen, b rejected) = sigmoid(reward_a - reward_b)
struct listed_problem {
  numbers start;   ///< log_prob of the start policy, nats
  numbers reward;  ///< true reward, nats of preference
};

/// What a seed draws, each with numbers of its own.
enum class drawn : std::uint16_t { start, reward, features, more_features, resample };
[[nodiscard]] numbers draw_normal(std::size_t count, std::uint64_t seed, drawn what, double spread);

/// sum_y exp(log_prob_y) * value_y
[[nodiscard]] double expected(numbers const& log_prob, numbers const& value);
/// KL(p || q), nats
[[nodiscard]] double divergence(numbers const& p, numbers const& q);
/// start * exp(tilt * reward) / Z, which is the optimum of E[reward] - KL / tilt: log-probabilities
[[nodiscard]] numbers tilted(numbers const& start, numbers const& reward, double tilt);
/// The optimum of E[reward] at this divergence from the start; the most that there is where it cannot be spent.
[[nodiscard]] numbers tilted_to(numbers const& start, numbers const& reward, double kl);

/// Pairs of different completions, chosen and rejected, each with its share of a mean.
struct weighted_pairs {
  std::vector<std::uint32_t> chosen;
  std::vector<std::uint32_t> rejected;
  numbers
      weight;  ///< adds up to the number of rows, so that a mean over rows is the mean over pairs
  std::size_t drawn =
      0;  ///< pairs that these rows count; 0: as many as one likes, with these shares

  [[nodiscard]] std::size_t size() const { return chosen.size(); }
  /// Whether a pair has this completion, for each completion.
  [[nodiscard]] std::vector<bool> seen(std::size_t completions) const;
};

/// Pairs that an annotator has labelled: `count` draws of two completions each from the start. Two of the same teach
/// nothing and are drawn anew.
[[nodiscard]] std::vector<weighted_pairs> draw_pairs(listed_problem const& of,
                                                     std::vector<std::size_t> const& counts,
                                                     std::uint64_t seed);
[[nodiscard]] weighted_pairs draw_pairs(listed_problem const& of, std::size_t count,
                                        std::uint64_t seed);
/// As many pairs, drawn from these with replacement.
[[nodiscard]] weighted_pairs resampled(weighted_pairs const& of, std::uint64_t seed,
                                       std::uint64_t number);
/// All pairs that a policy writes, both ways round, with the probabilities that `reward` labels them so: what infinitely
/// many draws come to.
[[nodiscard]] weighted_pairs every_pair(numbers const& writer, numbers const& reward);
/// The same pairs, written by another policy.
void weigh_by(numbers const& writer, numbers const& reward, weighted_pairs& pairs);

/// Of all pairs that the start writes, the share whose order by `score` is that by the true reward.
[[nodiscard]] double pair_accuracy(listed_problem const& of, numbers const& score);

}  // namespace rlhf_claims
