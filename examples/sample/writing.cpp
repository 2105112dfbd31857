// SPDX-License-Identifier: MIT
#include "writing.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include <prefer/data/message_json.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/text/number.hpp>

#include "../program.hpp"

namespace sample {

namespace {

program::json row_of(written const& one) {
  program::json row = {{"prompt", one.prompt},
                       {"start", one.by == side::start},
                       {"text", one.what.text},
                       {"tokens", one.what.tokens},
                       {"ended", one.what.ended}};
  if (one.log_ratio) row["log_ratio"] = program::number(*one.log_ratio);
  return row;
}

written written_in(program::json const& row) {
  written out;
  out.prompt = row.at("prompt").get<std::size_t>();
  out.by = row.at("start").get<bool>() ? side::start : side::tuned;
  out.what.text = row.at("text").get<std::string>();
  out.what.tokens = row.at("tokens").get<std::size_t>();
  out.what.ended = row.at("ended").get<bool>();
  if (row.contains("log_ratio")) out.log_ratio = program::number_in(row.at("log_ratio"));
  return out;
}

}  // namespace

prefer::sampling_options writing_options::how() const {
  prefer::sampling_options out;
  out.max_tokens = max_tokens;
  // The limit of temperature 0 is the most likely token, and a policy's temperature is above 0.
  out.top_k = temperature == 0.0 ? 1 : top_k;
  out.temperature = temperature == 0.0 ? 1.0 : temperature;
  out.top_p = top_p;
  out.side_by_side = batch;
  return out;
}

void add_drawing_options(CLI::App& app, writing_options& given) {
  app.add_option("--n", given.n, "Completions of each prompt")
      ->check(program::whole(1, 10000))
      ->capture_default_str();
  app.add_option("--max-tokens", given.max_tokens, "The most tokens of a completion")
      ->check(program::whole(1, 1000000))
      ->capture_default_str();
  app.add_option("--temperature", given.temperature,
                 "Probabilities to the power 1 / temperature; 0: always the most likely token")
      ->check(program::between(0, 100))
      ->capture_default_str();
  app.add_option("--top-k", given.top_k, "Only the k most likely tokens; 0: all")
      ->check(program::whole(0, 10000000))
      ->capture_default_str();
  app.add_option("--top-p", given.top_p,
                 "Only the most likely tokens that have this share together; 1: all")
      ->check(program::positive_and_finite())
      ->check(program::between(0, 1))
      ->capture_default_str();
}

void add_writing_options(CLI::App& app, writing_options& given) {
  add_drawing_options(app, given);
  app.add_option("--seed", given.seed, "The same seed draws the same completions")
      ->check(program::whole(0))
      ->capture_default_str();
  app.add_option("--batch", given.batch, "Completions drawn side by side; changes none of them")
      ->check(program::whole(1, 4096))
      ->capture_default_str();
}

std::string effort::sentence() const {
  std::string out =
      std::to_string(completions) + " completions, " + std::to_string(tokens) + " tokens";
  if (seconds > 0 && tokens > 0) {
    out += " in " + prefer::text::fixed(seconds, 1) + " s (" +
           prefer::text::fixed(static_cast<double>(tokens) / seconds, 0) + " tokens/s)";
  }
  return out;
}

effort write_all(writer& by, task const& what, std::function<void(written)> const& take) {
  auto const& prompts = *what.prompts;
  std::size_t const n = what.options.n;
  std::size_t const of_a_side = prompts.size() * n;
  std::size_t const total = of_a_side * (what.both_sides ? 2 : 1);
  auto const side_of = [&](std::size_t t) {
    return what.both_sides && t < of_a_side ? side::start : side::tuned;
  };

  std::optional<program::kept_rows> kept;
  std::size_t done = 0;
  if (!what.kept.empty()) {
    kept.emplace(what.kept, what.settings);
    for (auto const& row : kept->rows()) take(written_in(row));
    done = kept->rows().size();
    if (done != 0)
      program::say("went on behind " + std::to_string(done) + " completions that were kept");
  }

  effort all;
  program::progress shown(total, "completions");
  shown.advance(done, "completions");
  // Those whose log-ratios are asked for are finished call by call, the others one by one.
  std::size_t const of_a_call = what.log_ratios ? 4 * what.options.batch : total;
  while (done != total) {
    if (program::interrupted) throw program::stop();
    std::vector<request> requests;
    side const whose = side_of(done);
    while (requests.size() != of_a_call && done + requests.size() != total &&
           side_of(done + requests.size()) == whose) {
      std::size_t const number = (done + requests.size()) % of_a_side;
      requests.push_back({&prompts[number / n], number});
    }
    bool const with_ratios = what.log_ratios && whose == side::tuned;
    auto const before = all.seconds;
    auto const begun = std::chrono::steady_clock::now();
    auto const finish = [&](std::size_t i, completion made, std::optional<double> log_ratio) {
      written one{requests[i].number / n, whose, std::move(made), log_ratio};
      ++all.completions;
      all.tokens += one.what.tokens;
      all.seconds =
          before + std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
      if (kept) kept->add(row_of(one));
      take(std::move(one));
      shown.advance(
          1, prefer::text::fixed(static_cast<double>(all.tokens) / all.seconds, 0) + " tokens/s");
    };
    std::vector<completion> waiting;
    by.write(requests, what.options.how(), what.options.seed, whose,
             [&](std::size_t i, completion made) {
               if (with_ratios) {
                 waiting.push_back(std::move(made));
               } else {
                 finish(i, std::move(made), std::nullopt);
               }
             });
    if (with_ratios) {
      auto const ratios = by.log_ratios();
      for (std::size_t i = 0; i != waiting.size(); ++i) {
        finish(i, std::move(waiting[i]),
               ratios ? std::optional<double>((*ratios)[i]) : std::nullopt);
      }
    }
    done += requests.size();
  }
  return all;
}

program::json settings_of(std::vector<prefer::data::turns> const& prompts, writer const& by,
                          std::vector<std::string> left_out) {
  left_out.insert(left_out.end(), {"--prompts", "prompt", "--batch", "--model", "--adapter"});
  prefer::fingerprint of_prompts;
  for (auto const& each : prompts) of_prompts.add(std::string_view(prefer::data::to_json(each)));
  auto out = program::document();
  out["arguments"] = program::arguments_but(std::move(left_out));
  out["prompts"] = of_prompts.value();
  out["model"] = by.identity();
  return out;
}

}  // namespace sample
