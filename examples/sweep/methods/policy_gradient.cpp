// SPDX-License-Identifier: MIT
//
// Methods that follow the gradient of the expected reward.
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <prefer/loss/grpo.hpp>
#include <prefer/loss/ppo.hpp>
#include <prefer/loss/rloo.hpp>
#include <prefer/model/values.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/group_methods.hpp>
#include <prefer/train/ppo_method.hpp>
#include <prefer/train/rollouts.hpp>
#include <prefer/train/trainer.hpp>

#include "arena.hpp"

namespace sweep {

namespace {

/// Trains by rollouts of a step's completions, `completions` of them for each prompt, each serving for `epochs` steps.
template <class Method, class Loss>
method_run train(arena const& on, run_meter& meter, writing_policy& writer, Method method,
                 Loss loss, std::size_t completions, std::size_t epochs,
                 std::size_t value_parameters) {
  std::size_t const batch = on.options().batch;
  auto start = prefer::frozen(writer.policy());
  prefer::rollouts source(writer.policy(), writer.table(),
                          std::vector<std::uint32_t>(batch / completions, 0),
                          writer.reward_of(on.reward()), start, std::move(method),
                          {.prompts = batch / completions,
                           .completions = completions,
                           .epochs = epochs,
                           .sampling = writer.sampling(),
                           .seed = on.seed()});
  prefer::trainer training(writer.policy(), loss, start, source,
                           falling_rate(on.options().rate, on.options().online_steps() * epochs));
  method_run out{.points = {}, .held = with_reward_model(on, 1)};
  out.held.trained += value_parameters;
  auto const spent = [&](std::uint64_t step) -> spending {
    std::uint64_t const written = (step + epochs - 1) / epochs * batch;
    if (!on.by_labels()) return {.scored = written, .written = written};
    return {.labels = on.given().drawn(), .written = 2 * on.given().drawn() + written};
  };
  train_and_judge(training, writer, on, meter, spent, out);
  return out;
}

class ppo final : public method {
 public:
  [[nodiscard]] std::string name() const override { return "ppo"; }
  [[nodiscard]] bool writes_batches() const override { return true; }
  [[nodiscard]] std::string what() const override {
    return "a clipped policy gradient of the reward per token, with a value for every state, "
           "lambda 0.95 and " +
           std::to_string(ppo_epochs) + " steps on what was written";
  }
  [[nodiscard]] std::string why_not(method_options const& how, double) const override {
    return how.why_no_online_steps(1);
  }

 private:
  [[nodiscard]] method_run run_listed(arena const& on, double beta) const override {
    run_meter meter;
    writing_policy writer(on.exact(), meter);
    auto const& shape = writer.shape();
    prefer::state_values<double> values(shape.vocabulary, writer.table(), shape.length);
    // The row of the prompt is all that one token has of states.
    std::size_t const parameters = shape.length == 1 ? 1 : shape.vocabulary * shape.length;
    return train(on, meter, writer,
                 prefer::ppo_method(values, {.kl = {.coefficient = beta},
                                             .horizon = {.lambda = 0.95},
                                             .value = {.rate = on.options().rate}}),
                 prefer::clipped_surrogate{}, 1, ppo_epochs, parameters);
  }
};

class rloo final : public method {
 public:
  [[nodiscard]] std::string name() const override { return "rloo"; }
  [[nodiscard]] bool writes_batches() const override { return true; }
  [[nodiscard]] std::string what() const override {
    return "a policy gradient whose baseline is the mean of the other " +
           std::to_string(group - 1) + " completions of a group";
  }
  [[nodiscard]] std::string why_not(method_options const& how, double) const override {
    return how.why_no_online_steps(group);
  }

 private:
  [[nodiscard]] method_run run_listed(arena const& on, double beta) const override {
    run_meter meter;
    writing_policy writer(on.exact(), meter);
    return train(on, meter, writer, prefer::rloo_method({.kl = {.coefficient = beta}}),
                 prefer::rloo{}, group, 1, 0);
  }
};

class reinforce final : public method {
 public:
  [[nodiscard]] std::string name() const override { return "reinforce"; }
  [[nodiscard]] bool writes_batches() const override { return true; }
  [[nodiscard]] std::string what() const override {
    return "a policy gradient whose baseline is a running mean of rewards";
  }
  [[nodiscard]] std::string why_not(method_options const& how, double) const override {
    return how.why_no_online_steps(1);
  }

 private:
  [[nodiscard]] method_run run_listed(arena const& on, double beta) const override {
    run_meter meter;
    writing_policy writer(on.exact(), meter);
    return train(on, meter, writer, prefer::reinforce_method({.kl = {.coefficient = beta}}),
                 prefer::reinforce{}, 1, 1, 0);
  }
};

class grpo final : public method {
 public:
  [[nodiscard]] std::string name() const override { return "grpo"; }
  [[nodiscard]] bool writes_batches() const override { return true; }
  [[nodiscard]] std::string what() const override {
    return "a policy gradient whose baseline is the mean of a group of " + std::to_string(group) +
           ", not divided by its deviation, with the KL divergence by k3 in the loss, which leads "
           "to another policy than the frontier's";
  }
  [[nodiscard]] std::string why_not(method_options const& how, double) const override {
    return how.why_no_online_steps(group);
  }

 private:
  [[nodiscard]] method_run run_listed(arena const& on, double beta) const override {
    run_meter meter;
    writing_policy writer(on.exact(), meter);
    auto const train_by = [&](auto const& loss) {
      return train(on, meter, writer, prefer::grpo_method({.scale = prefer::reward_scale::none}),
                   loss, group, 1, 0);
    };
    // Without its KL term grpo is the clipped surrogate.
    return beta == 0.0 ? train_by(prefer::clipped_surrogate{})
                       : train_by(prefer::grpo{.beta = beta});
  }
};

}  // namespace

std::vector<std::shared_ptr<method const>> policy_gradient_methods() {
  return {std::make_shared<ppo>(), std::make_shared<rloo>(), std::make_shared<reinforce>(),
          std::make_shared<grpo>()};
}

}  // namespace sweep
