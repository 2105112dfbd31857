// SPDX-License-Identifier: MIT
#include "metrics.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include <prefer/file/atomic_file.hpp>
#include <prefer/report/csv.hpp>
#include <prefer/report/line_plot.hpp>

#include "../program/kept_rows.hpp"

namespace tune {

namespace {

/// Calls visit(name, number, whether only some trainings have it) for each number of a step but its times.
template <class Row>
void describe(Row& row, auto const& visit) {
  auto& report = row.report;
  visit("loss", report.loss, false);
  visit("accuracy", report.accuracy, false);
  visit("reward_margin", report.reward_margin, false);
  visit("reward_chosen", report.reward_chosen, false);
  visit("log_prob_chosen", report.log_prob_chosen, false);
  visit("log_prob_rejected", report.log_prob_rejected, false);
  visit("displaced_share", report.displaced_share, false);
  visit("gradient_norm", report.gradient_norm, false);
  visit("learning_rate", report.learning_rate, false);
  visit("beta", report.beta, false);
  visit("examples", row.examples, false);
  visit("settled", report.settled, true);
  visit("score", row.drawn.score, true);
  visit("skipped_prompts", row.drawn.skipped, true);
}

/// The names of what the rows have.
std::vector<std::string> names_in(std::vector<step_row> const& rows) {
  std::vector<std::string> out;
  step_row any;
  for (step_row const& row : rows) {
    if (std::isfinite(row.report.settled)) any.report.settled = row.report.settled;
    if (std::isfinite(row.drawn.score)) any.drawn = row.drawn;
  }
  describe(any, [&](char const* name, double value, bool of_some) {
    if (!of_some || std::isfinite(value)) out.emplace_back(name);
  });
  return out;
}

}  // namespace

program::json json_of(step_row const& row) {
  program::json out = {{"step", row.report.step}, {"steps", row.report.steps}};
  describe(row, [&](char const* name, double value, bool of_some) {
    if (!of_some || std::isfinite(value)) out[name] = program::number(value);
  });
  out["seconds"] = program::number(row.seconds);
  out["tokens_per_second"] = program::number(row.tokens_per_second);
  return out;
}

step_row row_of(program::json const& json) {
  step_row out;
  out.report.step = json.at("step").get<std::uint64_t>();
  out.report.steps = json.at("steps").get<std::uint64_t>();
  describe(out, [&](char const* name, double& value, bool of_some) {
    if (!of_some || json.contains(name)) value = program::number_in(json.at(name));
  });
  out.seconds = program::number_in(json.at("seconds"));
  out.tokens_per_second = program::number_in(json.at("tokens_per_second"));
  return out;
}

void write_csv(std::string const& path, std::vector<step_row> const& rows) {
  auto const names = names_in(rows);
  std::vector<std::string> header = {"step"};
  header.insert(header.end(), names.begin(), names.end());
  prefer::report::csv_writer file(path, header);
  for (step_row const& row : rows) {
    std::vector<prefer::report::csv_field> fields = {row.report.step};
    describe(row, [&](char const* name, double value, bool) {
      if (std::find(names.begin(), names.end(), name) != names.end()) fields.emplace_back(value);
    });
    file.add_row(fields);
  }
  file.commit();
}

void write_jsonl(std::string const& path, std::vector<step_row> const& rows) {
  prefer::atomic_file file(path);
  for (step_row const& row : rows) file.write(json_of(row).dump() + "\n");
  file.commit();
}

bool write_curves(std::string const& path, std::vector<step_row> const& rows) {
  struct curve {
    char const* title;
    char const* unit;
    char const* name;
  };
  constexpr curve curves[] = {{"loss", "mean over the batch", "loss"},
                              {"reward margin", "nats", "reward_margin"},
                              {"accuracy", "share of pairs", "accuracy"},
                              {"chosen reward", "nats", "reward_chosen"},
                              {"score", "mean of what was drawn", "score"}};
  prefer::report::plot_row picture;
  for (curve const& each : curves) {
    prefer::report::series line{.name = each.title};
    for (step_row const& row : rows) {
      describe(row, [&](std::string_view name, double value, bool) {
        if (name != each.name || !std::isfinite(value)) return;
        line.points.push_back({static_cast<double>(row.report.step), value});
      });
    }
    if (line.points.empty()) continue;
    prefer::report::line_plot plot{
        .title = each.title, .x = {.label = "step"}, .y = {.label = each.unit}};
    plot.width = 340;
    plot.height = 260;
    plot.add(std::move(line));
    picture.plots.push_back(std::move(plot));
  }
  if (picture.plots.empty()) return false;
  picture.write(path);
  return true;
}

}  // namespace tune
