// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <CLI/CLI.hpp>

#include "comparison.hpp"
#include "problem.hpp"

namespace sweep {

/// What is written behind the flags that methods have besides those of the sweeps over losses.
struct method_arguments {
  std::string method;  ///< empty: losses are swept
  std::string budget = "labels";
  std::uint64_t samples = 3200;
  std::string fit = "descent";
  std::string n = "1,2,4,8,16,64,256,1024";
  std::uint64_t batch = 0;  ///< 0: as suits the budget
  std::uint64_t first_seed = 1;
};

/// Declares --method, --budget, --samples, --fit, --n, --batch and --first-seed; `of_the_grid` is called with each of them.
void declare_methods(CLI::App& app, method_arguments& given,
                     std::function<void(CLI::Option*)> const& of_the_grid);

/// What the flags of the sweeps over losses say to a comparison; empty texts and 0 stand for what was not given.
struct shared_arguments {
  std::string study;
  std::string loss;
  std::string beta;
  std::string reference;
  std::string flip;
  std::string steps;
  double bias = 0.0;
  std::uint64_t seeds = 0;
  double rate = 0.0;
  task_options task;
  std::string output;
  unsigned threads = 1;
};

/// Runs methods, writes the CSV file and the page. The program's exit code.
[[nodiscard]] int compare(method_arguments const& given, shared_arguments const& shared);

/// Errors  precondition_error for flags that do not go together or have no meaning
[[nodiscard]] comparison comparison_of(method_arguments const& given,
                                       shared_arguments const& shared);

}  // namespace sweep
