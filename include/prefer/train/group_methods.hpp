// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/advantage/baselines.hpp>
#include <prefer/advantage/steps.hpp>
#include <prefer/advantage/token_weights.hpp>
#include <prefer/bounded.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/train/rollout.hpp>

// Advantages of whole completions, without a value model; see AdvantageMethod.

namespace prefer::inline v0_1 {

namespace detail {

/// Scores minus what completions pay for their log_ratio.
template <class = on_demand>
[[nodiscard]] std::vector<double> paid_scores(rollout const& of, double coefficient) {
  if (of.reference.empty()) return of.score;
  return penalised_scores(view_of(of.score), view_of(of.behaviour), view_of(of.reference),
                          coefficient);
}

template <class = on_demand>
void expects_k1(kl_control const& kl, char const* where) {
  if (kl.estimator == kl_estimator::k1) return;
  broken(std::string(where) +
         ": kl.estimator is k3, an estimate for tokens; this method pays for whole completions, by "
         "k1");
}

}  // namespace detail

struct rloo_options {
  kl_control kl = {};
  bool standardise = false;  ///< advantages of each rollout to mean 0 and deviation 1
};

/// REINFORCE leave-one-out, for the loss `rloo`: what a completion has earned beyond the mean of the others of its prompt,
/// KL by k1 in the reward.
///
/// Errors  precondition_error for one completion per prompt, a KL coefficient below 0, k3
/// Source  Ahmadian et al. 2024, arXiv:2402.14740
/// TRL     RLOOTrainer; `standardise` is its `normalize_advantages`
template <class = on_demand>
class basic_rloo_method {
 public:
  static constexpr bool over_tokens = false;
  static constexpr bool reads_reference = true;

  explicit basic_rloo_method(rloo_options const& options = {})
      : kl_(options.kl, "rloo_method"), standardise_(options.standardise) {
    detail::expects_k1(options.kl, "rloo_method");
  }

  void expects_rollouts(rollout_options const& how) const {
    expects(how.completions > 1,
            "rloo_method: completions must be at least 2, so that each has others of its prompt to "
            "be compared with");
  }
  [[nodiscard]] double kl_coefficient() const { return kl_.coefficient(); }
  void advantages(rollout& of, auto const& /*all*/) {
    auto const paid = detail::paid_scores(of, kl_.coefficient());
    of.advantage = leave_one_out(view_of(paid), view_of(of.group_offset));
    if (standardise_) of.advantage = prefer::standardise(view_of(of.advantage));
    kl_.observe(of.kl);
  }

  [[nodiscard]] std::uint64_t identity() const {
    fingerprint out;
    out.add("rloo_method").add(standardise_);
    kl_.identify(out);
    return out.value();
  }
  void save(archive_writer& file) const { file.add("rollout/kl_coefficient", kl_.coefficient()); }
  [[nodiscard]] double state_in(archive const& file) const {
    return file.number<double>("rollout/kl_coefficient");
  }
  void resume(double coefficient) { kl_.resume(coefficient); }

 private:
  detail::kl_controller kl_;
  bool standardise_;
};
using rloo_method = basic_rloo_method<>;

struct reinforce_options {
  kl_control kl = {};
  fraction decay = 0.9;  ///< of the running mean of rewards, per rollout
};

/// REINFORCE with a running mean of rewards as its baseline, for the loss `reinforce`, or `rloo` where a rollout serves for
/// several steps. KL by k1 in the reward.
///
/// Errors  precondition_error for a decay outside [0, 1), a KL coefficient below 0, k3
/// Source  Williams 1992, "Simple statistical gradient-following algorithms"
template <class = on_demand>
class basic_reinforce_method {
 public:
  static constexpr bool over_tokens = false;
  static constexpr bool reads_reference = true;

  explicit basic_reinforce_method(reinforce_options const& options = {})
      : kl_(options.kl, "reinforce_method"), decay_(options.decay), baseline_(options.decay) {
    detail::expects_k1(options.kl, "reinforce_method");
  }

