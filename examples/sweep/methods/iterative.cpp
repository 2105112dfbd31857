// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <prefer/loss/dpo.hpp>
#include <prefer/random/distributions.hpp>
#include <recommend/drawing_methods.hpp>

#include "arena.hpp"
#include "descent.hpp"

namespace sweep {

namespace {

/// dpo in rounds: each begins with new pairs of what the policy writes then, and is held near the policy as it is then.
///
///   beta of a round = beta * rounds
///
/// For of T rounds that each go to policy * exp(r / (T beta)) / Z, the last one ends at start * exp(r / beta) / Z.
class iterative_dpo final : public method {
 public:
  [[nodiscard]] std::string name() const override { return "iterative_dpo"; }
  [[nodiscard]] bool asks_reward(bool on_ratings) const override { return on_ratings; }
  [[nodiscard]] std::string what() const override {
    return "dpo in rounds, each on new pairs of the policy as it is then and held near it";
  }
  [[nodiscard]] std::string why_not(method_options const& how, double beta) const override {
    std::string const why = how.why_no_pairs(beta);
    if (!why.empty()) return why;
    std::uint64_t const pairs = how.budget == budget_kind::labels ? how.amount : how.amount / 2;
    if (pairs >= how.rounds) return {};
    return "it needs a pair for each of its " + std::to_string(how.rounds) + " rounds";
  }

 private:
  [[nodiscard]] method_run run_listed(arena const& on, double beta) const override {
    auto const& how = on.options();
    std::uint64_t const pairs = on.given().drawn();
    std::uint64_t const rounds = how.rounds;
    run_meter meter;
    writing_policy writer(on.exact(), meter);
    std::size_t const parameters = on.exact().start_parameters();
    method_run out{.points = {}, .held = {.trained = parameters, .asked = parameters}};
    for (std::uint64_t round = 0; round < rounds; ++round) {
      std::uint64_t const begin = pairs * round / rounds;
      std::uint64_t const end = pairs * (round + 1) / rounds;
      auto const data = written_pairs(on, writer, round, begin, end);
      numbers reference(2 * data.size());
      writer.policy().log_prob(data.batch(), std::span<double>(reference));
      double const held = beta * static_cast<double>(rounds);
      descend(writer.policy(), prefer::dpo{.beta = held}, data, reference,
              {.step = 4.0 / held / static_cast<double>(writer.shape().length),
               .steps = how.steps,
               .drawn = static_cast<std::size_t>(end - begin)});
      meter.hold();
      spending const spent{.labels = on.by_labels() ? end : 0,
                           .scored = on.by_labels() ? 0 : 2 * end,
                           .written = 2 * end};
      out.points.push_back(on.judge(writer.log_prob(), (round + 1) * how.steps, spent));
      out.points.back().seconds = meter.seconds();
      meter.go();
    }
    meter.hold();
    out.peak_bytes = meter.peak_bytes();
    return out;
  }
  /// Nobody can be asked about items that they never rated, so that the rounds are the reward model's to judge.
  [[nodiscard]] method_run run_on_ratings(arena const& on, double beta) const override {
    auto const& how = on.options();
    auto const& at = on.on_ratings();
    method_run out{
        .points = {},
        .held = {
            .trained = at.parameters(), .asked = 2 * at.parameters(), .number = sizeof(float)}};
    run_meter meter;
    recommend::model policy = at.start();
    recommend::reward_model reward = at.reward();
    std::size_t const people = at.people().size();
    std::size_t const count = (how.amount + how.rounds * people - 1) / (how.rounds * people);
    std::uint64_t drawn = 0;
    for (std::uint64_t round = 1; round <= how.rounds; ++round) {
      auto const cost =
          recommend::train_in_a_round({.policy = policy,
                                       .start = at.start(),
                                       .reward = reward,
                                       .people = at.people(),
                                       .amount = {},
                                       .training = {.batch_size = 2 * count * people,
                                                    .steps = how.steps,
                                                    .seed = on.seed(),
                                                    .rate = how.rate},
                                       .strength = beta * static_cast<double>(how.rounds)},
                                      count, round);
      meter.hold();
      drawn += cost.items;
      out.points.push_back(
          at.judge(recommend::said_by(policy), round * how.steps, at.spent(drawn)));
      out.points.back().seconds = at.reward_seconds() + meter.seconds();
      meter.go();
    }
    meter.hold();
    out.peak_bytes = std::max(at.reward_peak_bytes(), meter.peak_bytes());
    return out;
  }

  /// Pairs number [begin, end), labelled as those of the problem are. Two equal completions make none.
  static prefer::choice_data written_pairs(arena const& on, writing_policy& writer,
                                           std::uint64_t round, std::uint64_t begin,
                                           std::uint64_t end) {
    std::vector<std::uint32_t> const prompts(2 * (end - begin), 0);
    std::vector<std::uint32_t> ids(prompts.size());
    prefer::token_table written;
    writer.policy().sample(
        prompts, writer.sampling(),
        {.seed = on.seed(), .purpose = prefer::random_purpose::completion, .step = round}, written,
        ids);
    prefer::choice_data out;
    for (std::uint64_t i = begin; i < end; ++i) {
      std::size_t const at = static_cast<std::size_t>(2 * (i - begin));
      std::uint32_t const first = writer.number_of(written.tokens(ids[at]));
      std::uint32_t const second = writer.number_of(written.tokens(ids[at + 1]));
      prefer::random_stream doubt(
          {.seed = on.seed(), .purpose = prefer::random_purpose::preference, .index = i});
      label const said = on.exact().annotated(first, second, prefer::uniform01(doubt), i);
      if (first == second) continue;
      out.add_pair(0, said.first_is_chosen ? first : second, said.first_is_chosen ? second : first);
    }
    return out;
  }
};

}  // namespace

std::shared_ptr<method const> iterative_method() { return std::make_shared<iterative_dpo>(); }

}  // namespace sweep
