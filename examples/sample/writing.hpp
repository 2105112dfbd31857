// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/data/example.hpp>

#include "../program/json.hpp"
#include "completions.hpp"
#include "writer.hpp"

namespace sample {

/// How completions are drawn, and how many.
struct writing_options {
  std::size_t n = 1;
  std::size_t max_tokens = 128;
  double temperature = 1.0;
  std::size_t top_k = 0;
  double top_p = 1.0;
  std::uint64_t seed = 1;
  std::size_t batch = 64;

  [[nodiscard]] prefer::sampling_options how() const;
  /// Whether completions are drawn from the policy's own distribution, so that means over them are the policy's.
  [[nodiscard]] bool as_the_policy() const {
    return temperature == 1.0 && top_k == 0 && top_p == 1.0;
  }
};

/// Declares --n, --max-tokens, --temperature, --top-k and --top-p.
void add_drawing_options(CLI::App& app, writing_options& given);
/// Declares these, --seed and --batch.
void add_writing_options(CLI::App& app, writing_options& given);

/// One completion, where it stands, and its log-ratio where that was asked for.
struct written {
  std::size_t prompt = 0;
  side by = side::tuned;
  completion what = {};
  std::optional<double> log_ratio = {};
};

/// What writing took.
struct effort {
  std::size_t completions = 0;
  std::size_t tokens = 0;
  double seconds = 0.0;

  [[nodiscard]] std::string sentence() const;
};

/// What is to be written: n completions for each prompt, by one policy or by both.
struct task {
  std::vector<prefer::data::turns> const* prompts = nullptr;
  writing_options options = {};
  bool both_sides = false;      // the start's, too
  bool log_ratios = false;      // of what the tuned one writes
  std::string kept = {};        // the file that keeps what is finished; none: nothing is kept
  program::json settings = {};  // of which it is
};

/// Writes all completions, in batches, in the order of prompts; of two sides first all of the start. Completion k of prompt i
/// is drawn at number i * n + k by both sides, so that prompts behind change none before.
///
/// With `kept`, what is finished lies in that file, which is the caller's to remove, and the same task goes on from there.
/// Errors  program::stop where somebody asked for the end; backend_error for a file of other settings
effort write_all(writer& by, task const& what, std::function<void(written)> const& take);

/// What completions depend on, for `task::settings`: the arguments but those that say where things lie and `left_out`, the
/// prompts and the model.
[[nodiscard]] program::json settings_of(std::vector<prefer::data::turns> const& prompts,
                                        writer const& by, std::vector<std::string> left_out);

}  // namespace sample
