// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <prefer/advantage/steps.hpp>
#include <prefer/bounded.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/policy/sampling_policy.hpp>

namespace prefer::inline v0_1 {

/// How completions are written and learned from by policy gradients. One rollout is written with the parameters as they
/// are then, and serves for epochs * minibatches steps of the trainer.
struct rollout_options {
  std::size_t prompts = 32;     ///< in a rollout
  std::size_t completions = 4;  ///< written for each prompt
  std::size_t epochs = 1;       ///< how often each completion is learned from
  std::size_t minibatches = 1;  ///< steps in which a rollout is learned from once
  sampling_options sampling = {};
  std::uint64_t seed = 1;  ///< of the order of prompts, the completions and the minibatches
};

/// What was written for one batch of prompts, by all processes together, and what is known of it. Numbers of examples are
/// those of the loss: of tokens, end to end, or of completions.
template <class = on_demand>
struct basic_rollout {
  std::vector<std::uint32_t> prompt;        ///< [N]
  std::vector<std::uint32_t> completion;    ///< numbers in the table [N]
  std::vector<std::size_t> group_offset;    ///< where the completions of each prompt begin [G + 1]
  std::vector<std::size_t> token_offset;    ///< [N + 1]
  std::vector<std::size_t> example_offset;  ///< [N + 1]
  std::vector<float> ended;                 ///< 1: by itself, 0: was cut off at max_tokens [N]
  std::vector<double> score;                ///< its reward [N]
  std::vector<double> behaviour;  ///< log_prob under the policy that wrote it, nats [examples]
  std::vector<double> reference;  ///< the same under the reference; empty: none is asked [examples]
  std::vector<double> advantage;  ///< what a method makes of all that [examples]
  std::size_t max_tokens = 0;     ///< of a completion
  double kl =
      std::numeric_limits<double>::quiet_NaN();  ///< mean of the log_ratio of completions, nats

  [[nodiscard]] std::size_t size() const { return completion.size(); }
};
using rollout = basic_rollout<>;

/// What there is to report of a rollout. Means are over completions.
struct rollout_report {
  std::uint64_t number = 0;     ///< counted from 1
  std::size_t completions = 0;  ///< in it
  std::size_t tokens = 0;       ///< of all completions
  double score =
      std::numeric_limits<double>::quiet_NaN();  ///< mean reward, before anything is paid
  double kl =
      std::numeric_limits<double>::quiet_NaN();  ///< k1 estimate of KL(policy || reference), nats
  double kl_coefficient = 0.0;                   ///< what a nat has cost in it
};

/// What being away from the reference costs in the reward, the same all the time or adapted towards a target.
struct kl_control {
  non_negative coefficient = 0.05;  ///< at the beginning
  kl_estimator estimator = kl_estimator::k1;
  non_negative target = 0.0;  ///< nats per completion; 0: the coefficient stays what it is
  non_negative gain = 0.1;    ///< how fast it is adapted
};

namespace detail {

/// The coefficient that pays for the KL divergence, from rollout to rollout.
///
///   error = clamp((kl - target) / target, -0.2, 0.2);  coefficient <- coefficient * (1 + gain * error)
///
/// Source  Ziegler et al. 2019, arXiv:1909.08593, section 2.2, with K_beta = 0.1
template <class = on_demand>
class basic_kl_controller {
 public:
  basic_kl_controller(kl_control const& how, char const* where)
      : how_(how), coefficient_(how.coefficient) {
    expects_in_range(how.coefficient, where, "kl.coefficient");
    expects_in_range(how.target, where, "kl.target");
    expects_in_range(how.gain, where, "kl.gain");
  }

  [[nodiscard]] kl_penalty penalty() const {
    return {.coefficient = coefficient_, .estimator = how_.estimator};
  }
  [[nodiscard]] double coefficient() const { return coefficient_; }
  /// After a rollout in which so many nats were measured.
  void observe(double kl) {
    if (how_.target == 0.0 || !std::isfinite(kl)) return;
    double error = kl / how_.target - 1.0;
    if (error > 0.2) error = 0.2;
    if (error < -0.2) error = -0.2;
    coefficient_ *= 1.0 + how_.gain * error;
  }
  void resume(double coefficient) { coefficient_ = coefficient; }

  void identify(fingerprint& of) const {
    of.add(static_cast<double>(how_.coefficient)).add(how_.estimator);
    of.add(static_cast<double>(how_.target)).add(static_cast<double>(how_.gain));
  }

 private:
  kl_control how_;
  double coefficient_;
};
using kl_controller = basic_kl_controller<>;

}  // namespace detail

/// Makes advantages of a rollout: what tells one policy gradient from another.
///
/// Asked for   `over_tokens`, a static bool: whether the loss's examples are tokens, or completions; `reads_reference`, a
///             static bool; `expects_rollouts(options)`, which refuses what it cannot learn from; `kl_coefficient()`, what
///             a nat costs in the rewards, 0 where it costs nothing there; `advantages(rollout, all)`, which fills
///             rollout.advantage, with `all` a Communicator of processes that all have the whole rollout; `identity()`;
///             `save(archive_writer&)`, `state_in(archive const&)` and `resume(state)`, which takes what state_in gave
/// Semantics   advantages() follows from the rollout and the method's state, the same bits on all processes
/// Optional    `weights(rollout, rows, out)`: the weight of each example of a minibatch of these completions, which the mean
///             of losses counts by; each 1 without it
///             `learn(rollout, rows, step, all)`, called when the policy has made optimizer step `step`, counted from 0, on
///             these completions: for a value model
template <class M>
concept AdvantageMethod =
    requires(M& method, rollout& of, rollout_options const& how, single_process const& all,
             archive_writer& to, archive const& from) {
      { M::over_tokens } -> std::convertible_to<bool>;
      { M::reads_reference } -> std::convertible_to<bool>;
      { method.kl_coefficient() } -> std::convertible_to<double>;
      { method.identity() } -> std::convertible_to<std::uint64_t>;
      method.expects_rollouts(how);
      method.advantages(of, all);
      method.save(to);
      method.resume(method.state_in(from));
    };

}  // namespace prefer::inline v0_1
