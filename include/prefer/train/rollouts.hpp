// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/minibatch.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <prefer/policy/token_policy.hpp>
#include <prefer/random/order.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/reference/reference.hpp>
#include <prefer/train/example_source.hpp>
#include <prefer/train/judges.hpp>
#include <prefer/train/rollout.hpp>
#include <prefer/train/rollout_parts.hpp>

namespace prefer::inline v0_1 {

namespace detail {

template <class R>
inline constexpr bool is_no_reference = false;
template <class T>
inline constexpr bool is_no_reference<no_reference<T>> = true;

}  // namespace detail

/// Completions that the policy writes itself, with their advantages: training by policy gradients.
///
///   prefer::rollouts source(policy, table, prompts, reward, reference,
///                           prefer::rloo_method({.kl = {.coefficient = 0.05}}), {.completions = 4});
///   prefer::trainer training(policy, prefer::rloo{}, reference, source, {.steps = 1000});
///
/// At the first step of a rollout the policy writes `completions` for each of `prompts` prompts, the reward scores them,
/// policy and reference say how probable they are, and the method makes advantages of that. Then each step has a minibatch
/// of them, with the columns score, which is the advantage, and behaviour; each epoch has an order of its own. Prompts come
/// as in `sampled`. Completions are numbers of `table`, behind what it had when the source was made: those of a rollout
/// take the place of those before, and go with the source. Policy, table, reference and what the method borrows outlive the
/// source, which serves one trainer.
///
/// Resume  a checkpoint holds the rollout and the method's state: the same bits from any step, inside a rollout too
/// Processes  each writes and scores its part of the prompts, then all have the whole rollout, and each learns from its
///         part of every minibatch
/// Errors  precondition_error for no prompts, and for 0 of what rollout_options count; for more minibatches than completions
///         in the smallest rollout; for a reference that is not normalised, or for none where it is paid for; those of the
///         method; for a reward that is not finite; for a step out of turn
template <SamplingPolicy P, Reward F, class R, AdvantageMethod M>
  requires Policy<P, choice_batch> && Reference<R, choice_batch>
class rollouts {
  static_assert(
      !M::over_tokens || TokenPolicy<P, choice_batch>,
      "prefer: this method is over tokens, which this policy does not give; a token policy "
      "has token_offsets, token_log_prob and token_backward");
  static constexpr bool asks_reference = M::reads_reference && !detail::is_no_reference<R>;
  static_assert(
      !M::over_tokens || !asks_reference || TokenReference<R, choice_batch>,
      "prefer: this method asks a reference token by token, which this reference does not "
      "give; it has token_offsets and token_log_prob, as a frozen token policy has");

 public:
  rollouts(P& policy, token_table& table, std::vector<std::uint32_t> prompts, F reward,
           R& reference, M method, rollout_options const& options = {})
      : policy_(&policy),
        table_(&table),
        own_completions_(table.size()),
        prompts_(std::move(prompts)),
        reward_(std::move(reward)),
        reference_(&reference),
        method_(std::move(method)),
        options_(options) {
    check();
  }
  rollouts(rollouts const&) = delete;
  rollouts& operator=(rollouts const&) = delete;
  ~rollouts() { table_->keep_first(own_completions_); }

  /// One rollout for each part of the prompts, until all had their turn.
  [[nodiscard]] std::uint64_t steps_per_epoch() const { return parts() * steps_each(); }
  /// Steps of the trainer that a rollout serves for.
  [[nodiscard]] std::uint64_t steps_each() const {
    return std::uint64_t{options_.epochs} * options_.minibatches;
  }
  /// Of the prompts, the options, the method and, where it has an identity, the reward.
  [[nodiscard]] std::uint64_t identity() const {
    fingerprint out;
    out.add(detail::identity_of_judge("rollouts", reward_)).add(view_of(prompts_));
    for (std::size_t const each :
         {options_.prompts, options_.completions, options_.epochs, options_.minibatches,
          options_.sampling.max_tokens, options_.sampling.top_k}) {
      out.add(static_cast<std::uint64_t>(each));
    }
    auto const& how = options_.sampling;
    out.add(how.stop_token.has_value()).add(how.stop_token.value_or(0)).add(options_.seed);
    out.add(static_cast<double>(how.temperature)).add(static_cast<double>(how.top_p));
    return out.add(static_cast<std::uint64_t>(method_.identity())).value();
  }

