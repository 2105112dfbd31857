// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/bounded.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/policy/identity.hpp>
#include <prefer/reference/reference.hpp>
#include <prefer/reward/reward_model.hpp>
#include <prefer/train/judges.hpp>

namespace prefer::inline v0_1 {

// Who judges: rewards and preferences to put into a judge. The true reward is a function of one's own; what it says of two
// completions is greater_reward without doubt and bradley_terry_preference with it.

/// A reward model as the reward of what was written, in one pass for all completions of a prompt.
///
/// The model is borrowed, outlives it, and reads the table that completions are written into. It may be trained after this was
/// made: scores and identity are of the model as it is when they are asked for.
template <RewardModel<choice_batch> M>
class learned_reward {
 public:
  explicit learned_reward(M& model) : model_(&model) {}

  /// Of the model, every number of it and what its table holds. A trainer asks when it is made, before it has anything written.
  [[nodiscard]] std::uint64_t identity() const
    requires detail::identified_reference<M>
  {
    return fingerprint().add("learned_reward").add(identity_of_reference(*model_)).value();
  }

  void operator()(written_completions const& written, std::span<double> out) const {
    std::vector<std::size_t> const offset = {0, written.size()};
    std::vector<typename M::value_type> score(written.size());
    model_->log_prob(choice_batch{.prompt = view_of(&written.prompt, 1),
                                  .completion = written.completion,
                                  .offset = view_of(offset),
                                  .drawn = true},
                     std::span<typename M::value_type>(score));
    for (std::size_t i = 0; i != score.size(); ++i) out[i] = static_cast<double>(score[i]);
  }

 private:
  M* model_;
};

/// Prefers what has the higher reward, always; of equal ones either with probability 1/2.
template <Reward F>
struct greater_reward {
  F reward;

  [[nodiscard]] std::uint64_t identity() const {
    return detail::identity_of_judge("greater_reward", reward);
  }
  [[nodiscard]] double operator()(written_completions const& two) const {
    auto const rewards = detail::rewards_of(reward, two);
    return rewards[0] > rewards[1] ? 1.0 : rewards[0] < rewards[1] ? 0.0 : 0.5;
  }
};
template <class F>
greater_reward(F) -> greater_reward<F>;

/// An annotator who says the opposite in a share of all cases.
///
///   P(a preferred) = (1 - flip) * preference(a, b) + flip * (1 - preference(a, b))
///
/// Errors  a flip outside [0, 1/2) is refused when it is asked
template <Preference F>
struct noisy_annotator {
  F preference;
  flip_probability flip = 0.0;

  [[nodiscard]] std::uint64_t identity() const {
    return fingerprint()
        .add(detail::identity_of_judge("noisy_annotator", preference))
        .add(static_cast<double>(flip))
        .value();
  }
  [[nodiscard]] double operator()(written_completions const& two) const {
    expects_in_range(flip, "noisy_annotator", "flip");
    double const wins = detail::preference_of(preference, two);
    return (1.0 - flip) * wins + flip * (1.0 - wins);
  }
};
template <class F>
noisy_annotator(F, flip_probability) -> noisy_annotator<F>;

/// A reward with a taste for length.
///
///   reward + per_token * (tokens of the completion)
///
/// In bradley_terry_preference it is an annotator whose log-odds move by per_token for each token more; in place of a true
/// reward it is a misspecified one.
template <Reward F>
struct length_biased {
  F reward;
  double per_token = 0.0;

  [[nodiscard]] std::uint64_t identity() const {
    return fingerprint()
        .add(detail::identity_of_judge("length_biased", reward))
        .add(per_token)
        .value();
  }
  void operator()(written_completions const& written, std::span<double> out) const {
    auto const rewards = detail::rewards_of(reward, written);
    for (std::size_t i = 0; i != rewards.size(); ++i) {
      out[i] = rewards[i] + per_token * static_cast<double>(written.tokens(i).size());
    }
  }
};
template <class F>
length_biased(F, double) -> length_biased<F>;

}  // namespace prefer::inline v0_1
