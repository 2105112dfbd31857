// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/advantage/generalised_advantages.hpp>
#include <prefer/advantage/steps.hpp>
#include <prefer/advantage/whiten.hpp>
#include <prefer/batch/choices.hpp>
#include <prefer/bounded.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/loss/ppo.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/policy/identity.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/policy/value_model.hpp>
#include <prefer/train/adamw.hpp>
#include <prefer/train/clip.hpp>
#include <prefer/train/example_source.hpp>
#include <prefer/train/learning_rate.hpp>
#include <prefer/train/rollout.hpp>
#include <prefer/train/several_processes.hpp>

namespace prefer::inline v0_1 {

/// How a value model is trained: one step of its own optimizer after each step of the policy, on the same completions.
struct value_training {
  learning_rate rate = 1e-3;  ///< of the trainer's steps
  non_negative clip = 0.2;    ///< of clipped_value
  adamw_options optimizer = {};
  double max_gradient_norm = std::numeric_limits<double>::infinity();
  /// Completions that it is asked about at once, forward and backward; 0: all of a step. Memory, and no bit of a model whose
  /// gradients do not depend on how a batch is cut, such as lm::llama.
  std::size_t micro_batch = 0;
};

struct ppo_options {
  kl_control kl = {};
  advantage_horizon horizon = {};
  bool whiten_advantages = true;
  bool whiten_rewards = false;  ///< those of all steps, their mean kept
  bool score_after_end = true;  ///< in a state after the end, where a completion ended by itself
  value_training value = {};
};

/// Proximal Policy Optimization, for the loss `clipped_surrogate`: rewards per step with the KL divergence in them,
/// generalised advantages over a value model, whitened over the rollout.
///
///   prefer::prompt_values<double> values(prompts);
///   prefer::rollouts source(policy, table, prompts, reward, reference, prefer::ppo_method(values, {}));
///
/// The value model is borrowed, outlives it, and is trained by it.
///
/// Errors  precondition_error for a KL coefficient below 0, a discount or a lambda outside [0, 1], a value clip below 0 and
///         values or gradients that are not finite; for processes that begin with different value models
/// Source  Schulman et al. 2017, arXiv:1707.06347; with rewards per token Ouyang et al. 2022, arXiv:2203.02155; details:
///         Huang et al. 2024, arXiv:2403.17031
/// TRL     PPOTrainer, whose optimizer the value head shares
template <ValueModel<choice_batch> V>
class ppo_method {
 public:
  static constexpr bool over_tokens = true;
  static constexpr bool reads_reference = true;
  using value_type = typename V::value_type;
  using parameter_type = parameter_type_t<V>;

  explicit ppo_method(V& values, ppo_options const& options = {})
      : values_(&values),
        options_(options),
        kl_(options.kl, "ppo_method"),
        optimizer_(options.value.optimizer) {
    expects_in_range(options.horizon.discount, "ppo_method", "horizon.discount");
    expects_in_range(options.horizon.lambda, "ppo_method", "horizon.lambda");
    expects_in_range(options.value.clip, "ppo_method", "value.clip");
    expects(options.value.max_gradient_norm > 0.0,
            "ppo_method: value.max_gradient_norm must be greater than zero");
  }

  void expects_rollouts(rollout_options const& /*how*/) const {}
  [[nodiscard]] double kl_coefficient() const { return kl_.coefficient(); }
  /// The mean of the value loss in the last step, NaN before the first.
  [[nodiscard]] double value_loss() const { return value_loss_; }
  /// What the value model said of each step of the rollout, and what it is to say; see steps().
  [[nodiscard]] std::vector<double> const& behaviour_values() const { return value_; }
  [[nodiscard]] std::vector<double> const& value_targets() const { return target_; }
  [[nodiscard]] std::vector<std::size_t> const& steps() const { return step_offset_; }

  void advantages(rollout& of, auto const& all) {
    step_offset_ = steps_of(of);
    if (all.size() > 1 && value_.empty()) expect_equal_values(all);
    ask_values(of, all);
    // Without a reference nothing is paid: the policy is compared with itself.
    auto reward = step_rewards(
        view_of(of.behaviour), view_of(of.reference.empty() ? of.behaviour : of.reference),
        view_of(of.score), view_of(of.token_offset), view_of(step_offset_), kl_.penalty());
    if (options_.whiten_rewards) reward = whiten(view_of(reward), whitened_mean::kept);
    auto found = generalised_advantages(view_of(reward), view_of(value_), view_of(step_offset_),
                                        options_.horizon);
    of.advantage =
        of_tokens(view_of(found.advantage), view_of(of.token_offset), view_of(step_offset_));
    if (options_.whiten_advantages) of.advantage = whiten(view_of(of.advantage));
    target_ = std::move(found.value_target);
    kl_.observe(of.kl);
  }

