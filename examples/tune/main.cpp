// SPDX-License-Identifier: MIT
//
// tune: a language model tuned by preferences. See --help.
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "../program.hpp"
#include "options.hpp"
#include "training.hpp"
#include "tuning.hpp"

namespace {

constexpr char const* description =
    R"(Tunes a language model by preferences: any loss of the library, with a reference or without,
all weights or a LoRA adapter, on a CPU. Rows come in any form that docs/guides/data.md lists.

  tune --model SmolLM2-135M-Instruct.gguf --data pairs.jsonl --eval-data held-out.jsonl --texts chat
  tune --model base.gguf --data pairs.jsonl --loss simpo --set beta=2 --set gamma=1 --out simpo
  tune --model base.gguf --data answers.jsonl --loss nll --out sft
  tune --model base.gguf --data pairs.jsonl --eval-data held-out.jsonl --reward-model --out rm
  tune --model base.gguf --adapter sft/adapter --data pairs.jsonl --beta 0.05 --out dpo
  tune --model base.gguf --prompts prompts.txt --online --n 4 --scorer sentiment --out online
  tune --model base.gguf --prompts prompts.txt --online --n 4 --scorer reward:rm --out rlhf
  tune --model base.gguf --prompts prompts.txt --rounds 3 --scorer-command ./judge --out rounds

Ctrl-C finishes the step and keeps it; the same command goes on from there, to the same bytes. So it does
after a kill, from the last checkpoint (--save-every).)";

constexpr char const* notes =
    R"(References, which most losses hold the policy near (--reference):

  adapter-off        the model without its adapter: no memory, one more forward pass [with LoRA]
  cached[:FILE]      what the policy says of all rows at its start, computed once, and kept in FILE
                     [with --full]
  frozen             a copy of the policy at its start [where --adapter is its start]
  ema:RATE[,STEPS]   an average that follows the policy, by RATE at every step or every STEPS
  model:FILE         another model of the same vocabulary
  none               nothing

Without preferences, from prompts alone, a judge (--scorer, --scorer-command) scores --n answers of the model to each, and
the best is preferred to the worst. --online draws them at every step from the model as it is then; --rounds draws
for all prompts, trains on all pairs, and draws again from what was tuned: iterative DPO. What a round is held near is its own
start; with --reference adapter-off, or with --full model:FILE, it is the first round's throughout.

The judge may be a reward model: --scorer reward:FOLDER, of one that --reward-model made.

Losses: losses --list. Supervised fine-tuning is --loss nll, nll_per_token or nll_per_batch_token: of pairs
the chosen completion, of labelled rows the desirable ones, or rows of prompt and completion.

A reward model (--reward-model) is what a policy's judge is trained as: a linear head on the last token's hidden state, and the
adapter below it. adapter/ holds both, as PEFT saves a sequence classifier; score --adapter reads it. With --full all weights
train, and model/ is a folder as transformers saves one, whatever --model was; score --model reads it.

In --out: metrics.csv and metrics.jsonl, a row a step; curves.svg; summary.json; the adapter in PEFT's
layout in adapter/, or with --full the model. summary.json says what every number is. With --rounds such a
folder for each round, round-1 and so on, with the pairs it learned from; rounds.csv; summary.json.)";