  void expects_rollouts(rollout_options const& /*how*/) const {}
  [[nodiscard]] double kl_coefficient() const { return kl_.coefficient(); }
  void advantages(rollout& of, auto const& /*all*/) {
    auto const paid = detail::paid_scores(of, kl_.coefficient());
    of.advantage = baseline_.advantages(view_of(paid));
    kl_.observe(of.kl);
  }

  [[nodiscard]] std::uint64_t identity() const {
    fingerprint out;
    out.add("reinforce_method").add(decay_);
    kl_.identify(out);
    return out.value();
  }
  struct state {
    double kl_coefficient = 0.0;
    double sum = 0.0;
    double weight = 0.0;
  };
  void save(archive_writer& file) const {
    file.add("rollout/kl_coefficient", kl_.coefficient());
    file.add("rollout/baseline_sum", baseline_.sum());
    file.add("rollout/baseline_weight", baseline_.weight());
  }
  [[nodiscard]] state state_in(archive const& file) const {
    return {file.number<double>("rollout/kl_coefficient"),
            file.number<double>("rollout/baseline_sum"),
            file.number<double>("rollout/baseline_weight")};
  }
  void resume(state const& from) {
    kl_.resume(from.kl_coefficient);
    baseline_.resume(from.sum, from.weight);
  }

 private:
  detail::kl_controller kl_;
  double decay_;
  running_baseline baseline_;
};
using reinforce_method = basic_reinforce_method<>;

struct grpo_options {
  reward_scale scale = reward_scale::group;
  token_mean mean = token_mean::per_token;
  bool leave_out_truncated = false;  ///< completions that were cut off at max_tokens
};

/// Group-relative advantages, for the loss `grpo`, which has the KL divergence as a term of its own, or for
/// `clipped_surrogate`. Every token has the advantage of its completion.
///
/// Errors  precondition_error for one completion per prompt
/// Source  Shao et al. 2024, arXiv:2402.03300, section 4.1.2
/// TRL     GRPOTrainer: `scale_rewards`, `loss_type`, `mask_truncated_completions`
template <class = on_demand>
class basic_grpo_method {
 public:
  static constexpr bool over_tokens = true;
  static constexpr bool reads_reference = false;

  explicit basic_grpo_method(grpo_options const& options = {}) : options_(options) {}

  void expects_rollouts(rollout_options const& how) const {
    expects(how.completions > 1,
            "grpo_method: completions must be at least 2, so that each has others of its prompt to "
            "be compared with");
  }
  [[nodiscard]] double kl_coefficient() const { return 0.0; }
  void advantages(rollout& of, auto const& /*all*/) {
    auto const each = group_relative(view_of(of.score), view_of(of.group_offset), options_.scale);
    of.advantage.clear();
    for (std::size_t i = 0; i != each.size(); ++i) {
      of.advantage.insert(of.advantage.end(), of.token_offset[i + 1] - of.token_offset[i], each[i]);
    }
  }
  /// The trainer's mean is over all tokens of a minibatch, whether they count or not.
  void weights(rollout const& of, std::span<std::uint32_t const> rows,
               std::vector<double>& out) const {
    out.clear();
    if (options_.mean == token_mean::per_token && !options_.leave_out_truncated) return;
    std::vector<std::size_t> offset = {0};
    std::vector<float> counts;
    for (std::uint32_t const i : rows) {
      offset.push_back(offset.back() + of.token_offset[i + 1] - of.token_offset[i]);
      if (options_.leave_out_truncated) counts.push_back(of.ended[i]);
    }
    out = token_weights(options_.mean, view_of(offset), view_of(counts), of.max_tokens);
    for (double& each : out) each *= static_cast<double>(offset.back());
  }

  [[nodiscard]] std::uint64_t identity() const {
    return fingerprint()
        .add("grpo_method")
        .add(options_.scale)
        .add(options_.mean)
        .add(options_.leave_out_truncated)
        .value();
  }
  struct state {};
  void save(archive_writer& /*file*/) const {}
  [[nodiscard]] state state_in(archive const& /*file*/) const { return {}; }
  void resume(state /*from*/) {}

 private:
  grpo_options options_;
};
using grpo_method = basic_grpo_method<>;

}  // namespace prefer::inline v0_1
