// SPDX-License-Identifier: MIT
#include "judgement.hpp"

#include <cmath>
#include <string>
#include <utility>

#include <prefer/report/table.hpp>
#include <prefer/text/number.hpp>

namespace sample {

namespace {

std::string with_error(estimate const& of, int digits, double times = 1.0) {
  std::string const mean = prefer::text::fixed(times * of.mean, digits);
  if (std::isnan(of.standard_error)) return mean;
  return mean + " ± " + prefer::text::fixed(times * of.standard_error, digits);
}

program::json to_json(estimate const& of) {
  return {{"mean", program::number(of.mean)},
          {"standard_error", program::number(of.standard_error)}};
}

}  // namespace

void by_prompt::add(std::size_t prompt, double value) {
  prompt_.push_back(prompt);
  value_.push_back(value);
}

estimate by_prompt::mean() const {
  std::vector<double> of_prompt;
  for (std::size_t i = 0; i != value_.size();) {
    std::size_t const first = i;
    double sum = 0.0;
    for (; i != value_.size() && prompt_[i] == prompt_[first]; ++i) sum += value_[i];
    of_prompt.push_back(sum / static_cast<double>(i - first));
  }
  auto const count = static_cast<double>(of_prompt.size());
  double sum = 0.0;
  for (double const each : of_prompt) sum += each;
  double const mean = sum / count;
  double squares = 0.0;
  for (double const each : of_prompt) squares += (each - mean) * (each - mean);
  return {mean, count > 1 ? std::sqrt(squares / (count * (count - 1))) : std::nan("")};
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
    row("mean score", with_error(start.score.mean(), 3), with_error(tuned.score.mean(), 3));
  }
  row("tokens of a completion", with_error(start.tokens.mean(), 1),
      with_error(tuned.tokens.mean(), 1));
  row("ended by itself, %", with_error(start.ended.mean(), 1, 100.0),
      with_error(tuned.ended.mean(), 1, 100.0));
  if (!tuned.log_ratio.empty()) {
    row("KL from the start, nats", "0", with_error(tuned.log_ratio.mean(), 2));
  }
  return table.text();
}

program::json to_json(judgement const& of) {
  program::json out = {{"completions", of.completions}};
  if (!of.score.empty()) out["score"] = to_json(of.score.mean());
  out["tokens"] = to_json(of.tokens.mean());
  out["ended"] = to_json(of.ended.mean());
  if (!of.log_ratio.empty()) out["kl"] = to_json(of.log_ratio.mean());
  return out;
}

}  // namespace sample
