// SPDX-License-Identifier: MIT
#include "ranking.hpp"

#include <algorithm>
#include <cmath>
#include <span>

namespace recommend {

namespace {

constexpr std::size_t top = 10;

/// The `top` unseen items with the highest scores; the lower number first where scores tie.
std::vector<std::uint32_t> best_unseen(std::span<float const> score,
                                       std::vector<std::uint32_t> const& seen) {
  std::vector<bool> hidden(score.size());
  for (std::uint32_t const item : seen) hidden[item] = true;
  std::vector<std::uint32_t> items;
  for (std::uint32_t i = 0; i < score.size(); ++i) {
    if (!hidden[i]) items.push_back(i);
  }
  std::size_t const count = std::min(top, items.size());
  std::partial_sort(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(count), items.end(),
                    [&](std::uint32_t a, std::uint32_t b) {
                      return score[a] != score[b] ? score[a] > score[b] : a < b;
                    });
  items.resize(count);
  return items;
}

double discount(std::size_t rank) { return 1.0 / std::log2(static_cast<double>(rank) + 2.0); }

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
  double preferences = 0.0;
  double ranked_people = 0.0;
  for (std::size_t p = 0; p < data.people.size(); ++p) {
    person const& someone = data.people[p];
    auto const row = std::span(log_prob).subspan(p * data.items, data.items);
    for (preference const& each : someone.test_preferences) {
      out.pair_accuracy += row[each.chosen] > row[each.rejected] ? 1.0 : 0.0;
      ++preferences;
    }
    auto const list = best_unseen(row, someone.train_items);
    if (someone.test_liked.empty() || list.empty()) continue;
    ++ranked_people;
    double gain = 0.0;
    double best = 0.0;
    for (std::size_t rank = 0; rank < list.size(); ++rank) {
      bool const liked = std::find(someone.test_liked.begin(), someone.test_liked.end(),
                                   list[rank]) != someone.test_liked.end();
      if (liked) gain += discount(rank);
      if (rank < someone.test_liked.size()) best += discount(rank);
    }
    out.ndcg_at_10 += gain / best;
    out.hit_rate_at_10 += gain > 0.0 ? 1.0 : 0.0;
  }
  out.pair_accuracy /= preferences;
  out.ndcg_at_10 /= ranked_people;
  out.hit_rate_at_10 /= ranked_people;
  out.kl_start = mean_divergence(log_prob, start_log_prob, data.items);
  return out;
}

}  // namespace recommend