  void gather(std::uint64_t step, batch_part const& part, choice_minibatch& out) {
    expects(part.size == 1, "rollouts: of several processes each has to be given the others");
    gather(step, part, out, single_process{});
  }
  void gather(std::uint64_t step, batch_part const& part, choice_minibatch& out, auto const& all) {
    std::uint64_t const within = step % steps_each();
    if (!written_ || done_ != step || number_ != step / steps_each()) {
      if (within != 0) {
        detail::broken("rollouts: step " + std::to_string(step + 1) +
                       " is inside of a rollout that was not written here; a run goes on from its "
                       "checkpoint");
      }
      write(step, part, all);
    }
    choose_rows(within);
    auto const mine = part.of(view_of(rows_));
    fill(mine, part.begin(rows_.size()), step, out);
  }

  /// After optimizer step `step`, counted from 1.
  void after_step(std::uint64_t step, auto const& all) {
    done_ = step;
    if constexpr (requires { method_.learn(rollout_, view_of(rows_), step, all); }) {
      method_.learn(rollout_, view_of(rows_), step - 1, all);
    }
  }

  [[nodiscard]] rollout_report const& last() const { return report_; }
  /// What is learned from now.
  [[nodiscard]] rollout const& current() const { return rollout_; }
  [[nodiscard]] M const& method() const { return method_; }

  void save(archive_writer& file) const {
    file.add("rollout/written", std::uint64_t{written_ ? 1u : 0u});
    file.add("rollout/number", number_);
    file.add("rollout/done", done_);
    file.add("rollout/paid", report_.kl_coefficient);
    detail::save(file, rollout_, *table_);
    method_.save(file);
  }

  /// What a checkpoint holds of a source.
  struct state {
    bool written = false;
    std::uint64_t number = 0;
    std::uint64_t done = 0;
    double paid = 0.0;
    detail::saved_rollout of = {};
    decltype(std::declval<M const&>().state_in(std::declval<archive const&>())) of_method{};
  };
  /// Errors  backend_error for entries that are missing or do not fit
  [[nodiscard]] state state_in(archive const& file) const {
    state out{.written = file.number<std::uint64_t>("rollout/written") != 0,
              .number = file.number<std::uint64_t>("rollout/number"),
              .done = file.number<std::uint64_t>("rollout/done"),
              .paid = file.number<double>("rollout/paid"),
              .of = {},
              .of_method = method_.state_in(file)};
    std::size_t const count = out.written ? prompts_of(out.number) * options_.completions : 0;
    out.of = detail::saved_rollout_in(file, count, M::over_tokens, asks_reference);
    return out;
  }
  void resume(state from) {
    written_ = from.written;
    number_ = from.number;
    done_ = from.done;
    order_of_ = none;
    method_.resume(std::move(from.of_method));
    if (!written_) return;
    rollout_.prompt = prompts_in({});
    table_->keep_first(own_completions_);
    detail::restore(rollout_, *table_, std::move(from.of));
    measure();
    report_.kl_coefficient = from.paid;
  }

 private:
  static constexpr std::uint64_t none = std::numeric_limits<std::uint64_t>::max();

  void check() {
    expects(!prompts_.empty(), "rollouts: there is no prompt");
    expects(options_.prompts > 0, "rollouts: prompts must be at least 1");
    expects(options_.completions > 0, "rollouts: completions must be at least 1");
    expects(options_.epochs > 0, "rollouts: epochs must be at least 1");
    expects(options_.minibatches > 0, "rollouts: minibatches must be at least 1");
    expects(options_.sampling.max_tokens > 0, "rollouts: max_tokens must be at least 1");
    std::size_t const fewest = prompts_of(parts() - 1) * options_.completions;
    if (options_.minibatches > fewest) {
      detail::broken("rollouts: minibatches is " + std::to_string(options_.minibatches) +
                     ", more than the " + std::to_string(fewest) +
                     " completions of the smallest rollout");
    }
    method_.expects_rollouts(options_);
    if constexpr (asks_reference) {
      expects(is_normalised(*reference_),
              "rollouts: this reference is not normalised: its log_prob is off by an unknown "
              "constant per prompt, which would be paid for");
    } else if constexpr (M::reads_reference) {
      expects(method_.kl_coefficient() == 0.0,
              "rollouts: there is no reference to be paid for being away from; the KL coefficient "
              "must be 0");
    }
    // A handle knows only now what its policy gives.
    if constexpr (requires { policy_->samples(); }) {
      expects(policy_->samples(), "rollouts: this policy does not write completions");
    }
    if constexpr (M::over_tokens && requires { policy_->gives_tokens(); }) {
      expects(policy_->gives_tokens(),
              "rollouts: this method is over tokens, which this policy does not give");
    }
  }

