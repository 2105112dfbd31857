// SPDX-License-Identifier: MIT
//
// Methods that learn from pairs of what the policy has just written.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <prefer/loss/dpo.hpp>
#include <prefer/loss/xpo.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/judges.hpp>
#include <prefer/train/sampled.hpp>
#include <prefer/train/trainer.hpp>

#include "arena.hpp"
#include "two_writers.hpp"

namespace sweep {

namespace {

prefer::sampled_options pairs_of(arena const& on, writing_policy const& writer) {
  return {.prompts_per_step = on.options().batch / 2,
          .completions = 2,
          .sampling = writer.sampling(),
          .seed = on.seed()};
}

class online_dpo final : public method {
 public:
  [[nodiscard]] std::string name() const override { return "online_dpo"; }
  [[nodiscard]] bool writes_batches() const override { return true; }
  [[nodiscard]] std::string what() const override {
    return "dpo on pairs that the policy writes anew at each step";
  }
  [[nodiscard]] std::string why_not(method_options const& how, double beta) const override {
    return how.why_no_online_pairs(beta);
  }

 private:
  [[nodiscard]] method_run run_listed(arena const& on, double beta) const override {
    run_meter meter;
    writing_policy writer(on.exact(), meter);
    auto start = prefer::frozen(writer.policy());
    prefer::sampled source(
        writer.policy(), writer.table(), std::vector<std::uint32_t>(on.options().batch / 2, 0),
        prefer::drawn_preference{prefer::bradley_terry_preference{writer.reward_of(on.reward())}},
        pairs_of(on, writer));
    prefer::trainer training(writer.policy(), prefer::dpo{.beta = beta}, start, source,
                             falling_rate(on.options().rate, on.options().online_steps()));
    method_run out{.points = {}, .held = with_reward_model(on, 1)};
    train_and_judge(training, writer, on, meter, spent_in_pairs(on), out);
    return out;
  }
};

/// Of two completions, the second by the reference, one is chosen by the odds of a preference.
template <prefer::Preference F>
struct against_the_reference {
  F preference;

  void operator()(prefer::written_completions const& two, prefer::choice_data& examples) const {
    std::size_t const before = examples.size();
    prefer::drawn_preference<F const&>{preference}(two, examples);
    if (examples.size() == before) return;
    bool const by_reference = examples.completion[2 * before] == two.completion[1];
    examples.chosen_from_reference.push_back(by_reference ? 1.0F : 0.0F);
  }
};
template <class F>
against_the_reference(F) -> against_the_reference<F>;

class xpo final : public method {
 public:
  [[nodiscard]] std::string name() const override { return "xpo"; }
  [[nodiscard]] bool writes_batches() const override { return true; }
  [[nodiscard]] std::string what() const override {
    return "dpo on pairs of a completion of the policy and one of the start, with an optimism of "
           "1e-5";
  }
  [[nodiscard]] std::string why_not(method_options const& how, double beta) const override {
    return how.why_no_online_pairs(beta);
  }

 private:
  [[nodiscard]] method_run run_listed(arena const& on, double beta) const override {
    run_meter meter;
    writing_policy writer(on.exact(), meter);
    auto start = prefer::frozen(writer.policy());
    auto reference_writes = writer.policy();
    two_writers both(writer.policy(), reference_writes);
    prefer::sampled source(
        both, writer.table(), std::vector<std::uint32_t>(on.options().batch / 2, 0),
        against_the_reference{prefer::bradley_terry_preference{writer.reward_of(on.reward())}},
        pairs_of(on, writer));
    prefer::trainer training(writer.policy(), prefer::xpo{.beta = beta}, start, source,
                             falling_rate(on.options().rate, on.options().online_steps()));
    method_run out{.points = {}, .held = with_reward_model(on, 1)};
    train_and_judge(training, writer, on, meter, spent_in_pairs(on), out);
    return out;
  }
};

}  // namespace

std::vector<std::shared_ptr<method const>> online_methods() {
  return {std::make_shared<online_dpo>(), std::make_shared<xpo>()};
}

}  // namespace sweep
