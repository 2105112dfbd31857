// SPDX-License-Identifier: MIT
#include "drawing_methods.hpp"

#include <algorithm>
#include <utility>

#include <prefer/batch/token_table.hpp>
#include <prefer/expects.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/nash_md.hpp>
#include <prefer/loss/ppo.hpp>
#include <prefer/loss/rloo.hpp>
#include <prefer/loss/xpo.hpp>
#include <prefer/model/values.hpp>
#include <prefer/policy/one_token.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <prefer/random/philox.hpp>
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

/// Draws for each person in a whole training: two for each preference that DPO learns from.
std::uint64_t draws_per_person(study_options const& options) {
  return 2 * options.pairs_per_person * options.tune_epochs;
}

/// People who are asked in a step, so that as many items are drawn in it as a batch of pairs has.
std::size_t people_per_step(drawing_task const& task, std::size_t completions) {
  return std::clamp<std::size_t>(2 * task.options.batch_size / completions, 1, task.people.size());
}

prefer::train_options train_options_of(drawing_task const& task, std::uint64_t steps) {
  return {
      .steps = steps, .seed = task.seed, .rate = task.options.tune_rate, .threads = task.threads};
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
    prefer::trainer run(policy, loss, start, source, train_options_of(task, steps));
    task.guard.run(run, task.unit);
    task.policy = std::move(policy.policy());
    task.moves(task.policy);
  }
};

/// Who chooses between two items: the reward model, with the odds of the difference.
using annotator = prefer::bradley_terry_preference<item_reward>;

/// As many draws as DPO has completions, two at a time.
template <class Loss, class Writer, class Judge>
std::uint64_t by_pairs(at_work& here, Loss const& loss, Writer& writer, Judge judge) {
  drawing_task const& task = here.task;
  std::uint64_t const asked = draws_per_person(task.options) / 2;
  prefer::sampled source(writer, here.table, task.people, judge,
                         {.prompts_per_step = people_per_step(task, 2),
                          .completions = 2,
                          .sampling = {.max_tokens = 1},
                          .seed = task.seed});
  here.train(loss, source, asked * source.steps_per_epoch());
  return 2 * asked * task.people.size();
}

std::uint64_t online_dpo(drawing_task const& task) {
  at_work here(task);
  return by_pairs(here, prefer::dpo{.beta = task.strength}, here.policy,
                  prefer::drawn_preference{annotator{item_reward(task.reward)}});
}

/// Draws the first of two items by the policy, as it is then, and the second by a geometric mixture of it and the start.
///
///   log_prob = share * policy's + (1 - share) * start's, normalised
class two_writers {
 public:
  two_writers(at_work const& here, double share) : here_(&here), share_(share) {}

  void sample(std::span<std::uint32_t const> people, prefer::sampling_options const& how,
              prefer::random_address const& from, prefer::token_table& into,
              std::span<std::uint32_t> ids) const {
    std::vector<float> policy(here_->task.start.completions());
    std::vector<float> mixed(policy.size());
    prefer::token_sampler draw(how);
    prefer::random_address address = from;
    for (std::size_t i = 0; i < people.size(); ++i, ++address.index) {
      if (i % 2 == 0) {
        here_->policy.policy().log_probs(people[i], policy);
        here_->task.start.log_probs(people[i], mixed);
        for (std::size_t y = 0; y < mixed.size(); ++y) {
          mixed[y] = static_cast<float>(share_ * static_cast<double>(policy[y]) +
                                        (1.0 - share_) * static_cast<double>(mixed[y]));
        }
      }
      prefer::random_stream numbers(address);
      std::uint32_t const item = draw(std::span<float const>(i % 2 == 0 ? policy : mixed), numbers);
      ids[i] = into.add(std::span(&item, 1));
    }
  }

 private:
  at_work const* here_;
  double share_;
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

std::uint64_t xpo(drawing_task const& task) {
  at_work here(task);
  two_writers writers(here, 0.0);  // the start itself
  return by_pairs(here, prefer::xpo{.beta = task.strength}, writers,
                  against_the_start{{annotator{item_reward(task.reward)}}});
}

std::uint64_t nash_md(drawing_task const& task) {
  at_work here(task);
  two_writers writers(here, 0.5);
  return by_pairs(here, prefer::nash_md{.beta = task.strength}, writers,
                  against_the_mixture{annotator{item_reward(task.reward)}});
}

/// As many draws by a policy gradient: of a loss, with advantages by a method.
template <class Loss, class Method>
std::uint64_t by_rollouts(drawing_task const& task, Loss const& loss, Method method,
                          std::size_t passes = 1) {
  at_work here(task);
  std::size_t const each = task.how.completions;
  std::uint64_t const asked = (draws_per_person(task.options) + each - 1) / each;
  prefer::rollouts source(here.policy, here.table, task.people, item_reward(task.reward),
                          here.start, std::move(method),
                          {.prompts = people_per_step(task, each),
                           .completions = each,
                           .epochs = passes,
                           .sampling = {.max_tokens = 1, .side_by_side = all_at_once},
                           .seed = task.seed});
  here.train(loss, source, asked * source.steps_per_epoch());
  return each * asked * task.people.size();
}

std::uint64_t ppo(drawing_task const& task) {
  // What a person's items are worth on average is a number per person, beside the policy.
  prefer::prompt_values<double> values(task.policy.prompts());
  constexpr std::size_t passes = 2;  // over each rollout, so that there is a ratio to be clipped
  return by_rollouts(
      task, prefer::clipped_surrogate{},
      prefer::ppo_method(values, {.kl = {.coefficient = task.strength}, .value = {.rate = 0.1}}),
      passes);
}

}  // namespace

std::uint64_t train_by_drawing(std::string const& method, drawing_task const& task) {
  if (method == "online_dpo") return online_dpo(task);
  if (method == "xpo") return xpo(task);
  if (method == "nash_md") return nash_md(task);
  if (method == "ppo") return ppo(task);
  prefer::kl_control const kl{.coefficient = task.strength};
  if (method == "rloo") return by_rollouts(task, prefer::rloo{}, prefer::rloo_method({.kl = kl}));
  if (method == "reinforce") {
    return by_rollouts(task, prefer::reinforce{}, prefer::reinforce_method({.kl = kl}));
  }
  prefer::refuse("recommend: unknown method " + method);
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
