// SPDX-License-Identifier: MIT
#include "drawing_methods.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <prefer/batch/token_table.hpp>
#include <prefer/expects.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/grpo.hpp>
#include <prefer/loss/nash_md.hpp>
#include <prefer/loss/ppo.hpp>
#include <prefer/loss/rloo.hpp>
#include <prefer/loss/xpo.hpp>
#include <prefer/model/values.hpp>
#include <prefer/policy/one_token.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/group_methods.hpp>
#include <prefer/train/judges.hpp>
#include <prefer/train/ppo_method.hpp>
#include <prefer/train/rollouts.hpp>
#include <prefer/train/sampled.hpp>
#include <prefer/train/trainer.hpp>

namespace recommend {

namespace {

using drawing_policy = prefer::one_token<model>;

/// A forward pass of the recommender rearranges all items, whether it is asked about few draws or many.
constexpr std::size_t all_at_once = std::size_t{1} << 30;

/// Items that a method draws of a person at a time.
std::size_t completions_of(std::string const& method, drawing_amount const& amount) {
  bool const by_pairs = method == "online_dpo" || method == "xpo" || method == "nash_md";
  return by_pairs ? 2 : amount.completions;
}
/// Steps of the trainer on what was drawn at one.
std::size_t passes_of(std::string const& method, drawing_amount const& amount) {
  return method == "ppo" ? amount.passes : 1;
}

/// People who are asked at a time.
std::size_t people_per_step(drawing_task const& task, std::size_t completions) {
  return std::clamp<std::size_t>(task.amount.per_step / completions, 1, task.people.size());
}

/// Times that items are drawn until each of all people came once.
std::uint64_t times_for_all(drawing_task const& task, std::size_t completions) {
  std::size_t const each = people_per_step(task, completions);
  return (task.people.size() + each - 1) / each;
}
/// Times that items are drawn: each of all people comes once before anybody comes again.
std::uint64_t times_of(drawing_task const& task, std::size_t completions) {
  if (task.amount.times != 0) return task.amount.times;
  return (task.amount.per_person + completions - 1) / completions *
         times_for_all(task, completions);
}

/// The policy in a wrapper that draws, and the start model beside it, for as long as a training takes.
struct at_work {
  drawing_task const& task;
  prefer::token_table table;
  drawing_policy policy;
  prefer::frozen<drawing_policy> start;

  explicit at_work(drawing_task const& of)
      : task(of), policy(std::move(of.policy), table), start(drawing_policy(of.start, table)) {}

  template <class Loss, class Source>
  void train(Loss const& loss, Source& source, std::uint64_t steps) {
    task.moves(policy.policy());
    prefer::train_options how = task.training;
    how.steps = steps;
    prefer::trainer run(policy, loss, start, source, how);
    task.guard.run(run, task.unit);
    task.policy = std::move(policy.policy());
    task.moves(task.policy);
  }
};

/// Who chooses between two items: the reward model, with the odds of the difference.
using annotator = prefer::bradley_terry_preference<item_reward>;

/// Draws two at a time.
template <class Loss, class Writer, class Judge>
void by_pairs(at_work& here, Loss const& loss, Writer& writer, Judge judge) {
  drawing_task const& task = here.task;
  prefer::sampled source(writer, here.table, task.people, judge,
                         {.prompts_per_step = people_per_step(task, 2),
                          .completions = 2,
                          .sampling = {.max_tokens = 1},
                          .seed = task.training.seed});
  here.train(loss, source, times_of(task, 2));
}

void online_dpo(drawing_task const& task) {
  at_work here(task);
  by_pairs(here, prefer::dpo{.beta = task.strength}, here.policy,
           prefer::drawn_preference{annotator{item_reward(task.reward)}});
}

/// What is worked out of a person's row of the start model, which does not move: kept for as many people as fit, and worked
/// out anew for the others.
template <class Of>
class kept_of_start {
 public:
  kept_of_start(drawing_task const& task, std::size_t bytes_of_item)
      : start_(&task.start),
        of_(task.start.prompts()),
        left_(task.kept_bytes / (task.start.completions() * bytes_of_item)) {}

  /// `make` makes it of the log-probabilities of all items.
  template <class Make>
  [[nodiscard]] Of const& operator()(std::uint32_t person, Make const& make) {
    std::optional<Of>& kept = of_[person];
    if (kept) return *kept;
    std::vector<float> row(start_->completions());
    start_->log_probs(person, row);
    std::optional<Of>& into = left_ != 0 ? kept : last_;
    left_ -= left_ != 0 ? 1 : 0;
    return into.emplace(make(std::move(row)));
  }

