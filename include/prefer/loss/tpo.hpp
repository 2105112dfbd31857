// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Triple Preference Optimization: a preference without a reference, and the likelihood of a third, gold completion.
///
///   loss = softplus(-z) - alpha * log_prob_gold / length_gold,  z = beta * (log_prob_chosen - log_prob_rejected)
///   with label_smoothing e:  (1 - e) softplus(-z) + e softplus(z) in place of softplus(-z)
///
/// A list has three completions: gold, chosen, rejected.
///
/// Reads   policy log_prob and length of every completion; beta per list where given
/// Units   nats
/// Errors  beta <= 0, alpha < 0 or label_smoothing outside [0, 1/2) is refused; a list of another size throws
/// Source  Saeidi et al. 2024, arXiv:2405.16681, and the authors' script
/// TRL     TPOTrainer `sigmoid`, whose likelihood term divides by the tokens of the batch
struct tpo {
  static constexpr std::size_t arity = dynamic_arity;
  static constexpr std::size_t list_size = 3;
  static constexpr std::size_t compares_from = 1;
  static constexpr char const* name = "tpo";

  positive beta = 0.01;
  non_negative alpha = 1.0;
  flip_probability label_smoothing = 0.0;

  constexpr auto operator()(auto const& list) const {
    auto const z = list.beta_or(beta) * (list[1].log_prob - list[2].log_prob);
    return smoothed_logistic(z, label_smoothing) - weighted(alpha, list[0].mean_log_prob());
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("alpha", self.alpha);
    visit("label_smoothing", self.label_smoothing);
  }
};

/// Triple Preference Optimization, length-controlled: per token, with a target margin.
///
///   loss = softplus(gamma - beta * (mean_log_prob_chosen - mean_log_prob_rejected)) - alpha * mean_log_prob_gold
///
/// A list has three completions: gold, chosen, rejected.
///
/// Reads   policy log_prob and length of every completion; beta per list where given
/// Units   nats per token in, nats out; gamma is absolute
/// Errors  as for tpo
/// Source  Saeidi et al. 2024, arXiv:2405.16681, and the authors' code
/// TRL     TPOTrainer `tpo-l`, whose likelihood term divides by the tokens of the batch
struct tpo_l {
  static constexpr std::size_t arity = dynamic_arity;
  static constexpr std::size_t list_size = 3;
  static constexpr std::size_t compares_from = 1;
  static constexpr char const* name = "tpo_l";

  positive beta = 0.01;
  double gamma = 0.5;  // target margin, nats
  non_negative alpha = 1.0;
  flip_probability label_smoothing = 0.0;

  constexpr auto operator()(auto const& list) const {
    auto const z = list.beta_or(beta) * (list[1].mean_log_prob() - list[2].mean_log_prob()) - gamma;
    return smoothed_logistic(z, label_smoothing) - weighted(alpha, list[0].mean_log_prob());
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("beta", self.beta);
    visit("gamma", self.gamma);
    visit("alpha", self.alpha);
    visit("label_smoothing", self.label_smoothing);
  }
};

}  // namespace prefer::inline v0_1
