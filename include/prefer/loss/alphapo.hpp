// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <type_traits>

#include <prefer/loss/loss.hpp>
#include <prefer/scalar/scalar.hpp>

namespace prefer::inline v0_1 {

/// AlphaPO: simpo with a reward that is curved in the log-probability per token.
///
///   loss = softplus(gamma - beta * (s_chosen - s_rejected)),  s = -expm1(-alpha * mean_log_prob) / alpha
///   with label_smoothing e:  (1 - e) * loss + e softplus(-(...))
///
/// alpha = 0 is simpo; alpha > 0 makes unlikely completions count more.
///
/// Reads   policy log_prob and length of both completions; beta and target_margin per pair where given
/// Units   nats per token in, nats out; gamma is absolute. Where -alpha * mean_log_prob is beyond 690 (float: 75), s
///         goes on as a straight line
/// Errors  beta <= 0 or label_smoothing outside [0, 1/2) is refused; a length of zero makes a non-finite loss
///         (see diagnose)
/// Source  Gupta et al. 2025, arXiv:2501.03884. Defaults: those that TRL's documentation gives for the paper's Mistral
/// TRL     CPOTrainer `alphapo`, whose alpha stays 0, which is simpo, unless set. It takes powers of exp(mean_log_prob),
///         which is 0 for very unlikely completions, and is not finite there
struct alphapo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "alphapo";

  positive beta = 2.5;
  double gamma = 0.1;  // target margin, nats
  double alpha = 0.25;
  flip_probability label_smoothing = 0.0;

  constexpr auto operator()(auto const& pair) const {
    auto const z = pair.beta_or(beta) * (reward(pair.chosen) - reward(pair.rejected)) -
                   pair.target_margin_or(gamma);
    return smoothed_logistic(z, label_smoothing);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("gamma", self.gamma);
    visit("alpha", self.alpha);
    visit("label_smoothing", self.label_smoothing);
  }

 private:
  [[nodiscard]] constexpr auto reward(auto const& y) const {
    auto const a = y.mean_log_prob();
    using number = std::remove_cvref_t<decltype(a)>;
    if (alpha == 0.0) return number(a);
    return number(-bounded_expm1(-alpha * a) / alpha);
  }
};

}  // namespace prefer::inline v0_1
