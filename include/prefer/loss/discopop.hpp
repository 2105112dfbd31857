// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <type_traits>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// DiscoPOP, a loss found by a language model's search (log-ratio modulated): logistic and exponential loss, blended by
/// the margin itself.
///
///   loss = (1 - s) * softplus(-z) + s * exp(-z),  s = sigmoid(z / temperature),  z = beta * log_ratio_margin
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   nats. At the reference the slope is positive: descent first moves the wrong way, into a local minimum near
///         z = -0.12
/// Errors  beta <= 0 or temperature <= 0 is refused; for temperature > 1 it overflows at very negative z
/// Source  Lu et al. 2024, eq. 5, arXiv:2406.08414
/// TRL     DPOTrainer `discopop`, which multiplies s by exp(-z) and so is NaN where exp(-z) overflows; here
///         s * exp(-z) is one exponential
struct discopop {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "discopop";
  static constexpr bool takes_score_map = true;

  positive beta = 0.1;
  positive temperature = 0.05;

  constexpr auto operator()(auto const& pair) const {
    auto const margin = pair.beta_or(beta) * pair.log_ratio_margin();
    // Far below 0 the loss is -z, while factors of it are 0 and infinity: they see a finite z, and what it lacks of the
    // margin is added.
    auto const at = value_of(margin);
    using number = std::remove_cvref_t<decltype(at)>;
    number const least = number(-1e30);
    auto const z = with_slope(margin, select(at < least, least, at), number(1.0));
    auto const t = z * (1.0 / temperature);
    return sigmoid(-t) * softplus(-z) + exp(-softplus(-t) - z) + relu(least - at);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("temperature", self.temperature);
  }
};

}  // namespace prefer::inline v0_1
