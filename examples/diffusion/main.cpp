// SPDX-License-Identifier: MIT
//
// diffusion: Diffusion-DPO where the preferred outcome is known and can be seen. See --help.
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/parallel/thread_pool.hpp>

#include "../program.hpp"
#include "report.hpp"
#include "study.hpp"

namespace {

constexpr char const* description =
    R"(Trains a small diffusion model on points of a ring of Gaussians, tunes it by
preferences for some of them (Diffusion-DPO) at several beta, and shows where its
samples go: a table, diffusion.csv, and diffusion.svg with a picture per model.

  diffusion
  diffusion --preferred 0 4 --beta 500 50 --output my-run
  diffusion --modes 2 --preferred 0 --start-steps 500

Ctrl-C keeps what is trained; the same command goes on from there.

Columns:
  preferred          share of samples whose nearest mode is a preferred one
  on data            share of samples within three deviations of a mode
  implicit accuracy  share of held-out pairs whose margin over the start model is
                     above 0, each with one time and one noise
  E chosen, E rejected
                     mean square of the error in predicting the noise, on the points
                     of held-out pairs
  KL to start        of sampling chains from those of the start model, nats; an upper
                     bound of that of the samples
)";

struct arguments {
  std::string output = "out";
  diffusion::study_options study;
  unsigned threads = prefer::available_threads();
};

void declare(CLI::App& app, arguments& given) {
  using program::positive_and_finite;
  using program::whole;
  auto& study = given.study;
  app.add_option("--output", given.output, "Folder for diffusion.csv and diffusion.svg")
      ->type_name("FOLDER")
      ->check(program::path())
      ->capture_default_str();
  app.add_option("--modes", study.modes, "Gaussians on the ring")
      ->check(whole(2, 64))
      ->capture_default_str();
  app.add_option("--preferred", study.preferred, "Preferred modes, counted from 0 at the right")
      ->check(whole(0, 63))
      ->capture_default_str();
  app.add_option("--beta", study.betas, "Strengths of the pull to the start model, one run each")
      ->check(positive_and_finite())
      ->capture_default_str();
  app.add_option("--points", study.points, "Points to learn from; half as many judge")
      ->check(whole(16, 1 << 24))
      ->capture_default_str();
  app.add_option("--hidden", study.hidden, "Units in each of the network's two layers")
      ->check(whole(1, 4096))
      ->capture_default_str();
  app.add_option("--noise-levels", study.noise_levels, "Steps of the diffusion")
      ->check(whole(2, 10000))
      ->capture_default_str();
  app.add_option("--batch-size", study.batch_size, "Points or pairs per optimizer step")
      ->check(whole(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--start-steps", study.start_steps, "Optimizer steps of the start model")
      ->check(whole(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--start-rate", study.start_rate, "Learning rate of the start model, its peak")
      ->check(positive_and_finite())
      ->capture_default_str();
  app.add_option("--steps", study.tune_steps, "Optimizer steps of preference tuning")
      ->check(whole(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--rate", study.tune_rate, "Learning rate of preference tuning")
      ->check(positive_and_finite())
      ->capture_default_str();
  app.add_option("--samples", study.samples, "Samples drawn from each model")
      ->check(whole(1, 1 << 24))
      ->capture_default_str();
  app.add_option("--seed", study.seed, "Of data, initial values, noise and samples")
      ->check(whole(0))
      ->capture_default_str();
  program::add_threads(app, given.threads);
}

std::vector<diffusion::study_row> train(diffusion::study& study, arguments const& given,
                                        program::kept_trainings& kept) {
  std::vector<diffusion::study_row> rows;
  program::progress shown(
      given.study.start_steps + given.study.betas.size() * given.study.tune_steps, "start model");
  rows.push_back(study.start(kept, [&] { shown.advance(1, "start model"); }));
  for (double const beta : given.study.betas) {
    std::string const what = "preferences, beta " + program::written(beta);
    rows.push_back(study.tune(beta, kept, [&] { shown.advance(1, what); }));
  }
  return rows;
}

int run(arguments& given) {
  given.study.betas = program::without_repeats("--beta", given.study.betas);
  given.study.preferred = program::without_repeats("--preferred", given.study.preferred);
  prefer::thread_pool pool(given.threads);
  diffusion::study study(given.study, pool.executor());
  program::stop_when_asked();
  program::expect_folder(given.output, {"diffusion.csv", "diffusion.svg"});
  std::string const csv = given.output + "/diffusion.csv";
  std::string const picture = given.output + "/diffusion.svg";
  program::claim const alone(csv);
  program::kept_trainings kept(given.output + "/diffusion");
  std::vector<diffusion::study_row> rows;
  try {
    rows = train(study, given, kept);
  } catch (program::stop const&) {
    return program::stopped("what is trained is kept in " + given.output);
  }
  program::handover results;
  results.attempt([&] { diffusion::write_csv(csv, rows); });
  results.attempt([&] {
    if (program::as_json) {
      auto document = program::results_document();
      document["rows"] = diffusion::json_of(rows);
      program::print_json(document);
    } else {
      program::print(diffusion::table_of(rows) + "\n");
    }
    program::flush();
  });
  results.attempt([&] { diffusion::write_picture(picture, study.modes(), rows); });
  int const code = results.finish();
  if (code == 0) {
    kept.forget();
    program::wrote({csv, picture});
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run<arguments>(argc, argv, {.name = "diffusion", .description = description},
                                 declare, run);
}
