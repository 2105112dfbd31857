// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/objective/evaluate.hpp>

#include "laws/problem.hpp"

namespace prefer::test {

/// Everything that a loss says of a batch and of itself, so that two losses can be compared.
struct outcome {
  std::vector<double> numbers;  // of two batches in a row: mean, values, coefficients
  std::vector<std::pair<std::string, double>> metrics;     // of the state of each batch
  std::vector<std::pair<std::string, double>> parameters;  // in order
  std::string name;
  reward_rule rewards;
  column_set reads, needs;
  std::size_t list_size = 0;
  bool margin_only = false, remembers = false, matches = false;
  std::vector<std::string>
      errors;  // one sentence for each batch that is wrong, empty where it is taken
};

/// The batches that are wrong for many losses, each with what the error is about.
template <std::size_t Arity, class Columns, class Use>
void for_each_wrong_batch(Columns const& batch, Use const& use) {
  std::vector<double> const too_many(batch.size() + 1, 1.0);
  auto const spoil = [&](auto const& change) {
    Columns wrong = batch;
    change(wrong);
    use(wrong);
  };
  spoil([&](auto& b) { b.reference = {}; });
  spoil([&](auto& b) { b.length = {}; });
  spoil([&](auto& b) { b.score = {}; });
  spoil([&](auto& b) { b.beta = too_many; });
  spoil([&](auto& b) { b.weight = too_many; });
  if constexpr (Arity == 1) spoil([&](auto& b) { b.label = {}; });
  if constexpr (Arity == 2) {
    spoil([&](auto& b) { b.divergence = {}; });
    spoil([&](auto& b) { b.chosen_from_reference = {}; });
    spoil([&](auto& b) { b.target_margin = batch.uniform; });
  }
}

/// A problem for which every wrapper is at rest: no alignment weighs, no perturbation moves a margin.
[[nodiscard]] inline problem<double> neutral_problem(batch_shape const& shape) {
  problem<double> p(shape, 9);
  for (auto& side : p.side) {
    side.alignment.assign(side.alignment.size(), 0.0);
    side.perturbed_toward = side.policy;
    side.perturbed_away = side.policy;
  }
  return p;
}

template <Loss L>
[[nodiscard]] outcome outcome_of(L const& loss, batch_shape const& shape) {
  constexpr std::size_t arity = L::arity;
  outcome out;
  loss_memory<L> memory{};
  auto const solve = [&](problem<double>& p, auto const& columns) {
    auto const state = prepare(loss, columns, memory);
    out.numbers.push_back(evaluate_into(loss, columns, p.template results<arity>(), state));
    for_each_state_metric(loss, state, [&](std::string const& name, double value) {
      out.metrics.emplace_back(name, value);
    });
  };
  problem<double> p = neutral_problem(shape);
  for (std::size_t round = 0; round < 2; ++round) {
    solve(p, p.template columns<arity>());
    auto const all = p.all();
    out.numbers.insert(out.numbers.end(), all.begin(), all.end());
    for (auto& side : p.side) {
      for (double& x : side.policy) x -= shape.unit;  // all the same: no order changes
      side.perturbed_toward = side.perturbed_away = side.policy;
    }
  }
  for_each_hyper_parameter(loss, [&](std::string const& name, auto const& value) {
    out.parameters.emplace_back(name, static_cast<double>(value));
  });
  out.name = name_of<L>();
  out.rewards = reward_rule_of(loss);
  out.reads = reads(loss);
  out.needs = needs<L>;
  out.list_size = prefer::list_size_of<L>();
  out.margin_only = margin_only<L>;
  out.remembers = !std::is_same_v<loss_memory<L>, nothing>;
  out.matches = prefer::detail::matches<L>;
  auto const complain = [&](auto const& batch, problem<double>& room) {
    try {
      (void)evaluate_into(loss, batch, room.template results<arity>(), loss_state<L>{});
      out.errors.emplace_back();
    } catch (precondition_error const& error) {
      out.errors.emplace_back(error.what());
    }
  };
  for_each_wrong_batch<arity>(p.template columns<arity>(),
                              [&](auto const& wrong) { complain(wrong, p); });
  if constexpr (arity == dynamic_arity) {
    problem<double> twos({.arity = arity, .list_size = 2}, 2);
    complain(twos.columns<arity>(), twos);
  }
  return out;
}

}  // namespace prefer::test