  [[nodiscard]] std::uint64_t parts() const {
    return prompts_.size() / options_.prompts + (prompts_.size() % options_.prompts != 0 ? 1 : 0);
  }
  // How many prompts a rollout has.
  [[nodiscard]] std::size_t prompts_of(std::uint64_t number) const {
    return detail::at_most(options_.prompts, prompts_.size() - first_of(number));
  }
  // Where they begin in the order of their epoch.
  [[nodiscard]] std::size_t first_of(std::uint64_t number) const {
    return static_cast<std::size_t>(number % parts()) * options_.prompts;
  }
  // A process's part of the prompts of this rollout, each as often as it has completions.
  [[nodiscard]] std::vector<std::uint32_t> prompts_in(batch_part const& part) const {
    auto const order = permutation(prompts_.size(), options_.seed, number_ / parts());
    std::size_t const count = prompts_of(number_);
    std::vector<std::uint32_t> out;
    for (std::size_t i = part.begin(count); i != part.end(count); ++i) {
      out.insert(out.end(), options_.completions, prompts_[order[first_of(number_) + i]]);
    }
    return out;
  }

  void write(std::uint64_t step, batch_part const& part, auto const& all) {
    written_ = false;  // until all of it is there
    order_of_ = none;
    number_ = step / steps_each();
    done_ = step;
    std::size_t const n = options_.completions;
    std::size_t const first = part.begin(prompts_of(number_));
    rollout_.prompt = prompts_in(part);
    rollout_.completion.resize(rollout_.prompt.size());
    table_->keep_first(own_completions_);
    // Addresses count completions and prompts within the rollout, whoever writes them.
    policy_->sample(view_of(rollout_.prompt), options_.sampling,
                    {.seed = options_.seed,
                     .purpose = random_purpose::completion,
                     .step = number_,
                     .index = first * n},
                    *table_, std::span<std::uint32_t>(rollout_.completion));
    rollout_.score.clear();
    for (std::size_t k = 0; k != rollout_.prompt.size() / n; ++k) {
      append(rollout_.score,
             detail::rewards_of(reward_, {.prompt = rollout_.prompt[k * n],
                                          .completion = view_of(rollout_.completion, k * n, n),
                                          .table = *table_,
                                          .address = {.seed = options_.seed,
                                                      .purpose = random_purpose::preference,
                                                      .step = number_,
                                                      .index = (first + k) << 16}}));
    }
    ask(*policy_, rollout_.behaviour, said_);
    rollout_.reference.clear();
    if constexpr (asks_reference) ask(*reference_, rollout_.reference, reference_said_);
    if (all.size() > 1) {
      detail::exchange(rollout_, *table_, own_completions_, M::over_tokens, all);
      rollout_.prompt = prompts_in({});
    }
    measure();
    report_.kl_coefficient = method_.kl_coefficient();
    method_.advantages(rollout_, all);
    expects_size(rollout_.advantage.size(), rollout_.example_offset.back(), "rollouts",
                 "advantage of the method");
    written_ = true;
  }

