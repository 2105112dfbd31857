// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/model/denoiser.hpp>
#include <prefer/parallel/executor.hpp>

#include "../program/kept.hpp"

namespace diffusion {

/// What to run. The defaults are those of the table in the README.
struct study_options {
  std::size_t modes = 8;                           ///< Gaussians on a ring, counted from the right
  std::vector<std::size_t> preferred = {0, 1, 2};  ///< modes
  std::vector<double> betas = {1000.0, 100.0, 10.0};  ///< of diffusion_dpo
  std::size_t points = 4096;                          ///< to learn from; half as many judge
  std::size_t hidden = 64;                            ///< units per layer of the network
  std::size_t noise_levels = 50;                      ///< steps of the diffusion
  std::size_t batch_size = 512;                       ///< points or pairs per optimizer step
  std::uint64_t start_steps = 4000;                   ///< of maximum likelihood
  double start_rate = 0.01;
  std::uint64_t tune_steps = 100;  ///< of Diffusion-DPO
  double tune_rate = 0.001;
  std::size_t samples = 4000;  ///< drawn from each model
  std::uint64_t seed = 1;
};

/// A mixture of equally likely Gaussians on a ring, of variance about 1 per coordinate.
class ring {
 public:
  static constexpr double radius = 1.4;
  static constexpr double deviation = 0.15;

  /// Errors  precondition_error for a preferred mode that is not there, none or all of them
  ring(std::size_t modes, std::vector<std::size_t> const& preferred);

  struct position {
    double x = 0.0;
    double y = 0.0;
  };
  [[nodiscard]] std::size_t modes() const { return preferred_.size(); }
  [[nodiscard]] position centre(std::size_t mode) const;
  [[nodiscard]] bool prefers(std::size_t mode) const { return preferred_[mode]; }
  /// The mode whose centre is nearest.
  [[nodiscard]] std::size_t nearest(position p) const;
  /// Whether it lies within three deviations of a centre, as 98.9 % of the data do.
  [[nodiscard]] bool holds(position p) const;

 private:
  std::vector<bool> preferred_;
};

/// One model: how it was trained, what it draws, how well it denoises.
struct study_row {
  std::string model;  ///< "start" or "diffusion_dpo"
  double beta = 0.0;
  double preferred = 0.0;          ///< share of samples whose nearest mode is preferred
  double on_data = 0.0;            ///< share of samples near any mode
  double implicit_accuracy = 0.0;  ///< share of held-out pairs with a margin above 0
  double error_chosen = 0.0;       ///< mean E of the preferred points of held-out pairs
  double error_rejected = 0.0;     ///< and of the others
  double kl_start = 0.0;           ///< of sampling chains, nats; see study::kl_to_start
  double seconds = 0.0;            ///< of training
  std::vector<ring::position> samples = {};
};

/// Told of each step of a training.
using watcher = std::function<void()>;

/// Trains a start model on the mixture, then a copy of it for each beta.
class study {
 public:
  study(study_options const& options, prefer::executor threads);

  [[nodiscard]] ring const& modes() const { return ring_; }

  /// Both keep their trainings, from which the same study goes on, and end with program::stop if asked to.

  /// Maximum likelihood (of the bound) on all modes alike.
  study_row start(program::kept_trainings& kept, watcher const& on_step);
  /// Diffusion-DPO from the start model: points of preferred modes against points of the others.
  study_row tune(double beta, program::kept_trainings& kept, watcher const& on_step);

 private:
  using model = prefer::denoiser<float>;

  [[nodiscard]] prefer::choice_data pairs(std::size_t count, bool held_out) const;
  void judge(model& policy, study_row& row);
  void draw_samples(model& policy, study_row& row);

  study_options options_;
  ring ring_;
  prefer::executor threads_;
  std::vector<std::size_t> mode_of_;  // [points]
  model start_;
};

}  // namespace diffusion
