// SPDX-License-Identifier: MIT
#include "ranking.hpp"

#include <cmath>
#include <span>

#include <prefer/metrics/ranking.hpp>

namespace recommend {

namespace {

constexpr std::size_t top = 10;

}  // namespace

std::vector<float> all_log_probs(model& policy) {
  std::size_t const items = policy.completions();
  std::vector<float> out(policy.prompts() * items);
  for (std::uint32_t p = 0; p < policy.prompts(); ++p) {
    policy.log_probs(p, std::span(out).subspan(p * items, items));
  }
  return out;
}

double mean_divergence(std::vector<float> const& log_prob, std::vector<float> const& other,
                       std::size_t items) {
  double total = 0.0;
  for (std::size_t begin = 0; begin < log_prob.size(); begin += items) {
    double divergence = 0.0;
    for (std::size_t i = begin; i < begin + items; ++i) {
      divergence += std::exp(static_cast<double>(log_prob[i])) *
                    (static_cast<double>(log_prob[i]) - static_cast<double>(other[i]));
    }
    total += divergence;
  }
  return total / static_cast<double>(log_prob.size() / items);
}

judgement judge(interactions const& data, std::vector<float> const& log_prob,
                std::vector<float> const& start_log_prob) {
  judgement out;
  double pairs = 0.0;
  double ranked_people = 0.0;
  std::vector<std::uint32_t> list;
  for (std::size_t p = 0; p < data.people.size(); ++p) {
    person const& someone = data.people[p];
    auto const row = std::span(log_prob).subspan(p * data.items, data.items);
    for (std::size_t k = 0; k < someone.test_preferences.size(); ++k) {
      preference const each = someone.test_preferences[k];
      out.pair_accuracy += row[each.chosen] > row[each.rejected] ? 1.0 : 0.0;
      ++pairs;
    }
    if (someone.to_find.empty()) continue;
    prefer::best_items(row, std::span(someone.hidden), top, list);
    auto const quality = prefer::quality_of(list, someone.to_find, top);
    ++ranked_people;
    out.ndcg_at_10 += quality.ndcg;
    out.hit_rate_at_10 += quality.hit_rate;
  }
  out.pair_accuracy /= pairs;
  out.ndcg_at_10 /= ranked_people;
  out.hit_rate_at_10 /= ranked_people;
  out.kl_start = mean_divergence(log_prob, start_log_prob, data.items);
  return out;
}

}  // namespace recommend
