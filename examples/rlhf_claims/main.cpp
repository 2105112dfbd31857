// SPDX-License-Identifier: MIT
//
// rlhf_claims: published comparisons of RLHF and DPO where everything can be counted. See --help.
#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/parallel/thread_pool.hpp>
#include <prefer/report/csv.hpp>

#include "../program.hpp"
#include "studies.hpp"

namespace {

using rlhf_claims::found;
using rlhf_claims::measured;
using rlhf_claims::study;
using rlhf_claims::verdict;

constexpr char const* description =
    R"(Puts published comparisons of RLHF and DPO to problems whose completions can be listed, so
that every reward, divergence and gradient is exact, and says of each claim whether it holds
there, with standard errors over seeds.

  rlhf_claims
  rlhf_claims --study over_optimisation --seeds 400 --output out
  rlhf_claims --seeds 3 --json

Studies:
  over_optimisation    Gao et al. 2022, arXiv:2210.10760: reward models fitted on 50 to 10000
                       pairs, optimised by best-of-n and exactly; their two curves, fitted
  outside_the_data     Xu et al. 2024, arXiv:2404.10719: probability of what no pair shows
  ppo_factors          the same paper on PPO by sampling: whitened advantages, batches, a
                       reference that moves
  online_and_offline   Tang et al. 2024, arXiv:2405.08448: own pairs against given ones at
                       equal KL, as generators and as classifiers
  misspecified         Shi et al. 2025, arXiv:2505.19770: reward and policy classes that
                       cannot hold the truth
  kl_estimators        Tang and Munos 2025, arXiv:2506.09477: bias and deviation of the gradient
                       that k1, k2 and k3 give, in the reward and in the loss

rlhf_claims.csv has a row for each number of each study: its mean over seeds, the standard
error of that mean, and how many seeds it applied to. Each study has a picture, STUDY.svg.
Ctrl-C keeps the seeds that are done; the same command goes on from there.
)";

struct arguments {
  std::vector<std::string> studies;
  std::uint64_t seeds = 150;
  std::string output = "out";
  unsigned threads = prefer::available_threads();
};

std::vector<std::string> names() {
  std::vector<std::string> out;
  for (study const& each : rlhf_claims::all_studies()) out.emplace_back(each.name);
  return out;
}

void declare(CLI::App& app, arguments& given) {
  given.studies = names();
  app.add_option("--study", given.studies, "Studies to run")
      ->check(program::one_of(names()))
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--seeds", given.seeds, "Problems and pairs that are drawn for each")
      ->check(program::whole(2, 100000))
      ->capture_default_str();
  app.add_option("--output", given.output, "Folder for rlhf_claims.csv and the pictures")
      ->type_name("FOLDER")
      ->check(program::path())
      ->capture_default_str();
  program::add_threads(app, given.threads);
}

program::json json_of(std::vector<measured> const& of) {
  auto out = program::json::array();
  for (measured const& each : of) {
    out.push_back({each.setting, each.method, each.at, each.measure, program::number(each.value)});
  }
  return out;
}

std::vector<measured> measured_in(program::json const& from) {
  std::vector<measured> out;
  for (auto const& each : from) {
    out.push_back({each.at(0).get<std::string>(), each.at(1).get<std::string>(),
                   each.at(2).get<double>(), each.at(3).get<std::string>(),
                   program::number_in(each.at(4))});
  }
  return out;
}

/// Every study and seed that is not done yet, on all threads; what a seed has measured is kept at once.
/// Errors  program::stop
std::map<std::string, found> run_studies(std::vector<study> const& studies, arguments const& given,
                                         program::kept_rows& kept) {
  std::map<std::string, std::map<std::uint64_t, std::vector<measured>>> done;
  for (auto const& row : kept.rows()) {
    auto const seed = row.at("seed").get<std::uint64_t>();
    if (seed > given.seeds) continue;  // of a run that was asked for more
    done[row.at("study").get<std::string>()][seed] = measured_in(row.at("measured"));
  }
  std::vector<std::pair<study const*, std::uint64_t>> left;
  for (study const& each : studies) {
    for (std::uint64_t seed = 1; seed <= given.seeds; ++seed) {
      if (!done[each.name].contains(seed)) left.emplace_back(&each, seed);
    }
  }
  prefer::thread_pool pool(given.threads);
  program::progress shown(left.size(), "");
  std::mutex mutex;
  pool.executor().for_each_chunk(left.size(), [&](std::size_t i) {
    if (program::interrupted) return;
    auto const& [of, seed] = left[i];
    auto of_seed = of->one_seed(seed);
    std::lock_guard const lock(mutex);
    kept.add({{"study", of->name}, {"seed", seed}, {"measured", json_of(of_seed)}});
    done[of->name][seed] = std::move(of_seed);
    shown.advance(1, of->name);
  });
  shown.finish();
  if (program::interrupted) throw program::stop();
  std::map<std::string, found> out;
  for (study const& each : studies) {
    std::vector<std::vector<measured>> seeds;
    for (auto& [seed, of_seed] : done[each.name]) seeds.push_back(std::move(of_seed));
    out.emplace(each.name, found(seeds));
  }
  return out;
}

