// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <prefer/batch/token_table.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/train/rollout.hpp>

// What a source of rollouts does with one besides writing it: share it with other processes, measure it, keep it in a
// checkpoint.

namespace prefer::inline v0_1::detail {

/// Gives every process the completions, scores and log-probabilities that each has, in order of rank. The table keeps its
/// first `own` completions and has those of the rollout behind them.
template <class = on_demand>
void exchange(rollout& of, token_table& table, std::size_t own, bool over_tokens, auto const& all) {
  bool const has_reference = !of.reference.empty();
  std::vector<double> mine;
  std::size_t example = 0;
  for (std::size_t i = 0; i != of.size(); ++i) {
    auto const tokens = table.tokens(of.completion[i]);
    std::size_t const examples = over_tokens ? tokens.size() : 1;
    mine.push_back(static_cast<double>(tokens.size()));
    mine.push_back(has_reference ? 1.0 : 0.0);
    append(mine, tokens);
    mine.push_back(of.score[i]);
    append(mine, view_of(of.behaviour, example, examples));
    if (has_reference) append(mine, view_of(of.reference, example, examples));
    example += examples;
  }
  std::vector<double> const numbers = all.all_gather(view_of(mine));
  of.completion.clear();
  of.score.clear();
  of.behaviour.clear();
  of.reference.clear();
  table.keep_first(own);
  std::vector<std::uint32_t> tokens;
  for (std::size_t at = 0; at != numbers.size();) {
    auto const count = static_cast<std::size_t>(numbers[at++]);
    bool const with_reference = numbers[at++] != 0.0;  // who wrote nothing does not know
    std::size_t const examples = over_tokens ? count : 1;
    tokens.clear();
    for (std::size_t t = 0; t != count; ++t) {
      tokens.push_back(static_cast<std::uint32_t>(numbers[at++]));
    }
    of.completion.push_back(table.add(view_of(tokens)));
    of.score.push_back(numbers[at++]);
    append(of.behaviour, view_of(numbers, at, examples));
    at += examples;
    if (!with_reference) continue;
    append(of.reference, view_of(numbers, at, examples));
    at += examples;
  }
}

/// Fills in what follows from completions and log-probabilities; `each` is the completions of a prompt.
template <class = on_demand>
void measure(rollout& of, token_table const& table, bool over_tokens, std::size_t each,
             std::optional<std::uint32_t> stop_token) {
  of.token_offset.assign(1, 0);
  of.example_offset.assign(1, 0);
  of.group_offset.assign(1, 0);
  of.ended.clear();
  for (std::size_t i = 0; i != of.size(); ++i) {
    auto const tokens = table.tokens(of.completion[i]);
    of.token_offset.push_back(of.token_offset.back() + tokens.size());
    of.example_offset.push_back(over_tokens ? of.token_offset.back() : i + 1);
    bool const ended = stop_token ? *stop_token == tokens.back() : tokens.size() < of.max_tokens;
    of.ended.push_back(ended ? 1.0F : 0.0F);
    if ((i + 1) % each == 0) of.group_offset.push_back(i + 1);
  }
  double log_ratio = 0.0;
  for (std::size_t k = 0; k != of.reference.size(); ++k) {
    log_ratio += of.behaviour[k] - of.reference[k];
  }
  of.kl = of.reference.empty() ? std::numeric_limits<double>::quiet_NaN()
                               : log_ratio / static_cast<double>(of.size());
}

template <class = on_demand>
[[nodiscard]] rollout_report report_of(rollout const& of, std::uint64_t number) {
  double score = 0.0;
  for (double const each : of.score) score += each;
  return {.number = number,
          .completions = of.size(),
          .tokens = of.token_offset.back(),
          .score = score / static_cast<double>(of.size()),
          .kl = of.kl};
}

/// A rollout as a checkpoint has it: tokens in place of numbers in a table.
struct saved_rollout {
  std::vector<std::uint64_t> length = {};
  std::vector<std::uint64_t> token = {};
  std::vector<double> score = {};
  std::vector<double> behaviour = {};
  std::vector<double> reference = {};
  std::vector<double> advantage = {};

  static constexpr void describe(auto& self, auto&& visit) {
    visit("rollout/length", self.length);
    visit("rollout/token", self.token);
    visit("rollout/score", self.score);
    visit("rollout/behaviour", self.behaviour);
    visit("rollout/reference", self.reference);
    visit("rollout/advantage", self.advantage);
  }
};

template <class = on_demand>
void save(archive_writer& file, rollout const& of, token_table const& table) {
  saved_rollout out{.score = of.score,
                    .behaviour = of.behaviour,
                    .reference = of.reference,
                    .advantage = of.advantage};
  for (std::uint32_t const id : of.completion) {
    auto const tokens = table.tokens(id);
    out.length.push_back(tokens.size());
    append(out.token, tokens);
  }
  saved_rollout::describe(out,
                          [&](char const* name, auto const& numbers) { file.add(name, numbers); });
}

/// Errors  backend_error unless it is one of `count` completions
template <class = on_demand>
[[nodiscard]] saved_rollout saved_rollout_in(archive const& file, std::size_t count,
                                             bool over_tokens, bool has_reference) {
  saved_rollout out;
  saved_rollout::describe(out, [&]<class T>(char const* name, std::vector<T>& numbers) {
    numbers = file.get<T>(name);
  });
  std::uint64_t tokens = 0;
  bool fits = out.length.size() == count && out.score.size() == count;
  for (std::uint64_t const each : out.length) {
    fits = fits && each > 0 && each <= out.token.size();
    tokens += each;
  }
  std::size_t const examples = over_tokens ? out.token.size() : count;
  fits = fits && tokens == out.token.size() && out.behaviour.size() == examples &&
         out.reference.size() == (has_reference ? examples : 0) && out.advantage.size() == examples;
  if (!fits) {
    fail(backend_error("resume", file.path(),
                       "the numbers of its rollout do not go with one another"));
  }
  return out;
}

/// Adds its completions to the table.
template <class = on_demand>
void restore(rollout& of, token_table& table, saved_rollout from) {
  std::vector<std::uint32_t> token;
  for (std::uint64_t const each : from.token) token.push_back(static_cast<std::uint32_t>(each));
  of.completion.clear();
  std::size_t begin = 0;
  for (std::uint64_t const each : from.length) {
    auto const count = static_cast<std::size_t>(each);
    of.completion.push_back(table.add(view_of(token, begin, count)));
    begin += count;
  }
  of.score = std::move(from.score);
  of.behaviour = std::move(from.behaviour);
  of.reference = std::move(from.reference);
  of.advantage = std::move(from.advantage);
}

}  // namespace prefer::inline v0_1::detail
