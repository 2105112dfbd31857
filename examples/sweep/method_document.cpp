// SPDX-License-Identifier: MIT
#include <optional>

#include "../program/effective_options.hpp"
#include "method_report.hpp"

namespace sweep {

namespace {

using program::json;
using program::number;

json estimate_json(std::optional<estimate> const& value) {
  if (!value) return {};
  return {{"mean", number(value->mean)}, {"standard_error", number(value->error)}};
}

json optional_json(std::optional<double> value) { return value ? number(*value) : json(); }

json name_json(comparison const& all, std::optional<std::size_t> m) {
  return m ? json(all.methods[*m]->name()) : json();
}

json averages_of(comparison const& all, ground_findings const& of) {
  json out = json::array();
  for (auto const& each : of.settings) {
    auto const& one = *all.methods[each.what.method];
    out.push_back({{"method", one.name()},
                   {"swept", name_of(one.swept())},
                   {"number", number(each.what.number)},
                   {"flip", number(each.what.noise.flip)},
                   {"bias", number(each.what.noise.bias)},
                   {"reward", estimate_json(each.reward)},
                   {"kl_start", estimate_json(each.kl)},
                   {"kl_bound", optional_json(each.kl_bound)},
                   {"to_frontier", estimate_json(each.distance)},
                   {"learned_reward", estimate_json(each.learned)},
                   {"pair_accuracy", estimate_json(each.pair_accuracy)}});
  }
  return out;
}

json levels_of(comparison const& all, ground_findings const& of) {
  json out = json::array();
  for (auto const& each : of.levels) {
    json rewards = json::object();
    json over_dpo = json::object();
    for (std::size_t m = 0; m < of.methods.size(); ++m) {
      std::string const name = all.methods[of.methods[m]]->name();
      rewards[name] = estimate_json(each.reward[m]);
      over_dpo[name] = estimate_json(each.over_dpo[m]);
    }
    out.push_back({{"kl", number(each.kl)},
                   {"reward", std::move(rewards)},
                   {"over_dpo", std::move(over_dpo)},
                   {"frontier", estimate_json(each.frontier)},
                   {"best", name_json(all, each.best)},
                   {"next", name_json(all, each.next)},
                   {"paired_difference", estimate_json(each.apart)}});
  }
  return out;
}

json turns_of(comparison const& all, ground_findings const& of) {
  json out = json::array();
  for (auto const& each : of.turns) {
    out.push_back(
        {{"method", all.methods[each.method]->name()},
         {"along", each.in_training ? "training" : name_of(all.methods[each.method]->swept())},
         {"found", each.judged ? json(each.found) : json()},
         {"number", number(each.number)},
         {"step", each.step},
         {"kl_start", number(each.kl)},
         {"drop", estimate_json(each.drop)},
         {"learned_gain", number(each.learned_gain)}});
  }
  return out;
}

json costs_of(comparison const& all, ground_findings const& of) {
  json out = json::array();
  for (auto const& each : of.costs) {
    out.push_back({{"method", all.methods[each.method]->name()},
                   {"seconds", estimate_json(each.seconds)},
                   {"peak_bytes", estimate_json(each.peak_bytes)},
                   {"bytes", each.bytes},
                   {"labels", each.spent.labels},
                   {"scored", each.spent.scored},
                   {"written", each.spent.written}});
  }
  return out;
}

}  // namespace

json json_of(comparison const& all, std::vector<ground_findings> const& found) {
  json out = program::results_document();
  out["settings"] = all.text();
  out["first_seed"] = all.first_seed;
  out["seeds"] = all.seeds;
  out["comparisons"] = json::array();
  for (auto const& of : found) {
    auto const& at = all.grounds[of.ground];
    out["comparisons"].push_back({{"task", at.name},
                                  {"settings", at.text()},
                                  {"budget", name_of(at.options.budget)},
                                  {"amount", at.options.amount},
                                  {"flip", number(of.noise.flip)},
                                  {"bias", number(of.noise.bias)},
                                  {"fit", name_of(at.options.fit)},
                                  {"loss", at.options.loss.text},
                                  {"reward", at.of->reward_name()},
                                  {"findings", of.text},
                                  {"at_equal_kl", levels_of(all, of)},
                                  {"averages", averages_of(all, of)},
                                  {"turns", turns_of(all, of)},
                                  {"costs", costs_of(all, of)}});
  }
  return out;
}

}  // namespace sweep
