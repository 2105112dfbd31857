// SPDX-License-Identifier: MIT
#include "plot.hpp"

#include <algorithm>
#include <cmath>

#include <prefer/report/line_plot.hpp>

namespace {

namespace report = prefer::report;

constexpr std::size_t points = 241;

/// One curve of the two panels.
struct curve {
  std::string name;
  std::vector<double> loss;
  std::vector<double> coefficient;
};

// Policy and reference give the rejected completion the same log-probability, the reference gives it to the chosen one
// too, and all completions have one token: so log-ratio, log-probability and their averages per token have one margin,
// which comes from the chosen completion alone. That log-probability is 0, and negative for losses without a reference,
// some of which need probabilities below 1.

double base_of(named_loss const& loss, std::vector<double> const& margin) {
  return loss.needs.contains(prefer::column_name::reference) ? 0.0 : -1.0 - margin.back();
}

std::vector<double> shifted(std::vector<double> values, double by) {
  for (double& each : values) each += by;
  return values;
}

curve pair_curve(named_loss const& loss, std::vector<double> const& margin) {
  std::vector<double> const base(margin.size(), base_of(loss, margin));
  std::vector<double> const chosen = shifted(margin, base_of(loss, margin));
  std::vector<double> const zero(margin.size(), 0.0);
  std::vector<double> const half(margin.size(), 0.5);
  std::vector<double> const one(margin.size(), 1.0);
  auto result = loss.pairs({.policy = {.chosen = chosen, .rejected = base},
                            .reference = {.chosen = base, .rejected = base},
                            .length = {.chosen = one, .rejected = one},
                            .score = {.chosen = one, .rejected = zero},
                            .divergence = {.chosen = zero, .rejected = zero},
                            .alignment = {.chosen = zero, .rejected = zero},
                            .perturbed_toward = {.chosen = chosen, .rejected = base},
                            .perturbed_away = {.chosen = chosen, .rejected = base},
                            .chosen_from_reference = zero,
                            .uniform = half},
                           {.reduce = prefer::reduction::none});
  return {loss.label, std::move(result.value), std::move(result.coefficient.chosen)};
}

curve unpaired_curve(named_loss const& loss, std::vector<double> const& margin, bool desirable) {
  std::vector<double> const zero(margin.size(), 0.0);
  std::vector<double> const one(margin.size(), 1.0);
  auto const& label = desirable ? one : zero;
  auto result = loss.unpaired({.policy = margin,
                               .reference = zero,
                               .label = label,
                               .length = one,
                               .score = label,
                               .kl_examples = {.policy = zero, .reference = zero}},
                              {.reduce = prefer::reduction::none});
  return {loss.label + (desirable ? ", desirable" : ", undesirable"), std::move(result.value),
          std::move(result.coefficient)};
}

curve list_curve(named_loss const& loss, std::vector<double> const& margin) {
  double const base = base_of(loss, margin);
  std::vector<double> policy;
  std::vector<double> score;
  std::vector<std::size_t> offset = {0};
  for (double const m : margin) {
    policy.insert(policy.end(), {base + m, base, base});
    score.insert(score.end(), {2.0, 1.0, 0.0});
    offset.push_back(policy.size());
  }
  std::vector<double> const reference(policy.size(), base);
  std::vector<double> const one(policy.size(), 1.0);
  auto result = loss.lists(
      {.policy = policy, .reference = reference, .length = one, .score = score, .offset = offset},
      {.reduce = prefer::reduction::none});
  curve out{loss.label + ", first of three", std::move(result.value), {}};
  for (std::size_t g = 0; g < margin.size(); ++g) {
    out.coefficient.push_back(result.coefficient[offset[g]]);
  }
  return out;
}

double largest_size(std::vector<double> const& values) {
  double out = 0.0;
  for (double const value : values) out = std::max(out, std::fabs(value));
  return out;
}

/// Where to cut the axis so that a squared loss does not press the others flat; nothing if all fit.
std::optional<double> cut(std::vector<curve> const& curves, std::vector<double> curve::*values) {
  std::vector<double> sizes;
  for (auto const& one : curves) sizes.push_back(largest_size(one.*values));
  std::sort(sizes.begin(), sizes.end());
  double const middle = sizes[(sizes.size() - 1) / 2];
  if (middle <= 0.0 || sizes.back() <= 10.0 * middle) return std::nullopt;
  return 3.0 * middle;
}

report::line_plot panel(std::vector<curve> const& curves, std::vector<double> const& margin,
                        std::vector<double> curve::*values, std::string const& x,
                        std::string const& y) {
  report::line_plot out{.x = {.label = x}, .y = {.label = y}};
  for (auto const& one : curves) {
    report::series series{.name = one.name, .markers = curves.size() > 1};
    for (std::size_t i = 0; i < margin.size(); ++i) {
      series.points.push_back({.x = margin[i], .y = (one.*values)[i]});
    }
    out.add(std::move(series));
  }
  return out;
}

}  // namespace

std::string plot_losses(std::vector<named_loss> const& losses, std::string const& path,
                        std::optional<std::pair<double, double>> margins) {
  if (!margins) {
    double smallest = HUGE_VAL;
    for (auto const& loss : losses) smallest = std::min(smallest, loss.beta.value_or(HUGE_VAL));
    double const reach = 3.0 / (std::isfinite(smallest) ? smallest : 1.0);
    margins = {-reach, reach};
  }
  auto const [low, high] = *margins;
  if (!(low < high)) prefer::refuse("--margins: expected LOW HIGH with LOW < HIGH");

  std::vector<double> margin;
  for (std::size_t i = 0; i < points; ++i) {
    double const share = static_cast<double>(i) / static_cast<double>(points - 1);
    margin.push_back(low + share * (high - low));
  }
  std::vector<curve> curves;
  bool any_pairs = false;
  for (auto const& loss : losses) {
    if (loss.kind == example_kind::unpaired) {
      curves.push_back(unpaired_curve(loss, margin, true));
      curves.push_back(unpaired_curve(loss, margin, false));
    } else {
      any_pairs = true;
      curves.push_back(loss.kind == example_kind::pair ? pair_curve(loss, margin)
                                                       : list_curve(loss, margin));
    }
  }
  std::string const x =
      any_pairs ? "margin of chosen over rejected (nats)" : "log-ratio above the baseline (nats)";
  report::plot_row row;
  row.plots.push_back(panel(curves, margin, &curve::loss, x, "loss"));
  row.plots.push_back(
      panel(curves, margin, &curve::coefficient, x, "coefficient of the chosen completion"));
  std::string note;
  if (auto const top = cut(curves, &curve::loss)) {
    row.plots[0].y.max = *top;
    note = "one loss is much larger than the others; its curve is cut off";
  }
  if (auto const top = cut(curves, &curve::coefficient)) {
    bool below = false;
    bool above = false;
    for (auto const& one : curves) {
      for (double const value : one.coefficient) {
        below = below || value < -*top;
        above = above || value > *top;
      }
    }
    if (below) row.plots[1].y.min = -*top;
    if (above) row.plots[1].y.max = *top;
    note = "one loss is much larger than the others; its curve is cut off";
  }
  row.write(path);
  return note;
}
