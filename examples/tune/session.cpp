// SPDX-License-Identifier: MIT
#include "session.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <span>
#include <system_error>
#include <utility>

#include <prefer/batch/minibatch.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/train/any_source.hpp>
#include <prefer/train/sampled.hpp>

#include "../program/kept.hpp"
#include "../program/kept_rows.hpp"
#include "../program/output.hpp"
#include "../program/progress.hpp"
#include "../program/signals.hpp"

namespace tune {

namespace {

using clock = std::chrono::steady_clock;
using language::reference_choice;
using language::row_kind;
using kind = reference_choice::kind;

double seconds_since(clock::time_point begin) {
  return std::chrono::duration<double>(clock::now() - begin).count();
}

language::wanted_rows wanted_by(chosen_loss const& loss) {
  auto const& facts = loss.facts;
  row_kind const is = loss.demonstrates                  ? row_kind::demonstrations
                      : facts.kind == example_kind::pair ? row_kind::pairs
                      : facts.kind == example_kind::list ? row_kind::lists
                                                         : row_kind::labels;
  return {.kind = is, .takes = facts.takes, .kl_examples = facts.kl_examples};
}

prefer::learning_rate rate_of(options const& given, std::uint64_t steps) {
  prefer::learning_rate::schedule const shape{
      .peak = given.peak_rate(),
      .steps = steps,
      .warm_up = {.steps = static_cast<std::uint64_t>(
                      std::ceil(given.warmup * static_cast<double>(steps)))}};
  if (given.schedule == "linear") return prefer::learning_rate::linear(shape);
  if (given.schedule == "cosine") return prefer::learning_rate::cosine(shape);
  return prefer::learning_rate::constant(shape);
}

std::string fixed(double value, int digits) { return prefer::text::fixed(value, digits); }

/// What the line of progress says of a step.
std::string in_words(step_row const& row) {
  auto const& at = row.report;
  std::string out = "step " + std::to_string(at.step);
  if (std::isfinite(row.drawn.score)) out += ", score " + fixed(row.drawn.score, 3);
  if (row.examples == 0.0)
    return out + ", nothing to learn: of no prompt two completions could be told apart";
  out += ", loss " + fixed(at.loss, 4);
  if (std::isfinite(at.accuracy)) {
    out += ", accuracy " + fixed(at.accuracy, 2) + ", margin " + fixed(at.reward_margin, 3);
  }
  if (std::isfinite(at.reward_chosen)) out += ", chosen reward " + fixed(at.reward_chosen, 3);
  if (at.settled > 0) out += ", " + fixed(at.settled, 0) + " settled";
  return out + ", " + fixed(row.tokens_per_second, 0) + " tokens/s";
}

/// A judge as its source holds it.
struct judged_by {
  online_judge* judge;

