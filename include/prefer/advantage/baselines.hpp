// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/advantage/steps.hpp>
#include <prefer/advantage/whiten.hpp>
#include <prefer/batch/sum_and_count.hpp>
#include <prefer/bounded.hpp>
#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/parallel/communicator.hpp>

namespace prefer::inline v0_1 {

// Advantages of whole completions: their rewards minus what was to be expected. Group g, the completions of one prompt, is
// [offset[g], offset[g + 1]).

/// REINFORCE leave-one-out: the baseline of a completion is the mean of the others of its prompt, which it does not change,
/// so the gradient stays unbiased.
///
///   advantage_i = reward_i - (sum of the other rewards) / (n - 1)
///
/// Errors  precondition_error for a group of one, which has no other, and for rewards that are not finite
/// Source  Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free!"; Ahmadian et al. 2024, arXiv:2402.14740
/// TRL     RLOOTrainer. Its `normalize_advantages` is `standardise` of these
template <class = on_demand>
[[nodiscard]] std::vector<double> leave_one_out(std::span<double const> reward,
                                                std::span<std::size_t const> offset) {
  detail::expects_parts(offset, reward.size(), 2, "leave_one_out", "group");
  detail::expects_finite(reward, "leave_one_out", "reward");
  std::vector<double> out;
  out.reserve(reward.size());
  for (std::size_t g = 0; g + 1 < offset.size(); ++g) {
    double total = 0.0;
    for (std::size_t i = offset[g]; i != offset[g + 1]; ++i) total += reward[i];
    auto const others = static_cast<double>(offset[g + 1] - offset[g] - 1);
    for (std::size_t i = offset[g]; i != offset[g + 1]; ++i) {
      out.push_back(reward[i] - (total - reward[i]) / others);
    }
  }
  return out;
}

/// What the distance of a reward from its group's mean is divided by, 1e-4 added.
enum class reward_scale : std::uint8_t {
  none,   ///< nothing
  group,  ///< the sample deviation of its group
  batch   ///< the sample deviation of all rewards, over all processes
};

/// Group-relative advantages.
///
///   advantage_i = (reward_i - mean of its group) / (sample deviation + 1e-4)
///
/// The mean contains the completion itself: without a scale this is leave_one_out times (n - 1) / n.
///
/// Errors  precondition_error for a group of one, which has no deviation, and for rewards that are not finite
/// Source  Shao et al. 2024, arXiv:2402.03300, section 4.1.2; without a scale Liu et al. 2025, arXiv:2503.20783
/// TRL     GRPOTrainer, `scale_rewards`
template <class = on_demand, Communicator Processes = single_process>
[[nodiscard]] std::vector<double> group_relative(std::span<double const> reward,
                                                 std::span<std::size_t const> offset,
                                                 reward_scale scale = reward_scale::group,
                                                 Processes const& processes = {}) {
  constexpr char const* where = "group_relative";
  detail::expects_parts(offset, reward.size(), 2, where, "group");
  detail::expects_finite(reward, where, "reward");
  double deviation = 0.0;
  if (scale == reward_scale::batch) {
    deviation = std::sqrt(detail::sample_statistics(reward, processes, where).variance);
  }
  std::vector<double> out;
  out.reserve(reward.size());
  for (std::size_t g = 0; g + 1 < offset.size(); ++g) {
    auto const own = reward.subspan(offset[g], offset[g + 1] - offset[g]);
    auto const of = detail::sample_statistics(own, single_process{}, where);
    if (scale == reward_scale::group) deviation = std::sqrt(of.variance);
    double const divisor = scale == reward_scale::none ? 1.0 : deviation + 1e-4;
    for (double const r : own) out.push_back((r - of.mean) / divisor);
  }
  return out;
}

/// Advantages of mean 0 and deviation 1, those of all processes together.
///
///   (x - mean) / (sample deviation + 1e-4)
///
/// Errors  precondition_error for fewer than two, and for one that is not finite
/// TRL     `normalize_advantages` of RLOOTrainer
template <class = on_demand, Communicator Processes = single_process>
[[nodiscard]] std::vector<double> standardise(std::span<double const> advantage,
                                              Processes const& processes = {}) {
  detail::expects_finite(advantage, "standardise", "advantage");
  auto const of = detail::sample_statistics(advantage, processes, "standardise");
  double const divisor = std::sqrt(of.variance) + 1e-4;
  std::vector<double> out;
  out.reserve(advantage.size());
  for (double const x : advantage) out.push_back((x - of.mean) / divisor);
  return out;
}

/// REINFORCE with a baseline: the running mean of the rewards of earlier batches, which the completions of this one do not
/// change, so the gradient stays unbiased. The first batch has a baseline of 0.
///
///   advantage_i = reward_i - b;  then  b <- decay * b + (1 - decay) * mean reward of the batch
///
/// with b divided by 1 - decay^batches, as a mean that begins with nothing must be. Its two numbers are its state.
///
/// Errors  precondition_error for a decay outside [0, 1), for no rewards and for rewards that are not finite
/// Source  Williams 1992, "Simple statistical gradient-following algorithms", on reinforcement comparison
class running_baseline {
 public:
  explicit running_baseline(fraction decay = 0.9) : decay_(decay) {
    expects_in_range(decay, "running_baseline", "decay");
    expects(decay < 1.0, "running_baseline: decay is 1, expected less");
  }

  template <class = on_demand, Communicator Processes = single_process>
  [[nodiscard]] std::vector<double> advantages(std::span<double const> reward,
                                               Processes const& processes = {}) {
    detail::expects_finite(reward, "running_baseline", "reward");
    sum_and_count of_batch{0.0, static_cast<double>(reward.size())};
    for (double const r : reward) of_batch.sum += r;
    of_batch = over_processes(of_batch, processes);
    expects(of_batch.count > 0.0, "running_baseline: there are no rewards");
    std::vector<double> out;
    out.reserve(reward.size());
    double const baseline = value();
    for (double const r : reward) out.push_back(r - baseline);
    sum_ = decay_ * sum_ + (1.0 - decay_) * of_batch.mean();
    weight_ = decay_ * weight_ + (1.0 - decay_);
    return out;
  }

  /// What is subtracted next.
  [[nodiscard]] double value() const { return weight_ > 0.0 ? sum_ / weight_ : 0.0; }
  /// Its state, for checkpoints: resume(sum(), weight()) goes on from here.
  [[nodiscard]] double sum() const { return sum_; }
  [[nodiscard]] double weight() const { return weight_; }
  void resume(double sum, double weight) {
    sum_ = sum;
    weight_ = weight;
  }

 private:
  double decay_;
  double sum_ = 0.0;
  double weight_ = 0.0;  // 1 - decay^batches
};

}  // namespace prefer::inline v0_1