 private:
  model const* start_;
  std::vector<std::optional<Of>> of_;  // of each person
  std::optional<Of> last_;
  std::size_t left_;
};

/// Draws from the start.
class start_itself {
 public:
  explicit start_itself(drawing_task const& task) : sampler_(task, sizeof(double)) {}

  [[nodiscard]] prefer::token_sampler const& operator()(std::uint32_t person,
                                                        prefer::sampling_options const& how,
                                                        std::span<float const>) {
    return sampler_(person, [&](std::vector<float> const& row) {
      prefer::token_sampler out(how);
      out.take(std::span(row));
      return out;
    });
  }

 private:
  kept_of_start<prefer::token_sampler> sampler_;
};

/// Draws from a half-and-half geometric mixture of the policy, as it is then, and the start.
///
///   log_prob = (policy's + start's) / 2, normalised
class half_and_half {
 public:
  explicit half_and_half(drawing_task const& task) : row_(task, sizeof(float)) {}

  [[nodiscard]] prefer::token_sampler const& operator()(std::uint32_t person,
                                                        prefer::sampling_options const& how,
                                                        std::span<float const> policy) {
    std::vector<float> const& start = row_(person, [](std::vector<float> row) { return row; });
    mixed_.resize(policy.size());
    for (std::size_t y = 0; y < mixed_.size(); ++y) {
      mixed_[y] = static_cast<float>(0.5 * static_cast<double>(policy[y]) +
                                     0.5 * static_cast<double>(start[y]));
    }
    sampler_.emplace(how).take(std::span<float const>(mixed_));
    return *sampler_;
  }

 private:
  kept_of_start<std::vector<float>> row_;
  std::vector<float> mixed_;
  std::optional<prefer::token_sampler> sampler_;
};

/// Draws the first of two items by the policy, as it is then, and the second by another.
template <class Second>
class two_writers {
 public:
  explicit two_writers(at_work const& here) : here_(&here), second_(here.task) {}

  void sample(std::span<std::uint32_t const> people, prefer::sampling_options const& how,
              prefer::random_address const& from, prefer::token_table& into,
              std::span<std::uint32_t> ids) {
    std::vector<float> row(here_->task.start.completions());
    prefer::token_sampler first(how);
    prefer::random_address address = from;
    for (std::size_t i = 0; i < people.size(); ++i, ++address.index) {
      if (i % 2 == 0) {
        here_->policy.policy().log_probs(people[i], row);
        first.take(std::span<float const>(row));
      }
      prefer::random_stream numbers(address);
      std::uint32_t const item = (i % 2 == 0 ? first : second_(people[i], how, row)).next(numbers);
      ids[i] = into.add(std::span(&item, 1));
    }
  }

 private:
  at_work const* here_;
  Second second_;
};

/// A pair of which is known whether the start drew the chosen item.
struct against_the_start {
  prefer::drawn_preference<annotator> judge;

  void operator()(prefer::written_completions const& two, prefer::choice_data& examples) const {
    std::size_t const before = examples.size();
    judge(two, examples);
    if (examples.size() == before) return;
    bool const by_start = examples.completion[2 * before] == two.completion[1];
    examples.chosen_from_reference.push_back(by_start ? 1.0f : 0.0f);
  }
};

/// The first item as an example, whose score is the probability that it wins against the second.
struct against_the_mixture {
  annotator preference;

