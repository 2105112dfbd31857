// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "../language/statistics.hpp"
#include "../program/json.hpp"
#include "writing.hpp"

namespace sample {

/// Numbers of completions, each with its prompt. Completions of one prompt are alike, so that a prompt counts once, by the mean
/// of its completions.
class by_prompt {
 public:
  void add(std::size_t prompt, double value);
  [[nodiscard]] bool empty() const { return prompt_.empty(); }
  [[nodiscard]] language::mean_of_rows mean() const;

 private:
  std::vector<std::size_t> prompt_;  // completions of one stand together
  std::vector<double> value_;
};

/// What one policy wrote, in numbers.
struct judgement {
  std::size_t completions = 0;
  by_prompt score = {};  // empty without a scorer
  by_prompt tokens = {};
  by_prompt ended = {};  // 1 or 0
  by_prompt log_ratio =
      {};  // log p_tuned - log p_start of what the tuned one wrote: its mean is the KL divergence

  void add(written const& one);
};

/// The start and what was tuned, a row for each number.
///
/// The KL divergence is of whole completions (cut at the most tokens), in nats, and known where they were drawn from the
/// policy's own distribution: at temperature 1 without top-k and top-p.
[[nodiscard]] std::string comparison_table(judgement const& start, judgement const& tuned);
[[nodiscard]] program::json to_json(judgement const& of);

}  // namespace sample
