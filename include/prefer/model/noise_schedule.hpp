// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// Noise levels of a variance-preserving diffusion in discrete steps.
///
///   x_t = signal(t) x_0 + noise(t) eps,  eps standard normal,  t = 0 ... steps
///   signal(t)^2 = exp(-(low u + (high - low) u^2 / 2)),  u = t / steps,  noise^2 = 1 - signal^2
///
/// At t = 0 there is no noise; at t = steps, with the usual rates, hardly anything else.
///
/// Units   the data's; made for data whose coordinates have a variance near 1
/// Errors  no steps, or rates that are not 0 < low <= high and finite: precondition_error. A t beyond
///         the last step is not checked
/// Source  Ho et al. 2020, arXiv:2006.11239, section 2. The linear rates 0.1 to 20: Song et al. 2021,
///         arXiv:2011.13456, appendix C, of which the 1000 steps from 1e-4 to 0.02 are a discretisation
template <class = on_demand>
class basic_noise_schedule {
 public:
  explicit basic_noise_schedule(std::size_t steps, double low = 0.1, double high = 20.0) {
    expects(steps > 0, "noise_schedule: steps must be greater than zero");
    if (!(low > 0 && low <= high && high <= 1e6)) {
      detail::broken("noise_schedule: rates are " + std::to_string(low) + " and " +
                     std::to_string(high) + ", expected 0 < low <= high");
    }
    for (std::size_t t = 0; t <= steps; ++t) {
      double const u = static_cast<double>(t) / static_cast<double>(steps);
      double const spent = low * u + (high - low) * u * u / 2;
      signal_.push_back(std::exp(-spent / 2));
      noise_.push_back(std::sqrt(-std::expm1(-spent)));
    }
  }

  [[nodiscard]] std::size_t steps() const { return signal_.size() - 1; }
  [[nodiscard]] double signal(std::size_t t) const { return signal_[t]; }
  [[nodiscard]] double noise(std::size_t t) const { return noise_[t]; }

  /// x_{t-1} given x_t and x_0 is normal around x0 * x_0 + xt * x_t.
  struct posterior {
    double x0;
    double xt;
    double deviation;  ///< 0 for t = 1: the last step adds no noise
  };
  /// What the sampler steps back with; t from 1 to steps.
  [[nodiscard]] posterior back(std::size_t t) const {
    double const alpha = signal(t) / signal(t - 1);  // of one step, as a factor of x
    double const beta = 1 - alpha * alpha;
    double const variance = noise(t) * noise(t);
    double const before = noise(t - 1) * noise(t - 1);
    return {signal(t - 1) * beta / variance, alpha * before / variance,
            std::sqrt(before * beta / variance)};
  }

 private:
  std::vector<double> signal_;
  std::vector<double> noise_;
};
using noise_schedule = basic_noise_schedule<>;

}  // namespace prefer::inline v0_1