  // How probable the completions are, as many at once as are written at once.
  template <class Model, class T>
  void ask(Model& model, std::vector<double>& out, std::vector<T>& room) {
    out.clear();
    std::size_t const count = rollout_.size();
    std::size_t const most =
        options_.sampling.side_by_side == 0 ? 1 : options_.sampling.side_by_side;
    for (std::size_t begin = 0, each = 0; begin != count; begin += each) {
      each = detail::at_most(most, count - begin);
      one_each_.assign(1, 0);
      std::size_t examples = 0;
      for (std::size_t i = 0; i != each; ++i) {
        one_each_.push_back(i + 1);
        examples += M::over_tokens ? table_->length(rollout_.completion[begin + i]) : 1;
      }
      choice_batch const batch{.prompt = view_of(rollout_.prompt, begin, each),
                               .completion = view_of(rollout_.completion, begin, each),
                               .offset = view_of(one_each_),
                               .drawn = true,
                               .draw = done_};
      room.resize(examples);
      if constexpr (M::over_tokens) {
        model.token_log_prob(batch, std::span<T>(room));
      } else {
        model.log_prob(batch, std::span<T>(room));
      }
      append(out, room);
    }
  }

  // What follows from the completions and their numbers.
  void measure() {
    rollout_.max_tokens = options_.sampling.max_tokens;
    detail::measure(rollout_, *table_, M::over_tokens, options_.completions,
                    options_.sampling.stop_token);
    report_ = detail::report_of(rollout_, number_ + 1);
  }

  // The completions of a step, all processes'.
  void choose_rows(std::uint64_t within) {
    std::uint64_t const epoch = number_ * options_.epochs + within / options_.minibatches;
    if (order_of_ != epoch) {
      order_.resize(rollout_.size());
      for (std::size_t i = 0; i != order_.size(); ++i) order_[i] = static_cast<std::uint32_t>(i);
      random_stream numbers(
          {.seed = options_.seed, .purpose = random_purpose::subset, .step = epoch});
      shuffle(std::span<std::uint32_t>(order_), numbers);
      order_of_ = epoch;
    }
    batch_part const minibatch{.rank = static_cast<std::size_t>(within % options_.minibatches),
                               .size = options_.minibatches};
    rows_.clear();
    append(rows_, minibatch.of(view_of(order_)));
  }

  // This process's part of them, from `first` on, as the trainer takes it.
  void fill(std::span<std::uint32_t const> mine, std::size_t first, std::uint64_t step,
            choice_minibatch& out) {
    examples_.prompt.clear();
    examples_.completion.clear();
    examples_.offset.assign(1, 0);
    name_.clear();
    for (std::uint32_t const i : mine) {
      examples_.prompt.push_back(rollout_.prompt[i]);
      examples_.completion.push_back(rollout_.completion[i]);
      examples_.offset.push_back(examples_.completion.size());
      name_.push_back(i);
    }
    out.gather_drawn(examples_, view_of(name_), step);
    auto const examples_of = [&](std::uint32_t i) {
      return rollout_.example_offset[i + 1] - rollout_.example_offset[i];
    };
    example_numbers& numbers = out.numbers();
    for (std::uint32_t const i : mine) {
      std::size_t const begin = rollout_.example_offset[i];
      append(numbers.score, view_of(rollout_.advantage, begin, examples_of(i)));
      append(numbers.behaviour, view_of(rollout_.behaviour, begin, examples_of(i)));
    }
    if constexpr (requires { method_.weights(rollout_, view_of(rows_), weight_); }) {
      method_.weights(rollout_, view_of(rows_), weight_);
      if (weight_.empty()) return;
      std::size_t begin = 0;
      for (std::size_t k = 0; k != first; ++k) begin += examples_of(rows_[k]);
      append(numbers.weight, view_of(weight_, begin, numbers.score.size()));
    }
  }

  P* policy_;
  token_table* table_;
  std::size_t own_completions_;
  std::vector<std::uint32_t> prompts_;
  F reward_;
  R* reference_;
  M method_;
  rollout_options options_;

  bool written_ = false;
  std::uint64_t number_ = 0;  // of the rollout
  std::uint64_t done_ = 0;    // steps of the trainer
  rollout rollout_;
  rollout_report report_;

  // Working memory, kept from step to step.
  std::vector<std::uint32_t> order_;
  std::uint64_t order_of_ = none;  // which epoch of all rollouts'
  std::vector<std::uint32_t> rows_;
  std::vector<std::size_t> one_each_;
  std::vector<std::size_t> name_;
  std::vector<double> weight_;
  choice_data examples_;
  std::vector<typename P::value_type> said_;
  std::vector<typename R::value_type> reference_said_;
};

}  // namespace prefer::inline v0_1
