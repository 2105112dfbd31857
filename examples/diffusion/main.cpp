// SPDX-License-Identifier: MIT
//
// diffusion: Diffusion-DPO where the preferred outcome is known and can be seen. See --help.
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/parallel/thread_pool.hpp>
#include <prefer/report/progress.hpp>

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
  auto& study = given.study;
  app.add_option("--output", given.output, "Folder for diffusion.csv and diffusion.svg")
      ->capture_default_str();
  app.add_option("--modes", study.modes, "Gaussians on the ring")
      ->check(CLI::Range(2, 64))
      ->capture_default_str();
  app.add_option("--preferred", study.preferred, "Preferred modes, counted from 0 at the right")
      ->check(CLI::NonNegativeNumber)  // without it -1 would wrap around
      ->capture_default_str();
  app.add_option("--beta", study.betas, "Strengths of the pull to the start model, one run each")
      ->check(program::positive_and_finite())
      ->capture_default_str();
  app.add_option("--points", study.points, "Points to learn from; half as many judge")
      ->check(CLI::Range(16, 1 << 24))
      ->capture_default_str();
  app.add_option("--hidden", study.hidden, "Units in each of the network's two layers")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--noise-levels", study.noise_levels, "Steps of the diffusion")
      ->check(CLI::Range(2, 10000))
      ->capture_default_str();
  app.add_option("--batch-size", study.batch_size, "Points or pairs per optimizer step")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--start-steps", study.start_steps, "Optimizer steps of the start model")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--start-rate", study.start_rate, "Learning rate of the start model, its peak")
      ->check(program::positive_and_finite())
      ->capture_default_str();
  app.add_option("--steps", study.tune_steps, "Optimizer steps of preference tuning")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--rate", study.tune_rate, "Learning rate of preference tuning")
      ->check(program::positive_and_finite())
      ->capture_default_str();
  app.add_option("--samples", study.samples, "Samples drawn from each model")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  app.add_option("--seed", study.seed, "Of data, initial values, noise and samples")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  program::add_threads(app, given.threads);
}

int run(arguments const& given) {
  prefer::thread_pool pool(given.threads);
  diffusion::study study(given.study, pool.executor());
  program::make_folder(given.output);
  program::stop_when_asked();
  std::vector<diffusion::study_row> rows;
  prefer::report::progress_bar bar(
      {.total = given.study.start_steps + given.study.betas.size() * given.study.tune_steps,
       .title = "diffusion"});
  auto const watched = [&](char const* what) {
    return [&bar, what] {
      bar.advance(1, what);
      return !program::interrupted.load();
    };
  };
  rows.push_back(study.start(watched("start model")));
  for (double const beta : given.study.betas) {
    if (!program::interrupted) rows.push_back(study.tune(beta, watched("preferences")));
  }
  bar.finish();
  if (program::interrupted) {
    std::fprintf(stderr, "diffusion: interrupted; no file was written\n");
    return program::exit_interrupted;
  }
  std::printf("%s\n", diffusion::table_of(rows).c_str());
  for (auto const& path : diffusion::write_files(given.output, study.modes(), rows)) {
    std::printf("wrote %s\n", path.c_str());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run<arguments>(argc, argv, {.name = "diffusion", .description = description},
                                 declare, run);
}
