// SPDX-License-Identifier: MIT
#include "metrics.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <prefer/file/atomic_file.hpp>
#include <prefer/report/csv.hpp>
#include <prefer/report/line_plot.hpp>

#include "../program/kept_rows.hpp"

namespace tune {

namespace {

using prefer::step_report;

struct column {
  char const* name;
  double step_report::*value;
};

constexpr column columns[] = {{"loss", &step_report::loss},
                              {"accuracy", &step_report::accuracy},
                              {"reward_margin", &step_report::reward_margin},
                              {"reward_chosen", &step_report::reward_chosen},
                              {"log_prob_chosen", &step_report::log_prob_chosen},
                              {"log_prob_rejected", &step_report::log_prob_rejected},
                              {"displaced_share", &step_report::displaced_share},
                              {"gradient_norm", &step_report::gradient_norm},
                              {"learning_rate", &step_report::learning_rate},
                              {"beta", &step_report::beta}};

}  // namespace

program::json json_of(step_row const& row) {
  program::json out = {{"step", row.report.step}, {"steps", row.report.steps}};
  for (column const& each : columns) out[each.name] = program::number(row.report.*each.value);
  out["seconds"] = program::number(row.seconds);
  out["tokens_per_second"] = program::number(row.tokens_per_second);
  return out;
}

step_row row_of(program::json const& json) {
  step_row out;
  out.report.step = json.at("step").get<std::uint64_t>();
  out.report.steps = json.at("steps").get<std::uint64_t>();
  for (column const& each : columns) {
    out.report.*each.value = program::number_in(json.at(each.name));
  }
  out.seconds = program::number_in(json.at("seconds"));
  out.tokens_per_second = program::number_in(json.at("tokens_per_second"));
  return out;
}

void write_csv(std::string const& path, std::vector<step_row> const& rows) {
  std::vector<std::string> header = {"step"};
  for (column const& each : columns) header.emplace_back(each.name);
  prefer::report::csv_writer file(path, header);
  for (step_row const& row : rows) {
    std::vector<prefer::report::csv_field> fields = {row.report.step};
    for (column const& each : columns) fields.emplace_back(row.report.*each.value);
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
    double step_report::*value;
  };
  constexpr curve curves[] = {{"loss", "mean over the batch", &step_report::loss},
                              {"reward margin", "nats", &step_report::reward_margin},
                              {"accuracy", "share of pairs", &step_report::accuracy},
                              {"chosen reward", "nats", &step_report::reward_chosen}};
  prefer::report::plot_row picture;
  for (curve const& each : curves) {
    prefer::report::series line{.name = each.title};
    for (step_row const& row : rows) {
      if (!std::isfinite(row.report.*each.value)) continue;
      line.points.push_back({static_cast<double>(row.report.step), row.report.*each.value});
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