  void operator()(prefer::written_completions const& two, prefer::choice_data& examples) const {
    double const wins = preference(two);
    examples.add_labelled(two.prompt, two.completion[0], wins > 0.5);
    examples.length.push_back(1.0f);
    examples.score.push_back(static_cast<float>(wins));
  }
};

void xpo(drawing_task const& task) {
  at_work here(task);
  two_writers<start_itself> writers(here);
  by_pairs(here, prefer::xpo{.beta = task.strength}, writers,
           against_the_start{{annotator{item_reward(task.reward)}}});
}

void nash_md(drawing_task const& task) {
  at_work here(task);
  two_writers<half_and_half> writers(here);
  by_pairs(here, prefer::nash_md{.beta = task.strength}, writers,
           against_the_mixture{annotator{item_reward(task.reward)}});
}

/// By a policy gradient: of a loss, with advantages by a method.
template <class Loss, class Method>
void by_rollouts(drawing_task const& task, Loss const& loss, Method method,
                 std::size_t passes = 1) {
  at_work here(task);
  std::size_t const each = task.amount.completions;
  prefer::rollouts source(here.policy, here.table, task.people, item_reward(task.reward),
                          here.start, std::move(method),
                          {.prompts = people_per_step(task, each),
                           .completions = each,
                           .epochs = passes,
                           .sampling = {.max_tokens = 1, .side_by_side = all_at_once},
                           .seed = task.training.seed});
  here.train(loss, source, times_of(task, each) * passes);
}

void ppo(drawing_task const& task) {
  // What a person's items are worth on average is a number per person, beside the policy.
  prefer::prompt_values<double> values(task.policy.prompts());
  by_rollouts(
      task, prefer::clipped_surrogate{},
      prefer::ppo_method(values, {.kl = {.coefficient = task.strength}, .value = {.rate = 0.1}}),
      task.amount.passes);
}

void grpo(drawing_task const& task) {
  auto const method = prefer::grpo_method({.scale = prefer::reward_scale::none});
  if (task.strength == 0.0) {  // without its KL term it is the clipped surrogate
    by_rollouts(task, prefer::clipped_surrogate{}, method);
  } else {
    by_rollouts(task, prefer::grpo{.beta = task.strength}, method);
  }
}

}  // namespace

std::uint64_t train_by_drawing(std::string const& method, drawing_task const& task) {
  prefer::kl_control const kl{.coefficient = task.strength};
  if (method == "online_dpo") {
    online_dpo(task);
  } else if (method == "xpo") {
    xpo(task);
  } else if (method == "nash_md") {
    nash_md(task);
  } else if (method == "ppo") {
    ppo(task);
  } else if (method == "rloo") {
    by_rollouts(task, prefer::rloo{}, prefer::rloo_method({.kl = kl}));
  } else if (method == "reinforce") {
    by_rollouts(task, prefer::reinforce{}, prefer::reinforce_method({.kl = kl}));
  } else if (method == "grpo") {
    grpo(task);
  } else {
    prefer::refuse("recommend: unknown method " + method);
  }
  return drawn_after(method, task, steps_of(method, task));
}

std::uint64_t steps_of(std::string const& method, drawing_task const& task) {
  return times_of(task, completions_of(method, task.amount)) * passes_of(method, task.amount);
}

std::uint64_t drawn_after(std::string const& method, drawing_task const& task,
                          std::uint64_t steps) {
  std::size_t const passes = passes_of(method, task.amount);
  std::size_t const completions = completions_of(method, task.amount);
  std::uint64_t const times = (steps + passes - 1) / passes;
  std::uint64_t const each = people_per_step(task, completions);
  std::uint64_t const people = task.people.size();
  std::uint64_t const parts = times_for_all(task, completions);
  return completions * (times / parts * people + std::min(times % parts * each, people));
}

round_cost train_in_a_round(drawing_task const& task, std::size_t count, std::uint64_t round) {
  round_cost out{.items = 2 * count * task.people.size()};
  auto const pairs =
      judged_draws(task.policy, task.reward, task.people, count, task.training.seed, round);
  if (pairs.size() != 0) {
    task.policy.use(task.training.threads);  // a trainer gives its threads back
    model before = task.policy;
    auto reference = prefer::cached<float>::of(before, pairs);
    prefer::trainer run(task.policy, prefer::dpo{.beta = task.strength}, reference, pairs,
                        task.training);
    out.steps = run.steps_planned();
    task.guard.run(run, task.unit);
  }
  return out;
}

prefer::choice_data judged_draws(model const& policy, reward_model& reward,
                                 std::vector<std::uint32_t> const& people, std::size_t count,
                                 std::uint64_t seed, std::uint64_t round) {
  prefer::token_table table;
  drawing_policy const writer(policy, table);
  std::vector<std::uint32_t> asked;
  for (std::uint32_t const p : people) asked.insert(asked.end(), 2 * count, p);
  std::vector<std::uint32_t> drawn(asked.size());
  writer.sample(asked, {.max_tokens = 1},
                {.seed = seed, .purpose = prefer::random_purpose::completion, .step = round}, table,
                drawn);
  prefer::drawn_preference judge{prefer::bradley_terry_preference{item_reward(reward)}};
  prefer::choice_data out;
  for (std::size_t k = 0; k < people.size(); ++k) {
    judge({.prompt = people[k],
           .completion = std::span<std::uint32_t const>(drawn).subspan(2 * count * k, 2 * count),
           .table = table,
           .address = {.seed = seed,
                       .purpose = prefer::random_purpose::preference,
                       .step = round,
                       .index = k << 16}},
          out);
  }
  for (std::uint32_t& each : out.completion) each = table.tokens(each).front();
  return out;
}

}  // namespace recommend
