// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include <prefer/diagnosis/batch.hpp>
#include <prefer/diagnosis/training_report.hpp>

namespace prefer::inline v0_1 {

/// What can be wrong with a run.
enum class problem : std::uint8_t {
  not_finite,
  reference_mismatch,
  diverged,
  no_learning,
  likelihood_displacement,
  saturation,
  length_exploitation,
  overconfidence,
  kl_blow_up,
  over_optimisation
};

/// Something to try. `loss` is its name in loss/catalogue.hpp, empty where no loss of ours is meant.
struct suggestion {
  char const* action;
  char const* loss = "";
};

/// One thing that is wrong with a run: what was seen, in numbers, and what others do about it.
struct training_finding {
  problem kind = problem::not_finite;
  std::string sentence;
  std::span<suggestion const> suggestions = {};  ///< constants, most used first
};

/// From where on something counts as wrong. Conventions, not theory: they separate the runs of our tests, and
/// are here to be changed.
struct diagnosis_limits {
  double start_log_ratio = 1e-3;  ///< nats, of a reference that is the start
  double start_margin = 3.0;      ///< |z| before the first step, of any other reference
  double loss_rise = 0.1;         ///< of the last tenth of the steps over the first step, relative
  double learning = 0.01;         ///< less change of loss, relative, and of margin, nats, is none
  std::size_t learning_steps = 10;  ///< as many steps are enough to expect some
  double displaced_share = 0.5;     ///< of pairs whose chosen completion fell
  double displacement = 0.01;       ///< nats that chosen completions fell on average
  double active_share = 0.1;        ///< of pairs that still teach something
  double length_correlation = 0.5;  ///< of margin and length difference
  double length_correlation_rise = 0.2;
  double overconfidence = 0.1;  ///< mean confidence minus accuracy, on held-out pairs
  double kl = 20.0;             ///< nats per completion
};

namespace detail {

inline constexpr suggestion suggestions_for_not_finite[] = {
    {"call diagnose(batch) on the batch of that step: it names row and column"},
    {"take a smaller step, or set max_gradient_norm"}};
inline constexpr suggestion suggestions_for_reference_mismatch[] = {
    {"score policy and reference alike: chat template, mask, truncation, dropout off"},
    {"make the cache of the reference again, from this data and this model"},
    {"if the reference is meant to be another model, choose beta so that margins are of order 1"}};
inline constexpr suggestion suggestions_for_diverged[] = {
    {"take a smaller step, with warm-up"},
    {"set max_gradient_norm"},
    {"raise beta, and lower the step by the same factor"}};
inline constexpr suggestion suggestions_for_no_learning[] = {
    {"take a larger step, or more of them"},
    {"see whether chosen and rejected differ once truncated, and are not swapped in half of the "
     "data"},
    {"see whether the parameters that training should move are among parameters()"}};
inline constexpr suggestion suggestions_for_displacement[] = {
    {"add the NLL of chosen completions to the loss", "nll_per_token"},
    {"DPOP, which charges for every chosen completion below its reference", "dpop"},
    {"APO-zero, which pushes chosen completions up and rejected ones down", "apo_zero"},
    {"take a smaller step or fewer of them, or raise beta"},
    {"leave out pairs whose two completions are almost the same"}};
inline constexpr suggestion suggestions_for_saturation[] = {
    {"lower beta"},
    {"a squared loss, which asks for a margin and no more", "ipo"},
    {"label_smoothing > 0, under which the best margin is finite", "dpo"},
    {"stop earlier"}};
inline constexpr suggestion suggestions_for_length_exploitation[] = {
    {"rewards per token without a reference", "simpo"},
    {"R-DPO, which subtracts a multiple of the length difference from the margin", "r_dpo"},
    {"LN-DPO, which takes log-ratios per token", "ln_dpo"},
    {"balance the lengths of chosen and rejected completions in the data"}};
inline constexpr suggestion suggestions_for_overconfidence[] = {
    {"label_smoothing: the share of labels that are wrong (conservative DPO)", "dpo"},
    {"robust DPO, unbiased under flipped labels of known share", "robust_dpo"},
    {"a squared loss, whose margins stay bounded", "ipo"},
    {"stop earlier, by the loss on held-out pairs"}};
inline constexpr suggestion suggestions_for_kl[] = {
    {"raise beta"},
    {"take a smaller step or fewer of them"},
    {"add the NLL of chosen completions to the loss", "nll_per_token"}};
inline constexpr suggestion suggestions_for_over_optimisation[] = {
    {"keep the checkpoint of the peak: evaluation_plan::restore_best with the true reward"},
    {"raise beta"},
    {"more data, or new pairs written by the present policy"}};

/// Three significant digits.
inline std::string digits(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}
inline std::string percent(double share) { return digits(100.0 * share) + " %"; }

inline bool all_finite(pair_summary const& at) {
  return std::isfinite(at.rewards.reward_chosen.sum) &&
         std::isfinite(at.rewards.reward_rejected.sum);
}

class training_checks {
 public:
  training_checks(training_report const& report, diagnosis_limits const& limits,
                  std::vector<training_finding>& out)
      : report_(report), limits_(limits), out_(out) {}

