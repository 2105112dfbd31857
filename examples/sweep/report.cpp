// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <algorithm>
#include <cmath>

#include <prefer/report/line_plot.hpp>
#include <prefer/text/number.hpp>

namespace sweep {

namespace {

namespace plot = prefer::report;
using prefer::text::fixed;
using prefer::text::shortest;

struct curve {
  std::string name;
  std::size_t loss = 0;
  std::string reference;
};

/// The curves of one picture.
struct family {
  std::string title;
  std::vector<curve> curves;
};

std::string reference_of(loss_choice const& loss, std::string const& asked) {
  return loss.reads_reference ? asked : "none";
}

/// With one loss, a curve per reference; else a picture per reference and a curve per loss.
std::vector<family> families_of(grid const& all) {
  std::vector<family> out;
  if (all.losses.size() == 1) {
    auto const& loss = all.losses.front();
    family one{.title = loss.text, .curves = {}};
    if (!loss.reads_reference) return {{loss.text, {{"no reference", 0, "none"}}}};
    for (auto const& name : all.references) one.curves.push_back({"reference: " + name, 0, name});
    return {one};
  }
  bool const any = std::any_of(all.losses.begin(), all.losses.end(),
                               [](loss_choice const& loss) { return loss.reads_reference; });
  for (auto const& reference : any ? all.references : std::vector<std::string>{"none"}) {
    for (std::size_t first = 0; first < all.losses.size(); first += most_curves) {
      family one{.title = "reference: " + reference, .curves = {}};
      for (std::size_t l = first; l < std::min(first + most_curves, all.losses.size()); ++l) {
        one.curves.push_back({all.losses[l].text, l, reference_of(all.losses[l], reference)});
      }
      out.push_back(std::move(one));
    }
  }
  return out;
}

/// Means over seeds of one setting.
struct averages {
  setting what;
  estimate reward;
  estimate kl_start;
  std::optional<estimate> distance;  // to the frontier, at each seed's own KL
};

averages averages_of(results const& rows, setting const& what, std::uint64_t steps) {
  std::vector<double> reward, kl, distance;
  for (auto const& [seed, quality] : rows.at(what, steps)) {
    reward.push_back(quality.reward);
    kl.push_back(quality.kl_start);
    if (quality.best_reward) distance.push_back(*quality.best_reward - quality.reward);
  }
  averages out{what, estimate_of(reward), estimate_of(kl), {}};
  if (!distance.empty()) out.distance = estimate_of(distance);
  return out;
}

std::vector<averages> along_beta(grid const& all, results const& rows, curve const& one,
                                 std::uint64_t steps) {
  std::vector<averages> out;
  for (auto const& what : all.settings()) {
    if (what.loss == one.loss && what.reference == one.reference &&
        what.noise.flip == all.flips.front()) {
      out.push_back(averages_of(rows, what, steps));
    }
  }
  return out;
}

/// As many of the betas as have room below the axis.
std::vector<double> beta_ticks(std::vector<double> const& betas) {
  std::vector<double> out;
  double const span = std::log(betas.back() / betas.front());
  for (double const beta : betas) {
    if (out.empty() || std::log(beta / out.back()) > 0.085 * span) out.push_back(beta);
  }
  return out;
}

/// Reward (or distance) against beta.
plot::line_plot against_beta(grid const& all, results const& rows, family const& of,
                             std::uint64_t steps, std::string const& y_label, bool distance) {
  plot::line_plot out{
      .title = of.title + ", " + std::to_string(steps) + " steps" +
               (distance ? ", distance to the frontier" : ""),
      .x = {.label = "beta", .scale = plot::scale::log, .ticks = beta_ticks(all.betas)},
      .y = {.label = y_label}};
  for (auto const& one : of.curves) {
    plot::series line{.name = one.name};
    for (auto const& a : along_beta(all, rows, one, steps)) {
      if (distance && !a.distance) continue;
      estimate const value = distance ? *a.distance : a.reward;
      if (!a.what.beta) {
        out.add_horizontal({.y = value.mean, .label = one.name});
      } else {
        line.points.push_back({.x = *a.what.beta, .y = value.mean, .y_error = value.error});
      }
    }
    if (!line.points.empty()) out.add(std::move(line));
  }
  return out;
}

/// The frontier's mean over seeds. The same beta everywhere is also what a policy that sees the seed could do
/// best at this mean KL, so no mean of policies lies above it.
plot::series frontier_of(grid const& all, task const& of, double from, double to) {
  if (!of.why_no_best().empty()) return {};
  plot::series out{.name = "no policy is above", .markers = false, .dashed = true};
  std::vector<std::shared_ptr<problem const>> problems;
  for (std::uint64_t seed = 1; seed <= all.seeds; ++seed) problems.push_back(of.make(seed, {}));
  for (double beta = 200.0; beta > 0.005; beta /= 1.15) {
    double reward = 0.0;
    double kl = 0.0;
    for (auto const& one : problems) {
      auto const best = one->best(beta);
      if (!best) return {};
      reward += best->reward / static_cast<double>(problems.size());
      kl += best->kl_start / static_cast<double>(problems.size());
    }
    if (kl >= from && kl <= to) out.points.push_back({.x = kl, .y = reward});
  }
  return out;
}

plot::line_plot frontier(grid const& all, results const& rows, family const& of,
                         std::uint64_t steps, std::string const& y_label, task const& source) {
  plot::line_plot out{
      .title = of.title + ", " + std::to_string(steps) + " steps, one point per beta",
      .x = {.label = "KL(policy || start), nats", .scale = plot::scale::log},
      .y = {.label = y_label},
      .width = 620,
      .height = 420};
  double low = HUGE_VAL;
  double high = 0.0;
  for (auto const& one : of.curves) {
    plot::series line{.name = one.name};
    auto const all_points = along_beta(all, rows, one, steps);
    for (std::size_t i = 0; i < all_points.size(); ++i) {
      auto const& a = all_points[i];
      double const kl = a.kl_start.mean;
      if (!(kl > 1e-9) || !std::isfinite(kl)) continue;  // no place on a logarithmic axis
      low = std::min(low, kl);
      high = std::max(high, kl);
      bool const end = of.curves.size() <= 4 && (i == 0 || i + 1 == all_points.size());
      line.points.push_back({.x = kl,
                             .y = a.reward.mean,
                             .y_error = a.reward.error,
                             .label = a.what.beta && end ? shortest(*a.what.beta) : ""});
    }
    if (!line.points.empty()) out.add(std::move(line));
  }
  if (out.series.empty()) return out;
  auto best = frontier_of(all, source, 0.8 * low, 1.25 * high);
  if (!best.points.empty()) out.add(std::move(best));
  return out;
}

std::string best_beta(setting const& what) { return what.beta ? shortest(*what.beta) : "-"; }

/// Curves whose best beta is an end of the grid, as a sentence; empty if there are none.
class edges {
 public:
  explicit edges(grid const& all) : betas_(all.betas) {}

