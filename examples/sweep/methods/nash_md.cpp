// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/loss/nash_md.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/judges.hpp>
#include <prefer/train/sampled.hpp>
#include <prefer/train/trainer.hpp>

#include "arena.hpp"
#include "two_writers.hpp"

namespace sweep {

namespace {

constexpr double share_of_start = 0.5;  // of the mixture; TRL's default

/// Writes by the geometric mixture of a policy, as it is then, and the start, token by token. The policy is borrowed.
class mixture_writer {
 public:
  mixture_writer(prefer::bigram<double>& policy, numbers start)
      : policy_(&policy), start_(std::move(start)) {}

  void sample(std::span<std::uint32_t const> prompts, prefer::sampling_options const& how,
              prefer::random_address const& from, prefer::token_table& into,
              std::span<std::uint32_t> ids) {
    auto const now = policy_->parameters()[0].value;
    // Mixed anew where the policy has moved: a step asks for one completion after another.
    if (seen_.size() != now.size() || !std::equal(now.begin(), now.end(), seen_.begin())) {
      seen_.assign(now.begin(), now.end());
      numbers mixed(seen_);
      for (std::size_t i = 0; i < mixed.size(); ++i) {
        mixed[i] = share_of_start * start_[i] + (1.0 - share_of_start) * seen_[i];
      }
      mixture_.emplace(policy_->vocabulary(), policy_->table(), std::move(mixed));
    }
    mixture_->sample(prompts, how, from, into, ids);
  }

 private:
  prefer::bigram<double>* policy_;
  numbers start_;
  numbers seen_;
  std::optional<prefer::bigram<double>> mixture_;
};

/// The first of two completions as an example, whose score is the probability that it wins against the second.
template <prefer::Preference F>
struct against_the_mixture {
  F preference;

  void operator()(prefer::written_completions const& two, prefer::choice_data& examples) const {
    double const wins = preference(two.prompt, two.tokens(0), two.tokens(1));
    examples.add_labelled(two.prompt, two.completion[0], wins > 0.5);
    examples.length.push_back(static_cast<float>(two.tokens(0).size()));
    examples.score.push_back(static_cast<float>(wins));
  }
};
template <class F>
against_the_mixture(F) -> against_the_mixture<F>;

class nash_md final : public method {
 public:
  [[nodiscard]] std::string name() const override { return "nash_md"; }
  [[nodiscard]] bool writes_batches() const override { return true; }
  [[nodiscard]] std::string what() const override {
    return "a policy gradient towards winning against a half-and-half geometric mixture of the "
           "policy and the start; what it looks for is an equilibrium, not the frontier";
  }
  [[nodiscard]] std::string why_not(method_options const& how, double beta) const override {
    if (beta == 0.0) {
      return "its equilibrium is that of a preference which is held near the start; without a hold "
             "nothing says that it gets to one";
    }
    return how.why_no_online_steps(2);
  }

 private:
  [[nodiscard]] method_run run_listed(arena const& on, double beta) const override {
    std::size_t const pairs = on.options().batch / 2;
    run_meter meter;
    writing_policy writer(on.exact(), meter);
    auto start = prefer::frozen(writer.policy());
    mixture_writer mixture(writer.policy(), writer.shape().logits);
    two_writers both(writer.policy(), mixture);
    prefer::sampled source(
        both, writer.table(), std::vector<std::uint32_t>(pairs, 0),
        against_the_mixture{prefer::bradley_terry_preference{writer.reward_of(on.reward())}},
        {.prompts_per_step = pairs,
         .completions = 2,
         .sampling = writer.sampling(),
         .seed = on.seed()});
    prefer::trainer training(writer.policy(), prefer::nash_md{.beta = beta}, start, source,
                             falling_rate(on.options().rate, on.options().online_steps()));
    method_run out{.points = {}, .held = with_reward_model(on, 2)};
    train_and_judge(training, writer, on, meter, spent_in_pairs(on), out);
    return out;
  }
};

}  // namespace

std::shared_ptr<method const> nash_method() { return std::make_shared<nash_md>(); }

}  // namespace sweep
