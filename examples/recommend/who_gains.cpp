// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <map>

#include <prefer/report/table.hpp>
#include <prefer/text/number.hpp>

#include "../program/estimate.hpp"
#include "report.hpp"

namespace recommend {

namespace {

bool is(study_row const& row, setting const& what) {
  return row.loss == what.loss && row.beta == what.beta && row.reference == what.reference;
}

/// NDCG@10 of each person, mean over seeds.
std::vector<double> mean_ndcg(std::vector<study_row> const& rows, setting const& what) {
  std::vector<double> out;
  double seeds = 0.0;
  for (study_row const& row : rows) {
    if (!is(row, what)) continue;
    out.resize(row.quality.ndcg_of.size());
    for (std::size_t p = 0; p < out.size(); ++p) {
      out[p] += static_cast<double>(row.quality.ndcg_of[p]);
    }
    ++seeds;
  }
  for (double& each : out) each /= seeds;
  return out;
}

/// Of DPO with each reference, the beta with the best NDCG@10.
std::vector<setting> best_of_references(std::vector<summary> const& all) {
  std::vector<summary const*> best;
  for (summary const& s : all) {
    if (s.what.loss != "dpo" || !s.ndcg_at_10) continue;
    auto const known = std::find_if(best.begin(), best.end(), [&](summary const* b) {
      return b->what.reference == s.what.reference;
    });
    if (known == best.end()) {
      best.push_back(&s);
    } else if ((*known)->ndcg_at_10->mean < s.ndcg_at_10->mean) {
      *known = &s;
    }
  }
  std::vector<setting> out;
  for (summary const* each : best) out.push_back(each->what);
  return out;
}

}  // namespace

std::vector<tenth> who_gains(interactions const& data, std::vector<study_row> const& rows,
                             std::vector<summary> const& all) {
  std::vector<std::size_t> order;
  for (std::size_t p = 0; p < data.people.size(); ++p) {
    if (!data.people[p].to_find.empty()) order.push_back(p);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return data.people[a].train_items.size() < data.people[b].train_items.size();
  });
  std::size_t const parts = std::clamp<std::size_t>(order.size() / 2, 1, 10);
  std::vector<tenth> out;
  if (order.empty()) return out;
  auto const start = mean_ndcg(rows, all.front().what);
  for (setting const& what : best_of_references(all)) {
    auto const tuned = mean_ndcg(rows, what);
    for (std::size_t part = 0; part < parts; ++part) {
      std::size_t const first = order.size() * part / parts;
      std::size_t const last = order.size() * (part + 1) / parts;
      tenth row{.what = what, .number = part + 1, .people = last - first};
      row.fewest = data.people[order[first]].train_items.size();
      row.most = data.people[order[last - 1]].train_items.size();
      std::vector<double> before;
      std::vector<double> gain;
      for (std::size_t i = first; i < last; ++i) {
        before.push_back(start[order[i]]);
        gain.push_back(tuned[order[i]] - start[order[i]]);
      }
      program::estimate const gained = program::estimate_of(gain);
      row.start = program::estimate_of(before).mean;
      row.gain = gained.mean;
      row.half_width = 1.96 * gained.error;
      out.push_back(row);
    }
  }
  return out;
}

std::string table_of(std::vector<tenth> const& gains) {
  std::vector<prefer::report::table_column> columns = {
      {.header = "events", .align = prefer::report::align::right},
      {.header = "people"},
      {.header = "start", .precision = 4}};
  std::map<std::size_t, std::vector<prefer::report::table_cell>> rows;
  for (tenth const& each : gains) {
    auto& row = rows[each.number];
    if (row.empty()) {
      row = {std::to_string(each.fewest) + " to " + std::to_string(each.most), each.people,
             each.start};
    }
    row.emplace_back(prefer::report::mean_spread{each.gain, each.half_width});
    if (each.number == 1) {
      columns.push_back(
          {.header = each.what.reference + ", beta " + prefer::text::shortest(each.what.beta),
           .precision = 4});
    }
  }
  prefer::report::table table(columns);
  for (auto& [number, row] : rows) table.add_row(row);
  return table.text();
}

}  // namespace recommend
