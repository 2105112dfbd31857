// SPDX-License-Identifier: MIT
#include "method_report.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <prefer/report/csv.hpp>
#include <prefer/report/line_plot.hpp>
#include <prefer/report/table.hpp>
#include <prefer/text/number.hpp>

#include "../program/kept_rows.hpp"
#include "report.hpp"

namespace recommend {

namespace {

using prefer::report::align;
using prefer::report::mean_spread;
using prefer::report::table;
using prefer::report::table_cell;

std::string name_of(method_setting const& what) {
  return what.loss.empty() || what.loss == what.method ? what.method
                                                       : what.method + ", " + what.loss;
}
/// Beta, or n.
std::string strength_of(method_setting const& what) {
  return what.strength ? prefer::text::shortest(*what.strength) : "";
}

/// One seed has no error of its own.
table_cell cell(std::size_t seeds, program::estimate const& e) {
  if (seeds < 2) return e.mean;
  return mean_spread{e.mean, e.error};
}

program::json json_of(program::estimate const& e) {
  return {{"mean", program::number(e.mean)}, {"standard_error", program::number(e.error)}};
}
program::json json_of(method_setting const& what) {
  return {{"method", what.method},
          {"loss", what.loss},
          {"strength", what.strength ? program::number(*what.strength) : program::json()}};
}
program::json json_of(pair_judgement const& of) {
  return {{"accuracy", program::number(of.accuracy)},
          {"log_loss", program::number(of.log_loss)},
          {"calibration_error", program::number(of.calibration_error)}};
}

/// Visits what identifies nothing of a row, by its name: numbers, and those that may be absent.
template <class Row>
void for_each_method_number(Row& row, auto const& visit) {
  visit("ndcg_at_10", row.quality.ndcg_at_10);
  visit("hit_rate_at_10", row.quality.hit_rate_at_10);
  visit("pair_accuracy", row.quality.pair_accuracy);
  visit("kl_start", row.quality.kl_start);
  visit("reward_gain", row.reward_gain);
  visit("seconds", row.seconds);
  visit("reward_seconds", row.reward_seconds);
}

method_setting setting_in(program::json const& kept) {
  method_setting out{.method = kept.at("method"), .loss = kept.at("loss")};
  if (!kept.at("strength").is_null()) out.strength = program::number_in(kept.at("strength"));
  return out;
}

}  // namespace

std::string table_of(std::vector<method_summary> const& all) {
  table out({{.header = "method"},
             {.header = "beta or n", .align = align::right},
             {.header = "NDCG@10", .precision = 4},
             {.header = "over the best dpo", .precision = 4},
             {.header = "hit rate@10", .precision = 3},
             {.header = "KL to start", .precision = 3},
             {.header = "learned reward", .precision = 3},
             {.header = "CPU seconds", .precision = 2}});
  for (method_summary const& s : all) {
    bool const takes_time = s.seconds.mean > 0.0 && s.what.method != "optimum";
    out.add_row(
        {name_of(s.what), strength_of(s.what), mean_spread{s.ndcg_at_10.mean, s.ndcg_at_10.error},
         s.over_dpo ? table_cell(mean_spread{s.over_dpo->mean, s.over_dpo->error}) : table_cell(""),
         s.hit_rate_at_10, cell(s.seeds, s.kl_start), cell(s.seeds, s.reward_gain),
         takes_time ? cell(s.seeds, s.seconds) : table_cell("")});
  }
  return out.text();
}

std::string reward_table_of(std::vector<method_summary> const& all) {
  table out({{.header = "reward"},
             {.header = "beta", .align = align::right},
             {.header = "pair accuracy", .precision = 4},
             {.header = "log loss", .precision = 4},
             {.header = "calibration error", .precision = 4}});
  for (method_summary const& s : all) {
    if (!s.reward || s.what.method == "optimum") continue;
    bool const fitted = s.what.method == "reward_model";
    out.add_row({fitted ? "reward model" : "implicit, of " + name_of(s.what), strength_of(s.what),
                 s.reward->accuracy, s.reward->log_loss, s.reward->calibration_error});
  }
  return out.text();
}

std::string table_of(std::vector<comparison> const& all) {
  table out({{.header = "method"},
             {.header = "chosen", .align = align::right},
             {.header = "NDCG@10", .precision = 4},
             {.header = "over dpo", .precision = 4},
             {.header = "standard errors", .precision = 1}});
  for (comparison const& c : all) {
    std::string chosen = strength_of(c.chosen.front());
    if (!(c.chosen.front() == c.chosen.back())) chosen += ", " + strength_of(c.chosen.back());
    bool const itself = c.method == "dpo";
    out.add_row(
        {c.method, chosen, mean_spread{c.ndcg_at_10.mean, c.ndcg_at_10.error},
         itself ? table_cell("") : table_cell(mean_spread{c.over_dpo.mean, c.over_dpo.error}),
         itself || c.over_dpo.error == 0.0 ? table_cell("")
                                           : table_cell(c.over_dpo.mean / c.over_dpo.error)});
  }
  return out.text();
}

std::string table_of(std::vector<equal_reward> const& all) {
  table out({{.header = "method"},
             {.header = "beta", .align = align::right},
             {.header = "at NDCG@10", .precision = 4},
             {.header = "CPU seconds", .precision = 2},
             {.header = "dpo's", .precision = 3},
             {.header = "times dpo's", .precision = 1},
             {.header = "95 % interval"}});
  for (equal_reward const& e : all) {
    if (e.seeds == 0) {
      out.add_row({name_of(e.what), strength_of(e.what), "never above the start", "", "", "", ""});
      continue;
    }
    out.add_row({name_of(e.what), strength_of(e.what), e.target, cell(e.seeds, e.seconds),
                 cell(e.seeds, e.dpo_seconds), e.times,
                 e.times_from ? prefer::text::fixed(*e.times_from, 1) + " to " +
                                    prefer::text::fixed(*e.times_to, 1)
                              : std::string("of one seed: none")});
  }
  return out.text();
}

program::json json_of(method_row const& row) {
  program::json out = json_of(row.what);
  out["seed"] = row.seed;
  for_each_method_number(
      row, [&](char const* name, auto const& value) { out[name] = program::number(value); });
  out["drawn_items"] = row.drawn_items;
  out["reward"] = row.reward ? json_of(*row.reward) : program::json();
  auto each = program::json::array();
  for (float const of_person : row.quality.ndcg_of) {
    each.push_back(std::isnan(of_person) ? program::json() : program::json(of_person));
  }
  out["ndcg_of"] = std::move(each);
  return out;
}

program::json kept_json_of(method_row const& row) {
  program::json out = json_of(row);
  auto course = program::json::array();
  for (course_point const& at : row.course) {
    course.push_back({at.step, program::number(at.seconds), program::number(at.ndcg_at_10),
                      program::number(at.kl_start)});
  }
  out["course"] = std::move(course);
  return out;
}

method_row method_row_of(program::json const& kept) {
  method_row out{.what = setting_in(kept), .seed = kept.at("seed")};
  for_each_method_number(out, [&](char const* name, auto& value) {
    if (!kept.at(name).is_null()) value = program::number_in(kept.at(name));
  });
  out.drawn_items = kept.at("drawn_items");
  if (auto const& reward = kept.at("reward"); !reward.is_null()) {
    out.reward = {.accuracy = program::number_in(reward.at("accuracy")),
                  .log_loss = program::number_in(reward.at("log_loss")),
                  .calibration_error = program::number_in(reward.at("calibration_error"))};
  }
  for (auto const& of_person : kept.at("ndcg_of")) {
    out.quality.ndcg_of.push_back(of_person.is_null() ? NAN : of_person.get<float>());
  }
  for (auto const& at : kept.at("course")) {
    out.course.push_back({.step = at[0],
                          .seconds = program::number_in(at[1]),
                          .ndcg_at_10 = program::number_in(at[2]),
                          .kl_start = program::number_in(at[3])});
  }
  return out;
}

program::json json_of(std::vector<method_summary> const& all) {
  auto out = program::json::array();
  for (method_summary const& s : all) {
    program::json row = json_of(s.what);
    row["seeds"] = s.seeds;
    row["ndcg_at_10"] = json_of(s.ndcg_at_10);
    row["over_dpo"] = s.over_dpo ? json_of(*s.over_dpo) : program::json();
    row["hit_rate_at_10"] = program::number(s.hit_rate_at_10);
    row["pair_accuracy"] = program::number(s.pair_accuracy);
    row["kl_start"] = json_of(s.kl_start);
    row["reward_gain"] = json_of(s.reward_gain);
    row["reward"] = s.reward ? json_of(*s.reward) : program::json();
    row["seconds"] = json_of(s.seconds);
    row["reward_seconds"] = program::number(s.reward_seconds);
    row["drawn_items"] = program::number(s.drawn_items);
    out.push_back(std::move(row));
  }
  return out;
}

program::json json_of(std::vector<comparison> const& all) {
  auto out = program::json::array();
  for (comparison const& c : all) {
    out.push_back({{"method", c.method},
                   {"chosen", {json_of(c.chosen.front()), json_of(c.chosen.back())}},
                   {"ndcg_at_10", json_of(c.ndcg_at_10)},
                   {"over_dpo", json_of(c.over_dpo)}});
  }
  return out;
}

program::json json_of(std::vector<equal_reward> const& all) {
  auto out = program::json::array();
  for (equal_reward const& e : all) {
    program::json row = json_of(e.what);
    row["dpo"] = json_of(e.dpo);
    row["seeds"] = e.seeds;
    bool const reached = e.seeds != 0;
    row["ndcg_at_10"] = reached ? program::number(e.target) : program::json();
    row["seconds"] = reached ? json_of(e.seconds) : program::json();
    row["dpo_seconds"] = reached ? json_of(e.dpo_seconds) : program::json();
    row["times"] = reached ? program::number(e.times) : program::json();
    row["times_from"] = program::number(e.times_from);
    row["times_to"] = program::number(e.times_to);
    out.push_back(std::move(row));
  }
  return out;
}

void write_csv(std::string const& path, std::vector<method_row> const& rows) {
  std::vector<std::string> header = {"method", "loss", "strength", "seed"};
  method_row const any;
  for_each_method_number(any, [&](char const* name, auto const&) { header.emplace_back(name); });
  for (char const* name :
       {"drawn_items", "reward_accuracy", "reward_log_loss", "reward_calibration_error"}) {
    header.emplace_back(name);
  }
  prefer::report::csv_writer csv(path, header);
  for (method_row const& row : rows) {
    std::vector<prefer::report::csv_field> fields = {row.what.method, row.what.loss,
                                                     field(row.what.strength), row.seed};
    for_each_method_number(row,
                           [&](char const*, auto const& value) { fields.push_back(field(value)); });
    fields.emplace_back(row.drawn_items);
    auto const of_reward = [&](double pair_judgement::*number) {
      fields.push_back(row.reward ? field((*row.reward).*number) : "");
    };
    of_reward(&pair_judgement::accuracy);
    of_reward(&pair_judgement::log_loss);
    of_reward(&pair_judgement::calibration_error);
    csv.add_row(fields);
  }
  csv.commit();
}

void write_courses(std::string const& path, std::vector<method_row> const& rows) {
  prefer::report::csv_writer csv(
      path, {"method", "loss", "strength", "seed", "step", "seconds", "ndcg_at_10", "kl_start"});
  for (method_row const& row : rows) {
    for (course_point const& at : row.course) {
      csv.add_row({row.what.method, row.what.loss, field(row.what.strength), row.seed, at.step,
                   at.seconds, at.ndcg_at_10, at.kl_start});
    }
  }
  csv.commit();
}

void write_picture(std::string const& path, std::vector<method_summary> const& all) {
  prefer::report::line_plot ranking{
      .title = "Ranking of unseen items",
      .x = {.label = "KL(policy || start), nats", .scale = prefer::report::scale::log},
      .y = {.label = "NDCG@10"}};
  prefer::report::line_plot learned{.title = "What the reward model says",
                                    .x = ranking.x,
                                    .y = {.label = "learned reward over the start's, nats"}};
  std::vector<std::string> done;
  for (method_summary const& first : all) {
    std::string const name = name_of(first.what);
    if (name == "start" || name == "reward_model") continue;
    if (std::find(done.begin(), done.end(), name) != done.end()) continue;
    done.push_back(name);
    bool const optimum = name == "optimum";
    prefer::report::series ndcg{.name = optimum ? "exact optimum" : name, .dashed = optimum};
    prefer::report::series reward = ndcg;
    for (method_summary const& s : all) {
      if (name_of(s.what) != name) continue;
      // A policy that has not moved has no place on a logarithmic axis.
      double const kl = s.kl_start.mean > 0.0 ? s.kl_start.mean : NAN;
      ndcg.points.push_back(
          {.x = kl, .y = s.ndcg_at_10.mean, .y_error = optimum ? 0.0 : s.ndcg_at_10.error});
      reward.points.push_back({.x = kl, .y = s.reward_gain.mean});
    }
    ranking.add(std::move(ndcg));
    learned.add(std::move(reward));
  }
  ranking.add_horizontal({.y = all.front().ndcg_at_10.mean, .label = "start model"});
  learned.add_horizontal({.y = 0.0, .label = "start model"});
  prefer::report::plot_row{{ranking, learned}}.write(path);
}

}  // namespace recommend
