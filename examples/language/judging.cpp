// SPDX-License-Identifier: MIT
#include "judging.hpp"

#include <algorithm>
#include <optional>
#include <span>

#include <prefer/batch/columns.hpp>
#include <prefer/metrics/calibration.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/scalar/math.hpp>

namespace language {

namespace {

constexpr std::size_t groups_at_once = 8;

template <class Asked>
std::vector<float> ask(Asked& asked, prefer::choice_data const& data,
                       std::function<void(std::size_t groups)> const& advance) {
  std::vector<float> out(data.completion.size());
  for_each_part(data, [&](prefer::choice_batch const& batch, std::size_t first) {
    asked.log_prob(batch, std::span(out).subspan(first, batch.completions()));
    advance(batch.size());
  });
  return out;
}

}  // namespace

void for_each_part(prefer::choice_data const& data,
                   std::function<void(prefer::choice_batch const&, std::size_t)> const& part) {
  std::vector<std::size_t> offset;
  std::vector<std::size_t> row;
  for (std::size_t begin = 0; begin < data.size(); begin += groups_at_once) {
    std::size_t const count = std::min(groups_at_once, data.size() - begin);
    std::size_t const first = data.offset[begin];
    offset.clear();
    row.clear();
    for (std::size_t g = 0; g <= count; ++g) offset.push_back(data.offset[begin + g] - first);
    for (std::size_t g = 0; g != count; ++g) row.push_back(begin + g);
    part({.prompt = std::span(data.prompt).subspan(begin, count),
          .completion = std::span(data.completion).subspan(first, offset.back()),
          .offset = offset,
          .row = row},
         first);
  }
}

std::vector<float> log_probs_of(prefer::any_policy<float>& policy, prefer::choice_data const& data,
                                std::function<void(std::size_t groups)> const& advance) {
  return ask(policy, data, advance);
}
std::vector<float> log_probs_of(prefer::any_reference<float>& reference,
                                prefer::choice_data const& data,
                                std::function<void(std::size_t groups)> const& advance) {
  return ask(reference, data, advance);
}

std::optional<calibration_judgement> calibration_of_scores(prefer::choice_data const& data,
                                                           std::vector<float> const& scores) {
  if (data.size() == 0 || data.completion.size() != 2 * data.size()) return std::nullopt;
  std::vector<double> side[2];
  std::vector<double> log_loss;
  std::vector<double> brier;
  for (std::size_t i = 0; i != scores.size(); ++i) side[i % 2].push_back(scores[i]);
  for (std::size_t g = 0; g != data.size(); ++g) {
    double const margin = side[0][g] - side[1][g];
    log_loss.push_back(prefer::softplus(-margin));
    brier.push_back(prefer::square(prefer::sigmoid(-margin)));
  }
  auto const bins = prefer::calibration_of(prefer::pair_columns{.policy = {side[0], side[1]}},
                                           prefer::reward_is_score);
  return calibration_judgement{.log_loss = mean_of(log_loss),
                               .brier = mean_of(brier),
                               .expected_error = bins.expected_error()};
}

program::json json_of(calibration_judgement const& of) {
  return {{"log_loss", json_of(of.log_loss)},
          {"brier", json_of(of.brier)},
          {"expected_error", program::number(of.expected_error)}};
}

preference_judgement judge(prefer::choice_data const& data, std::vector<float> const& policy,
                           std::vector<float> const& reference, prefer::reward_rule const& rule) {
  std::vector<double> columns[6];
  auto const log_prob = [&](std::size_t i) {
    double const sum = policy[i];
    return rule.per_token ? sum / static_cast<double>(data.length[i]) : sum;
  };
  auto const reward = [&](std::size_t g, std::size_t i) {
    double nats = policy[i];
    if (rule.from_reference && !reference.empty()) nats -= static_cast<double>(reference[i]);
    if (rule.per_token) nats /= static_cast<double>(data.length[i]);
    bool const own = rule.own_beta && !data.beta.empty();
    return (own ? static_cast<double>(data.beta[g]) : rule.beta) * nats;
  };
  for (std::size_t g = 0; g != data.size(); ++g) {
    std::size_t const chosen = data.offset[g];
    std::size_t const end = data.offset[g + 1];
    double const of_chosen = reward(g, chosen);
    columns[2].push_back(of_chosen);
    columns[4].push_back(log_prob(chosen));
    if (end - chosen < 2) continue;
    std::size_t best = chosen + 1;
    for (std::size_t i = best + 1; i < end; ++i) {
      if (reward(g, i) > reward(g, best)) best = i;
    }
    double const of_rejected = reward(g, best);
    columns[0].push_back(of_chosen > of_rejected ? 1.0 : 0.0);
    columns[1].push_back(of_chosen - of_rejected);
    columns[3].push_back(of_rejected);
    columns[5].push_back(log_prob(best));
  }
  return {.accuracy = mean_of(columns[0]),
          .reward_margin = mean_of(columns[1]),
          .reward_chosen = mean_of(columns[2]),
          .reward_rejected = mean_of(columns[3]),
          .log_prob_chosen = mean_of(columns[4]),
          .log_prob_rejected = mean_of(columns[5])};
}

}  // namespace language
