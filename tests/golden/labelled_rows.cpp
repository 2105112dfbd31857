// SPDX-License-Identifier: MIT
#include <cmath>
#include <utility>

#include <prefer/loss/kto.hpp>

#include "comparison.hpp"

namespace golden {

namespace {

double mean_size(numbers const& policy, numbers const& reference) {
  double sum = 0.0;
  for (std::size_t i = 0; i < policy.size(); ++i) sum += size_at(policy, reference, i);
  return sum / static_cast<double>(policy.size());
}

}  // namespace

void compare_kto(golden_case const& row, trl_loss const& trl, precision stored,
                 tolerance const& allowed, outcome& into) {
  bool const anchored = trl.type == "kto";
  into.meaning = trl.type;
  if (!anchored && trl.type != "apo_zero_unpaired") {
    into.meaning = no_such_loss;
    return;
  }
  into.status = status::passed;
  double const desirable_weight = row.value("desirable_weight", 1.0);
  double const undesirable_weight = row.value("undesirable_weight", 1.0);
  numbers const policy(row.input("policy"), stored);
  numbers const reference(row.input("ref"), stored);
  auto const label = row.input("label");
  numbers const kl_policy(row.input("kl_policy"), stored);
  numbers const kl_reference(row.input("kl_ref"), stored);
  prefer::unpaired_columns const columns{
      .policy = policy.column(),
      .reference = reference.column(),
      .label = label,
      .kl_examples = {.policy = kl_policy.column(), .reference = kl_reference.column()}};
  auto const result = evaluate_kto(trl, desirable_weight, undesirable_weight, columns);

  comparison compare(row, allowed, into);
  double const baseline = anchored ? mean_size(kl_policy, kl_reference) : 0.0;
  quantity q{.beta = trl.beta,
             .batch = static_cast<double>(policy.size()),
             .weight = std::fmax(desirable_weight, undesirable_weight),
             .shape = "kto"};
  for (std::size_t i = 0; i < policy.size(); ++i) {
    q.magnitude = std::fmax(q.magnitude, baseline + size_at(policy, reference, i));
  }
  compare.number("loss", q, result.loss);
  for (std::size_t i = 0; i < policy.size(); ++i) {
    q.magnitude = baseline + size_at(policy, reference, i);
    q.kind = quantity_kind::loss;
    q.batch = 1.0;
    compare.element("per_example_loss", i, q, result.value[i]);
    q.kind = quantity_kind::coefficient;
    q.batch = static_cast<double>(policy.size());
    compare.coefficient("grad_policy", i, q, result.coefficient[i]);
    if (compare.has("rewards")) {
      compare_reward(compare, "rewards", i, policy[i], reference[i], 1.0, {.beta = trl.beta});
    }
  }
  if (compare.has("kl")) {
    prefer::nothing memory;
    // The other loss has no baseline, and TRL reports 0.
    double const kl = anchored ? prefer::prepare(prefer::kto{}, columns, memory).baseline : 0.0;
    compare.number("kl", {.kind = quantity_kind::statistic, .magnitude = baseline}, kl);
  }
}

void compare_bco(golden_case const& row, trl_loss const& trl, precision stored,
                 tolerance const& allowed, run_so_far& run, outcome& into) {
  into.meaning = "bco";
  into.status = status::passed;
  // Desirable examples first.
  auto const joined = [&](char const* desirable, char const* undesirable) {
    auto out = row.input(desirable);
    auto const rest = row.input(undesirable);
    out.insert(out.end(), rest.begin(), rest.end());
    return numbers(std::move(out), stored);
  };
  numbers const policy = joined("policy_chosen", "policy_rejected");
  numbers const reference = joined("ref_chosen", "ref_rejected");
  std::size_t const count = policy.size();
  std::size_t const desirable = row.input("policy_chosen").size();
  auto const probability = row.input("prob_desirable");
  std::vector<double> label(count);
  std::vector<double> weight(count, 1.0);
  for (std::size_t i = 0; i < count; ++i) {
    label[i] = i < desirable ? 1.0 : 0.0;
    if (i >= desirable && row.value("density_ratio", 0.0) != 0.0) {
      // TRL divides by 1 - p + 1e-8.
      weight[i] = prefer::density_ratio_weight(probability.at(i - desirable) / (1.0 + 1e-8),
                                               row.value("min_density_ratio", 0.5),
                                               row.value("max_density_ratio", 10.0));
    }
    run.largest = std::fmax(run.largest, size_at(policy, reference, i));
  }
  auto const result = evaluate_bco(trl,
                                   {.policy = policy.column(),
                                    .reference = reference.column(),
                                    .label = label,
                                    .weight = weight},
                                   run.memory);

  comparison compare(row, allowed, into);
  quantity q{.beta = trl.beta,
             .magnitude = 2.0 * run.largest,  // of the reward and of the threshold
             .batch = static_cast<double>(count),
             .weight = 0.0,
             .shape = "bco"};
  for (double const each : weight) q.weight = std::fmax(q.weight, each);
  compare.number("loss", q, result.loss);
  for (std::size_t i = 0; i < count; ++i) {
    q.weight = weight[i];
    q.kind = quantity_kind::loss;
    q.batch = 1.0;
    compare.element("per_example_loss", i, q, result.value[i]);
    q.kind = quantity_kind::coefficient;
    q.batch = static_cast<double>(count);
    bool const chosen = i < desirable;
    compare.coefficient(chosen ? "grad_chosen" : "grad_rejected", chosen ? i : i - desirable, q,
                        result.coefficient[i]);
    compare_reward(compare, chosen ? "chosen_rewards" : "rejected_rewards",
                   chosen ? i : i - desirable, policy[i], reference[i], 1.0, {.beta = trl.beta});
  }
  quantity const statistic{
      .kind = quantity_kind::statistic, .beta = trl.beta, .magnitude = 2.0 * run.largest};
  compare.number("delta", statistic, run.memory.mean);
  compare.number("running_std", statistic, run.memory.standard_deviation());
}

}  // namespace golden