void write_csv(std::string const& path, std::vector<study> const& studies,
               std::map<std::string, found> const& all) {
  prefer::report::csv_writer csv(
      path, {"study", "setting", "method", "at", "measure", "mean", "standard_error", "seeds"});
  for (study const& each : studies) {
    for (auto const& row : all.at(each.name).rows()) {
      csv.add_row({each.name, row.setting, row.method, row.at, row.measure, row.mean,
                   row.standard_error, row.seeds});
    }
  }
  csv.commit();
}

std::string text_of(std::vector<study> const& studies, std::map<std::string, found> const& all) {
  std::string out;
  for (study const& each : studies) {
    out += std::string(each.paper) + "\n\n";
    for (verdict const& one : each.verdicts(all.at(each.name))) {
      out += "  " + one.claim + ":\n    " + one.holds + "; " + one.because + "\n";
    }
    out += "\n";
  }
  return out;
}

program::json document_of(std::vector<study> const& studies,
                          std::map<std::string, found> const& all) {
  auto out = program::results_document();
  out["verdicts"] = program::json::array();
  out["rows"] = program::json::array();
  for (study const& each : studies) {
    for (verdict const& one : each.verdicts(all.at(each.name))) {
      out["verdicts"].push_back({{"study", each.name},
                                 {"paper", each.paper},
                                 {"claim", one.claim},
                                 {"verdict", one.holds},
                                 {"because", one.because}});
    }
    for (auto const& row : all.at(each.name).rows()) {
      out["rows"].push_back({{"study", each.name},
                             {"setting", row.setting},
                             {"method", row.method},
                             {"at", row.at},
                             {"measure", row.measure},
                             {"mean", program::number(row.mean)},
                             {"standard_error", program::number(row.standard_error)},
                             {"seeds", row.seeds}});
    }
  }
  return out;
}

int work(arguments& given) {
  given.studies = program::without_repeats("--study", given.studies);
  std::vector<study> studies;
  for (study const& each : rlhf_claims::all_studies()) {
    if (std::count(given.studies.begin(), given.studies.end(), each.name) != 0) {
      studies.push_back(each);
    }
  }
  program::stop_when_asked();
  std::string const csv = given.output + "/rlhf_claims.csv";
  std::vector<std::string> paths = {csv};
  program::expect_folder(given.output, {"rlhf_claims.csv", "rlhf_claims.csv.unfinished"});
  for (study const& each : studies) {
    paths.push_back(given.output + "/" + each.name + ".svg");
    prefer::expect_writable(paths.back(), program::room_for_a_report);
  }
  program::claim const alone(csv);
  program::kept_rows kept(csv + ".unfinished",
                          {{"program", "rlhf_claims"}, {"version", PREFER_VERSION_STRING}});
  std::map<std::string, found> all;
  try {
    all = run_studies(studies, given, kept);
  } catch (program::stop const&) {
    return program::stopped("what is done is kept in " + csv + ".unfinished");
  }
  program::handover results;
  results.attempt([&] { write_csv(csv, studies, all); });
  for (std::size_t i = 0; i != studies.size(); ++i) {
    results.attempt([&] { studies[i].draw(paths[i + 1], all.at(studies[i].name)); });
  }
  results.attempt([&] {
    if (program::as_json) {
      program::print_json(document_of(studies, all));
    } else {
      program::print(text_of(studies, all));
    }
    program::flush();
  });
  int const code = results.finish();
  if (code == 0) {
    kept.forget();
    program::wrote(paths);
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run<arguments>(argc, argv, {.name = "rlhf_claims", .description = description},
                                 declare, work);
}
