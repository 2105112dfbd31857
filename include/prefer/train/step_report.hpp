// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1 {

/// What one step did. Numbers that do not apply are NaN.
struct step_report {
  std::uint64_t step = 0;   ///< counted from 1
  std::uint64_t steps = 0;  ///< that the run will have
  double loss = 0.0;        ///< mean over the batch, before the step; NaN: no example
  double learning_rate = 0.0;
  double beta = 0.0;
  double gradient_norm = std::numeric_limits<double>::quiet_NaN();  ///< before clipping
  double reward_margin = std::numeric_limits<double>::quiet_NaN();  ///< mean over pairs, nats
  double accuracy = std::numeric_limits<double>::quiet_NaN();  ///< share of pairs with margin > 0
  // Of pairs, where log-probabilities were computed and not logits (see allow_logits);
  // per token where rewards are.
  double log_prob_chosen = std::numeric_limits<double>::quiet_NaN();    ///< mean, nats
  double log_prob_rejected = std::numeric_limits<double>::quiet_NaN();  ///< mean, nats
  double displaced_share =
      std::numeric_limits<double>::quiet_NaN();  ///< share of chosen below the reference
  double reward_chosen = std::numeric_limits<double>::quiet_NaN();  ///< mean, nats
  double settled = std::numeric_limits<
      double>::quiet_NaN();  ///< groups left out, see train_options::skip_settled
};
/// How far a step is. A step is one pass over its batch, or two where a statistic of the whole batch comes first.
struct part_report {
  std::uint64_t step = 0;  ///< that is being taken, counted from 1
  std::size_t done =
      0;               ///< groups that policy and reference have been asked about, over all passes
  std::size_t of = 0;  ///< that there are, over all passes; of this process where there are several
};

/// Why a run ended.
enum class run_outcome : std::uint8_t { finished, stopped_early, interrupted };
}  // namespace prefer::inline v0_1