  void look(std::span<prefer::written_completions const> all) const { judge->look(all); }
  void operator()(prefer::written_completions const& written, prefer::choice_data& examples) const {
    (*judge)(written, examples);
  }
  [[nodiscard]] std::uint64_t identity() const { return judge->identity(); }
};

}  // namespace

session::session(options const& given, chosen_loss loss)
    : given_(given), loss_(std::move(loss)), model_(given.model) {
  program::say(model_.in_words());
  read(given);
  if (program::interrupted) throw program::stop();
  language::adapter_options adapter = given.adapter;
  adapter.seed = given.seed;
  policy_ = given.full && given.reward_model ? model_.whole_scorer(texts_)
            : given.full                     ? model_.whole(texts_)
            : given.reward_model             ? model_.scorer_with_adapter(texts_, adapter)
                                             : model_.with_adapter(texts_, adapter);
  choose_reference();
  if (held_out_) {
    program::progress bar(held_out_->data.size(), "held-out rows");
    auto policy = policy_->handle();
    policy.use(model_.threads());
    start_ = language::log_probs_of(policy, held_out_->data, shown(bar, "held-out rows"));
  }
}

void session::read(options const& given) {
  auto const rows_in_file = [&](std::string const& path, language::wanted_rows const& wanted) {
    return language::read_rows(path, wanted, given.rows, model_.words(), model_.config().context,
                               texts_);
  };
  auto const wanted = wanted_by(loss_);
  std::vector<language::named_rows> sets;
  if (given.online) {
    if (wanted.kl_examples) {
      prefer::refuse("--loss " + loss_.facts.name +
                     ": it takes completions of other prompts too, which --online does not draw; "
                     "--rounds makes rows that have them");
    }
    prompts_ = encoded(sample::read_prompts(given.prompts), model_.words(),
                       given.writing.max_tokens, model_.config().context, texts_);
    judge_.emplace(given.judge, given.model);
    judge_->expect_room(prompts_->text, given.writing.max_tokens);
  } else {
    rows_ = rows_in_file(given.data, wanted);
    sets.push_back({"train", &rows_});
  }
  rows_identity_ = prefer::fingerprint_of(texts_);
  if (!given.eval_data.empty()) {
    // Pairs are judged by their margins whatever the loss is over.
    auto judged = wanted;
    if (language::begins_with_a_pair(given.eval_data, given.rows)) judged.kind = row_kind::pairs;
    judged.kl_examples = false;
    held_out_ = rows_in_file(given.eval_data, judged);
    sets.push_back({"held out", &*held_out_});
  }
  language::say_rows(sets, texts_);
}

std::function<void(std::size_t)> session::shown(program::progress& bar,
                                                std::string const& doing) const {
  return [&bar, doing](std::size_t groups) {
    bar.advance(groups, doing);
    if (program::interrupted) throw program::stop();
  };
}

void session::choose_reference() {
  bool const reads = loss_.facts.takes.contains(prefer::column_name::reference);
  if (given_.reference.empty()) {
    reference_name_ = !reads                                      ? "none"
                      : given_.full && !given_.online             ? "cached"
                      : !given_.full && policy_->begins_as_base() ? "adapter-off"
                                                                  : "frozen";
    choice_ = language::reference_named(reference_name_);
  } else {
    choice_ = language::reference_named(given_.reference);
    reference_name_ = given_.reference;
    if (!reads && choice_.is != kind::none) {
      program::say("--reference " + given_.reference + ": " + loss_.facts.name +
                   " reads no reference; it changes nothing");
      choice_ = {.is = kind::none};
    }
  }
  if (given_.online && choice_.is == kind::cached) {
    prefer::refuse(
        "--reference " + reference_name_ +
        ": with --online completions are drawn anew at every step, and no cache has them; "
        "expected adapter-off, frozen, ema:RATE, model:FILE or none");
  }
  using prefer::column_name;
  bool const wants_distributions = loss_.facts.needs.contains(column_name::divergence) ||
                                   loss_.facts.needs.contains(column_name::perturbed_toward);
  if (wants_distributions && !choice_.gives_distributions()) {
    prefer::refuse("--loss " + loss_.facts.name +
                   ": it compares whole distributions with the "
                   "reference's, and --reference " +
                   reference_name_ +
                   " has log-probabilities of completions alone; expected adapter-off, frozen, "
                   "ema:RATE or model:FILE");
  }
  auto const is_start = choice_.is == kind::frozen || choice_.is == kind::cached ||
                        choice_.is == kind::moving ||
                        (choice_.is == kind::adapter_off && policy_->begins_as_base());
  is_start_ = is_start;
  language::rows_to_cache rows{.data = &rows_.data, .made_of = identity(), .path = choice_.path};
  std::optional<program::progress> bar;
  std::error_code ignored;
  if (choice_.is == kind::cached) {
    bool const there = std::filesystem::is_regular_file(choice_.path, ignored);
    if (!there && !choice_.path.empty()) {
      prefer::expect_writable(choice_.path, program::room_for_a_report);
    }
    bar.emplace(rows_.data.size() + rows_.data.kl_examples.size(), "reference");
    rows.advance = shown(*bar, "reference");
    auto policy = policy_->handle();
    policy.use(model_.threads());
  }
  reference_ = policy_->reference(choice_, rows);
}

std::uint64_t session::identity() {
  auto const limits = language::limits_of(given_.rows, model_.config().context);
  prefer::fingerprint out;
  out.add("tune").add(rows_identity_).add(prefer::fingerprint_of(rows_.data));
  out.add(model_.words().identity()).add(model_.identity());
  if (!given_.model.adapter.empty()) {
    out.add(program::content_of(given_.model.adapter + "/adapter_model.safetensors"));
  }
  out.add(static_cast<std::uint64_t>(limits.prompt)).add(static_cast<std::uint64_t>(limits.total));
  return out.value();
}

prefer::train_options session::train_options() const {
  std::size_t const each = given_.rows_per_step();
  std::uint64_t const steps = given_.epochs * ((rows_per_epoch() + each - 1) / each);
  return {.batch_size = each,
          .micro_batch_size = given_.batch,
          .micro_batch_tokens = given_.micro_tokens,
          .epochs = given_.epochs,
          .seed = given_.seed,
          .rate = rate_of(given_, steps),
          .optimizer = {.weight_decay = given_.weight_decay},
          .max_gradient_norm = given_.clip,
          .reference_is_start = is_start_,
          .skip_settled = given_.skip_settled};
}

void session::train(std::string const& checkpoint,
                    std::function<void(step_row const&)> const& on_row) {
  if (prompts_) {
    online_judge judge(*judge_, given_.judge, wanted_by(loss_).kind, *prompts_, model_.words());
    auto how = given_.writing.how();
    how.stop_token = prompts_->end;
    auto policy = policy_->handle();
    prefer::sampled drawn(policy, texts_.completions, prompts_->number, judged_by{&judge},
                          {.prompts_per_step = given_.rows_per_step(),
                           .completions = given_.writing.n,
                           .sampling = how,
                           .seed = given_.seed});
    prefer::any_source source(drawn);
    train_on(source, &judge, checkpoint, on_row);
    for (auto const& sentence : judge.sentences()) program::say(sentence);
  } else {
    prefer::shuffled rows(rows_.data, given_.rows_per_step(), given_.seed);
    prefer::any_source source(rows);
    train_on(source, nullptr, checkpoint, on_row);
  }
}

void session::train_on(prefer::any_source& source, online_judge const* judge,
                       std::string const& checkpoint,
                       std::function<void(step_row const&)> const& on_row) {
  auto policy = policy_->handle();
  auto reference = reference_->handle();
  auto parts = training_parts{policy, reference, source, train_options()};
  parts.options.threads = model_.threads();
  auto const run = make_training(loss_, parts);
  std::error_code ignored;
  if (std::filesystem::exists(checkpoint, ignored)) {
    run->resume(checkpoint);
    program::say("going on from step " + std::to_string(run->steps_done()) + ", " + checkpoint);
  } else if (given_.resume) {
    prefer::refuse(prefer::backend_error("tune", checkpoint, "there is nothing to go on from"));
  }
  if (program::interrupted) throw program::stop();
  double const tokens_of_row = judge == nullptr ? tokens_per_row() : 0.0;
  program::progress bar(static_cast<std::size_t>(run->steps_planned()), "first step");
  bar.advance(static_cast<std::size_t>(run->steps_done()), "first step");
  auto began = clock::now();
  auto const on_step = [&](prefer::step_report const& report) {
    double const seconds = seconds_since(began);
    auto const rows = static_cast<double>(rows_in(report.step));
    step_row row{.report = report, .examples = rows, .seconds = seconds};
    if (judge != nullptr) {
      row.drawn = judge->last();
      row.examples -= row.drawn.skipped;
    }
    double const tokens = judge == nullptr ? rows * tokens_of_row : row.drawn.tokens;
    row.tokens_per_second = tokens / seconds;
    on_row(row);
    bar.advance(1, in_words(row));
    if (given_.sample_every != 0 && report.step % given_.sample_every == 0) {
      print_answers(report.step);
    }
    began = clock::now();
    bool const saves = given_.save_every != 0 && report.step % given_.save_every == 0;
    return !saves && !program::interrupted.load();
  };
  std::string const step_words = "step ";
  auto const on_part = [&](prefer::part_report const& part) {
    bar.doing(step_words + std::to_string(part.step) + ", row " + std::to_string(part.done) +
              " of " + std::to_string(part.of));
    return true;
  };
  while (!run->done()) {
    try {
      run->run(on_step, on_part);
    } catch (program::stop const&) {  // of a judge that was at work
      run->save(checkpoint);
      throw;
    }
    run->save(checkpoint);
    if (program::interrupted && !run->done()) throw program::stop();
    began = clock::now();
  }
  if (!std::filesystem::exists(checkpoint, ignored)) run->save(checkpoint);
}

std::size_t session::rows_per_epoch() const {
  return prompts_ ? prompts_->number.size() : rows_.data.size();
}
std::size_t session::rows_in(std::uint64_t step) const {
  std::size_t const each = given_.rows_per_step();
  std::size_t const rows = rows_per_epoch();
  std::uint64_t const steps = (rows + each - 1) / each;
  return step % steps != 0 || rows % each == 0 ? each : rows % each;
}
double session::tokens_per_row() const {
  auto const& data = rows_.data;
  double tokens = 0;
  for (std::uint32_t const id : data.prompt)
    tokens += static_cast<double>(texts_.prompts.length(id));
  for (std::uint32_t const id : data.completion) {
    tokens += static_cast<double>(texts_.completions.length(id));
  }
  return tokens / static_cast<double>(data.size());
}

std::vector<std::uint32_t> session::prompts_to_show(std::size_t most) const {
  std::size_t const answer = given_.sample_tokens;
  if (model_.config().context <= answer) return {};
  auto const& all = held_out_  ? held_out_->data.prompt
                    : prompts_ ? prompts_->number
                               : rows_.data.prompt;
  return prompts_among(all, texts_, model_.config().context - answer, most);
}

void session::print_answers(std::uint64_t step) {
  auto policy = policy_->handle();
  std::size_t const most = given_.sample_tokens;
  constexpr std::size_t shown_prompts = 3;
  auto const prompts = prompts_to_show(shown_prompts);
  if (prompts.empty()) return;
  // A table of their own: the policy's is part of what a checkpoint is of.
  prefer::token_table written;
  for (auto const& [prompt, text] :
       answers_to(policy, prompts, model_.words(), texts_, written, {most, given_.seed})) {
    program::say("after step " + std::to_string(step) + ": " + prompt + " -> " + text);
  }
}

language::preference_judgement session::judged(std::vector<float> const& policy,
                                               std::vector<float> const& reference) const {
  return language::judge(held_out_->data, policy, reference, loss_.facts.rewards);
}

void session::finish(final_report& report) {
  report.start_checked = is_start_;
  auto policy = policy_->handle();
  policy.use(model_.threads());
  auto reference = reference_->handle();
  reference.use(model_.threads());
  if (held_out_) {
    std::vector<float> near;
    if (is_start_ && choice_.is != kind::moving) {
      near = start_;
    } else if (choice_.is != kind::none) {
      program::progress bar(held_out_->data.size(), "reference of held-out rows");
      near = language::log_probs_of(reference, held_out_->data,
                                    shown(bar, "reference of held-out rows"));
    }
    program::progress bar(held_out_->data.size(), "held-out rows");
    auto const now = language::log_probs_of(policy, held_out_->data, shown(bar, "held-out rows"));
    report.before = judged(start_, near);
    report.after = judged(now, near);
    if (given_.reward_model) {
      report.calibration_before = language::calibration_of_scores(held_out_->data, start_);
      report.calibration_after = language::calibration_of_scores(held_out_->data, now);
    }
  }
  std::size_t const most = given_.sample_tokens;
  if (given_.samples == 0 || !policy.samples()) return;
  auto const prompts = prompts_to_show(given_.samples);
  if (prompts.empty()) return;
  program::progress bar(prompts.size(), "answers");
  auto const answers = answer(policy, prompts, model_.words(), texts_.completions,
                              {.most_tokens = most, .seed = given_.seed});
  auto const rows = rows_of(prompts, answers);
  auto const now = language::log_probs_of(policy, rows, [](std::size_t) {});
  auto const begun = model_.fixed(texts_);
  auto start = begun->handle();
  start.use(model_.threads());
  auto const before = language::log_probs_of(start, rows, shown(bar, "answers"));
  report.answers = report_of(rows, texts_, now, before);
}

}  // namespace tune