  void learn(rollout const& of, std::span<std::uint32_t const> rows, std::uint64_t step,
             auto const& all) {
    std::size_t steps = 0;  // of all processes
    for (std::uint32_t const i : rows) steps += step_offset_[i + 1] - step_offset_[i];
    auto const mine = batch_part{.rank = all.rank(), .size = all.size()}.of(rows);
    std::vector<parameter<parameter_type>> const parameters = values_->parameters();
    std::span<parameter<parameter_type> const> const numbers = view_of(parameters);
    zero_gradients(numbers);
    double const share = 1.0 / static_cast<double>(steps);
    std::size_t const at_once =
        options_.value.micro_batch == 0 ? mine.size() : options_.value.micro_batch;
    double loss[] = {0.0};
    for (std::size_t begin = 0; begin < mine.size(); begin += at_once) {
      std::size_t const left = mine.size() - begin;
      add_gradient(of, mine.subspan(begin, left < at_once ? left : at_once), share, loss[0]);
    }
    loss[0] *= share;
    if constexpr (requires { values_->finish_backward(); }) values_->finish_backward();
    sum_gradients(numbers, all, room_);
    all.all_sum(loss);
    double const norm = clip_gradient_norm(numbers, options_.value.max_gradient_norm, norm_room_);
    expects(std::isfinite(norm), "ppo_method: the gradient of the value model is not finite");
    optimizer_.step(numbers, options_.value.rate(step));
    if constexpr (requires { values_->parameters_moved(); }) values_->parameters_moved();
    value_loss_ = loss[0];
  }

  [[nodiscard]] std::uint64_t identity() const {
    fingerprint out;
    out.add("ppo_method");
    kl_.identify(out);
    out.add(static_cast<double>(options_.horizon.discount));
    out.add(static_cast<double>(options_.horizon.lambda));
    out.add(options_.whiten_advantages).add(options_.whiten_rewards).add(options_.score_after_end);
    value_training const& how = options_.value;
    for (std::uint64_t s = 0; s < std::uint64_t{1} << 32; s = 2 * s + 1) out.add(how.rate(s));
    out.add(static_cast<double>(how.clip)).add(how.max_gradient_norm);
    out.add(how.optimizer.beta1).add(how.optimizer.beta2).add(how.optimizer.epsilon);
    for (auto const& each : values_->parameters()) {
      adamw_setting const own = setting_of(how.optimizer, each);
      out.add(each.name).add(static_cast<std::uint64_t>(each.value.size()));
      out.add(own.weight_decay).add(own.rate_factor).add(own.frozen);
    }
    return out.value();
  }

  struct state {
    double kl_coefficient = 0.0;
    double value_loss = 0.0;
    std::vector<double> value;
    std::vector<double> target;
    std::vector<std::size_t> step_offset;
    std::vector<std::vector<parameter_type>> parameters;
    adamw<parameter_type> optimizer = adamw<parameter_type>();
  };
  void save(archive_writer& file) const {
    file.add("rollout/kl_coefficient", kl_.coefficient());
    file.add("rollout/value_loss", value_loss_);
    file.add("rollout/value", value_);
    file.add("rollout/value_target", target_);
    file.add("rollout/step_offset",
             std::vector<std::uint64_t>(step_offset_.begin(), step_offset_.end()));
    for (auto const& each : values_->parameters()) {
      file.add("values/value/" + std::string(each.name), each.value);
    }
    optimizer_.save(file, "values/optimizer/");
  }
  [[nodiscard]] state state_in(archive const& file) const {
    state out{.kl_coefficient = file.number<double>("rollout/kl_coefficient"),
              .value_loss = file.number<double>("rollout/value_loss"),
              .value = file.get<double>("rollout/value"),
              .target = file.get<double>("rollout/value_target"),
              .step_offset = {},
              .parameters = {},
              .optimizer = adamw<parameter_type>(options_.value.optimizer)};
    for (std::uint64_t const each : file.get<std::uint64_t>("rollout/step_offset")) {
      out.step_offset.push_back(static_cast<std::size_t>(each));
    }
    std::vector<parameter<parameter_type>> const parameters = values_->parameters();
    for (auto const& each : parameters) {
      out.parameters.emplace_back(each.value.size());
      file.copy_to("values/value/" + std::string(each.name),
                   std::span<parameter_type>(out.parameters.back()));
    }
    out.optimizer.load(file, view_of(parameters), "values/optimizer/");
    return out;
  }
  void resume(state from) {
    kl_.resume(from.kl_coefficient);
    value_loss_ = from.value_loss;
    value_ = std::move(from.value);
    target_ = std::move(from.target);
    step_offset_ = std::move(from.step_offset);
    optimizer_ = std::move(from.optimizer);
    std::size_t i = 0;
    for (auto const& each : values_->parameters()) {
      for (std::size_t k = 0; k != each.value.size(); ++k) each.value[k] = from.parameters[i][k];
      ++i;
    }
    if constexpr (requires { values_->parameters_moved(); }) values_->parameters_moved();
  }

