// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// Diffusion-DPO: DPO for models that denoise, such as those of images. The score of a completion is minus
/// its denoising error E, the mean over coordinates of (eps - eps_theta(x_t, t, prompt))^2.
///
///   loss = -log sigmoid(beta / 2 * (log_ratio_chosen - log_ratio_rejected)),  log_prob = -E
///
/// The time t and the noise eps are one draw per pair, shared by chosen and rejected and by policy and
/// reference (see denoiser). It is dpo with half of beta; the half is of the paper's convention, whose beta
/// also holds its number of steps T and its weight of the noise level, taken as constant. A bound, not the
/// likelihood of a preference: Jensen's inequality draws the mean over t out of the sigmoid.
///
/// Reads   policy and reference log_prob of both completions; beta per pair where given
/// Units   squared noise per coordinate in, nats out
/// Errors  beta <= 0 is refused; NaN passes through
/// Source  Wallace et al. 2023, arXiv:2311.12908. Its authors' program defaults to beta = 5000 for
///         images; data of few coordinates wants far less. The implicit accuracy is the share of pairs whose
///         margin is above 0; rewards reported as beta * log_ratio are twice what the sigmoid sees.
struct diffusion_dpo {
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "diffusion_dpo";

  positive beta = 5000.0;

  constexpr auto operator()(auto const& pair) const {
    return softplus(-0.5 * pair.beta_or(beta) * pair.log_ratio_margin());
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

}  // namespace prefer::inline v0_1
