// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include <prefer/parallel/executor.hpp>
#include <prefer/train/adamw.hpp>
#include <prefer/train/learning_rate.hpp>

namespace prefer::inline v0_1 {

/// How to train. Sizes count groups: pairs, labelled examples or lists. How a batch is cut into micro-batches does not
/// change results.
struct train_options {
  std::size_t batch_size = 64;
  std::size_t micro_batch_size = 0;  ///< most groups in a forward pass, 0: all
  std::size_t micro_batch_tokens =
      0;  ///< most tokens, 0: any; a group that has more is one by itself
  std::uint64_t epochs = 1;
  std::uint64_t steps = 0;  ///< if not 0, stop after so many steps, whatever the epochs
  std::uint64_t seed = 1;   ///< of the order of examples
  learning_rate rate = 1e-3;
  adamw_options optimizer = {};
  double max_gradient_norm = std::numeric_limits<double>::infinity();  ///< infinite: not measured
  bool reference_is_start = false;  ///< check at step 0 that the log-ratios are 0
  bool allow_logits = true;         ///< use logits where the loss reads only margins
  /// Groups whose coefficients are all below this share of the batch's largest count as settled by the loss: they are left
  /// out of the backward pass, as if they were 0. At least 0, where none is, and below 1.
  double skip_settled = 0.0;
  executor threads = {};
};

/// When to evaluate and when to stop for it.
struct evaluation_plan {
  std::uint64_t every = 0;     ///< steps; 0: never
  std::uint64_t patience = 0;  ///< evaluations without improvement before stopping; 0: never stop
  double min_improvement = 0.0;
  bool restore_best = false;  ///< end with the parameters of the best evaluation
};

}  // namespace prefer::inline v0_1
