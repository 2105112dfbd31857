// SPDX-License-Identifier: MIT
//
// sample: prompts in, completions of a language model out. See --help.
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/file/atomic_file.hpp>
#include <prefer/file/writable.hpp>

#include "../program.hpp"
#include "completions.hpp"
#include "judgement.hpp"
#include "language_writer.hpp"
#include "prompts.hpp"
#include "scorer.hpp"
#include "view.hpp"
#include "writing.hpp"

namespace {

constexpr char const* description =
    R"(Completions of a language model: prompts in, texts out.

A prompt is the message of a user, which the model's own chat template opens the
answer to; with --raw it is a text that the model goes on with. A completion ends
where the model ends it, or at --max-tokens. It depends on the model, its prompt,
its number and --seed alone: not on --batch, --threads, or the other prompts.

With --adapter the model is one that was tuned (by the program tune, or by PEFT),
and --compare shows what it wrote before and what it writes now, side by side.
)";

constexpr char const* examples =
    R"(Examples:
  sample --model SmolLM2-135M-Instruct.gguf "What is a fjord?"
  sample --model model.gguf --raw "Once upon a time" --n 3 --temperature 0.8
  sample --model model.gguf --prompts prompts.txt --n 8 --output completions.jsonl
  sample --model model.gguf --adapter out/adapter --prompts held-out.txt \
    --compare --scorer sentiment

What comes out:
  on a terminal        the texts; of a single completion word by word, as it is drawn
  --output FILE        JSON lines: prompt, completion, tokens, ended, score
  --json               the same lines on standard output, and one with the summary

"ended" says whether the model ended the completion, or --max-tokens did. With
--compare each line has "by", start or tuned, and the summary has for both the
mean score, the mean length and, drawn at temperature 1 without --top-k and
--top-p, the KL divergence from the start in nats per completion, each with its
standard error over prompts.

)";

struct arguments {
  language::model_options model;
  sample::prompt_options prompts;
  sample::writing_options writing;
  bool compare = false;
  bool kl = false;
  std::size_t show = 5;
  sample::scorer_options scorer;
  std::string output;
};

void declare(CLI::App& app, arguments& given) {
  language::add_model_options(app, given.model);
  sample::add_prompt_options(app, given.prompts);
  sample::add_writing_options(app, given.writing);
  app.add_flag("--compare", given.compare,
               "Also what the model writes without its adapter, beside what it writes with it");
  app.add_flag("--kl", given.kl,
               "Also the KL divergence from the model without its adapter; --compare has it too");
  app.add_option("--show", given.show, "Prompts whose completions --compare shows")
      ->check(program::whole(0, 1000000))
      ->capture_default_str();
  sample::add_scorer_options(app, given.scorer, "A score for each completion, and their mean");
  app.add_option("--output", given.output, "Write the completions here, whole or not at all")
      ->type_name("FILE")
      ->check(program::path());
}

using prompts = std::vector<prefer::data::turns>;

/// What was written, a line each; what a comparison is of says so.
std::string row_of(arguments const& given, prompts const& all, sample::written const& one) {
  std::string row = to_json(all[one.prompt], one.what);
  if (given.compare) {
    row.pop_back();
    row += std::string(",\"by\":") + (one.by == sample::side::start ? "\"start\"}" : "\"tuned\"}");
  }
  return row;
}

std::string note_on(sample::completion const& one, std::size_t most_tokens) {
  std::string out;
  if (one.score) out = "score " + prefer::text::fixed(*one.score, 2);
  if (!one.ended) {
    out += (out.empty() ? "" : ", ") + std::string("cut at ") + std::to_string(most_tokens) +
           " tokens";
  }
  return out.empty() ? "" : " (" + out + ")";
}

/// The texts for people, each below its prompt where there are several.
class text_view {
 public:
  text_view(arguments const& given, prompts const& all) : given_(given), all_(all) {}

  void show(sample::written const& one) {
    begin(one.prompt);
    std::string const mark = given_.writing.n > 1 ? std::to_string(++number_) + ". " : "";
    program::print(mark + one.what.text + note_on(one.what, given_.writing.max_tokens) + "\n");
  }
  /// The heading above a completion that is drawn now.
  void begin(std::size_t prompt) {
    if (prompt == last_) return;
    if (last_ != none) program::print("\n");
    if (all_.size() > 1) program::print("> " + sample::shown(all_[prompt]) + "\n");
    last_ = prompt;
    number_ = 0;
  }

 private:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);
  arguments const& given_;
  prompts const& all_;
  std::size_t last_ = none;
  std::size_t number_ = 0;
};

std::string comparison(arguments const& given, prompts const& all,
                       std::vector<sample::written> const& written) {
  std::size_t const width = sample::terminal_width();
  std::string out;
  std::size_t const of_a_side = written.size() / 2;
  for (std::size_t i = 0; i != std::min(given.show, all.size()); ++i) {
    out += sample::shown(all[i]) + "\n";
    auto const& start = written[i * given.writing.n].what;
    auto const& tuned = written[of_a_side + i * given.writing.n].what;
    auto const most = given.writing.max_tokens;
    out += sample::side_by_side("start" + note_on(start, most), start.text,
                                "tuned" + note_on(tuned, most), tuned.text, width);
    out += "\n";
  }
  return out;
}

