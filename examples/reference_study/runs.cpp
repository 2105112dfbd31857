// SPDX-License-Identifier: MIT
#include "runs.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string_view>

#include <prefer/expects.hpp>

#include "../program/arguments.hpp"

namespace reference_study {

namespace {

namespace fs = std::filesystem;
using program::json;

[[noreturn]] void refuse(fs::path const& file, std::string const& what) {
  prefer::refuse(prefer::backend_error("reference_study", file.string(), what));
}

json read_json(fs::path const& file) {
  std::ifstream in(file);
  if (!in) refuse(file, "cannot be opened");
  json out = json::parse(in, nullptr, false);
  if (out.is_discarded()) refuse(file, "is not JSON");
  return out;
}

/// A mean with its error, as the programs write them.
language::mean_of_rows mean_at(json const& document, fs::path const& file,
                               std::string const& pointer) {
  json::json_pointer const place(pointer);
  auto const has = [&](char const* field) {
    auto const at = place / field;
    return document.contains(at) && document.at(at).is_number();
  };
  if (!has("mean") || !has("standard_error") || !has("count")) {
    refuse(file, "has no mean, standard_error and count at " + pointer);
  }
  return {.count = document.at(place / "count").get<std::size_t>(),
          .mean = document.at(place / "mean").get<double>(),
          .standard_error = document.at(place / "standard_error").get<double>()};
}

/// The number behind `prefix` in the name of a folder. Errors  another name
template <class T>
T number_of(fs::path const& folder, std::string_view prefix) {
  std::string const name = folder.filename().string();
  if (name.starts_with(prefix)) {
    if (auto const value = program::read_number<T>(name.substr(prefix.size()))) return *value;
  }
  refuse(folder, "expected a folder named " + std::string(prefix) + "NUMBER");
}

std::vector<fs::path> folders_in(fs::path const& folder) {
  std::vector<fs::path> out;
  for (auto const& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory()) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

found_runs read_runs(std::string const& folder, std::vector<std::string> const& references) {
  found_runs out;
  fs::path const start_file = fs::path(folder) / "start.json";
  json const start = read_json(start_file);
  out.start_score = mean_at(start, start_file, "/tuned/score");
  out.start_tokens = mean_at(start, start_file, "/tuned/tokens");
  for (auto const& reference : references) {
    fs::path const of_reference = fs::path(folder) / reference;
    if (!fs::is_directory(of_reference)) refuse(of_reference, "no such folder");
    for (auto const& of_beta : folders_in(of_reference)) {
      auto const beta = number_of<double>(of_beta, "beta-");
      for (auto const& of_seed : folders_in(of_beta)) {
        auto const seed = number_of<std::uint64_t>(of_seed, "seed-");
        fs::path const tuned_file = of_seed / "summary.json";
        fs::path const scored_file = of_seed / "scored.json";
        fs::path const sampled_file = of_seed / "sampled.json";
        if (!fs::exists(tuned_file) || !fs::exists(scored_file) || !fs::exists(sampled_file)) {
          out.unfinished.push_back(of_seed.string());
          continue;
        }
        json const tuned = read_json(tuned_file);
        json const scored = read_json(scored_file);
        json const sampled = read_json(sampled_file);
        out.runs.push_back(
            {.reference = reference,
             .beta = beta,
             .seed = seed,
             .score = mean_at(sampled, sampled_file, "/tuned/score"),
             .kl = mean_at(sampled, sampled_file, "/tuned/kl"),
             .accuracy = mean_at(tuned, tuned_file, "/held_out/after/accuracy"),
             .reward_chosen = mean_at(tuned, tuned_file, "/held_out/after/reward_chosen"),
             .accuracy_from_start = mean_at(scored, scored_file, "/summary/accuracy"),
             .chosen_from_start = mean_at(scored, scored_file, "/summary/reward_chosen"),
             .tokens = mean_at(sampled, sampled_file, "/tuned/tokens"),
             .ended = mean_at(sampled, sampled_file, "/tuned/ended")});
      }
    }
  }
  if (out.runs.empty()) refuse(folder, "no finished run is here");
  auto const place = [&](run const& of) {
    return std::find(references.begin(), references.end(), of.reference) - references.begin();
  };
  std::stable_sort(out.runs.begin(), out.runs.end(), [&](run const& a, run const& b) {
    if (place(a) != place(b)) return place(a) < place(b);
    return a.beta != b.beta ? a.beta < b.beta : a.seed < b.seed;
  });
  return out;
}

run mean_of_seeds(std::vector<run> const& seeds) {
  run out{.reference = seeds.front().reference, .beta = seeds.front().beta};
  auto const n = static_cast<double>(seeds.size());
  for (auto const field :
       {&run::score, &run::kl, &run::accuracy, &run::reward_chosen, &run::accuracy_from_start,
        &run::chosen_from_start, &run::tokens, &run::ended}) {
    language::mean_of_rows& sum = out.*field;
    sum = {.count = 0, .mean = 0.0, .standard_error = 0.0};
    double squares = 0.0;
    for (run const& each : seeds) {
      sum.count += (each.*field).count;
      sum.mean += (each.*field).mean / n;
      squares += (each.*field).standard_error * (each.*field).standard_error;
    }
    sum.standard_error = std::sqrt(squares) / n;
  }
  return out;
}

std::vector<run> settings_of(std::vector<run> const& runs) {
  std::vector<run> out;
  for (std::size_t i = 0; i != runs.size();) {
    std::vector<run> seeds;
    auto const& first = runs[i];
    for (; i != runs.size() && runs[i].reference == first.reference && runs[i].beta == first.beta;
         ++i) {
      seeds.push_back(runs[i]);
    }
    out.push_back(mean_of_seeds(seeds));
  }
  return out;
}

}  // namespace reference_study
