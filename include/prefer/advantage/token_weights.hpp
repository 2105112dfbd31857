// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/advantage/steps.hpp>
#include <prefer/batch/sum_and_count.hpp>
#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/parallel/communicator.hpp>

namespace prefer::inline v0_1 {

/// What the losses of tokens are divided by on their way to one number.
enum class token_mean : std::uint8_t {
  per_token,       ///< the tokens that count, so long completions count more
  per_completion,  ///< the tokens of their completion, then the completions, so all count alike
  per_limit        ///< completions times the most tokens that one may have: no length is favoured
};

/// The weight of each token in the sum that is a batch's loss,
///
///   loss = sum over tokens of weight_t * loss_t
///
/// where completions whose `counts` is 0 (cut off, or refused by a filter) have weight 0. The tokens of per_token are counted
/// after that; the other two divide by all completions, whether they count or not.
///
/// Reads   where each completion's tokens begin [G + 1]; whether each counts, all where it is empty [G]; the limit, for
///         per_limit alone
/// Errors  precondition_error for shapes that disagree, a completion without tokens, and a limit of 0 or one that a
///         completion exceeds
/// Source  per_token: Yu et al. 2025 (DAPO), arXiv:2503.14476, section 3.3; per_completion: Shao et al. 2024 (GRPO),
///         arXiv:2402.03300, eq. 3; per_limit: Liu et al. 2025 (Dr. GRPO), arXiv:2503.20783
/// TRL     GRPOTrainer, `loss_type`: "dapo" and "bnpo" (of one device); "grpo"; "dr_grpo". `counts` is its
///         `mask_truncated_completions`
template <class = on_demand, Communicator Processes = single_process>
[[nodiscard]] std::vector<double> token_weights(token_mean mean,
                                                std::span<std::size_t const> token_offset,
                                                std::span<float const> counts = {},
                                                std::size_t limit = 0,
                                                Processes const& processes = {}) {
  constexpr char const* where = "token_weights";
  expects(!token_offset.empty(),
          "token_weights: token_offset is empty; it has one element more than "
          "there are completions");
  detail::expects_parts(token_offset, token_offset.back(), 1, where, "completion");
  std::size_t const count = token_offset.size() - 1;
  if (!counts.empty()) expects_size(counts.size(), count, where, "counts");
  expects(mean != token_mean::per_limit || limit > 0, "token_weights: limit must be at least 1");
  auto const tokens_of = [&](std::size_t i) { return token_offset[i + 1] - token_offset[i]; };
  auto const active = [&](std::size_t i) { return counts.empty() || counts[i] != 0.0F; };
  double all[] = {0.0, static_cast<double>(count)};  // tokens that count; completions
  for (std::size_t i = 0; i != count; ++i) {
    if (active(i)) all[0] += static_cast<double>(tokens_of(i));
    expects(mean != token_mean::per_limit || tokens_of(i) <= limit,
            "token_weights: a completion has more tokens than limit");
  }
  processes.all_sum(std::span<double>(all));
  std::vector<double> out;
  out.reserve(token_offset.back());
  for (std::size_t i = 0; i != count; ++i) {
    double divisor = all[0];
    if (mean == token_mean::per_completion) divisor = static_cast<double>(tokens_of(i)) * all[1];
    if (mean == token_mean::per_limit) divisor = static_cast<double>(limit) * all[1];
    out.insert(out.end(), tokens_of(i), active(i) ? 1.0 / divisor : 0.0);
  }
  return out;
}

}  // namespace prefer::inline v0_1