/// Draws one completion after the other and prints each as it comes.
sample::effort stream(arguments const& given, prompts const& all, sample::writer& by,
                      sample::scorer* scorer, std::vector<sample::written>& written) {
  text_view view(given, all);
  sample::effort effort;
  for (std::size_t i = 0; i != all.size(); ++i) {
    if (program::interrupted) throw program::stop();
    view.begin(i);
    sample::request const one{&all[i], i};
    auto const begun = std::chrono::steady_clock::now();
    auto made = by.stream(one, given.writing.how(), given.writing.seed, [](std::string_view piece) {
      program::print(piece);
      program::flush();
    });
    effort.seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    effort.tokens += made.tokens;
    ++effort.completions;
    written.push_back({i, sample::side::tuned, std::move(made), std::nullopt});
    if (scorer != nullptr) {
      sample::unscored const last{&all[i], &written.back().what};
      scorer->score({&last, 1});
    }
    program::print(note_on(written.back().what, given.writing.max_tokens) + "\n");
  }
  return effort;
}

std::string score_sentence(sample::judgement const& tuned) {
  return "mean score " + in_words(tuned.score.mean()) + " (standard error over prompts)";
}

std::string divergence_sentence(sample::judgement const& tuned) {
  return "KL from the model without its adapter " + in_words(tuned.log_ratio.mean(), 2) +
         " nats a completion (standard error over prompts)";
}

/// Hands over what was written. The exit code
int hand_over(arguments const& given, prompts const& all,
              std::vector<sample::written> const& written, sample::effort const& effort,
              bool already_shown) {
  sample::judgement start;
  sample::judgement tuned;
  for (auto const& one : written) (one.by == sample::side::start ? start : tuned).add(one);
  std::string rows;
  for (auto const& one : written) rows += row_of(given, all, one) + "\n";

  program::handover results;
  if (!given.output.empty()) {
    results.attempt([&] {
      prefer::atomic_file file(given.output);
      file.write(rows);
      file.commit();
    });
  }
  results.attempt([&] {
    if (program::as_json) {
      if (given.output.empty()) program::print(rows);
      auto document = program::document();
      document["tuned"] = to_json(tuned);
      if (given.compare) document["start"] = to_json(start);
      document["seconds"] = program::number(effort.seconds);
      if (!given.output.empty()) document["files"] = {given.output};
      program::print_json(document);
    } else if (given.compare) {
      program::print(comparison(given, all, written) + comparison_table(start, tuned));
    } else if (!already_shown && given.output.empty()) {
      text_view view(given, all);
      for (auto const& one : written) view.show(one);
    }
    program::flush();
  });
  program::say(effort.sentence());
  if (!given.scorer.name.empty() && !given.compare) program::say(score_sentence(tuned));
  if (given.kl) program::say(divergence_sentence(tuned));
  if (!given.output.empty()) program::wrote({given.output});
  return results.finish();
}

void expect_sensible(arguments const& given) {
  given.scorer.expect_sense();
  if (given.compare && given.model.adapter.empty()) {
    prefer::refuse("--compare needs --adapter FOLDER: without one there is nothing to compare");
  }
  if (given.kl && given.model.adapter.empty()) {
    prefer::refuse("--kl needs --adapter FOLDER: without one the divergence is 0");
  }
  if (given.kl && !given.writing.as_the_policy()) {
    prefer::refuse(
        "--kl needs completions of the policy's own distribution: --temperature 1 without --top-k "
        "and "
        "--top-p");
  }
}

int run(arguments& given) {
  program::stop_when_asked();
  expect_sensible(given);
  prompts const all = sample::read_prompts(given.prompts);
  if (program::interrupted) return program::stopped("nothing was written");
  std::optional<program::claim> alone;
  if (!given.output.empty()) {
    prefer::expect_writable(given.output, program::room_for_a_report);
    alone.emplace(given.output);
  }
  program::expect_standard_output();
  std::unique_ptr<sample::scorer> scorer;
  if (!given.scorer.name.empty()) {
    scorer = sample::open_scorer(given.scorer, given.model);
    scorer->expect_room(all, given.writing.max_tokens);
  }
  auto const by = sample::open_writer(given.model);
  program::say(by->description());

  bool const streams = given.writing.n == 1 && !given.compare && !given.kl && !program::as_json &&
                       given.output.empty() && ::isatty(STDOUT_FILENO) != 0;
  std::vector<sample::written> written;
  sample::task task{.prompts = &all,
                    .options = given.writing,
                    .both_sides = given.compare,
                    .log_ratios = (given.compare || given.kl) && given.writing.as_the_policy()};
  if (!given.output.empty()) {
    task.kept = given.output + ".unfinished";
    task.settings = sample::settings_of(
        all, *by, {"--show", "--scorer", "--scorer-model", "--scorer-deviations"});
  }
  try {
    auto const effort = streams ? stream(given, all, *by, scorer.get(), written)
                                : sample::write_all(*by, task, [&](sample::written one) {
                                    written.push_back(std::move(one));
                                  });
    if (scorer && !streams) {
      std::vector<sample::unscored> unscored;
      for (auto& one : written) unscored.push_back({&all[one.prompt], &one.what});
      scorer->score(unscored);
    }
    int const code = hand_over(given, all, written, effort, streams);
    if (code == 0 && !task.kept.empty()) std::remove(task.kept.c_str());
    return code;
  } catch (program::stop const&) {
    return program::stopped(task.kept.empty() ? "nothing is kept without --output"
                                              : "what is finished is in " + task.kept);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string const below = examples + sample::scorers_in_words();
  return program::run<arguments>(argc, argv, {"sample", description, below.c_str()}, declare, run);
}
