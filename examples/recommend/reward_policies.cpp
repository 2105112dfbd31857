// SPDX-License-Identifier: MIT
#include "reward_policies.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <span>

#include <prefer/metrics/best_of_n.hpp>
#include <prefer/model/softmax.hpp>

namespace recommend {

namespace {

/// Rows of one function of the start's log-probabilities and the rewards of each person.
item_log_probs each_becomes(
    start_and_reward const& of,
    std::function<void(std::span<float>, std::span<float const>)> const& become) {
  return [=](std::size_t first, std::size_t count, std::span<float> out) {
    std::vector<float> rewards(out.size());
    of.start(first, count, out);
    of.reward(first, count, rewards);
    of.threads.for_each_chunk(count, [&](std::size_t r) {
      become(out.subspan(r * of.items, of.items),
             std::span<float const>(rewards).subspan(r * of.items, of.items));
    });
  };
}

}  // namespace

item_log_probs optimum_of(start_and_reward const& of, double beta) {
  return each_becomes(of, [beta](std::span<float> log_prob, std::span<float const> reward) {
    // From the highest reward down, so that beta may be as small as it likes; numbers stay finite.
    constexpr double least = std::numeric_limits<float>::lowest() / 2.0;
    double const most = static_cast<double>(*std::max_element(reward.begin(), reward.end()));
    for (std::size_t i = 0; i < log_prob.size(); ++i) {
      double const lower = (static_cast<double>(reward[i]) - most) / beta;
      log_prob[i] += static_cast<float>(std::max(lower, least));
    }
    auto const normaliser = prefer::normalise(std::span<float const>(log_prob));
    for (float& each : log_prob) each = normaliser.log_prob(each);
  });
}

item_log_probs best_of_n(start_and_reward const& of, std::size_t n) {
  return each_becomes(of, [n](std::span<float> log_prob, std::span<float const> reward) {
    std::vector<double> const said(log_prob.begin(), log_prob.end());
    std::vector<double> const score(reward.begin(), reward.end());
    auto const best = prefer::exact_best_of_n(said, score, n);
    for (std::size_t i = 0; i < log_prob.size(); ++i) {
      // What is never kept stands behind everything else, and adds nothing to a divergence.
      log_prob[i] = static_cast<float>(std::log(std::max(best.probability[i], 1e-300)));
    }
  });
}

std::vector<std::uint32_t> people_with_preferences(interactions const& data) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t p = 0; p < data.people.size(); ++p) {
    if (!data.people[p].train_preferences.empty()) out.push_back(p);
  }
  return out;
}

}  // namespace recommend
