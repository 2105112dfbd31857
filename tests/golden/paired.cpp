// SPDX-License-Identifier: MIT
#include "paired.hpp"

#include <cmath>
#include <utility>

namespace golden {

namespace {

/// LD-DPO: tokens behind the length of the shorter completion count `alpha`.
std::vector<std::vector<double>> length_weights(std::vector<std::vector<double>> const& own,
                                                std::vector<std::vector<double>> const& other,
                                                double alpha) {
  std::vector<std::vector<double>> out;
  for (std::size_t i = 0; i < own.size(); ++i) {
    std::vector<double> weight(own[i].size(), 1.0);
    for (std::size_t t = other[i].size(); t < weight.size(); ++t) weight[t] = alpha;
    out.push_back(std::move(weight));
  }
  return out;
}

/// Sums over tokens, each with its weight.
std::vector<double> weighted_sums(std::vector<std::vector<double>> const& tokens,
                                  std::vector<std::vector<double>> const& weight) {
  std::vector<double> out;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    double sum = 0.0;
    for (std::size_t t = 0; t < tokens[i].size(); ++t) sum += weight[i][t] * tokens[i][t];
    out.push_back(sum);
  }
  return out;
}

/// The names that a golden file has for one side.
struct side_names {
  char const *policy, *reference, *length, *log_sum_of_squares;
};
constexpr side_names chosen_names = {"policy_chosen", "ref_chosen", "chosen_len", "lssp_chosen"};
constexpr side_names rejected_names = {"policy_rejected", "ref_rejected", "rejected_len",
                                       "lssp_rejected"};

/// Without a reference its log-probabilities are 0, and without lengths values are taken as averages: completions of
/// one token.
side side_of(golden_case const& row, side_names const& own, side_names const& other,
             precision stored) {
  side out;
  bool const referenced = row.has_input(own.reference) && row.value("reference_free", 0.0) == 0.0;
  auto policy = row.input(own.policy);
  std::vector<double> reference(policy.size());
  if (referenced) reference = row.input(own.reference);
  out.length = row.tokens(own.policy, own.length);
  if (row.has("ld_alpha") && row.per_token()) {
    auto const tokens = row.token_input(own.policy);
    out.token_weight =
        length_weights(tokens, row.token_input(other.policy), row.value("ld_alpha", 1.0));
    policy = weighted_sums(tokens, out.token_weight);
    reference = weighted_sums(row.token_input(own.reference), out.token_weight);
  }
  if (row.has_input(own.log_sum_of_squares)) {
    // WPO's alignment: per token, how likely it is, over how likely the policy's own tokens are.
    std::vector<double> alignment = row.input(own.log_sum_of_squares);
    auto const sums = row.input(own.policy);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      alignment[i] = (sums[i] - alignment[i]) / out.length[i];
    }
    out.alignment = numbers(std::move(alignment), stored);
  }
  if (out.length.empty()) out.length.assign(policy.size(), 1.0);
  out.policy = numbers(std::move(policy), stored);
  out.reference = numbers(std::move(reference), stored);
  return out;
}

/// Sizes that the tolerance of pair i needs.
void measure(quantity& q, pair_meaning const& loss, pairs const& data, std::size_t i) {
  q.magnitude = 0.0;
  q.stretch = loss.score ? 0.0 : 1.0;
  q.input_size = 0.0;
  q.weight = 1.0;
  q.exponent = 0.0;
  for (side const* each : {&data.chosen, &data.rejected}) {
    double const length = each->length[i];
    double const size = std::fabs(each->policy[i]) + std::fabs(each->reference[i]);
    if (loss.score) {
      // Scores of sequences are divided by the length; rewards and odds are those of an average already.
      bool const of_average = loss.shape == "simpo" || loss.shape == "odds_ratio";
      double const before = of_average ? length : 1.0;
      double const after = loss.averages && !of_average ? length : 1.0;
      auto const at = loss.score((each->policy[i] - each->reference[i]) / before);
      double const moved = of_average && loss.shape == "odds_ratio"
                               ? size / before + 1.0  // |a| / (1 - exp(a)) <= |a| + 1
                               : at.slope * size / before;
      q.magnitude += (moved + std::fabs(at.value) + 2.0) / after;
      q.stretch = std::fmax(q.stretch, at.slope);
      q.input_size = std::fmax(q.input_size, size / before);
    } else {
      q.magnitude += size / (loss.averages ? length : 1.0);
    }
    if (!each->alignment.empty()) q.exponent += std::fabs(each->alignment[i]);
  }
  if (!data.chosen.alignment.empty() && loss.name.rfind("wpo", 0) == 0) {
    q.weight = std::exp(data.chosen.alignment[i] + data.rejected.alignment[i]);
  } else {
    q.exponent = 0.0;
  }
}

/// The largest of everything: for a mean.
void enlarge(quantity& largest, quantity const& q) {
  largest.magnitude = std::fmax(largest.magnitude, q.magnitude);
  largest.stretch = std::fmax(largest.stretch, q.stretch);
  largest.input_size = std::fmax(largest.input_size, q.input_size);
  largest.weight = std::fmax(largest.weight, q.weight);
  largest.exponent = std::fmax(largest.exponent, q.exponent);
}

}  // namespace

pairs pairs_of(golden_case const& row, precision stored) {
  return {side_of(row, chosen_names, rejected_names, stored),
          side_of(row, rejected_names, chosen_names, stored)};
}

sized sizes_of(trl_loss const& trl, pair_meaning const& loss, pairs const& data) {
  quantity q{.beta = trl.beta, .nll_weight = trl.nll_weight, .shape = loss.shape};
  if (trl.type == "sigmoid+sft" || trl.type == "sigmoid+bco_pair+sft") {
    q.nll_weight = trl.weights.back();
  }
  if (trl.type == "orpo") q.nll_weight = 1.0;
  if (trl.family == "xpo") q.nll_weight = trl.optimism;
  sized out{.each = std::vector<quantity>(data.size(), q), .mean = q};
  out.mean.weight = 0.0;
  out.mean.batch = static_cast<double>(data.size());
  for (auto& one : out.each) {
    measure(one, loss, data, static_cast<std::size_t>(&one - out.each.data()));
    enlarge(out.mean, one);
  }
  if (loss.shape == "aot") {
    // A pair is held against another one's margin.
    for (auto& one : out.each) one.magnitude += out.mean.magnitude;
    out.mean.magnitude *= 2.0;
  }
  return out;
}

void compare_rewards(comparison& compare, golden_case const& row, pair_meaning const& loss,
                     pairs const& data, double beta, precision stored) {
  if (!compare.has("chosen_rewards") || loss.name == "alphapo") return;  // AlphaPO's are curved
  bool const per_token =
      loss.averages && (row.family == "cpo" || row.family == "orpo" || row.family == "tpo");
  auto const of_side = [&](char const* field, side const& own, char const* reference_name) {
    numbers reference = own.reference;
    if (row.has_input(reference_name) && own.token_weight.empty()) {
      reference = numbers(row.input(reference_name), stored);
    }
    for (std::size_t i = 0; i < own.policy.size(); ++i) {
      compare_reward(compare, field, i, own.policy[i], reference[i], own.length[i],
                     {.beta = beta, .per_token = per_token});
    }
  };
  of_side("chosen_rewards", data.chosen, "ref_chosen");
  of_side("rejected_rewards", data.rejected, "ref_rejected");
}

}  // namespace golden
