// SPDX-License-Identifier: MIT
#include "method_report.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include <prefer/report/line_plot.hpp>
#include <prefer/text/number.hpp>

#include "report.hpp"

namespace sweep {

namespace {

namespace plot = prefer::report;
using prefer::text::fixed;
using prefer::text::shortest;

std::string title_of(ground const& at, label_noise const& noise) {
  auto const percent = [](double share) { return shortest(100.0 * share) + " % of labels "; };
  bool const adamw =
      at.options.budget == budget_kind::labels && at.options.fit == reward_fit::adamw;
  return at.name + ", " + std::to_string(at.options.amount) + " " + name_of(at.options.budget) +
         (adamw ? ", reward model by AdamW" : "") +
         (noise.flip > 0.0 ? ", " + percent(noise.flip) + "flipped" : "") +
         (noise.bias > 0.0 ? ", " + percent(noise.bias) + "from a biased annotator" : "");
}

/// Whether the best policy is known.
bool known(ground const& at) { return at.of->why_no_best().empty(); }

/// Methods in pictures of at most six, as even as it goes.
std::vector<std::vector<std::size_t>> families_of(std::vector<std::size_t> const& methods) {
  std::vector<std::vector<std::size_t>> out;
  std::size_t const count = (methods.size() + most_curves - 1) / most_curves;
  for (std::size_t f = 0; f < count; ++f) {
    auto const at = [&](std::size_t i) {
      return methods.begin() + static_cast<std::ptrdiff_t>(methods.size() * i / count);
    };
    out.emplace_back(at(f), at(f + 1));
  }
  return out;
}

/// The frontier's mean over seeds: the same beta everywhere is also the best that a policy which sees the seed could do at
/// this mean KL.
plot::series frontier_of(comparison const& all, ground const& at, double from, double to) {
  plot::series out{.name = "no policy is above", .markers = false, .dashed = true};
  std::vector<std::shared_ptr<problem const>> problems;
  for (std::uint64_t seed = all.first_seed; seed <= all.last_seed(); ++seed) {
    problems.push_back(at.of->make(seed, {}));
  }
  for (double tilt = 0.01; tilt < 200.0; tilt *= 1.15) {
    double reward = 0.0;
    double kl = 0.0;
    for (auto const& one : problems) {
      auto const best = one->best(1.0 / tilt);
      if (!best) return {};
      reward += best->reward / static_cast<double>(problems.size());
      kl += best->kl_start / static_cast<double>(problems.size());
    }
    if (kl >= from && kl <= to) out.points.push_back({.x = kl, .y = reward});
  }
  return out;
}

constexpr double least_kl = 0.02;  // in pictures, nats: below it all methods are one

/// Reward, or what is missing of it at equal KL, against KL: one point for each value of what is swept.
plot::line_plot against_kl(comparison const& all, ground_findings const& of,
                           std::vector<std::size_t> const& family, bool missing) {
  auto const& at = all.grounds[of.ground];
  plot::line_plot out{.title = title_of(at, of.noise),
                      .x = {.label = "KL(policy || start), nats", .scale = plot::scale::log},
                      .y = {.label = missing ? "reward missing at equal KL" : at.of->reward_name()},
                      .width = 620,
                      .height = 420};
  double low = HUGE_VAL;
  double high = 0.0;
  for (std::size_t const m : family) {
    plot::series line{.name = all.methods[m]->name()};
    for (auto const& each : of.settings) {
      double const kl = each.kl.mean;
      if (each.what.method != m || !(kl > least_kl) || !std::isfinite(kl)) continue;
      if (missing && !each.distance) continue;
      low = std::min(low, kl);
      high = std::max(high, kl);
      estimate const value = missing ? *each.distance : each.reward;
      line.points.push_back({.x = kl, .y = value.mean, .y_error = value.error});
    }
    if (!line.points.empty()) out.add(std::move(line));
  }
  if (missing || out.series.empty() || !known(at)) return out;
  auto best = frontier_of(all, at, 0.8 * low, 1.25 * high);
  if (!best.points.empty()) out.add(std::move(best));
  return out;
}

/// Which rewards a picture has: both where they have one unit.
enum class rewards_drawn { both, truth, learned };

/// True and learned reward against sqrt(KL), the strongest pull first.
plot::line_plot over_optimisation(comparison const& all, ground_findings const& of,
                                  std::vector<std::string> const& names, rewards_drawn drawn) {
  auto const& at = all.grounds[of.ground];
  plot::line_plot out{
      .title = title_of(at, of.noise),
      .x = {.label = "sqrt of KL(policy || start), nats"},
      .y = {.label = drawn == rewards_drawn::both    ? "true reward, and the learned one (dashed)"
                     : drawn == rewards_drawn::truth ? at.of->reward_name()
                                                     : "learned reward, nats"},
      .width = 620,
      .height = 420};
  for (auto const& name : names) {
    plot::series truth{.name = name};
    plot::series learned{.name = name + ", learned", .markers = false, .dashed = true};
    for (auto const& each : of.settings) {
      if (all.methods[each.what.method]->name() != name || !each.learned) continue;
      if (!std::isfinite(each.kl.mean)) continue;
      double const x = std::sqrt(each.kl.mean);
      truth.points.push_back({.x = x, .y = each.reward.mean, .y_error = each.reward.error});
      learned.points.push_back({.x = x, .y = each.learned->mean});
    }
    if (truth.points.empty()) continue;
    if (drawn != rewards_drawn::learned) out.add(std::move(truth));
    if (drawn != rewards_drawn::truth) out.add(std::move(learned));
  }
  return out;
}

constexpr char const* judged_by_people =
    "The same people judge all seeds: errors are those over seeds and over tenths of the people, "
    "added in squares. Held-out pairs are the share of these people's held-out preferences that "
    "log(policy / start) orders as they do, for rlhf_optimum that of the reward model. KL is a sum "
    "over all items, mean over people. iterative_dpo asks the reward model, too: nobody can be "
    "asked about what they never rated. ";

sheet at_equal_kl(comparison const& all, ground_findings const& of) {
  auto const& at = all.grounds[of.ground];
  sheet out{.words = 1, .header = {"reward at a KL of"}, .rows = {}};
  for (auto const& each : of.levels) out.header.push_back(shortest(each.kl));
  for (std::size_t m = 0; m < of.methods.size(); ++m) {
    std::vector<std::string> row = {all.methods[of.methods[m]]->name()};
    for (auto const& each : of.levels) {
      row.push_back(each.reward[m] ? with_error(*each.reward[m]) : "-");
    }
    out.rows.push_back(std::move(row));
  }
  std::vector<std::string> frontier = {"the frontier"};
  std::vector<std::string> best = {"best"};
  std::vector<std::string> next = {"  the next"};
  std::vector<std::string> apart = {"  paired difference"};
  std::vector<std::string> errors = {"  in s.e."};
  auto const name = [&](std::optional<std::size_t> m) { return m ? all.methods[*m]->name() : "-"; };
  for (auto const& each : of.levels) {
    frontier.push_back(each.frontier ? with_error(*each.frontier) : "-");
    best.push_back(name(each.best));
    next.push_back(name(each.next));
    apart.push_back(each.apart ? with_error(*each.apart, 4) : "-");
    errors.push_back(each.apart && each.apart->error > 0.0
                         ? with_sign(each.apart->mean / each.apart->error, 1)
                         : "-");
  }
  if (known(at)) out.rows.push_back(frontier);
  out.rows.insert(out.rows.end(), {best, next, apart, errors});
  return out;
}

/// Empty where there is no dpo to compare with.
sheet over_dpo(comparison const& all, ground_findings const& of) {
  sheet out{.words = 1, .header = {"over dpo at a KL of"}, .rows = {}};
  for (auto const& each : of.levels) out.header.push_back(shortest(each.kl));
  for (std::size_t m = 0; m < of.methods.size(); ++m) {
    std::vector<std::string> row = {all.methods[of.methods[m]]->name()};
    bool any = false;
    for (auto const& each : of.levels) {
      auto const& apart = each.over_dpo[m];
      any = any || apart;
      row.push_back(apart ? with_error(*apart, 4) : "-");
    }
    if (any) out.rows.push_back(std::move(row));
  }
  return out;
}

sheet everything(comparison const& all, ground_findings const& of) {
  bool const frontier = known(all.grounds[of.ground]);
  auto const any = [&](auto member) {
    return std::any_of(of.settings.begin(), of.settings.end(),
                       [&](auto const& each) { return (each.*member).has_value(); });
  };
  bool const learned = any(&method_setting_mean::learned);
  bool const accuracy = any(&method_setting_mean::pair_accuracy);
  sheet out{.words = 1, .header = {"method", "swept", "reward", "KL to start"}, .rows = {}};
  if (frontier) out.header.push_back("to frontier");
  if (learned) out.header.push_back("learned reward");
  if (accuracy) out.header.push_back("held-out pairs");
  out.header.push_back("log n - (n - 1) / n");
  for (auto const& each : of.settings) {
    auto const& one = *all.methods[each.what.method];
    std::vector<std::string> row = {one.name(),
                                    name_of(one.swept()) + " " + shortest(each.what.number),
                                    with_error(each.reward), with_error(each.kl)};
    if (frontier) row.push_back(each.distance ? with_error(*each.distance) : "-");
    if (learned) row.push_back(each.learned ? with_error(*each.learned) : "-");
    if (accuracy) row.push_back(each.pair_accuracy ? with_error(*each.pair_accuracy) : "-");
    row.push_back(each.kl_bound ? fixed(*each.kl_bound, 3) : "");
    out.rows.push_back(std::move(row));
  }
  return out;
}

sheet turns(comparison const& all, ground_findings const& of) {
  sheet out{.words = 2,
            .header = {"true reward turns", "along", "at", "step", "KL there", "lost by the end",
                       "in s.e.", "learned gains"},
            .rows = {}};
  for (auto const& each : of.turns) {
    auto const& one = *all.methods[each.method];
    std::string const number = name_of(one.swept()) + " " + shortest(each.number);
    std::string const along = each.in_training ? "training, " + number : name_of(one.swept());
    if (!each.found) {
      out.rows.push_back({one.name(), along, each.judged ? "nowhere" : "one seed does not tell", "",
                          "", "", "", ""});
      continue;
    }
    out.rows.push_back({one.name(), along, each.in_training ? "" : number,
                        std::to_string(each.step), fixed(each.kl, 3), with_error(each.drop),
                        with_sign(each.drop.mean / each.drop.error, 1),
                        fixed(each.learned_gain, 3)});
  }
  return out;
}

sheet costs(comparison const& all, ground_findings const& of) {
  sheet out{.words = 1,
            .header = {"method", "milliseconds a run", "peak kB", "kB of models", "labels",
                       "scored", "written"},
            .rows = {}};
  for (auto const& each : of.costs) {
    out.rows.push_back({all.methods[each.method]->name(),
                        with_error({1e3 * each.seconds.mean, 1e3 * each.seconds.error}),
                        with_error({1e-3 * each.peak_bytes.mean, 1e-3 * each.peak_bytes.error}, 1),
                        fixed(1e-3 * static_cast<double>(each.bytes), 1),
                        std::to_string(each.spent.labels), std::to_string(each.spent.scored),
                        std::to_string(each.spent.written)});
  }
  return out;
}

}  // namespace

page method_page(comparison const& all, std::vector<ground_findings> const& found) {
  page out("prefer sweep: methods");
  std::string explained;
  for (auto const& each : all.methods) {
    explained += (explained.empty() ? "" : " ") + each->name() + ": " + each->what() + ".";
  }
  for (auto const& of : found) {
    auto const& at = all.grounds[of.ground];
    std::string const seeds = std::to_string(all.seeds);
    bool const frontier = known(at);
    section findings{
        .title = title_of(at, of.noise), .tables = {at_equal_kl(all, of)}, .note = of.text};
    auto against = over_dpo(all, of);
    if (!against.rows.empty()) findings.tables.push_back(std::move(against));
    for (auto const& family : families_of(of.methods)) {
      for (bool const missing : {false, true}) {
        auto const picture = against_kl(all, of, family, missing);
        if (!picture.series.empty()) findings.draw(picture);
      }
    }
    out.add(std::move(findings));
    out.add(
        {.title = title_of(at, of.noise) + ": every run",
         .tables = {everything(all, of)},
         .note = "Reward is the " + at.of->reward_name() + ". Mean ± standard error over " + seeds +
                 " seeds, each with its own " + at.of->drawn_by_seed() + ". " +
                 (frontier ? "Reward and KL are sums over all completions. " : judged_by_people) +
                 "Rewards at equal KL are on the line over sqrt(KL) between two runs of a seed, "
                 "and differences seed by seed; \"-\" where a seed does not get there. Best and "
                 "next are found on the seeds that they are compared on, and each error is that "
                 "of one difference alone: of many some are beyond two of them by chance." +
                 (frontier ? "" : " " + at.of->why_no_best())});
    if (!of.turns.empty()) {
      section over{
          .title = title_of(at, of.noise) + ": true and learned reward",
          .tables = {turns(all, of)},
          .note = "The learned reward is that of the reward model of these labels, in " +
                  std::string(frontier ? "units of R" : "nats") +
                  " and 0 for the start, whether or not a method raises it. The "
                  "true reward turns where it falls by more than two standard errors until "
                  "the end while the learned one rises: along what is swept, the strongest "
                  "pull first, and along the training with the weakest."};
      auto const drawn = frontier ? std::vector{rewards_drawn::both}
                                  : std::vector{rewards_drawn::truth, rewards_drawn::learned};
      for (auto const which : drawn) {
        auto const picture =
            over_optimisation(all, of, {"ppo", "best_of_n", "rlhf_optimum"}, which);
        if (!picture.series.empty()) over.draw(picture);
      }
      out.add(std::move(over));
    }
    out.add(
        {.title = title_of(at, of.noise) + ": what a run takes",
         .tables = {costs(all, of)},
         .note = "Processor time of one run, the fitting of its reward model included, mean over "
                 "what is "
                 "swept. Peak: the most memory that a run held at once besides the problem and its "
                 "pairs, measured, or that the fitting of its reward model did. Of models: four "
                 "numbers per parameter of what is trained (value, gradient, two moments) and one "
                 "of what is only asked. " +
                 explained});
  }
  return out;
}

}  // namespace sweep
