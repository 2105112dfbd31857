// SPDX-License-Identifier: MIT
#include <optional>
#include <string>
#include <vector>

#include "../program/effective_options.hpp"
#include "report.hpp"

namespace sweep {

namespace {

using program::json;
using program::number;

json json_of(estimate const& value) {
  return {{"mean", number(value.mean)}, {"standard_error", number(value.error)}};
}

/// What identifies a setting, under the names of the CSV file's columns.
json json_of(grid const& all, setting const& what, std::uint64_t steps) {
  return {{"loss", all.losses[what.loss].text}, {"beta", what.beta ? number(*what.beta) : json()},
          {"reference", what.reference},        {"flip", number(what.noise.flip)},
          {"bias", number(what.noise.bias)},    {"steps", steps}};
}

json averages_of(grid const& all, results const& rows, setting const& what, std::uint64_t steps) {
  std::vector<double> reward, kl_start, kl_reference, distance;
  for (auto const& [seed, quality] : rows.at(what, steps)) {
    reward.push_back(quality.reward);
    kl_start.push_back(quality.kl_start);
    kl_reference.push_back(quality.kl_reference);
    if (quality.best_reward) distance.push_back(*quality.best_reward - quality.reward);
  }
  json out = json_of(all, what, steps);
  out["seeds"] = reward.size();
  out["reward"] = json_of(estimate_of(reward));
  out["kl_start"] = json_of(estimate_of(kl_start));
  out["kl_reference"] = what.reference == "none" ? json() : json_of(estimate_of(kl_reference));
  out["to_frontier"] = distance.empty() ? json() : json_of(estimate_of(distance));
  return out;
}

}  // namespace

json json_of(grid const& all, results const& rows, task const& of) {
  json out = program::results_document();
  out["settings"] = of.settings();
  out["reward"] = of.reward_name();
  out["seeds"] = all.seeds;
  out["averages"] = json::array();
  out["best"] = json::array();
  for (auto const steps : all.steps) {
    for (auto const& what : all.settings()) {
      out["averages"].push_back(averages_of(all, rows, what, steps));
    }
    for (double const flip : all.flips) {
      std::optional<best_setting> first;
      for (std::size_t l = 0; l < all.losses.size(); ++l) {
        auto const references =
            all.losses[l].reads_reference ? all.references : std::vector<std::string>{"none"};
        for (auto const& reference : references) {
          auto const best = best_of(all, rows, l, reference, flip, steps);
          if (!first) first = best;
          json row = json_of(all, best.what, steps);
          row["reward"] = json_of(best.mean);
          row["paired_difference"] = json_of(paired_difference(best.reward, first->reward));
          out["best"].push_back(std::move(row));
        }
      }
    }
  }
  return out;
}

}  // namespace sweep
