// SPDX-License-Identifier: MIT
#include "arena.hpp"

#include <algorithm>
#include <utility>

#include <prefer/loss/bradley_terry.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/reward/reward_model.hpp>
#include <prefer/reward/scalar_head.hpp>
#include <prefer/train/trainer.hpp>

#include "descent.hpp"

namespace sweep {

namespace {

constexpr double centering = 0.01;
constexpr std::uint64_t adamw_steps = 500;
constexpr double adamw_rate = 0.05;

/// Trains a reward model and asks it about every completion.
template <class M>
fitted_reward fitted(M model, exact_problem const& of, reward_fit fit) {
  run_meter meter;
  auto const pairs = labelled_pairs(of);
  if (fit == reward_fit::descent) {
    // The step of dpo is 4 / beta; a sequence moves as many scores as it has tokens.
    descend(model, prefer::bradley_terry{}, pairs, {},
            {.step = 4.0 / static_cast<double>(of.start_tokens().length),
             .steps = method_options{}.steps,
             .drawn = of.drawn()});
  } else {
    prefer::no_reference<double> none;
    prefer::trainer fitting(model, prefer::bradley_terry{.centering = centering}, none, pairs,
                            {.batch_size = pairs.size(), .steps = adamw_steps, .rate = adamw_rate});
    fitting.run();
  }
  meter.hold();
  run_meter listing;  // which takes time, and memory only where all completions are listed
  std::size_t const count = of.all().start.size();
  std::vector<std::uint32_t> every(count);
  for (std::uint32_t i = 0; i < every.size(); ++i) every[i] = i;
  std::vector<std::uint32_t> const prompt = {0};
  std::vector<std::size_t> const offset = {0, count};
  fitted_reward out{.reward = numbers(count)};
  model.log_prob(prefer::choice_batch{prompt, every, offset}, std::span<double>(out.reward));
  double const at_start = expectation(of.all().start, out.reward);
  for (double& each : out.reward) each -= at_start;
  for (auto const& each : model.parameters()) out.parameters += each.value.size();
  listing.hold();
  out.seconds = meter.seconds() + listing.seconds();
  out.peak_bytes = meter.peak_bytes();
  return out;
}

}  // namespace

std::string name_of(budget_kind budget) {
  return budget == budget_kind::labels ? "labels" : "samples";
}

std::string name_of(reward_fit fit) { return fit == reward_fit::descent ? "descent" : "adamw"; }

std::string name_of(swept_number number) {
  switch (number) {
    case swept_number::n:
      return "n";
    case swept_number::steps:
      return "steps";
    case swept_number::beta:
      break;
  }
  return "beta";
}

std::size_t method_options::online_steps() const {
  if (budget == budget_kind::labels) return steps;
  return static_cast<std::size_t>(amount) / batch;
}

std::string method_options::why_no_online_steps(std::size_t completions) const {
  if (batch % completions != 0) {
    return "a step of " + std::to_string(batch) + " completions is no multiple of " +
           std::to_string(completions);
  }
  if (budget == budget_kind::labels || amount % batch == 0) return {};
  return std::to_string(amount) + " samples are not spent by steps of " + std::to_string(batch) +
         "; give a multiple, or another --batch";
}

arena::arena(task const& of, std::shared_ptr<problem const> given, std::uint64_t seed,
             method_options const& options)
    : of_(of),
      given_(std::move(given)),
      exact_(dynamic_cast<exact_problem const*>(given_.get())),
      seed_(seed),
      options_(options) {
  if (exact_ == nullptr) {
    ratings_ =
        std::make_unique<ratings_arena>(dynamic_cast<ratings const&>(of),
                                        dynamic_cast<ratings_pairs const&>(*given_), seed, options);
    return;
  }
  if (by_labels()) {
    learned_ = fit_reward(*exact_, options.fit);
    reward_ = learned_.reward;
  } else {
    reward_ = exact_->all().reward;
    for (double& each : reward_) each *= label_sharpness;
  }
}

std::vector<std::uint64_t> arena::judged_at(std::uint64_t steps) {
  std::vector<std::uint64_t> out;
  for (std::uint64_t const share : {16U, 8U, 4U, 2U, 1U}) {
    std::uint64_t const at = (steps + share - 1) / share;
    if (out.empty() || at > out.back()) out.push_back(at);
  }
  return out;
}

progress_point arena::judge(numbers const& log_prob, std::uint64_t step,
                            spending const& spent) const {
  progress_point out{.step = step, .spent = spent, .quality = exact_->judge(log_prob, &start())};
  if (by_labels()) out.learned_reward = expectation(log_prob, learned_.reward) / label_sharpness;
  return out;
}

fitted_reward fit_reward(exact_problem const& of, reward_fit fit) {
  auto const shape = of.start_tokens();
  if (shape.length == 1) {
    return fitted(prefer::logit_score(prefer::tabular<double>(1, shape.vocabulary)), of, fit);
  }
  auto const table = prefer::token_table::all_of_length(shape.vocabulary, shape.length);
  return fitted(prefer::scalar_head(prefer::transition_counts<double>(shape.vocabulary, table)), of,
                fit);
}

prefer::choice_data labelled_pairs(exact_problem const& of) {
  prefer::choice_data out;
  auto const& completion = of.completions();
  for (std::size_t i = 0; i < completion.size(); i += 2) {
    out.add_pair(0, completion[i], completion[i + 1]);
  }
  return out;
}

method_run method::run(arena const& on, double number) const {
  return on.is_exact() ? run_listed(on, number) : run_on_ratings(on, number);
}

std::vector<std::shared_ptr<method const>> all_methods() {
  std::vector<std::shared_ptr<method const>> out = offline_methods();
  auto const add = [&](auto const& more) { out.insert(out.end(), more.begin(), more.end()); };
  out.push_back(iterative_method());
  add(online_methods());
  out.push_back(nash_method());
  add(policy_gradient_methods());
  add(exact_methods());
  return out;
}

std::vector<std::string> names_of_methods() {
  std::vector<std::string> out;
  for (auto const& each : all_methods()) out.push_back(each->name());
  return out;
}

}  // namespace sweep
