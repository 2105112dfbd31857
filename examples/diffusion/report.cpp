// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <algorithm>
#include <utility>

#include <prefer/report/csv.hpp>
#include <prefer/report/line_plot.hpp>
#include <prefer/report/table.hpp>
#include <prefer/text/number.hpp>

namespace diffusion {

namespace {

constexpr std::size_t most_dots = 1000;
constexpr double edge = 2.25;  // of the pictures, in the data's units

std::string beta_text(study_row const& row) {
  return row.model == "start" ? "" : prefer::text::shortest(row.beta);
}

prefer::report::line_plot picture_of(ring const& modes, study_row const& row) {
  std::string const name = row.model == "start" ? "start" : "beta " + beta_text(row);
  prefer::report::line_plot plot{
      .title = name + ": " + prefer::text::fixed(100 * row.preferred, 0) + " % preferred",
      .x = {.ticks = {-2, -1, 0, 1, 2}, .min = -edge, .max = edge},
      .y = {.ticks = {-2, -1, 0, 1, 2}, .min = -edge, .max = edge},
      .width = 290,
      .height = 306};
  prefer::report::series preferred{.name = "nearest mode preferred", .line = false, .dots = true};
  prefer::report::series other{.name = "nearest mode not", .line = false, .dots = true};
  std::size_t const count = std::min(most_dots, row.samples.size());
  for (std::size_t i = 0; i != count; ++i) {
    auto const& p = row.samples[i];
    (modes.prefers(modes.nearest(p)) ? preferred : other).points.push_back({.x = p.x, .y = p.y});
  }
  for (auto* each : {&preferred, &other}) {
    // A series needs a point; this one is out of sight.
    if (each->points.empty()) each->points.push_back({.x = 1e6, .y = 1e6});
    plot.add(std::move(*each));
  }
  return plot;
}

}  // namespace

std::string table_of(std::vector<study_row> const& rows) {
  prefer::report::table table({{.header = "model"},
                               {.header = "beta", .align = prefer::report::align::right},
                               {.header = "preferred", .precision = 3},
                               {.header = "on data", .precision = 3},
                               {.header = "implicit accuracy", .precision = 3},
                               {.header = "E chosen", .precision = 4},
                               {.header = "E rejected", .precision = 4},
                               {.header = "KL to start", .precision = 3},
                               {.header = "seconds", .precision = 2}});
  for (study_row const& row : rows) {
    table.add_row({row.model, beta_text(row), row.preferred, row.on_data,
                   row.model == "start" ? prefer::report::table_cell("")
                                        : prefer::report::table_cell(row.implicit_accuracy),
                   row.error_chosen, row.error_rejected, row.kl_start, row.seconds});
  }
  return table.text();
}

program::json json_of(std::vector<study_row> const& rows) {
  using program::number;
  auto out = program::json::array();
  for (study_row const& row : rows) {
    bool const start = row.model == "start";
    out.push_back({{"model", row.model},
                   {"beta", start ? program::json() : number(row.beta)},
                   {"preferred", number(row.preferred)},
                   {"on_data", number(row.on_data)},
                   {"implicit_accuracy", start ? program::json() : number(row.implicit_accuracy)},
                   {"error_chosen", number(row.error_chosen)},
                   {"error_rejected", number(row.error_rejected)},
                   {"kl_start", number(row.kl_start)},
                   {"seconds", number(row.seconds)}});
  }
  return out;
}

void write_csv(std::string const& path, std::vector<study_row> const& rows) {
  prefer::report::csv_writer csv(
      path, {"model", "beta", "preferred", "on_data", "implicit_accuracy", "error_chosen",
             "error_rejected", "kl_start", "seconds"});
  for (study_row const& row : rows) {
    csv.add_row({row.model, row.beta, row.preferred, row.on_data, row.implicit_accuracy,
                 row.error_chosen, row.error_rejected, row.kl_start, row.seconds});
  }
  csv.commit();
}

void write_picture(std::string const& path, ring const& modes, std::vector<study_row> const& rows) {
  prefer::report::plot_row pictures;
  for (study_row const& row : rows) pictures.plots.push_back(picture_of(modes, row));
  pictures.write(path);
}

}  // namespace diffusion