  /// Whether numbers are numbers; if not, nothing else is worth saying.
  bool finite() {
    for (step_report const& step : report_.steps) {
      // A gradient norm that was not measured is NaN; one that is infinite was.
      if (std::isfinite(step.loss) && !std::isinf(step.gradient_norm)) continue;
      say(problem::not_finite, suggestions_for_not_finite,
          {"step ", std::to_string(step.step), " has loss ", digits(step.loss),
           " and gradient norm ", digits(step.gradient_norm)});
      return false;
    }
    struct {
      char const* name;
      pair_summary const& at;
    } const moments[] = {{"the start", report_.start},
                         {"the end", report_.end},
                         {"the end, held out", report_.held_out}};
    for (auto const& each : moments) {
      if (all_finite(each.at)) continue;
      say(problem::not_finite, suggestions_for_not_finite,
          {std::string("mean rewards at "), each.name, " are ",
           digits(each.at.rewards.reward_chosen.mean()), " (chosen) and ",
           digits(each.at.rewards.reward_rejected.mean()), " (rejected)"});
      return false;
    }
    return true;
  }

  void reference() {
    reference_compatibility const& at = report_.start.compared;
    if (at.accuracy.count == 0.0) return;
    double const chosen = report_.start.displaced.chosen.log_ratio.mean();
    double const rejected = report_.start.displaced.rejected.log_ratio.mean();
    double const mean = at.mean_margin();
    double const deviation = at.margin_deviation();
    bool const should_be_zero = report_.reference_is_start;
    bool const off =
        should_be_zero ? std::abs(chosen) > limits_.start_log_ratio ||
                             std::abs(rejected) > limits_.start_log_ratio ||
                             deviation > limits_.start_log_ratio
                       : std::abs(mean) > limits_.start_margin || deviation > limits_.start_margin;
    if (!off) return;
    say(problem::reference_mismatch, suggestions_for_reference_mismatch,
        {"before the first step the mean log-ratio was ", digits(chosen), " nats (chosen) and ",
         digits(rejected), " (rejected), reward margins ", digits(mean), " with deviation ",
         digits(deviation),
         (should_be_zero ? "; the reference is said to be the start policy, so all should be 0"
                         : "; training starts far from where the loss expects it")});
  }

  void loss() {
    std::size_t const count = report_.steps.size();
    if (count < 2) return;
    double const first = report_.steps.front().loss;
    std::size_t const tail = count < 10 ? 1 : count / 10;
    sum_and_count last;
    for (std::size_t i = count - tail; i < count; ++i) {
      last = last + sum_and_count{report_.steps[i].loss, 1.0};
    }
    double const change = last.mean() - first;
    double const size = std::abs(first);
    if (change > limits_.loss_rise * size) {
      say(problem::diverged, suggestions_for_diverged,
          {"the loss rose from ", digits(first), " at the first step to ", digits(last.mean()),
           " over the last ", std::to_string(tail), " of ", std::to_string(count)});
      return;
    }
    if (count < limits_.learning_steps || std::abs(change) >= limits_.learning * size) return;
    double const margin = report_.end.rewards.reward_margin.mean();
    double const margin_change = margin - report_.start.rewards.reward_margin.mean();
    if (report_.end.present() && std::abs(margin_change) >= limits_.learning) return;
    say(problem::no_learning, suggestions_for_no_learning,
        {"after ", std::to_string(count), " steps the loss is ", digits(last.mean()),
         " where it began with ", digits(first),
         (report_.end.present()
              ? ", and the mean reward margin changed by " + digits(margin_change) + " nats"
              : std::string())});
  }

