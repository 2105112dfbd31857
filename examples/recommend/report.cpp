// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include <prefer/report/csv.hpp>
#include <prefer/report/line_plot.hpp>
#include <prefer/report/table.hpp>
#include <prefer/text/number.hpp>

#include "../program/estimate.hpp"
#include "../program/kept_rows.hpp"

namespace recommend {

namespace {

bool same(setting const& a, study_row const& b) {
  return a.loss == b.loss && a.beta == b.beta && a.reference == b.reference;
}

summary::spread spread_of(std::vector<study_row const*> const& rows, auto const& number) {
  std::vector<double> values;
  for (auto const* row : rows) values.push_back(number(*row));
  program::moments const of = program::moments_of(values);
  return {of.mean, of.standard_deviation()};
}

/// One seed has no spread.
prefer::report::table_cell cell(summary const& row, summary::spread const& s) {
  if (row.seeds < 2) return s.mean;
  return prefer::report::mean_spread{s.mean, s.deviation};
}

prefer::report::table_cell cell(summary const& row, std::optional<summary::spread> const& s) {
  return s ? cell(row, *s) : prefer::report::table_cell("-");
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

/// Those that DPO ran with, in the order of the settings.
std::vector<std::string> references_of(std::vector<summary> const& all) {
  std::vector<std::string> out;
  for (summary const& s : all) {
    bool const known = std::find(out.begin(), out.end(), s.what.reference) != out.end();
    if (s.what.loss == "dpo" && !known) out.push_back(s.what.reference);
  }
  return out;
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

program::json json_of(study_row const& row) {
  program::json out = {{"loss", row.loss},
                       {"beta", program::number(row.beta)},
                       {"reference", row.reference},
                       {"seed", row.seed}};
  for_each_number(row,
                  [&](char const* name, auto const& value) { out[name] = program::number(value); });
  return out;
}

program::json kept_json_of(study_row const& row) {
  program::json out = json_of(row);
  out["margin"] = program::number(row.quality.margin);
  out["start_margin"] = program::number(row.quality.start_margin);
  auto each = program::json::array();
  for (float const of_person : row.quality.ndcg_of) {
    each.push_back(std::isnan(of_person) ? program::json() : program::json(of_person));
  }
  out["ndcg_of"] = std::move(each);
  return out;
}

study_row row_of(program::json const& kept) {
  study_row out{.loss = kept.at("loss"),
                .beta = program::number_in(kept.at("beta")),
                .reference = kept.at("reference"),
                .seed = kept.at("seed")};
  for_each_number(out, [&](char const* name, auto& value) {
    auto const& read = kept.at(name);
    if (!read.is_null()) value = program::number_in(read);
  });
  out.quality.margin = program::number_in(kept.at("margin"));
  out.quality.start_margin = program::number_in(kept.at("start_margin"));
  for (auto const& of_person : kept.at("ndcg_of")) {
    out.quality.ndcg_of.push_back(of_person.is_null() ? NAN : of_person.get<float>());
  }
  return out;
}

program::json json_of(std::vector<summary> const& all) {
  auto out = program::json::array();
  for (summary const& s : all) {
    program::json row = {{"loss", s.what.loss},
                         {"beta", program::number(s.what.beta)},
                         {"reference", s.what.reference},
                         {"seeds", s.seeds}};
    auto const add = [&](char const* name, std::optional<summary::spread> const& value) {
      row[name] = !value ? program::json()
                         : program::json{{"mean", program::number(value->mean)},
                                         {"standard_deviation", program::number(value->deviation)}};
    };
    add("pair_accuracy", s.pair_accuracy);
    add("ndcg_at_10", s.ndcg_at_10);
    add("hit_rate_at_10", s.hit_rate_at_10);
    add("reward_margin", s.reward_margin);
    add("kl_start", s.kl_start);
    add("seconds", s.seconds);
    add("pairs_per_second", s.pairs_per_second);
    out.push_back(std::move(row));
  }
  return out;
}

program::json json_of(std::vector<tenth> const& gains) {
  auto out = program::json::array();
  for (tenth const& g : gains) {
    out.push_back({{"loss", g.what.loss},
                   {"beta", program::number(g.what.beta)},
                   {"reference", g.what.reference},
                   {"tenth", g.number},
                   {"events_from", g.fewest},
                   {"events_to", g.most},
                   {"people", g.people},
                   {"ndcg_at_10_start", program::number(g.start)},
                   {"gain", program::number(g.gain)},
                   {"half_width_95", program::number(g.half_width)}});
  }
  return out;
}

void write_csv(std::string const& path, std::vector<study_row> const& rows) {
  std::vector<std::string> header = {"loss", "beta", "reference", "seed"};
  study_row const any;
  for_each_number(any, [&](char const* name, auto const&) { header.emplace_back(name); });
  prefer::report::csv_writer csv(path, header);
  for (study_row const& row : rows) {
    std::vector<prefer::report::csv_field> fields = {row.loss, row.beta, row.reference, row.seed};
    for_each_number(row, [&](char const*, auto const& value) { fields.push_back(field(value)); });
    csv.add_row(fields);
  }
  csv.commit();
}

void write_csv(std::string const& path, std::vector<tenth> const& gains) {
  prefer::report::csv_writer gained(
      path, {"loss", "beta", "reference", "tenth", "events_from", "events_to", "people",
             "ndcg_at_10_start", "gain", "half_width_95"});
  for (tenth const& g : gains) {
    gained.add_row({g.what.loss, g.what.beta, g.what.reference, g.number, g.fewest, g.most,
                    g.people, g.start, g.gain, g.half_width});
  }
  gained.commit();
}

bool write_beta_picture(std::string const& path, std::vector<summary> const& all) {
  std::vector<double> betas;
  for (summary const& s : all) {
    if (s.what.loss == "dpo" && s.what.reference == first_reference(all)) {
      betas.push_back(s.what.beta);
    }
  }
  if (betas.empty()) return false;
  summary const& start = all.front();
  prefer::report::line_plot ndcg{
      .title = "Ranking of unseen items",
      .x = {.label = "beta", .scale = prefer::report::scale::log, .ticks = betas},
      .y = {.label = "NDCG@10"}};
  prefer::report::line_plot accuracy{
      .title = "Held-out preferences",
      .x = {.label = "beta", .scale = prefer::report::scale::log, .ticks = betas},
      .y = {.label = "pair accuracy"}};
  for (std::string const& reference : references_of(all)) {
    std::string const name = "reference: " + reference;
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
  }
  accuracy.add_horizontal({.y = start.pair_accuracy.mean, .label = "start model"});
  if (start.ndcg_at_10) {
    ndcg.add_horizontal({.y = start.ndcg_at_10->mean, .label = "start model"});
    prefer::report::plot_row{{ndcg, accuracy}}.write(path);
  } else {
    accuracy.write(path);
  }
  return true;
}

bool write_frontier_picture(std::string const& path, std::vector<summary> const& all) {
  prefer::report::line_plot frontier{
      .title = "What accuracy costs: DPO, one point per beta",
      .x = {.label = "KL(policy || start), nats", .scale = prefer::report::scale::log},
      .y = {.label = "pair accuracy"},
      .width = 640,
      .height = 440};
  for (std::string const& reference : references_of(all)) {
    auto points = curve(all, "dpo", reference, "reference: " + reference, [](summary const& s) {
      // A policy that has not moved has no place on a logarithmic axis.
      return prefer::report::point{.x = s.kl_start.mean > 0.0 ? s.kl_start.mean : NAN,
                                   .y = s.pair_accuracy.mean,
                                   .y_error = s.pair_accuracy.deviation,
                                   .label = prefer::text::shortest(s.what.beta)};
    });
    drop_crowded_labels(points.points);
    frontier.add(std::move(points));
  }
  if (frontier.series.empty()) return false;
  frontier.add_horizontal({.y = all.front().pair_accuracy.mean, .label = "start model"});
  frontier.write(path);
  return true;
}

}  // namespace recommend
