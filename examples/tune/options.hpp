// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "../language/model.hpp"
#include "../language/row_options.hpp"
#include "../make_pairs/judge.hpp"
#include "../sample/prompts.hpp"
#include "../sample/writing.hpp"

namespace tune {

/// What a user says. The defaults are those of a LoRA run of DPO on a small model.
struct options {
  language::model_options model;
  language::row_options rows;
  std::string data;
  std::string eval_data;

  sample::prompt_options prompts;   ///< instead of data: the policy writes completions itself
  sample::writing_options writing;  ///< n of each prompt, and how
  make_pairs::judge_options judge;
  bool online = false;       ///< at every step anew
  std::uint64_t rounds = 0;  ///< or for so many trainings, one after another

  bool reward_model = false;  ///< scores train, and what is trained writes nothing
  std::string loss;           ///< empty: dpo, or of a reward model bradley_terry
  std::optional<double> beta;
  std::vector<std::string> settings;  ///< NAME=VALUE
  std::string reference;              ///< empty: what suits loss and policy

  language::adapter_options adapter;
  bool full = false;

  std::uint64_t epochs = 1;
  std::size_t batch = 8;
  std::size_t accumulate = 1;
  std::size_t micro_tokens = 1024;
  double skip_settled = 0.0;
  double rate = 0.0;  ///< 0: 2e-4 with an adapter; without one 1e-6, and 1e-5 under a new head
  std::string schedule = "cosine";
  double warmup = 0.1;  ///< share of all steps
  double weight_decay = 0.0;
  double clip = 1.0;
  std::uint64_t seed = 1;

  std::string out = "out";
  bool resume = false;  ///< refuse to begin anew
  std::uint64_t save_every = 50;
  std::uint64_t sample_every = 0;
  std::size_t samples = 16;  ///< held-out prompts that are answered at the end
  std::size_t sample_tokens = 64;
  std::string merge;

  [[nodiscard]] bool draws() const { return online || rounds != 0; }
  [[nodiscard]] double peak_rate() const {
    if (rate != 0.0) return rate;
    return !full ? 2e-4 : reward_model ? 1e-5 : 1e-6;
  }
  [[nodiscard]] std::size_t rows_per_step() const { return batch * accumulate; }
};

}  // namespace tune