void declare_training(CLI::App& app, tune::options& given) {
  app.add_flag("--reward-model", given.reward_model,
               "Train a reward model, which scores completions: a head, and an adapter or all "
               "weights below it");
  app.add_option("--loss", given.loss,
                 "A loss by its name here or in TRL [dpo; with --reward-model bradley_terry]")
      ->type_name("NAME")
      ->check(program::not_empty("the name of a loss"));
  program::suggested["--loss"] = names_of_losses();
  app.add_option("--beta", given.beta, "Of the loss [what losses --list says]")
      ->check(program::positive_and_finite());
  app.add_option("--set", given.settings, "Another hyper-parameter of the loss")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  app.add_option("--reference", given.reference, "What the policy is held near; see below")
      ->type_name("NAME")
      ->check(program::not_empty("the name of a reference"));
  program::suggested["--reference"] = {"adapter-off", "cached", "frozen", "ema:", "model:", "none"};
  app.add_option("--epochs", given.epochs, "How often each row is seen")
      ->check(program::whole(1, 10000))
      ->capture_default_str();
  app.add_option("--batch", given.batch, "Rows in a pass")
      ->check(program::whole(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--accumulate", given.accumulate, "Passes in a step")
      ->check(program::whole(1, 1 << 16))
      ->capture_default_str();
  app.add_option("--micro-tokens", given.micro_tokens,
                 "Most tokens in a pass, which changes memory and no bit; 0: any")
      ->check(program::whole(0, 1 << 24))
      ->capture_default_str();
  app.add_option(
         "--skip-settled", given.skip_settled,
         "Leave rows out of the backward pass whose coefficients are below this share of the "
         "batch's largest")
      ->check(program::between(0, 0.999))
      ->capture_default_str();
  app.add_option("--lr", given.rate,
                 "Peak learning rate [2e-4; with --full 1e-6, with --reward-model too 1e-5]")
      ->check(program::positive_and_finite());
  app.add_option("--schedule", given.schedule, "How the learning rate falls after its warm-up")
      ->check(program::one_of({"constant", "linear", "cosine"}))
      ->capture_default_str();
  app.add_option("--warmup", given.warmup, "Share of the steps in which the rate rises")
      ->check(program::between(0, 1))
      ->capture_default_str();
  app.add_option("--weight-decay", given.weight_decay, "Of AdamW")
      ->check(program::non_negative_and_finite())
      ->capture_default_str();
  app.add_option("--clip", given.clip, "Largest norm of a step's gradient")
      ->check(program::positive_and_finite())
      ->capture_default_str();
  app.add_option("--seed", given.seed, "Of the adapter, the order of rows and the answers")
      ->check(program::whole(0))
      ->capture_default_str();
}

void declare_drawing(CLI::App& app, tune::options& given) {
  auto* const online =
      app.add_flag("--online", given.online,
                   "Learn from answers to --prompts that the model writes at each step");
  app.add_option("--rounds", given.rounds,
                 "Learn in so many rounds from answers to --prompts, drawn before each")
      ->check(program::whole(1, 1000))
      ->excludes(online);
  sample::add_prompt_file_options(app, given.prompts);
  given.writing.n = 4;
  given.writing.max_tokens = 64;
  sample::add_drawing_options(app, given.writing);
  make_pairs::add_judge_options(app, given.judge);
}

void declare_adapter(CLI::App& app, tune::options& given) {
  auto* const full = app.add_flag("--full", given.full, "All weights train, without an adapter");
  auto const alone = [&](CLI::Option* option) { return option->excludes(full); };
  alone(app.add_option("--lora", given.adapter.rank, "Rank of the LoRA adapter that trains"))
      ->check(program::whole(1, 4096))
      ->capture_default_str();
  alone(app.add_option("--lora-alpha", given.adapter.alpha, "Its alpha: scale = alpha / rank"))
      ->check(program::positive_and_finite())
      ->capture_default_str();
  alone(app.add_flag("--rs-lora", given.adapter.rank_stabilised, "scale = alpha / sqrt(rank)"));
  alone(app.add_option("--lora-dropout", given.adapter.dropout,
                       "Share of its inputs that a step leaves out"))
      ->check(program::between(0, 0.99))
      ->capture_default_str();
  alone(app.add_option("--targets", given.adapter.targets,
                       "Linear maps that it changes: q_proj, down_proj, ... [all seven]"))
      ->type_name("NAME,...")
      ->delimiter(',');
}

void declare(CLI::App& app, tune::options& given) {
  language::add_model_options(app, given.model);
  app.add_option("--data", given.data, "Rows to learn from: JSON lines, or one array of JSON")
      ->type_name("FILE")
      ->check(program::path());
  app.add_option("--eval-data", given.eval_data, "Held-out rows, which judge")
      ->type_name("FILE")
      ->check(program::path());
  language::add_row_options(app, given.rows);
  declare_drawing(app, given);
  declare_training(app, given);
  declare_adapter(app, given);
  app.add_option("--out", given.out, "Folder for all that is written")
      ->type_name("FOLDER")
      ->check(program::path())
      ->capture_default_str();
  app.add_flag("--resume", given.resume, "Go on from unfinished work, or fail where there is none");
  app.add_option("--save-every", given.save_every,
                 "Steps between checkpoints; 0: none until the end")
      ->check(program::whole(0))
      ->capture_default_str();
  app.add_option("--sample-every", given.sample_every,
                 "Steps between answers to three prompts, which are printed; 0: never")
      ->check(program::whole(0))
      ->capture_default_str();
  app.add_option("--samples", given.samples, "Prompts that are answered at the end, for the KL")
      ->check(program::whole(0, 100000))
      ->capture_default_str();
  app.add_option("--sample-tokens", given.sample_tokens, "Most tokens of an answer")
      ->check(program::whole(1, 1 << 16))
      ->capture_default_str();
  app.add_option(
         "--merge", given.merge,
         "Write the model with its adapter merged here too: a file that ends in .gguf, or a folder")
      ->type_name("FILE")
      ->check(program::path());
}

/// The loss as it was asked for, with --beta and --set.
tune::chosen_loss loss_of(tune::options const& given) {
  std::vector<setting> settings;
  for (auto const& text : given.settings) settings.push_back(parse_setting(text, "--set " + text));
  if (given.beta) {
    std::string const argument = "--beta " + program::written(*given.beta);
    for (auto const& each : settings) {
      if (each.name == "beta") prefer::refuse(argument + ": beta is set by --set, too");
    }
    settings.push_back({argument, "beta", *given.beta});
  }
  std::string const usual = given.reward_model ? "bradley_terry" : "dpo";
  auto out = tune::choose_loss(given.loss.empty() ? usual : given.loss, std::move(settings));
  bool const scores = out.facts.meaning.policy_is_score;
  if (scores && !given.reward_model) {
    prefer::refuse("--loss " + out.facts.name +
                   ": it ranks scores, and a policy gives log-probabilities; for a reward model "
                   "give --reward-model, for a policy a loss such as dpo or simpo");
  }
  if (given.reward_model && !scores) {
    prefer::refuse("--loss " + out.facts.name +
                   ": it is over log-probabilities, and a reward model gives scores; expected "
                   "bradley_terry");
  }
  return out;
}

/// What --reward-model goes without.
void expect_reward_model(tune::options const& given) {
  auto const without = [](bool is, char const* argument, char const* reason) {
    if (is) prefer::refuse(std::string("--reward-model goes without ") + argument + ": " + reason);
  };
  without(given.draws(), "--online and --rounds",
          "it learns from pairs that somebody judged, --data");
  without(!given.merge.empty(), "--merge", "a file of the model has no place for a head");
  without(given.sample_every != 0, "--sample-every", "it writes no answers");
  without(!given.reference.empty() && given.reference != "none", "--reference",
          "it is held near nothing");
}

void expect_sense(tune::options const& given) {
  if (given.model.model.empty() || (given.data.empty() && given.prompts.file.empty())) {
    prefer::refuse(
        "give --model FILE and --data FILE, or --prompts FILE with --online or --rounds; --help "
        "shows "
        "examples");
  }
  given.judge.expect_one();
  if (given.reward_model) expect_reward_model(given);
  if (given.draws()) {
    if (!given.data.empty()) {
      prefer::refuse(
          "--data goes without --online and --rounds, which learn from what the model writes");
    }
    if (given.prompts.file.empty()) prefer::refuse("--online and --rounds need --prompts FILE");
    if (given.writing.n < 2) prefer::refuse("--n 1: of one completion nothing is preferred");
  } else if (!given.prompts.file.empty()) {
    prefer::refuse("--prompts needs --online or --rounds: what is to become of the answers?");
  }
  if (given.rounds != 0 && given.reference.rfind("cached:", 0) == 0) {
    prefer::refuse(
        "--reference " + given.reference +
        ": every round has rows of its own; expected cached, which is made anew for each");
  }
  if (given.full && !given.model.adapter.empty()) {
    prefer::refuse("--full: all weights train, and --adapter " + given.model.adapter +
                   " is none of them; merge it first (convert)");
  }
  if (given.full && given.model.compute == "bf16") {
    prefer::refuse("--compute bf16 is for weights that do not train, and with --full all do");
  }
  if (given.full && !given.merge.empty()) {
    prefer::refuse("--merge: with --full there is no adapter, and the model is written to --out");
  }
}

int run(tune::options& given) {
  expect_sense(given);
  auto const loss = loss_of(given);
  program::stop_when_asked();
  return given.rounds != 0 ? tune::tune_in_rounds(given, loss) : tune::tune_once(given, loss, true);
}

}  // namespace

int main(int argc, char** argv) {
  std::string const below = std::string(notes) + "\n\n" + sample::scorers_in_words();
  return program::run<tune::options>(
      argc, argv, {.name = "tune", .description = description, .examples = below.c_str()}, declare,
      run);
}
