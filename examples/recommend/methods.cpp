// SPDX-License-Identifier: MIT
#include "methods.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <prefer/loss/loss.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/text/number.hpp>
#include <prefer/train/trainer.hpp>

#include "reward_policies.hpp"

namespace recommend {

namespace {

std::string unit_of(method_setting const& what, std::uint64_t seed) {
  return what.method + (what.loss.empty() ? "" : "-" + what.loss) +
         (what.strength ? "-" + prefer::text::shortest(*what.strength) : "") + "-" +
         std::to_string(seed);
}

}  // namespace

std::vector<std::string> const& known_methods() {
  static std::vector<std::string> const all = {
      "dpo", "iterative_dpo", "online_dpo", "xpo",       "nash_md",
      "ppo", "rloo",          "reinforce",  "best_of_n", "sft_on_chosen"};
  return all;
}

bool asks_reward(std::string const& method) {
  return method != "start" && method != "dpo" && method != "sft_on_chosen";
}
bool draws(std::string const& method) {
  return asks_reward(method) && method != "reward_model" && method != "optimum" &&
         method != "best_of_n";
}

std::vector<method_setting> settings_of(method_options const& how, study_options const& options) {
  std::vector<method_setting> out = {{.method = "start", .loss = {}},
                                     {.method = "reward_model", .loss = {}}};
  auto const at_betas = [&](std::string const& method) {
    for (double const beta : options.betas) out.push_back({method, "", beta});
  };
  if (std::any_of(how.methods.begin(), how.methods.end(), asks_reward)) at_betas("optimum");
  for (std::string const& method : known_methods()) {
    if (std::find(how.methods.begin(), how.methods.end(), method) == how.methods.end()) continue;
    if (method == "dpo") {
      study_options of_dpo = options;
      if (of_dpo.losses.empty()) of_dpo.losses = {"dpo"};
      of_dpo.references = {"trained"};
      for (setting const& each : settings_of(of_dpo)) {
        out.push_back({method, each.loss, each.beta});
      }
    } else if (method == "best_of_n") {
      for (std::size_t const n : how.best_of) {
        out.push_back({method, "", static_cast<double>(n)});
      }
    } else if (method == "sft_on_chosen") {
      out.push_back({method, ""});
    } else {
      at_betas(method);
    }
  }
  return out;
}

method_study::method_study(interactions const& data, study_options const& options,
                           method_options const& how, prefer::executor threads,
                           training_guard guard)
    : data_(data),
      options_(options),
      how_(how),
      threads_(threads),
      outer_(std::move(guard)),
      keeping_{
          .kept = outer_.kept,
          .on_step = [this](std::uint64_t step, std::uint64_t steps) { at_step(step, steps); }},
      // A course has no gaps: what is stopped in the middle of one begins it again.
      guard_{.kept = how.judgings == 0 ? outer_.kept : nullptr, .on_step = keeping_.on_step},
      study_(data, options, threads, keeping_) {}

std::vector<std::string> method_study::start_units(std::uint64_t seed) {
  return {study::start_unit(seed), "reward-" + std::to_string(seed)};
}

std::vector<std::string> method_study::units(method_setting const& what) const {
  if (what.method == "dpo") return {study_.unit({what.loss, *what.strength, "trained"})};
  std::vector<std::string> out = {unit_of(what, seed_)};
  if (what.method == "iterative_dpo") {
    for (std::size_t r = 1; r <= how_.rounds; ++r) {
      out.push_back(out.front() + "-round-" + std::to_string(r));
    }
  }
  return out;
}

void method_study::start(std::uint64_t seed) {
  seed_ = seed;
  policy_ = nullptr;
  study_.use(keeping_);
  (void)study_.start(seed);
  model& start = study_.start_model();
  prefer::choice_data const& pairs = study_.pairs();
  clock_ = program::cpu_clock();
  clock_.go();
  reward_.emplace(fit_reward(start, pairs, how_.centering,
                             {.batch_size = options_.batch_size,
                              .epochs = 1,  // the draws of all epochs are in the data
                              .seed = seed,
                              .rate = options_.tune_rate,
                              .threads = threads_},
                             keeping_, start_units(seed).back()));
  clock_.hold();
  study_.use(guard_);
  reward_->policy().use(threads_);
  reward_seconds_ = clock_.seconds();
  start_reward_ =
      mean_score(data_, said_by(start, threads_), said_by(reward_->policy(), threads_), threads_);
}

method_row method_study::run(method_setting const& what) {
  method_row row{.what = what, .seed = seed_};
  if (asks_reward(what.method)) row.reward_seconds = reward_seconds_;
  row.seconds = row.reward_seconds;
  model& start = study_.start_model();
  auto const said_by_start = said_by(start, threads_);
  auto const rewards = said_by(reward_->policy(), threads_);
  model policy = start;
  item_log_probs said;
  if (what.method == "best_of_n" || what.method == "optimum" || what.method == "start" ||
      what.method == "reward_model") {
    said = policy_without_training(what);
  } else {
    train(row, policy);
    policy.use(threads_);  // the trainer gave its threads back
    said = said_by(policy, threads_);
  }
  row.quality = judge(data_, said, said_by_start, threads_);
  row.reward_gain = mean_score(data_, said, rewards, threads_) - start_reward_;
  if (what.method == "reward_model") {
    row.reward = judge_pairs(data_, rewards, 1.0, {}, threads_);
  } else if (what.strength && what.method != "best_of_n") {
    row.reward = judge_pairs(data_, said, *what.strength, said_by_start, threads_);
  }
  return row;
}

item_log_probs method_study::policy_without_training(method_setting const& what) {
  auto const said_by_start = said_by(study_.start_model(), threads_);
  if (what.method == "start") return said_by_start;
  auto const rewards = said_by(reward_->policy(), threads_);
  if (what.method == "reward_model") return rewards;
  start_and_reward const of{
      .start = said_by_start, .reward = rewards, .items = data_.items, .threads = threads_};
  return what.method == "optimum" ? optimum_of(of, *what.strength)
                                  : best_of_n(of, static_cast<std::size_t>(*what.strength));
}

void method_study::train(method_row& row, model& policy) {
  policy_ = &policy;
  row_ = &row;
  steps_before_ = 0;
  clock_ = program::cpu_clock();
  if (how_.judgings != 0) add_to_course(0);
  method_setting const& what = row.what;
  std::string const unit = unit_of(what, seed_);
  prefer::choice_data chosen;
  if (what.method == "sft_on_chosen") {
    auto const& pairs = study_.pairs();
    for (std::size_t k = 0; k < pairs.size(); ++k) {
      chosen.add_labelled(pairs.prompt[k], pairs.completion[2 * k], true);
    }
  }
  clock_.go();
  if (what.method == "dpo") {
    (void)study_.tune(policy, {what.loss, *what.strength, "trained"});
  } else if (what.method == "sft_on_chosen") {
    prefer::no_reference<float> none;
    prefer::trainer run(policy, likelihood, none, chosen,
                        {.batch_size = options_.batch_size,
                         .epochs = 1,
                         .seed = seed_,
                         .rate = options_.tune_rate,
                         .threads = threads_});
    guard_.run(run, unit);
  } else if (what.method == "iterative_dpo") {
    train_in_rounds(row, policy);
  } else {
    row.drawn_items = train_by_drawing(what.method, drawing(row, policy, unit));
  }
  clock_.hold();
  row.seconds += clock_.seconds();
  policy_ = nullptr;
}

drawing_task method_study::drawing(method_row const& row, model& policy, std::string const& unit) {
  // As many items as DPO has completions in its pairs, in batches as large.
  return {.policy = policy,
          .start = study_.start_model(),
          .reward = *reward_,
          .people = people_with_preferences(data_),
          .amount = {.per_step = 2 * options_.batch_size,
                     .per_person = 2 * options_.pairs_per_person * options_.tune_epochs,
                     .completions = how_.completions},
          .training = {.batch_size = options_.batch_size,
                       .seed = seed_,
                       .rate = options_.tune_rate,
                       .threads = threads_},
          .strength = *row.what.strength,
          .kept_bytes = how_.kept_bytes,
          .guard = guard_,
          .unit = unit,
          .moves = [this](model& moving) { policy_ = &moving; }};
}

void method_study::train_in_rounds(method_row& row, model& policy) {
  std::size_t const draws = options_.pairs_per_person * options_.tune_epochs;
  for (std::size_t round = 1; round <= how_.rounds; ++round) {
    std::size_t const count = draws * round / how_.rounds - draws * (round - 1) / how_.rounds;
    if (count == 0) continue;
    auto const cost = train_in_a_round(drawing(row, policy, units(row.what)[round]), count, round);
    row.drawn_items += cost.items;
    steps_before_ += cost.steps;
  }
}

void method_study::at_step(std::uint64_t step, std::uint64_t steps) {
  if (outer_.on_step) outer_.on_step(step, steps);
  if (how_.judgings == 0 || policy_ == nullptr) return;
  if (program::interrupted) throw program::stop();  // no trainer is kept that could be asked to
  std::uint64_t const every = std::max<std::uint64_t>(1, steps / how_.judgings);
  if (step % every != 0 && step != steps) return;
  clock_.hold();
  add_to_course(steps_before_ + step);
  clock_.go();
}

void method_study::add_to_course(std::uint64_t step) {
  auto const quality =
      judge(data_, said_by(*policy_, threads_), said_by(study_.start_model(), threads_), threads_);
  row_->course.push_back({.step = step,
                          .seconds = row_->reward_seconds + clock_.seconds(),
                          .ndcg_at_10 = quality.ndcg_at_10.value_or(NAN),
                          .kl_start = quality.kl_start});
}

}  // namespace recommend