  void likelihood() {
    displacement const& at = report_.end.displaced;
    double const margin = report_.end.rewards.reward_margin.mean();
    if (at.chosen.fell.mean() <= limits_.displaced_share ||
        at.chosen.log_ratio.mean() >= -limits_.displacement || margin <= 0.0) {
      return;
    }
    // Where the policy began below its reference, falling further is what counts.
    displacement const& before = report_.start.displaced;
    if (before.chosen.fell.count > 0.0 &&
        at.chosen.log_ratio.mean() >= before.chosen.log_ratio.mean()) {
      return;
    }
    std::string const per_token =
        at.chosen.fall_per_token.count > 0.0
            ? " (" + digits(at.chosen.fall_per_token.mean()) + " per token)"
            : std::string();
    say(problem::likelihood_displacement, suggestions_for_displacement,
        {percent(at.chosen.fell.mean()), " of the chosen completions fell below the reference, by ",
         digits(at.chosen.fall.mean()), " nats each", per_token, ", in ",
         percent(at.both_fell.mean()),
         " of the pairs together with the rejected one, while the mean reward margin is ",
         digits(margin)});
  }

  void saturation() {
    sum_and_count const& active = report_.end.active;
    if (active.count == 0.0 || active.mean() >= limits_.active_share) return;
    double const margin = report_.end.rewards.reward_margin.mean();
    say(problem::saturation, suggestions_for_saturation,
        {"only ", percent(active.mean()), " of ",
         std::to_string(static_cast<std::size_t>(active.count)),
         " pairs have a reward margin z with sigmoid(-z) > 0.05; its mean is ", digits(margin),
         ", and from 3 on a logistic loss has next to no gradient"});
  }

  void lengths() {
    length_bias const& at = report_.end.lengths;
    if (at.length_chosen.count == 0.0) return;
    double const end = at.margin_length_difference.value();
    double const start = report_.start.lengths.margin_length_difference.value();
    double const before = std::isnan(start) ? 0.0 : start;
    if (!(end > limits_.length_correlation) || end - before <= limits_.length_correlation_rise) {
      return;
    }
    say(problem::length_exploitation, suggestions_for_length_exploitation,
        {"reward margins follow length: their correlation with the difference of lengths is ",
         digits(end), ", at the start ", digits(before), "; chosen completions have ",
         digits(at.length_chosen.mean()), " tokens, rejected ones ",
         digits(at.length_rejected.mean())});
  }

  void confidence() {
    reliability_bin const all = report_.held_out.calibrated.total();
    if (all.weight <= 0.0) return;
    double const excess = all.mean_confidence() - all.accuracy();
    if (excess <= limits_.overconfidence) return;
    say(problem::overconfidence, suggestions_for_overconfidence,
        {"on held-out pairs sigmoid(|z|) claims ", percent(all.mean_confidence()),
         " and is right in ", percent(all.accuracy()),
         "; the labels may be noisy, or learnt by "
         "heart (expected calibration error ",
         digits(report_.held_out.calibrated.expected_error()), ")"});
  }

  void distance() {
    if (!(report_.kl > limits_.kl)) return;
    say(problem::kl_blow_up, suggestions_for_kl,
        {"the policy is ", digits(report_.kl), " nats of KL away from its start, more than ",
         digits(limits_.kl)});
  }

  void truth() {
    if (report_.checkpoints.empty()) return;
    auto const found = find_over_optimisation(report_.checkpoints, report_.truth_noise);
    if (!found.found) return;
    checkpoint_rewards const& peak = report_.checkpoints[found.peak];
    say(problem::over_optimisation, suggestions_for_over_optimisation,
        {"the true reward was highest, ", digits(peak.truth), ", at step ",
         std::to_string(peak.step), " (sqrt(KL) ", digits(found.distance_at_peak),
         "), and fell by ", digits(found.drop), " since, while the proxy rose by ",
         digits(found.proxy_gain)});
  }

 private:
  void say(problem kind, std::span<suggestion const> suggestions,
           std::initializer_list<std::string> pieces) {
    out_.push_back({kind, "", suggestions});
    for (std::string const& piece : pieces) out_.back().sentence += piece;
  }

  training_report const& report_;
  diagnosis_limits const& limits_;
  std::vector<training_finding>& out_;
};

}  // namespace detail

/// Says what is wrong with a run, as far as its report tells, and what to try. Empty for a healthy one.
///
/// Each finding is a sign and no proof. Several often have one cause; the earlier in the list, the closer to it.
[[nodiscard]] inline std::vector<training_finding> diagnose_training(
    training_report const& report, diagnosis_limits const& limits = {}) {
  std::vector<training_finding> out;
  detail::training_checks checks(report, limits, out);
  if (!checks.finite()) return out;
  checks.reference();
  checks.loss();
  checks.distance();
  checks.likelihood();
  checks.saturation();
  checks.lengths();
  checks.confidence();
  checks.truth();
  return out;
}

}  // namespace prefer::inline v0_1
