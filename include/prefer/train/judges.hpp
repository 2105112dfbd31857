// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/policy/identity.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/scalar/math.hpp>

namespace prefer::inline v0_1 {

/// What a judge is shown: the completions that were written for one prompt.
struct written_completions {
  std::uint32_t prompt;
  std::span<std::uint32_t const> completion;  ///< numbers in the table
  token_table const& table;
  random_address
      address;  ///< for what the judge draws; its `index` may be increased by 2^16 - 1 at most

  [[nodiscard]] std::size_t size() const { return completion.size(); }
  template <class = on_demand>
  [[nodiscard]] std::span<std::uint32_t const> tokens(std::size_t i) const {
    return table.tokens(completion[i]);
  }
  /// Whether two of them are the same tokens, so that there is nothing to prefer.
  template <class = on_demand>
  [[nodiscard]] bool same(std::size_t i, std::size_t j) const {
    auto const a = tokens(i);
    auto const b = tokens(j);
    if (a.size() != b.size()) return false;
    for (std::size_t t = 0; t != a.size(); ++t) {
      if (a[t] != b[t]) return false;
    }
    return true;
  }
};

/// Makes examples of completions.
///
/// Asked for   a call `judge(written, examples)`, which adds groups to a choice_data: none where there is nothing to
///             learn, at most size()^2, of the same kind and with the same columns each time
/// Semantics   what it adds depends on what it is shown alone, on the prompt, the tokens and the address, and not on the
///             numbers that completions have
/// Optional    `look(all)`, with what it will be shown of a step, one by one and in this order: for who judges many at once.
///             `identity()`, so that a checkpoint belongs to this judge. Those below have one, which is of their reward or
///             preference too where that has an `identity()`
template <class J>
concept Judge = requires(J& judge, written_completions const& written, choice_data& examples) {
  judge(written, examples);
};

/// The reward of a completion: a call `reward(prompt, tokens)` gives a number.
template <class F>
concept RewardFunction =
    requires(F const& reward, std::uint32_t prompt, std::span<std::uint32_t const> tokens) {
      { reward(prompt, tokens) } -> std::convertible_to<double>;
    };

/// The rewards of completions that were written for one prompt, together: `reward(written, out)` writes one number for each.
/// What a model says of completions by their numbers in the table, it says so in one pass.
template <class F>
concept GroupReward = requires(F const& reward, written_completions const& written,
                               std::span<double> out) { reward(written, out); };

/// Either of the two, which judges take alike.
template <class F>
concept Reward = RewardFunction<F> || GroupReward<F>;

/// A preference: `preference(prompt, a, b)` gives the probability that the tokens a are preferred to the tokens b.
template <class F>
concept PreferenceFunction =
    requires(F const& preference, std::uint32_t prompt, std::span<std::uint32_t const> tokens) {
      { preference(prompt, tokens, tokens) } -> std::convertible_to<double>;
    };

/// The same of two completions that were written: `preference(two)` gives the probability that the first is preferred.
template <class F>
concept WrittenPreference = requires(F const& preference, written_completions const& two) {
  { preference(two) } -> std::convertible_to<double>;
};

/// Either of the two.
template <class F>
concept Preference = PreferenceFunction<F> || WrittenPreference<F>;

namespace detail {

// Of a judge and, where it has an identity, the function that it asks.
template <class F>
[[nodiscard]] std::uint64_t identity_of_judge(char const* name, F const& asked) {
  fingerprint out;
  out.add(name);
  if constexpr (identified<F const>) out.add(static_cast<std::uint64_t>(asked.identity()));
  return out.value();
}

// Each completion's reward, checked where it enters.
template <Reward F>
[[nodiscard]] std::vector<double> rewards_of(F const& reward, written_completions const& written) {
  std::vector<double> out(written.size());
  if constexpr (GroupReward<F>) {
    reward(written, std::span<double>(out));
  } else {
    for (std::size_t i = 0; i != out.size(); ++i) {
      out[i] = static_cast<double>(reward(written.prompt, written.tokens(i)));
    }
  }
  for (double const one : out) expects(std::isfinite(one), "judge: a reward is not finite");
  return out;
}

// The probability that the first of two is preferred, checked where it enters.
template <Preference F>
[[nodiscard]] double preference_of(F const& preference, written_completions const& two) {
  double wins = 0.0;
  if constexpr (WrittenPreference<F>) {
    wins = static_cast<double>(preference(two));
  } else {
    wins = static_cast<double>(preference(two.prompt, two.tokens(0), two.tokens(1)));
  }
  expects(wins >= 0.0 && wins <= 1.0, "judge: a preference is no probability");
  return wins;
}

template <class = on_demand>
void add_length(written_completions const& written, std::size_t i, choice_data& examples) {
  examples.length.push_back(static_cast<float>(written.tokens(i).size()));
}

}  // namespace detail

/// A pair of the completions with the highest and the lowest reward, of equal ones the first; none where all are equal.
/// `score` is the reward.
template <Reward F>
struct best_and_worst {
  F reward;

