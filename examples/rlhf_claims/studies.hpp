// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "measured.hpp"

namespace rlhf_claims {

/// What a published comparison came to here.
struct verdict {
  std::string claim;
  std::string holds;  ///< "holds", "does not hold", "holds under a condition"
  std::string because;
};

/// One paper's comparisons: what one seed measures, what all seeds say, and a picture.
struct study {
  char const* name;
  char const* paper;
  std::vector<measured> (*one_seed)(std::uint64_t seed);
  std::vector<verdict> (*verdicts)(found const& all);
  void (*draw)(std::string const& path, found const& all);
};

/// Gao, Schulman, Hilton 2022, arXiv:2210.10760: reward models fitted on 50 to 10,000 pairs are optimised by best-of-n and as
/// start * exp(r / beta) / Z.
[[nodiscard]] study over_optimisation();
/// Xu et al. 2024, arXiv:2404.10719: where DPO puts what no pair has shown.
[[nodiscard]] study outside_the_data();
/// The same paper on what makes PPO work: whitened advantages, large batches, a moving reference.
[[nodiscard]] study ppo_factors();
/// Tang et al. 2024, arXiv:2405.08448: pairs of the start against pairs that the policy writes, at equal KL.
[[nodiscard]] study online_and_offline();
/// Shi et al. 2025, arXiv:2505.19770: reward and policy classes that cannot hold the truth.
[[nodiscard]] study misspecified();

/// Tang and Munos 2025, arXiv:2506.09477: bias and variance of the gradient that three estimators of KL give, in the reward and in
/// the loss.
[[nodiscard]] study kl_estimators();

[[nodiscard]] std::vector<study> all_studies();

}  // namespace rlhf_claims
