// SPDX-License-Identifier: MIT
#include "pictures.hpp"

#include <functional>
#include <utility>

#include <prefer/report/line_plot.hpp>

namespace reference_study {

namespace {

using language::mean_of_rows;
using prefer::report::axis;
using prefer::report::point;

/// A series for each reference, in the order of the settings.
std::vector<prefer::report::series> series_of(std::vector<run> const& settings,
                                              std::function<point(run const&)> const& point_of) {
  std::vector<prefer::report::series> out;
  for (run const& each : settings) {
    if (out.empty() || out.back().name != each.reference) out.push_back({.name = each.reference});
    out.back().points.push_back(point_of(each));
  }
  return out;
}

prefer::report::line_plot against_beta(std::vector<run> const& settings, char const* title,
                                       char const* label, mean_of_rows run::*what) {
  std::vector<double> betas;
  for (run const& each : settings) {
    if (each.reference == settings.front().reference) betas.push_back(each.beta);
  }
  return {.title = title,
          .x = {.label = "beta", .scale = prefer::report::scale::log, .ticks = betas},
          .y = {.label = label},
          .series = series_of(settings,
                              [what](run const& of) {
                                return point{.x = of.beta,
                                             .y = (of.*what).mean,
                                             .y_error = (of.*what).standard_error};
                              }),
          .width = 400};
}

}  // namespace

void draw_betas(std::string const& path, found_runs const& found,
                std::vector<run> const& settings) {
  auto score = against_beta(settings, "Score of sampled endings", "mean score", &run::score);
  auto kl = against_beta(settings, "KL from the start", "nats an ending", &run::kl);
  auto accuracy = against_beta(settings, "Accuracy on held-out pairs, beside the start",
                               "share of pairs", &run::accuracy_from_start);
  score.add_horizontal({.y = found.start_score.mean, .label = "the start"});
  accuracy.add_horizontal({.y = 0.5, .label = "chance"});
  prefer::report::plot_row{{std::move(score), std::move(kl), std::move(accuracy)}}.write(path);
}

void draw_frontier(std::string const& path, found_runs const& found,
                   std::vector<run> const& settings) {
  prefer::report::line_plot plot{.title = "What a better score costs",
                                 .x = {.label = "KL from the start, nats an ending"},
                                 .y = {.label = "mean score of sampled endings"},
                                 .series = series_of(settings, [](run const& of) {
                                   return point{.x = of.kl.mean,
                                                .y = of.score.mean,
                                                .y_error = of.score.standard_error,
                                                .x_error = of.kl.standard_error,
                                                .label = prefer::text::shortest(of.beta)};
                                 })};
  plot.add_horizontal({.y = found.start_score.mean, .label = "the start"});
  plot.write(path);
}

}  // namespace reference_study
