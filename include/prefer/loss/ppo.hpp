// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/column_rules.hpp>
#include <prefer/bounded.hpp>
#include <prefer/loss/example_of.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

namespace detail {

/// -min(ratio * advantage, clamp(ratio, 1 - low, 1 + high) * advantage). An advantage of 0 makes 0, whatever the ratio is.
template <class S>
[[nodiscard]] constexpr S clipped_gain(S const& log_ratio, auto const& advantage, double low,
                                       double high) {
  S const ratio = exp(log_ratio);
  S const gain = weighted(advantage, ratio);
  S const bounded = weighted(advantage, S(clamp(ratio, 1.0 - low, 1.0 + high)));
  return select(gain > bounded, -bounded, -gain);
}

}  // namespace detail

/// Proximal Policy Optimization: the clipped surrogate, on tokens that an earlier state of the policy wrote. The score of
/// a token is its advantage.
///
///   loss = -min(ratio * score, clamp(ratio, 1 - clip_low, 1 + clip_high) * score)
///   ratio = exp(log_prob - behaviour log_prob)
///
/// Its gradient is -score * ratio, and 0 where the ratio has gone too far in the direction that the score asks for. A
/// clip_high above clip_low leaves more room to what was unlikely.
///
/// Reads   policy and behaviour log_prob of each token, its score
/// Units   that of the score
/// Errors  clip_low outside [0, 1] or clip_high < 0 is refused
/// Source  Schulman et al. 2017, arXiv:1707.06347, eq. 7; clip_high: Yu et al. 2025 (DAPO), arXiv:2503.14476, section 3.1
/// TRL     PPOTrainer `cliprange`; GRPOTrainer `epsilon`, `epsilon_high`, with beta = 0
struct clipped_surrogate {
  static constexpr std::size_t arity = 1;
  static constexpr char const* name = "clipped_surrogate";
  static constexpr auto example = example_of::token;
  static constexpr batch_meaning batch_means = {.score = score_kind::reward};

  fraction clip_low = 0.2;
  non_negative clip_high = 0.2;

  constexpr auto operator()(auto const& token) const {
    return detail::clipped_gain(token.behaviour_log_ratio(), token.score, clip_low, clip_high);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("clip_low", self.clip_low);
    visit("clip_high", self.clip_high);
  }
};

/// The loss of a value head, which may move no further than `clip` from what it said when the tokens were written.
///
///   loss = max((V - target)^2, (clamp(V, V_behaviour - clip, V_behaviour + clip) - target)^2) / 2
///
/// The state after the end of a completion has a value and no token. Where its return is to be learned too, this loss has
/// rows that clipped_surrogate has not; else the two make one loss, clipped_surrogate{} + 0.1 * clipped_value{}.
///
/// Reads   value_estimate and behaviour_value of each step, its value_target
/// Units   the square of a reward
/// Errors  clip < 0 is refused
/// Source  the code of Schulman et al. 2017; Huang et al. 2024, arXiv:2403.17031
/// TRL     PPOTrainer `cliprange_value`, times its `vf_coef`
struct clipped_value {
  static constexpr std::size_t arity = 1;
  static constexpr char const* name = "clipped_value";
  static constexpr auto example = example_of::token;

  non_negative clip = 0.2;

  constexpr auto operator()(auto const& step) const {
    auto const moved = step.value_estimate - step.behaviour_value;
    auto const free = square(step.value_estimate - step.value_target);
    auto const bounded =
        square(clamp(moved, -clip, double(clip)) + (step.behaviour_value - step.value_target));
    return 0.5 * select(bounded > free, bounded, free);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("clip", self.clip); }
};

}  // namespace prefer::inline v0_1
