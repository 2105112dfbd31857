// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "methods/arena.hpp"
#include "methods/method.hpp"
#include "row_file.hpp"

namespace sweep {

/// A task with a budget, and how methods are run there.
struct ground {
  std::string name;  ///< of the task
  std::shared_ptr<task const> of;
  method_options options;

  /// Everything that its rows depend on besides the other columns, without a comma.
  [[nodiscard]] std::string text() const;
};

/// What is run once for each seed.
struct method_setting {
  std::size_t ground = 0;  ///< index of the comparison's
  std::size_t method = 0;  ///< likewise
  double number = 0.0;     ///< what is swept of the method
  label_noise noise = {};

  friend bool operator==(method_setting const& a, method_setting const& b) {
    return a.ground == b.ground && a.method == b.method && a.number == b.number &&
           a.noise.flip == b.noise.flip && a.noise.bias == b.noise.bias;
  }
};

/// Everything that one call with --method runs.
struct comparison {
  std::vector<ground> grounds;
  std::vector<std::shared_ptr<method const>> methods;
  std::vector<double> betas;
  std::vector<double> ns;     ///< of best_of_n
  std::vector<double> steps;  ///< of sft_on_chosen
  std::vector<double> flips = {0.0};
  double bias = 0.0;
  std::uint64_t first_seed = 1;
  std::uint64_t seeds = 20;

  /// The numbers that are swept of a method; one 0 for dpo with a loss that has no beta.
  [[nodiscard]] std::vector<double> numbers_of(ground const& at, method const& one) const;
  /// Whether a method can be had there at all.
  [[nodiscard]] bool has(ground const& at, method const& one) const;
  /// What is wrong with the labels there, one after another; nothing with a budget of samples, where nobody labels.
  [[nodiscard]] std::vector<label_noise> noises_of(ground const& at) const;
  [[nodiscard]] std::vector<method_setting> settings() const;
  [[nodiscard]] std::uint64_t last_seed() const { return first_seed + seeds - 1; }
  /// What all rows depend on besides their key, on one line and without a comma.
  [[nodiscard]] std::string text() const;
};

/// Refuses in a sentence what has no meaning: a method that a task or a budget does not have. A beta of 0 that one of the methods
/// has may be among the betas.
///
/// Errors  precondition_error
void expect_meaning(comparison const& all);

/// The rows of a comparison on disk; see row_file. All numbers but the seconds are the same bits whenever and wherever a run is
/// made.
class method_results {
 public:
  method_results(std::string const& path, comparison const& all);

  [[nodiscard]] bool has(method_setting const& what, std::uint64_t seed) const;
  void add(method_setting const& what, std::uint64_t seed, method_run const& run);
  void finish();

  struct run_result {
    std::uint64_t seed = 0;
    std::vector<progress_point> points = {};  ///< the last is where the run ended
    std::uint64_t bytes = 0;
    std::uint64_t peak_bytes = 0;
  };
  /// Every seed's run, in the order of the seeds.
  [[nodiscard]] std::vector<run_result> at(method_setting const& what) const;

 private:
  [[nodiscard]] std::string key(method_setting const& what, std::uint64_t seed,
                                std::uint64_t judged) const;

  comparison const& all_;
  row_file rows_;
};

}  // namespace sweep
