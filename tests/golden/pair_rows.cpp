// SPDX-License-Identifier: MIT
#include <cmath>
#include <utility>

#include <prefer/batch/pair_order.hpp>

#include "paired.hpp"

namespace golden {

namespace {

std::vector<double> picked(std::vector<double> const& from, std::vector<std::size_t> const& at) {
  std::vector<double> out;
  for (std::size_t const i : at) out.push_back(from.at(i));
  return out;
}

/// Tells which pairs the old trainer cut: their scores hold exponentials beyond exp(709.7827), where it stops and ours
/// go on.
void tell_cut_off(golden_case const& row, comparison& compare, pair_meaning const& loss,
                  pairs const& data) {
  if (!loss.score || row.family != "dpo_legacy" || row.exact) return;
  for (std::size_t i = 0; i < data.size(); ++i) {
    for (side const* each : {&data.chosen, &data.rejected}) {
      auto const at = loss.score(each->policy[i] - each->reference[i]);
      if (std::fabs(at.value) > 1e299) compare.cut_off(i);
    }
  }
}

/// Where TRL's k-th value per pair is to be found here: AOT's is of rank k there, of pair i here.
std::vector<std::size_t> value_order(golden_case const& row, pairs const& data) {
  std::size_t const n = data.size();
  std::vector<std::size_t> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = i;
  bool const paired = row.loss_type == "aot";
  if (!paired && row.loss_type != "aot_unpaired") return out;
  side const& against = paired ? data.rejected : data.chosen;
  auto const by_rank = prefer::ascending_order(n, [&](std::size_t i) {
    return data.chosen.policy[i] - (paired ? against.policy[i] : against.reference[i]);
  });
  out.assign(by_rank.begin(), by_rank.end());
  return out;
}

}  // namespace

void compare_pairs(golden_case const& row, trl_loss trl, precision stored, tolerance const& allowed,
                   outcome& into) {
  auto const data = pairs_of(row, stored);
  std::size_t const count = data.size();
  numbers prompt;
  if (row.has_input("prompt_chosen")) {
    prompt = numbers(row.input("prompt_chosen"), stored);
    double tokens = total(data.chosen.length);
    for (auto const& each : row.token_input("prompt_chosen")) {
      tokens += static_cast<double>(each.size());
    }
    trl.pairs_per_token = static_cast<double>(count) / tokens;
  }
  auto const loss = pair_loss_of(trl);
  into.meaning = loss.name;
  if (!loss.objective) return;
  into.status = status::passed;

  auto const columns = data.columns();
  auto const preference = loss.preference(columns);
  auto const objective = loss.objective(columns);
  auto const sizes = sizes_of(trl, loss, data);
  comparison compare(row, allowed, into);
  tell_cut_off(row, compare, loss, data);

  double nll = 0.0;
  quantity mean = sizes.mean;
  double prompt_loss = 0.0;
  std::vector<double> prompt_coefficient;
  if (!prompt.empty()) {
    auto const of_prompts =
        nll_times(trl.pairs_per_token, {.policy = {prompt.column(), prompt.column()}});
    prompt_loss = of_prompts.loss;
    prompt_coefficient = of_prompts.coefficient.chosen;
    nll = nll_times(trl.pairs_per_token, columns).loss + prompt_loss;
    for (std::size_t i = 0; i < count; ++i) {
      mean.magnitude =
          std::fmax(mean.magnitude, std::fabs(data.chosen.policy[i]) + std::fabs(prompt[i]));
    }
  } else if (trl.nll_weight != 0.0) {  // without a weight TRL reports 0 and computes nothing
    nll = nll_of_batch(columns).loss;
    for (std::size_t i = 0; i < count; ++i) {
      mean.magnitude = std::fmax(mean.magnitude, std::fabs(data.chosen.policy[i]));
    }
  }
  compare.number("loss", mean, objective.loss + prompt_loss);
  if (compare.has("nll") && nll != 0.0) {
    compare.number(
        "nll", {.kind = quantity_kind::statistic, .magnitude = mean.magnitude, .batch = mean.batch},
        nll);
  }
  if (compare.has("log_odds_ratio")) {  // TRL's name for the mean of log sigmoid
    compare.number("log_odds_ratio",
                   {.kind = quantity_kind::statistic, .magnitude = mean.magnitude + 1.0},
                   -objective.loss / trl.beta);
  }
  // The old trainer adds the batch's NLL to every pair's value.
  double const in_values = row.family == "dpo_legacy" ? trl.nll_weight * nll : 0.0;
  auto const order = value_order(row, data);
  for (std::size_t i = 0; i < count; ++i) {
    quantity q = sizes.each[i];
    if (in_values != 0.0) q.magnitude = std::fmax(q.magnitude, mean.magnitude);
    if (compare.has("per_pair_loss")) {
      quantity value = sizes.each[order[i]];
      value.magnitude = in_values != 0.0 ? mean.magnitude : value.magnitude;
      compare.element("per_pair_loss", i, value, preference.value[order[i]] + in_values);
    }
    q.kind = quantity_kind::coefficient;
    q.batch = static_cast<double>(count);
    compare.coefficient(
        "grad_chosen", i, q, objective.coefficient.chosen[i],
        data.chosen.token_weight.empty() ? std::vector<double>{} : data.chosen.token_weight[i]);
    compare.coefficient(
        "grad_rejected", i, q, objective.coefficient.rejected[i],
        data.rejected.token_weight.empty() ? std::vector<double>{} : data.rejected.token_weight[i]);
    if (!prompt.empty()) {
      compare.coefficient("grad_prompt_chosen", i,
                          {.kind = quantity_kind::coefficient,
                           .batch = q.batch,
                           .nll_weight = 1.0,
                           .shape = "nll_per_batch_token"},
                          prompt_coefficient[i]);
    }
  }
  compare_rewards(compare, row, loss, data, trl.beta, stored);
}

void compare_online(golden_case const& row, trl_loss const& trl, precision stored,
                    tolerance const& allowed, outcome& into) {
  auto const index = [&](char const* name) {
    return member(*row.fields, name, row.place).get<std::vector<std::size_t>>();
  };
  auto const chosen = index("chosen_index");
  auto const rejected = index("rejected_index");
  auto const side_at = [&](std::vector<std::size_t> const& at) {
    side out;
    out.policy = numbers(picked(row.input("policy"), at), stored);
    out.reference = numbers(picked(row.input("ref"), at), stored);
    out.length.assign(at.size(), 1.0);
    return out;
  };
  pairs const data{side_at(chosen), side_at(rejected)};
  auto const loss = pair_loss_of(trl);
  into.meaning = loss.name;
  if (!loss.objective) return;
  into.status = status::passed;
  auto const result = loss.objective(data.columns());
  auto const sizes = sizes_of(trl, loss, data);
  comparison compare(row, allowed, into);
  compare.number("loss", sizes.mean, result.loss);
  for (std::size_t i = 0; i < data.size(); ++i) {
    quantity q = sizes.each[i];
    compare.element("per_pair_loss", i, q, result.value[i]);
    q.kind = quantity_kind::coefficient;
    q.batch = sizes.mean.batch;
    compare.coefficient("grad_policy", chosen[i], q, result.coefficient.chosen[i]);
    compare.coefficient("grad_policy", rejected[i], q, result.coefficient.rejected[i]);
  }
  compare_rewards(compare, row, loss, data, trl.beta, stored);
}

void compare_xpo(golden_case const& row, trl_loss const& trl, precision stored,
                 tolerance const& allowed, outcome& into) {
  auto const y_wins = row.input("y_is_chosen");
  std::size_t const count = y_wins.size();
  auto const side_where = [&](double wins) {
    auto const pick = [&](char const* y, char const* yref) {
      auto const own = row.input(y);
      auto out = row.input(yref);
      for (std::size_t i = 0; i < count; ++i) {
        if (y_wins[i] == wins) out[i] = own[i];
      }
      return numbers(std::move(out), stored);
    };
    side out;
    out.policy = pick("policy_y", "policy_yref");
    out.reference = pick("ref_y", "ref_yref");
    out.length.assign(count, 1.0);
    return out;
  };
  pairs const data{side_where(1.0), side_where(0.0)};
  std::vector<double> from_reference;
  for (double const wins : y_wins) from_reference.push_back(1.0 - wins);
  auto columns = data.columns();
  columns.chosen_from_reference = from_reference;

  auto const loss = pair_loss_of(trl);
  into.meaning = loss.name;
  if (!loss.objective) return;
  into.status = status::passed;
  auto const preference = loss.preference(columns);
  auto const objective = loss.objective(columns);
  auto const optimism = optimism_of(trl).objective(columns);
  auto const sizes = sizes_of(trl, loss, data);
  comparison compare(row, allowed, into);
  compare.number("loss", sizes.mean, objective.loss);
  for (std::size_t i = 0; i < count; ++i) {
    quantity q = sizes.each[i];
    compare.element("per_pair_loss", i, q, preference.value[i]);
    compare.element("per_pair_xpo", i,
                    {.magnitude = q.magnitude, .nll_weight = trl.optimism, .shape = "optimism"},
                    optimism.value[i]);
    q.kind = quantity_kind::coefficient;
    q.batch = sizes.mean.batch;
    bool const y_chosen = y_wins[i] == 1.0;
    double const chosen = objective.coefficient.chosen[i];
    double const rejected = objective.coefficient.rejected[i];
    compare.coefficient("grad_y", i, q, y_chosen ? chosen : rejected);
    compare.coefficient("grad_yref", i, q, y_chosen ? rejected : chosen);
  }
}

}  // namespace golden
