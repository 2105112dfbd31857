// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <utility>

#include <prefer/bounded.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

/// What an adaptive beta aims at, and how fast.
struct kl_target {
  positive kl = 1.0;        ///< nats, mean over prompts
  positive beta = 0.1;      ///< at the start
  positive gain = 0.1;      ///< K; below 5, so that beta stays positive
  std::uint64_t every = 1;  ///< steps between two measurements
  positive lowest = 1e-6;   ///< beta stays from here
  positive highest = 1e6;   ///< to here
};

/// A beta that rises while the policy is further from the reference than wanted, and falls while it is nearer.
///
///   error = clip(KL / target - 1, -0.2, 0.2)
///   beta  = beta * (1 + gain * error), every `every` steps
///
///   prefer::adaptive_beta rule(prefer::kl_target{.kl = 2.0}, [&](auto& policy, auto& reference) {
///     return prefer::kl_divergence(policy, reference, all_completions.batch());
///   });
///   prefer::trainer run(policy, loss, reference, data, options, rule);
///
/// `measure(policy, reference)` is called after a step, before a moving reference moves, and returns an estimate
/// of KL(policy || reference), or of the KL to whatever the run is to stay near. It must be a function of the two
/// (and of fixed numbers), or a resumed run differs. The log-ratios of a batch are no such estimate: its
/// completions were not drawn from the policy (docs/decisions/0016-adaptive-beta.md).
/// It assumes that a larger beta ends nearer the reference, which holds for losses of beta * log_ratio at
/// their optimum; beta must move more slowly than the policy follows, or it oscillates.
///
/// Errors  precondition_error for a gain of 5 or more, every = 0, limits that do not hold the start, a measured
///         KL that is not finite; backend_error from a checkpoint without its state
/// Source  Ziegler et al. 2019, section 2.2, arXiv:1909.08593, with K = 0.1
/// TRL     has no such rule for preference losses. Its former PPO trainer's, after the paper's code, has the
///         same error and the factor 1 + error * batch_size / horizon: gain = batch_size / horizon.
template <class Measure>
class adaptive_beta {
 public:
  adaptive_beta(kl_target target, Measure measure)
      : target_(target), measure_(std::move(measure)), beta_(target.beta) {
    expects_in_range(target.kl, "adaptive_beta", "kl");
    expects_in_range(target.beta, "adaptive_beta", "beta");
    expects_in_range(target.gain, "adaptive_beta", "gain");
    expects_in_range(target.lowest, "adaptive_beta", "lowest");
    expects_in_range(target.highest, "adaptive_beta", "highest");
    expects(target.gain < 5.0, "adaptive_beta: gain must be less than 5");
    expects(target.every > 0, "adaptive_beta: every must be at least 1");
    expects(target.lowest <= target.beta && target.beta <= target.highest,
            "adaptive_beta: beta must be from lowest to highest");
  }

  /// The beta of the step that comes next, whatever its number.
  [[nodiscard]] double operator()(std::uint64_t /*step*/) const { return beta_; }

  /// Called by the trainer after step `step`, counted from 1.
  template <class P, class R>
  void observe(P& policy, R& reference, std::uint64_t step) {
    if (step % target_.every != 0) return;
    double const kl = static_cast<double>(measure_(policy, reference));
    if (!std::isfinite(kl)) {
      detail::broken("adaptive_beta: the KL measured after step " + std::to_string(step) + " is " +
                     std::to_string(kl) + "; expected a finite number");
    }
    double error = kl / target_.kl - 1.0;
    if (error > 0.2) error = 0.2;
    if (error < -0.2) error = -0.2;
    double beta = beta_ * (1.0 + target_.gain * error);
    if (beta < target_.lowest) beta = target_.lowest;
    if (beta > target_.highest) beta = target_.highest;
    beta_ = beta;
  }

  void save(archive_writer& file) const { file.add("beta/adaptive", beta_); }
  void load(archive const& file) {
    auto const beta = file.number<double>("beta/adaptive");
    if (!(beta >= target_.lowest && beta <= target_.highest)) {
      detail::fail(backend_error("adaptive_beta::load", file.path(),
                                 "beta is " + std::to_string(beta) + ", outside its limits"));
    }
    beta_ = beta;
  }
  /// Stands for the target, not for where beta is.
  [[nodiscard]] std::uint64_t identity() const {
    return fingerprint()
        .add("adaptive_beta")
        .add(double{target_.kl})
        .add(double{target_.beta})
        .add(double{target_.gain})
        .add(target_.every)
        .add(double{target_.lowest})
        .add(double{target_.highest})
        .value();
  }

 private:
  kl_target target_;
  Measure measure_;
  double beta_;
};

}  // namespace prefer::inline v0_1
