// SPDX-License-Identifier: MIT
#include "judgement.hpp"

#include <string>
#include <utility>

#include <prefer/report/table.hpp>

namespace sample {

namespace {

language::mean_of_rows in_percent(language::mean_of_rows of) {
  of.mean *= 100;
  of.standard_error *= 100;
  return of;
}

}  // namespace

void by_prompt::add(std::size_t prompt, double value) {
  prompt_.push_back(prompt);
  value_.push_back(value);
}

language::mean_of_rows by_prompt::mean() const {
  std::vector<double> of_prompt;
  for (std::size_t i = 0; i != value_.size();) {
    std::size_t const first = i;
    double sum = 0.0;
    for (; i != value_.size() && prompt_[i] == prompt_[first]; ++i) sum += value_[i];
    of_prompt.push_back(sum / static_cast<double>(i - first));
  }
  return language::mean_of(of_prompt);
}

void judgement::add(written const& one) {
  ++completions;
  if (one.what.score) score.add(one.prompt, *one.what.score);
  tokens.add(one.prompt, static_cast<double>(one.what.tokens));
  ended.add(one.prompt, one.what.ended ? 1.0 : 0.0);
  if (one.log_ratio) log_ratio.add(one.prompt, *one.log_ratio);
}

std::string comparison_table(judgement const& start, judgement const& tuned) {
  using prefer::report::align;
  prefer::report::table table({{.header = "", .align = align::left},
                               {.header = "start", .align = align::right},
                               {.header = "tuned", .align = align::right}});
  auto const row = [&](char const* name, std::string of_start, std::string of_tuned) {
    table.add_row({name, std::move(of_start), std::move(of_tuned)});
  };
  if (!tuned.score.empty()) {
    row("mean score", in_words(start.score.mean(), 3), in_words(tuned.score.mean(), 3));
  }
  row("tokens of a completion", in_words(start.tokens.mean(), 1), in_words(tuned.tokens.mean(), 1));
  row("ended by itself, %", in_words(in_percent(start.ended.mean()), 1),
      in_words(in_percent(tuned.ended.mean()), 1));
  if (!tuned.log_ratio.empty()) {
    row("KL from the start, nats", "0", in_words(tuned.log_ratio.mean(), 2));
  }
  return table.text();
}

program::json to_json(judgement const& of) {
  program::json out = {{"completions", of.completions}};
  if (!of.score.empty()) out["score"] = json_of(of.score.mean());
  out["tokens"] = json_of(of.tokens.mean());
  out["ended"] = json_of(of.ended.mean());
  if (!of.log_ratio.empty()) out["kl"] = json_of(of.log_ratio.mean());
  return out;
}

}  // namespace sample
