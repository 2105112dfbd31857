// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <prefer/report/csv.hpp>
#include <prefer/report/line_plot.hpp>
#include <prefer/report/table.hpp>
#include <prefer/text/number.hpp>

namespace recommend {

namespace {

bool same(setting const& a, study_row const& b) {
  return a.loss == b.loss && a.beta == b.beta && a.reference == b.reference;
}

summary::spread spread_of(std::vector<study_row const*> const& rows, auto const& number) {
  double mean = 0.0;
  for (auto const* row : rows) mean += number(*row);
  mean /= static_cast<double>(rows.size());
  double squares = 0.0;
  for (auto const* row : rows) squares += (number(*row) - mean) * (number(*row) - mean);
  double const deviation =
      rows.size() > 1 ? std::sqrt(squares / static_cast<double>(rows.size() - 1)) : 0.0;
  return {mean, deviation};
}

/// One seed has no spread.
prefer::report::table_cell cell(summary const& row, summary::spread const& s) {
  if (row.seeds < 2) return s.mean;
  return prefer::report::mean_spread{s.mean, s.deviation};
}

prefer::report::table_cell cell(summary const& row, std::optional<summary::spread> const& s) {
  return s ? cell(row, *s) : prefer::report::table_cell("-");
}
prefer::report::csv_field field(std::optional<double> const& number) {
  return number ? prefer::report::csv_field(*number) : prefer::report::csv_field("");
}

/// By what the best beta of a loss is chosen: NDCG@10, or pair accuracy where nothing is to be found.
double merit(summary const& s) { return s.ndcg_at_10 ? s.ndcg_at_10->mean : s.pair_accuracy.mean; }

std::string beta_text(summary const& s) {
  return s.what.loss == "start" ? "" : prefer::text::shortest(s.what.beta);
}

prefer::report::series curve(std::vector<summary> const& all, std::string const& loss,
                             std::string const& reference, std::string name, auto const& point) {
  prefer::report::series out{.name = std::move(name)};
  for (summary const& s : all) {
    if (s.what.loss == loss && s.what.reference == reference) out.points.push_back(point(s));
  }
  return out;
}

/// That of the first DPO setting: all have the same betas.
std::string first_reference(std::vector<summary> const& all) {
  for (summary const& s : all) {
    if (s.what.loss == "dpo") return s.what.reference;
  }
  return "";
}

/// Small betas all end near the same KL divergence; of points that close together, the last keeps its label.
void drop_crowded_labels(std::vector<prefer::report::point>& points) {
  double labelled = 0.0;
  for (std::size_t i = points.size(); i-- > 0;) {
    if (labelled > 0.0 && points[i].x < 1.3 * labelled && points[i].x > labelled / 1.3) {
      points[i].label.clear();
    } else {
      labelled = points[i].x;
    }
  }
}

}  // namespace

std::vector<summary> summarize(std::vector<study_row> const& rows) {
  std::vector<summary> out;
  for (study_row const& row : rows) {
    bool const known =
        std::any_of(out.begin(), out.end(), [&](summary const& s) { return same(s.what, row); });
    if (known) continue;
    summary s;
    s.what = {row.loss, row.beta, row.reference};
    std::vector<study_row const*> group;
    for (study_row const& each : rows) {
      if (same(s.what, each)) group.push_back(&each);
    }
    s.seeds = group.size();
    s.pair_accuracy = spread_of(group, [](auto const& r) { return r.quality.pair_accuracy; });
    if (row.quality.ndcg_at_10) {  // for all, or for none: it depends on the data alone
      s.ndcg_at_10 = spread_of(group, [](auto const& r) { return *r.quality.ndcg_at_10; });
      s.hit_rate_at_10 = spread_of(group, [](auto const& r) { return *r.quality.hit_rate_at_10; });
    }
    s.reward_margin = spread_of(group, [](auto const& r) { return r.reward_margin; });
    s.kl_start = spread_of(group, [](auto const& r) { return r.quality.kl_start; });
    s.seconds = spread_of(group, [](auto const& r) { return r.seconds; });
    s.pairs_per_second = spread_of(group, [](auto const& r) { return r.pairs_per_second; });
    out.push_back(std::move(s));
  }
  return out;
}

std::string table_of(std::vector<summary> const& all) {
  prefer::report::table table({{.header = "loss"},
                               {.header = "beta", .align = prefer::report::align::right},
                               {.header = "reference"},
                               {.header = "pair accuracy", .precision = 3},
                               {.header = "NDCG@10", .precision = 4},
                               {.header = "hit rate@10", .precision = 3},
                               {.header = "reward margin", .precision = 3},
                               {.header = "KL to start", .precision = 3},
                               {.header = "seconds", .precision = 2},
                               {.header = "pairs/s", .precision = 0}});
  std::map<std::string, double> best;
  for (summary const& s : all) {
    auto const [place, fresh] = best.try_emplace(s.what.loss, merit(s));
    if (!fresh) place->second = std::max(place->second, merit(s));
  }
  for (summary const& s : all) {
    bool const listed = s.what.loss == "start" || s.what.loss == "dpo";
    if (!listed && merit(s) < best[s.what.loss]) continue;
    table.add_row({s.what.loss, beta_text(s), s.what.loss == "start" ? "" : s.what.reference,
                   cell(s, s.pair_accuracy), cell(s, s.ndcg_at_10), cell(s, s.hit_rate_at_10),
                   cell(s, s.reward_margin), cell(s, s.kl_start), s.seconds.mean,
                   s.pairs_per_second.mean});
  }
  return table.text();
}

std::vector<std::string> write_files(std::string const& folder, std::vector<study_row> const& rows,
                                     std::vector<summary> const& all,
                                     std::vector<tenth> const& gains) {
  std::string const csv_path = folder + "/recommend.csv";
  std::string const gains_path = folder + "/recommend_who_gains.csv";
  std::string const beta_path = folder + "/recommend_beta.svg";
  std::string const frontier_path = folder + "/recommend_frontier.svg";

  prefer::report::csv_writer csv(
      csv_path, {"loss", "beta", "reference", "seed", "pair_accuracy", "ndcg_at_10",
                 "hit_rate_at_10", "reward_margin", "kl_start", "seconds", "pairs_per_second"});
  for (study_row const& r : rows) {
    csv.add_row({r.loss, r.beta, r.reference, r.seed, r.quality.pair_accuracy,
                 field(r.quality.ndcg_at_10), field(r.quality.hit_rate_at_10), r.reward_margin,
                 r.quality.kl_start, r.seconds, r.pairs_per_second});
  }
  csv.commit();
  prefer::report::csv_writer gained(
      gains_path, {"loss", "beta", "reference", "tenth", "events_from", "events_to", "people",
                   "ndcg_at_10_start", "gain", "half_width_95"});
  for (tenth const& g : gains) {
    gained.add_row({g.what.loss, g.what.beta, g.what.reference, g.number, g.fewest, g.most,
                    g.people, g.start, g.gain, g.half_width});
  }
  gained.commit();

  std::vector<double> betas;
  for (summary const& s : all) {
    if (s.what.loss == "dpo" && s.what.reference == first_reference(all)) {
      betas.push_back(s.what.beta);
    }
  }
  summary const& start = all.front();
  prefer::report::line_plot ndcg{
      .title = "Ranking of unseen items",
      .x = {.label = "beta", .scale = prefer::report::scale::log, .ticks = betas},
      .y = {.label = "NDCG@10"}};
  prefer::report::line_plot accuracy{
      .title = "Held-out preferences",
      .x = {.label = "beta", .scale = prefer::report::scale::log, .ticks = betas},
      .y = {.label = "pair accuracy"}};
  prefer::report::line_plot frontier{
      .title = "What accuracy costs: DPO, one point per beta",
      .x = {.label = "KL(policy || start), nats", .scale = prefer::report::scale::log},
      .y = {.label = "pair accuracy"},
      .width = 640,
      .height = 440};
  for (char const* const reference : {"trained", "popularity", "group", "person", "none"}) {
    bool const ran = std::any_of(all.begin(), all.end(), [&](summary const& s) {
      return s.what.loss == "dpo" && s.what.reference == reference;
    });
    if (!ran) continue;
    std::string const name = std::string("reference: ") + reference;
    if (start.ndcg_at_10) {
      ndcg.add(curve(all, "dpo", reference, name, [](summary const& s) {
        return prefer::report::point{
            .x = s.what.beta, .y = s.ndcg_at_10->mean, .y_error = s.ndcg_at_10->deviation};
      }));
    }
    accuracy.add(curve(all, "dpo", reference, name, [](summary const& s) {
      return prefer::report::point{
          .x = s.what.beta, .y = s.pair_accuracy.mean, .y_error = s.pair_accuracy.deviation};
    }));
    auto points = curve(all, "dpo", reference, name, [](summary const& s) {
      return prefer::report::point{.x = s.kl_start.mean,
                                   .y = s.pair_accuracy.mean,
                                   .y_error = s.pair_accuracy.deviation,
                                   .label = prefer::text::shortest(s.what.beta)};
    });
    drop_crowded_labels(points.points);
    frontier.add(std::move(points));
  }
  if (start.ndcg_at_10) {
    ndcg.add_horizontal({.y = start.ndcg_at_10->mean, .label = "start model"});
  }
  accuracy.add_horizontal({.y = start.pair_accuracy.mean, .label = "start model"});
  frontier.add_horizontal({.y = start.pair_accuracy.mean, .label = "start model"});
  if (betas.empty()) return {csv_path, gains_path};  // the pictures are of DPO
  if (start.ndcg_at_10) {
    prefer::report::plot_row{{ndcg, accuracy}}.write(beta_path);
  } else {
    accuracy.write(beta_path);
  }
  frontier.write(frontier_path);
  return {csv_path, gains_path, beta_path, frontier_path};
}

}  // namespace recommend