  [[nodiscard]] std::uint64_t identity() const {
    return detail::identity_of_judge("best_and_worst", reward);
  }
  void operator()(written_completions const& written, choice_data& examples) const {
    auto const rewards = detail::rewards_of(reward, written);
    std::size_t best = 0;
    std::size_t worst = 0;
    for (std::size_t i = 1; i < rewards.size(); ++i) {
      if (rewards[i] > rewards[best]) best = i;
      if (rewards[i] < rewards[worst]) worst = i;
    }
    if (rewards.empty() || rewards[best] == rewards[worst]) return;
    examples.add_pair(written.prompt, written.completion[best], written.completion[worst]);
    for (std::size_t const i : {best, worst}) {
      detail::add_length(written, i, examples);
      examples.score.push_back(static_cast<float>(rewards[i]));
    }
  }
};
template <class F>
best_and_worst(F) -> best_and_worst<F>;

/// The first completion against the second, the third against the fourth, and so on; which is chosen is drawn with the
/// probability that a preference gives. Two equal completions make no pair.
template <Preference F>
struct drawn_preference {
  F preference;

  [[nodiscard]] std::uint64_t identity() const {
    return detail::identity_of_judge("drawn_preference", preference);
  }
  void operator()(written_completions const& written, choice_data& examples) const {
    random_address address = written.address;
    for (std::size_t i = 0; i + 1 < written.size(); i += 2, ++address.index) {
      if (written.same(i, i + 1)) continue;
      written_completions two = written;
      two.completion = written.completion.subspan(i, 2);
      double const wins = detail::preference_of(preference, two);
      random_stream numbers(address);
      bool const first = uniform01(numbers) < wins;
      std::size_t const chosen = first ? i : i + 1;
      std::size_t const rejected = first ? i + 1 : i;
      examples.add_pair(written.prompt, written.completion[chosen], written.completion[rejected]);
      detail::add_length(written, chosen, examples);
      detail::add_length(written, rejected, examples);
    }
  }
};
template <class F>
drawn_preference(F) -> drawn_preference<F>;

/// The preference of the Bradley-Terry model: sigmoid(reward(a) - reward(b)).
template <Reward F>
struct bradley_terry_preference {
  F reward;

  [[nodiscard]] std::uint64_t identity() const {
    return detail::identity_of_judge("bradley_terry", reward);
  }
  [[nodiscard]] double operator()(std::uint32_t prompt, std::span<std::uint32_t const> a,
                                  std::span<std::uint32_t const> b) const
    requires RewardFunction<F>
  {
    return sigmoid(static_cast<double>(reward(prompt, a)) - static_cast<double>(reward(prompt, b)));
  }
  [[nodiscard]] double operator()(written_completions const& two) const
    requires GroupReward<F>
  {
    auto const rewards = detail::rewards_of(reward, two);
    return sigmoid(rewards[0] - rewards[1]);
  }
};
template <class F>
bradley_terry_preference(F) -> bradley_terry_preference<F>;

/// A list of all completions, the highest reward first, of equal ones in the order in which they were written. `score` is
/// the reward.
template <Reward F>
struct ranked {
  F reward;

  [[nodiscard]] std::uint64_t identity() const {
    return detail::identity_of_judge("ranked", reward);
  }
  void operator()(written_completions const& written, choice_data& examples) const {
    auto rewards = detail::rewards_of(reward, written);
    std::vector<std::uint32_t> completion;
    while (completion.size() != rewards.size()) {
      std::size_t best = 0;
      for (std::size_t i = 1; i < rewards.size(); ++i) {
        if (rewards[i] > rewards[best]) best = i;
      }
      completion.push_back(written.completion[best]);
      detail::add_length(written, best, examples);
      examples.score.push_back(static_cast<float>(rewards[best]));
      rewards[best] = -std::numeric_limits<double>::infinity();  // is taken
    }
    examples.add_list(written.prompt, view_of(completion));
  }
};
template <class F>
ranked(F) -> ranked<F>;

/// Every completion as an example of its own. `score` is the advantage: the reward minus the mean of the rewards of the
/// other completions of the prompt, where there are others; `label` says whether it is greater than 0.
///
/// Source  the baseline: Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free"
template <Reward F>
struct with_advantage {
  F reward;

  [[nodiscard]] std::uint64_t identity() const {
    return detail::identity_of_judge("with_advantage", reward);
  }
  void operator()(written_completions const& written, choice_data& examples) const {
    auto const rewards = detail::rewards_of(reward, written);
    double total = 0.0;
    for (double const each : rewards) total += each;
    auto const others = static_cast<double>(rewards.size()) - 1.0;
    for (std::size_t i = 0; i != rewards.size(); ++i) {
      double const baseline = others > 0.0 ? (total - rewards[i]) / others : 0.0;
      double const advantage = rewards[i] - baseline;
      examples.add_labelled(written.prompt, written.completion[i], advantage > 0.0);
      detail::add_length(written, i, examples);
      examples.score.push_back(static_cast<float>(advantage));
    }
  }
};
template <class F>
with_advantage(F) -> with_advantage<F>;

}  // namespace prefer::inline v0_1
