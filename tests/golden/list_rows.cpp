// SPDX-License-Identifier: MIT
#include <cmath>
#include <utility>

#include "paired.hpp"

namespace golden {

void compare_tpo(golden_case const& row, trl_loss const& trl, precision stored,
                 tolerance const& allowed, outcome& into) {
  auto const data = pairs_of(row, stored);
  std::size_t const count = data.size();
  numbers const gold(row.input("policy_gold"), stored);
  auto const gold_length = row.tokens("policy_gold", "gold_len");
  double const gold_tokens = total(gold_length);

  auto const as_lists = tpo_loss_of(trl);
  auto as_pairs = pair_loss_of(trl);
  if (as_lists.objective) {
    as_pairs.name = as_lists.name;
    as_pairs.shape = as_lists.shape;
    as_pairs.averages = as_lists.averages;
  } else if (as_pairs.objective && trl.nll_weight != 0.0) {
    as_pairs.name += " + w nll_per_batch_token of gold";
  }
  into.meaning = as_pairs.name;
  if (!as_lists.objective && !as_pairs.objective) return;
  into.status = status::passed;

  double loss = 0.0;
  std::vector<double> value;
  std::vector<double> of_chosen, of_rejected, of_gold;
  if (as_lists.objective) {
    std::vector<double> policy, length;
    std::vector<std::size_t> offset = {0};
    for (std::size_t i = 0; i < count; ++i) {
      policy.insert(policy.end(), {gold[i], data.chosen.policy[i], data.rejected.policy[i]});
      length.insert(length.end(), {gold_tokens / static_cast<double>(count), data.chosen.length[i],
                                   data.rejected.length[i]});
      offset.push_back(policy.size());
    }
    numbers const stored_policy(std::move(policy), stored);
    prefer::list_columns const columns{
        .policy = stored_policy.column(), .length = length, .offset = offset};
    auto const result = as_lists.objective(columns);
    loss = result.loss;
    value = as_lists.preference(columns).value;
    for (std::size_t i = 0; i < count; ++i) {
      of_gold.push_back(result.coefficient[3 * i]);
      of_chosen.push_back(result.coefficient[3 * i + 1]);
      of_rejected.push_back(result.coefficient[3 * i + 2]);
    }
  } else {
    auto const result = as_pairs.objective(data.columns());
    auto const likelihood = nll_times(trl.nll_weight * static_cast<double>(count) / gold_tokens,
                                      {.policy = {gold.column(), gold.column()}});
    loss = result.loss + likelihood.loss;
    value = result.value;
    of_gold = likelihood.coefficient.chosen;
    of_chosen = result.coefficient.chosen;
    of_rejected = result.coefficient.rejected;
  }

  auto const sizes = sizes_of(trl, as_pairs, data);
  comparison compare(row, allowed, into);
  quantity mean = sizes.mean;
  for (std::size_t i = 0; i < count; ++i) {
    mean.magnitude = std::fmax(mean.magnitude, std::fabs(gold[i]));
  }
  compare.number("loss", mean, loss);
  for (std::size_t i = 0; i < count; ++i) {
    quantity q = sizes.each[i];
    compare.element("per_pair_loss", i, q, value[i]);
    q.kind = quantity_kind::coefficient;
    q.batch = sizes.mean.batch;
    compare.coefficient("grad_chosen", i, q, of_chosen[i]);
    compare.coefficient("grad_rejected", i, q, of_rejected[i]);
    if (compare.has("grad_gold")) {
      compare.coefficient("grad_gold", i,
                          {.kind = quantity_kind::coefficient,
                           .batch = q.batch,
                           .nll_weight = trl.nll_weight,
                           .shape = "nll_per_batch_token"},
                          of_gold[i]);
    }
  }
  compare_rewards(compare, row, as_pairs, data, trl.beta, stored);
}

}  // namespace golden
