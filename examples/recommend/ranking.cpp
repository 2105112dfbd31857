// SPDX-License-Identifier: MIT
#include "ranking.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include <prefer/metrics/calibration.hpp>
#include <prefer/metrics/ranking.hpp>
#include <prefer/model/item_scores.hpp>

namespace recommend {

namespace {

constexpr std::size_t top = 10;

/// People that are judged together: 32 MiB of numbers, and one person at least.
std::size_t people_in_block(std::size_t items) {
  constexpr std::size_t block_numbers = std::size_t{8} << 20;
  return std::max<std::size_t>(1, block_numbers / items);
}

double divergence(std::span<float const> log_prob, std::span<float const> other) {
  double sum = 0.0;
  for (std::size_t i = 0; i < log_prob.size(); ++i) {
    sum += std::exp(static_cast<double>(log_prob[i])) *
           (static_cast<double>(log_prob[i]) - static_cast<double>(other[i]));
  }
  return sum;
}

/// What one person adds to a judgement.
struct verdict {
  double right = 0.0;  // pairs
  double margin = 0.0;
  double start_margin = 0.0;
  double kl_start = 0.0;
  std::optional<prefer::ranking_quality> ranking;
};

verdict judge_one(person const& someone, std::span<float const> row, std::span<float const> start) {
  verdict out;
  auto const difference = [](std::span<float const> of, preference const& pair) {
    return static_cast<double>(of[pair.chosen]) - static_cast<double>(of[pair.rejected]);
  };
  for (std::size_t k = 0; k < someone.test_preferences.size(); ++k) {
    preference const each = someone.test_preferences[k];
    out.right += row[each.chosen] > row[each.rejected] ? 1.0 : 0.0;
    out.margin += difference(row, each);
    out.start_margin += difference(start, each);
  }
  out.kl_start = divergence(row, start);
  if (!someone.to_find.empty()) {
    std::vector<std::uint32_t> list;
    prefer::best_items(row, std::span(someone.hidden), top, list);
    out.ranking = prefer::quality_of(list, someone.to_find, top);
  }
  return out;
}

/// Calls visit(person, place in the block) for every judged person, with what two policies say of a block at hand; then
/// after(first, last) for the block.
template <class Visit, class After>
void for_each_block(interactions const& data, item_log_probs const& policy,
                    item_log_probs const& other, prefer::executor threads, Visit const& visit,
                    After const& after) {
  std::size_t const size = std::min(people_in_block(data.items), data.people.size());
  std::vector<float> said(size * data.items);
  std::vector<float> said_by_other(size * data.items);
  for (std::size_t first = 0; first < data.people.size(); first += size) {
    std::size_t const count = std::min(size, data.people.size() - first);
    policy(first, count, std::span(said).first(count * data.items));
    other(first, count, std::span(said_by_other).first(count * data.items));
    threads.for_each_chunk(count, [&](std::size_t r) {
      visit(first + r, std::span<float const>(said).subspan(r * data.items, data.items),
            std::span<float const>(said_by_other).subspan(r * data.items, data.items));
    });
    after(first, first + count);
  }
}

}  // namespace

item_log_probs said_by(model& policy, prefer::executor threads) {
  auto const scores = std::make_shared<prefer::item_scores<float> const>(policy);
  return [scores, threads](std::size_t first, std::size_t count, std::span<float> out) {
    scores->log_probs(first, count, out, threads);
  };
}

double mean_divergence(interactions const& data, item_log_probs const& policy,
                       item_log_probs const& other, prefer::executor threads) {
  std::vector<double> of(data.people.size());
  double total = 0.0;
  for_each_block(
      data, policy, other, threads,
      [&](std::size_t p, auto row, auto others) { of[p] = divergence(row, others); },
      [&](std::size_t first, std::size_t last) {
        for (std::size_t p = first; p < last; ++p) total += of[p];
      });
  return total / static_cast<double>(data.people.size());
}

double mean_score(interactions const& data, item_log_probs const& policy,
                  item_log_probs const& score, prefer::executor threads) {
  std::vector<double> of(data.people.size());
  for_each_block(
      data, policy, score, threads,
      [&](std::size_t p, auto row, auto scores) {
        for (std::size_t i = 0; i < row.size(); ++i) {
          of[p] += std::exp(static_cast<double>(row[i])) * static_cast<double>(scores[i]);
        }
      },
      [](std::size_t, std::size_t) {});
  double total = 0.0;
  for (double const each : of) total += each;
  return total / static_cast<double>(data.people.size());
}

pair_judgement judge_pairs(interactions const& data, item_log_probs const& score, double scale,
                           item_log_probs const& other, prefer::executor threads) {
  constexpr std::size_t bins = 10;
  item_log_probs const nothing = [](std::size_t, std::size_t, std::span<float> out) {
    std::fill(out.begin(), out.end(), 0.0f);
  };
  prefer::calibration all{.bins = std::vector<prefer::reliability_bin>(bins)};
  std::vector<prefer::calibration> of(data.people.size(), all);
  std::vector<double> right(data.people.size());
  for_each_block(
      data, score, other ? other : nothing, threads,
      [&](std::size_t p, auto row, auto others) {
        auto const& pairs = data.people[p].test_preferences;
        if (pairs.empty()) return;
        std::vector<double> chosen;
        std::vector<double> rejected;
        auto const reward = [&](std::uint32_t item) {
          return scale * (static_cast<double>(row[item]) - static_cast<double>(others[item]));
        };
        for (std::size_t k = 0; k < pairs.size(); ++k) {
          chosen.push_back(reward(pairs[k].chosen));
          rejected.push_back(reward(pairs[k].rejected));
          right[p] += chosen.back() > rejected.back() ? 1.0 : 0.0;
        }
        of[p] = prefer::calibration_of(prefer::pair_columns{.policy = {chosen, rejected}},
                                       prefer::reward_is_score, bins);
      },
      [](std::size_t, std::size_t) {});
  pair_judgement out;
  for (std::size_t p = 0; p < of.size(); ++p) {
    all = all + of[p];
    out.accuracy += right[p];
  }
  out.accuracy /= static_cast<double>(data.test_preferences());
  out.log_loss = all.log_loss.mean();
  out.calibration_error = all.expected_error();
  return out;
}

judgement judge(interactions const& data, item_log_probs const& policy, item_log_probs const& start,
                prefer::executor threads) {
  judgement out;
  out.ndcg_of.assign(data.people.size(), std::numeric_limits<float>::quiet_NaN());
  double ranked_people = 0.0;
  double ndcg = 0.0;
  double hits = 0.0;
  std::vector<verdict> of(data.people.size());
  for_each_block(
      data, policy, start, threads,
      [&](std::size_t p, auto row, auto start_row) {
        of[p] = judge_one(data.people[p], row, start_row);
      },
      [&](std::size_t first, std::size_t last) {
        for (std::size_t p = first; p < last; ++p) {
          out.pair_accuracy += of[p].right;
          out.margin += of[p].margin;
          out.start_margin += of[p].start_margin;
          out.kl_start += of[p].kl_start;
          if (!of[p].ranking) continue;
          ++ranked_people;
          ndcg += of[p].ranking->ndcg;
          hits += of[p].ranking->hit_rate;
          out.ndcg_of[p] = static_cast<float>(of[p].ranking->ndcg);
        }
      });
  auto const pairs = static_cast<double>(data.test_preferences());
  out.pair_accuracy /= pairs;
  out.margin /= pairs;
  out.start_margin /= pairs;
  out.kl_start /= static_cast<double>(data.people.size());
  if (out.kl_start < 0.0) out.kl_start = 0.0;  // by rounding
  if (ranked_people > 0.0) {
    out.ndcg_at_10 = ndcg / ranked_people;
    out.hit_rate_at_10 = hits / ranked_people;
  }
  return out;
}

std::size_t bytes_to_judge(std::size_t people, std::size_t items) {
  return 2 * std::min(people_in_block(items), people) * items * sizeof(float);
}

}  // namespace recommend
