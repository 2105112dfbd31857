// SPDX-License-Identifier: MIT
#include "published.hpp"

#include <algorithm>
#include <cmath>

#include <prefer/text/number.hpp>

namespace sweep {

namespace {

constexpr double betas[] = {5, 2, 1, 0.5, 0.2, 0.1, 0.05};

struct published_row {
  char const* reference;
  double reward[7];  // at 200 steps, mean over 200 seeds
};
constexpr published_row table[] = {
    {"start", {.451, .841, 1.159, 1.366, 1.411, 1.348, 1.281}},
    {"near", {.979, 1.226, 1.401, 1.493, 1.459, 1.369, 1.290}},
    {"far", {1.008, 1.192, 1.358, 1.474, 1.480, 1.399, 1.308}},
    {"uniform", {.492, .823, 1.147, 1.396, 1.464, 1.384, 1.298}},
};

/// Gain of a reference at its best beta over the start at its own.
struct published_gain {
  std::uint64_t steps;
  char const* reference;
  estimate gain;
};
constexpr published_gain gains[] = {
    {200, "near", {.082, .012}},  {200, "far", {.068, .018}},  {200, "uniform", {.053, .007}},
    {2000, "near", {.024, .014}}, {2000, "far", {.002, .026}}, {2000, "uniform", {-.006, .004}},
};

}  // namespace

section compare_with_published(grid const& all, results const& rows) {
  using prefer::text::fixed;
  section out{.title = "Reference study: dpo, 200 steps, expected reward"};
  sheet cells{.words = 1, .header = {"reference"}};
  for (double const beta : betas) {
    cells.header.push_back("beta " + prefer::text::shortest(beta));
  }
  double largest = 0.0;
  int within = 0;
  int count = 0;
  for (auto const& published : table) {
    std::vector<std::string> ours{published.reference};
    std::vector<std::string> theirs{"  published"};
    std::vector<std::string> apart{"  apart, s.e."};
    for (std::size_t b = 0; b < std::size(betas); ++b) {
      setting const what{.loss = 0, .beta = betas[b], .reference = published.reference};
      std::vector<double> reward;
      for (auto const& one : rows.at(what, 200)) reward.push_back(one.quality.reward);
      estimate const mean = estimate_of(reward);
      // Theirs has as many seeds, so about the same error.
      double const z = (mean.mean - published.reward[b]) / (std::sqrt(2.0) * mean.error);
      largest = std::max(largest, std::fabs(z));
      within += std::fabs(z) <= 2.0 ? 1 : 0;
      ++count;
      ours.push_back(with_error(mean));
      theirs.push_back(fixed(published.reward[b], 3));
      apart.push_back(with_sign(z, 2));
    }
    cells.rows.insert(cells.rows.end(), {ours, theirs, apart});
  }
  sheet gained{.words = 1,
               .header = {"reference", "steps", "gain over start", "published", "apart, s.e."}};
  double largest_gain = 0.0;
  int gains_within = 0;
  for (auto const& published : gains) {
    auto const best = best_of(all, rows, 0, published.reference, 0.0, published.steps);
    auto const start = best_of(all, rows, 0, "start", 0.0, published.steps);
    estimate const gain = paired_difference(best.reward, start.reward);
    double const z =
        (gain.mean - published.gain.mean) / std::hypot(gain.error, published.gain.error);
    largest_gain = std::max(largest_gain, std::fabs(z));
    gains_within += std::fabs(z) <= 2.0 ? 1 : 0;
    gained.rows.push_back({published.reference, std::to_string(published.steps), with_error(gain),
                           with_error(published.gain), with_sign(z, 2)});
  }
  out.tables = {cells, gained};
  out.note = std::to_string(within) + " of " + std::to_string(count) +
             " cells agree within two standard errors of the difference; the largest is " +
             fixed(largest, 2) + ". Of the gains, " + std::to_string(gains_within) + " of " +
             std::to_string(std::size(gains)) + " do; the largest is " + fixed(largest_gain, 2) +
             ". Mean ± standard error over " + std::to_string(all.seeds) +
             " seeds; the published means are taken to have our standard errors, as they come from "
             "as many seeds. All cells share their problems, so they are off together or not at "
             "all. A gain compares best beta with best beta on the same seeds.";
  return out;
}

}  // namespace sweep