  /// `where` tells apart several bests of a curve, which come one after another.
  void look_at(std::string const& curve, setting const& best, std::string const& where = "") {
    if (!best.beta || betas_.size() < 2) return;
    if (*best.beta == betas_.front()) lowest_.add(curve, where);
    if (*best.beta == betas_.back()) highest_.add(curve, where);
  }
  [[nodiscard]] std::string sentence() const {
    std::string out;
    auto const say = [&](char const* which, double beta, list const& curves) {
      if (curves.text.empty()) return;
      out += std::string(" Best at the ") + which + " beta of the grid, " + shortest(beta) + ": " +
             curves.text + "; a wider grid may do better.";
    };
    if (!betas_.empty()) {
      say("lowest", betas_.front(), lowest_);
      say("highest", betas_.back(), highest_);
    }
    return out;
  }

 private:
  struct list {
    std::string text = {};
    std::string last = {};

    void add(std::string const& curve, std::string const& where) {
      if (curve == last) {
        text += " and " + where;
        return;
      }
      text += (text.empty() ? "" : ", ") + curve + (where.empty() ? "" : " at " + where);
      last = curve;
    }
  };

  std::vector<double> betas_;
  list lowest_;
  list highest_;
};

std::string curve_name(loss_choice const& loss, std::string const& reference) {
  return loss.reads_reference ? loss.text + " (" + reference + ")" : loss.text;
}

/// Every loss with every reference at its best beta, against the first.
sheet paired_differences(grid const& all, results const& rows, std::uint64_t steps, bool distances,
                         edges& found) {
  sheet out{.words = 2,
            .header = {"loss", "reference", "best beta", "reward", "KL to start"},
            .rows = {}};
  if (distances) out.header.push_back("to frontier");
  out.header.insert(out.header.end(), {"paired difference", "in s.e."});
  std::optional<best_setting> first;
  for (std::size_t l = 0; l < all.losses.size(); ++l) {
    auto const& loss = all.losses[l];
    for (auto const& reference :
         loss.reads_reference ? all.references : std::vector<std::string>{"none"}) {
      auto const best = best_of(all, rows, l, reference, all.flips.front(), steps);
      auto const mean = averages_of(rows, best.what, steps);
      std::vector<std::string> row = {loss.text, reference, best_beta(best.what),
                                      with_error(best.mean), with_error(mean.kl_start, 2)};
      if (distances) row.push_back(mean.distance ? with_error(*mean.distance) : "-");
      found.look_at(curve_name(loss, reference), best.what);
      if (!first) {
        first = best;
        row.insert(row.end(), {"compared with", ""});
      } else {
        estimate const apart = paired_difference(best.reward, first->reward);
        row.push_back(with_sign(apart.mean, 4) + " ± " + fixed(apart.error, 4));
        row.push_back(apart.error > 1e-9 ? with_sign(apart.mean / apart.error, 1) : "-");
      }
      out.rows.push_back(std::move(row));
    }
  }
  return out;
}

/// Reward at the best beta of each rate of flipped labels.
sheet survivors(grid const& all, results const& rows, std::uint64_t steps, edges& found) {
  sheet out{.words = 2, .header = {"loss", "reference"}, .rows = {}};
  for (double const flip : all.flips) {
    out.header.push_back(shortest(100.0 * flip) + " % flipped");
    out.header.push_back("at beta");
  }
  if (all.flips.size() > 1) out.header.push_back("kept");
  for (std::size_t l = 0; l < all.losses.size(); ++l) {
    auto const& loss = all.losses[l];
    for (auto const& reference :
         loss.reads_reference ? all.references : std::vector<std::string>{"none"}) {
      std::vector<std::string> row = {loss.text, reference};
      std::vector<double> means;
      for (double const flip : all.flips) {
        auto const best = best_of(all, rows, l, reference, flip, steps);
        row.push_back(with_error(best.mean));
        row.push_back(best_beta(best.what));
        means.push_back(best.mean.mean);
        found.look_at(curve_name(loss, reference), best.what, shortest(100.0 * flip) + " %");
      }
      if (all.flips.size() > 1)
        row.push_back(fixed(100.0 * means.back() / means.front(), 0) + " %");
      out.rows.push_back(std::move(row));
    }
  }
  return out;
}

/// Losses that labels tell nothing, as a sentence; empty if there are none.
std::string untouched(grid const& all) {
  std::string names;
  for (auto const& loss : all.losses) {
    bool const by_score = loss.score == prefer::score_kind::reward ||
                          loss.score == prefer::score_kind::win_probability;
    if (by_score) names += (names.empty() ? "" : ", ") + loss.text;
  }
  if (names.empty()) return "";
  return " Flips do not reach losses that learn from true rewards: " + names + ".";
}

plot::line_plot against_flips(grid const& all, results const& rows, family const& of,
                              std::uint64_t steps, std::string const& y_label) {
  plot::line_plot out{.title = of.title + ", " + std::to_string(steps) + " steps, best beta",
                      .x = {.label = "flipped labels, %"},
                      .y = {.label = y_label}};
  for (double const flip : all.flips) out.x.ticks.push_back(100.0 * flip);
  for (auto const& one : of.curves) {
    plot::series line{.name = one.name};
    for (double const flip : all.flips) {
      auto const best = best_of(all, rows, one.loss, one.reference, flip, steps);
      line.points.push_back({.x = 100.0 * flip, .y = best.mean.mean, .y_error = best.mean.error});
    }
    out.add(std::move(line));
  }
  return out;
}

}  // namespace

std::string with_error(estimate const& value, int precision) {
  std::string const mean = fixed(value.mean, precision);
  return value.error > 0 ? mean + " ± " + fixed(value.error, precision) : mean;
}

std::string with_sign(double value, int precision) {
  std::string text = fixed(value, precision);
  return value > 0 ? text.insert(0, 1, '+') : text;
}

best_setting best_of(grid const& all, results const& rows, std::size_t loss,
                     std::string const& reference, double flip, std::uint64_t steps) {
  best_setting best;
  bool found = false;
  for (auto const& what : all.settings()) {
    if (what.loss != loss || what.reference != reference || what.noise.flip != flip) continue;
    std::vector<double> reward;
    for (auto const& one : rows.at(what, steps)) reward.push_back(one.quality.reward);
    estimate const mean = estimate_of(reward);
    // A run that diverged has no finite mean, and is best only if all did.
    if (found && !(mean.mean > best.mean.mean) && !std::isnan(best.mean.mean)) continue;
    best = {what, std::move(reward), mean};
    found = true;
  }
  return best;
}

page report_of(grid const& all, results const& rows, task const& of) {
  page out("prefer sweep");
  std::string const seeds = std::to_string(all.seeds);
  auto const families = families_of(all);
  std::string const noise =
      (all.flips.front() > 0.0 ? ", " + shortest(100.0 * all.flips.front()) + " % of labels flipped"
                               : "") +
      (all.bias > 0.0 ? ", " + shortest(100.0 * all.bias) + " % of labels from a biased annotator"
                      : "");
  bool const known = of.why_no_best().empty();
  for (auto const steps : all.steps) {
    edges at_best(all);
    auto const table = paired_differences(all, rows, steps, known, at_best);
    section one{.title = std::to_string(steps) + " steps, " + of.settings() + noise,
                .tables = {table},
                .note = "Reward is the " + of.reward_name() + ". Mean ± standard error over " +
                        seeds + " seeds, each with its own " + of.drawn_by_seed() +
                        ". Differences are to the first row, seed by seed. The best beta is "
                        "chosen on the same seeds. KL in nats. " +
                        (known ? "To frontier: how much more reward the best policy with the same "
                                 "KL to the start has."
                               : of.why_no_best()) +
                        at_best.sentence(),
                .pictures = {},
                .faults = {}};
    for (auto const& each : families) {
      bool const with_betas = std::any_of(each.curves.begin(), each.curves.end(),
                                          [&](auto& c) { return all.losses[c.loss].has_beta; });
      if (with_betas) {
        one.draw(against_beta(all, rows, each, steps, of.reward_name(), false));
      }
      auto const rim = frontier(all, rows, each, steps, of.reward_name(), of);
      if (!rim.series.empty()) one.draw(rim);
      auto const distance =
          against_beta(all, rows, each, steps, "reward missing at equal KL", true);
      if (!distance.series.empty()) one.draw(distance);
    }
    out.add(std::move(one));
    if (all.flips.size() < 2) continue;
    edges at_flips(all);
    auto const robust = survivors(all, rows, steps, at_flips);
    section flipped{.title = "Who survives flipped labels, " + std::to_string(steps) + " steps",
                    .tables = {robust},
                    .note = "Reward at the best beta of each rate, mean ± standard error over " +
                            seeds +
                            " seeds; kept: the last column's reward as a share of the "
                            "first's." +
                            untouched(all) + at_flips.sentence(),
                    .pictures = {},
                    .faults = {}};
    for (auto const& each : families) {
      flipped.draw(against_flips(all, rows, each, steps, of.reward_name()));
    }
    out.add(std::move(flipped));
  }
  return out;
}

}  // namespace sweep