 private:
  [[nodiscard]] std::vector<std::size_t> steps_of(rollout const& of) const {
    return step_offsets(view_of(of.token_offset), options_.score_after_end ? of.max_tokens : 0);
  }

  // Others would train different value models without a word.
  void expect_equal_values(auto const& all) const {
    std::uint64_t const mine = identity_with_values(*values_);
    double const halves[] = {static_cast<double>(mine >> 32),
                             static_cast<double>(mine & 0xffffffff)};  // a double holds 32 bits
    std::vector<double> const of_all = all.all_gather(std::span<double const>(halves));
    for (std::size_t i = 0; i != of_all.size(); ++i) {
      if (of_all[i] == of_all[i % 2]) continue;
      detail::broken("ppo_method: process " + std::to_string(i / 2) +
                     " has another value model than process 0");
    }
  }

  // These completions as a batch, to be used before the next call.
  [[nodiscard]] choice_batch batch_of(rollout const& of, auto const& row_at, std::size_t count) {
    prompt_.clear();
    completion_.clear();
    one_each_.assign(1, 0);
    batch_step_.assign(1, 0);
    for (std::size_t k = 0; k != count; ++k) {
      std::size_t const i = row_at(k);
      prompt_.push_back(of.prompt[i]);
      completion_.push_back(of.completion[i]);
      one_each_.push_back(k + 1);
      batch_step_.push_back(batch_step_.back() + step_offset_[i + 1] - step_offset_[i]);
    }
    said_.resize(batch_step_.back());
    return {.prompt = view_of(prompt_),
            .completion = view_of(completion_),
            .offset = view_of(one_each_),
            .drawn = true};
  }

  // Of all steps, each process asking about its part of the completions.
  void ask_values(rollout const& of, auto const& all) {
    batch_part const part{.rank = all.rank(), .size = all.size()};
    std::size_t const begin = part.begin(of.size());
    std::size_t const count = part.end(of.size()) - begin;
    auto const batch = batch_of(
        of, [&](std::size_t k) { return begin + k; }, count);
    if (count != 0) {
      values_->values(batch, view_of(batch_step_), std::span<value_type>(said_));
    }
    value_.assign(said_.begin(), said_.end());
    if (all.size() > 1) value_ = all.all_gather(view_of(value_));
  }

  // Adds the gradient of the mean value loss of these completions, and their losses to `total`.
  void add_gradient(rollout const& of, std::span<std::uint32_t const> rows, double share,
                    double& total) {
    auto const batch = batch_of(
        of, [&](std::size_t k) { return rows[k]; }, rows.size());
    auto const steps = view_of(batch_step_);
    if constexpr (detail::learns_values<V, choice_batch>) {
      values_->learn_values(batch, steps, std::span<value_type>(said_));
    } else {
      values_->values(batch, steps, std::span<value_type>(said_));
    }
    batch_value_.clear();
    batch_target_.clear();
    for (std::uint32_t const i : rows) {
      std::size_t const first = step_offset_[i];
      std::size_t const count = step_offset_[i + 1] - first;
      append(batch_value_, view_of(value_, first, count));
      append(batch_target_, view_of(target_, first, count));
    }
    loss_.resize(said_.size());
    coefficient_.resize(said_.size());
    // A value loss reads no log-probability, and a batch has a column of them.
    evaluate_into(clipped_value{.clip = options_.value.clip},
                  unpaired_columns{.policy = view_of(batch_value_),
                                   .value_estimate = view_of(said_),
                                   .behaviour_value = view_of(batch_value_),
                                   .value_target = view_of(batch_target_)},
                  {.value = std::span<value_type>(loss_),
                   .value_estimate = std::span<value_type>(coefficient_)},
                  nothing{}, {.reduce = reduction::none});
    for (value_type const each : loss_) total += static_cast<double>(each);
    for (value_type& each : coefficient_) each *= static_cast<value_type>(share);
    values_->backward_values(batch, steps, std::span<value_type const>(coefficient_));
  }

  V* values_;
  ppo_options options_;
  detail::kl_controller kl_;
  adamw<parameter_type> optimizer_;
  double value_loss_ = std::numeric_limits<double>::quiet_NaN();
  std::vector<std::size_t> step_offset_;
  std::vector<double> value_;   // of each step of the rollout, when it was written
  std::vector<double> target_;  // the same, what is to be learned

  // Working memory, kept from step to step.
  std::vector<std::uint32_t> prompt_;
  std::vector<std::uint32_t> completion_;
  std::vector<std::size_t> one_each_;
  std::vector<std::size_t> batch_step_;
  std::vector<value_type> said_;
  std::vector<double> batch_value_;
  std::vector<double> batch_target_;
  std::vector<value_type> loss_;
  std::vector<value_type> coefficient_;
  std::vector<parameter_type> room_;
  gradient_norm_memory norm_room_;
};

}  // namespace prefer::inline v0_1
