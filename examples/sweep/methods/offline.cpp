// SPDX-License-Identifier: MIT
//
// Methods that learn from the pairs alone, which are drawn once: by the descent of the sweeps over losses.
#include <cmath>

#include "../objective.hpp"
#include "../run.hpp"
#include "arena.hpp"

namespace sweep {

namespace {

/// One loss, held near the start, judged at `steps`.
method_run descend(arena const& on, loss_choice const& loss, std::optional<double> beta,
                   std::vector<std::uint64_t> const& steps) {
  run_meter meter;
  grid const one{
      .losses = {loss}, .betas = {}, .references = {"start"}, .seeds = 1, .steps = steps};
  setting const what{.loss = 0, .beta = beta, .reference = loss.reads_reference ? "start" : "none"};
  step_rule const rule =
      on.of().sets_own_steps() ? step_rule{} : step_size(loss, beta, on.of().tokens());
  std::uint64_t const drawn = on.given().drawn();
  // On ratings people chose what they rated, and no policy wrote it.
  std::uint64_t const written = on.is_exact() ? 2 * drawn : 0;
  spending const spent{.labels = on.by_labels() ? drawn : 0,
                       .scored = on.by_labels() ? 0 : written,
                       .written = written};
  method_run out;
  run(one, what, on.of(), on.given(), on.seed(), rule, [&](std::uint64_t step, learner& policy) {
    meter.hold();
    auto point = on.is_exact() ? on.judge(policy.every_log_prob(), step, spent)
                               : on.on_ratings().judge(dynamic_cast<ratings_policy&>(policy).said(),
                                                       step, spent);
    point.seconds = meter.seconds();
    out.points.push_back(std::move(point));
    meter.go();
  });
  meter.hold();
  out.peak_bytes = meter.peak_bytes();
  std::size_t const parameters =
      on.is_exact() ? on.exact().start_parameters() : on.on_ratings().parameters();
  out.held = {.trained = parameters,
              .asked = loss.reads_reference ? parameters : 0,
              .number = on.is_exact() ? sizeof(double) : sizeof(float)};
  return out;
}

class dpo final : public method {
 public:
  [[nodiscard]] std::string name() const override { return "dpo"; }
  [[nodiscard]] bool asks_reward(bool) const override { return false; }
  [[nodiscard]] std::string what() const override {
    return "a loss over the pairs, which were drawn from the start once";
  }
  [[nodiscard]] bool reads_loss() const override { return true; }
  [[nodiscard]] std::string why_not(method_options const& how, double beta) const override {
    return how.loss.has_beta ? how.why_no_pairs(beta) : "";
  }

 private:
  [[nodiscard]] method_run run_listed(arena const& on, double beta) const override {
    auto const& how = on.options();
    return descend(on, how.loss, how.loss.has_beta ? std::optional(beta) : std::nullopt,
                   arena::judged_at(how.steps));
  }
  [[nodiscard]] method_run run_on_ratings(arena const& on, double beta) const override {
    return run_listed(on, beta);
  }
};

class sft_on_chosen final : public method {
 public:
  [[nodiscard]] std::string name() const override { return "sft_on_chosen"; }
  [[nodiscard]] bool asks_reward(bool) const override { return false; }
  [[nodiscard]] std::string what() const override {
    return "maximum likelihood of what was chosen, with nothing but the number of steps to hold it "
           "near the start";
  }
  [[nodiscard]] swept_number swept() const override { return swept_number::steps; }

 private:
  [[nodiscard]] method_run run_listed(arena const& on, double steps) const override {
    return descend(on, describe_loss("nll"), std::nullopt,
                   arena::judged_at(static_cast<std::uint64_t>(steps)));
  }
  [[nodiscard]] method_run run_on_ratings(arena const& on, double steps) const override {
    return run_listed(on, steps);
  }
};

}  // namespace

std::vector<std::shared_ptr<method const>> offline_methods() {
  return {std::make_shared<dpo>(), std::make_shared<sft_on_chosen>()};
}

}  // namespace sweep
