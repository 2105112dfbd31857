// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <prefer/loss/dpo.hpp>
#include <prefer/random/distributions.hpp>

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
  [[nodiscard]] std::string what() const override {
    return "dpo in rounds, each on new pairs of the policy as it is then and held near it";
  }
  [[nodiscard]] std::string why_not(method_options const& how, double) const override {
    std::uint64_t const pairs = how.budget == budget_kind::labels ? how.amount : how.amount / 2;
    if (pairs >= how.rounds) return {};
    return "it needs a pair for each of its " + std::to_string(how.rounds) + " rounds";
  }

  [[nodiscard]] method_run run(arena const& on, double beta) const override {
    auto const& how = on.options();
    std::uint64_t const pairs = on.given().drawn();
    std::uint64_t const rounds = how.rounds;
    writing_policy writer(on.exact());
    method_run out{
        .points = {},
        .held = {.trained = on.exact().start_parameters(), .asked = on.exact().start_parameters()}};
    double seconds = 0.0;
    for (std::uint64_t round = 0; round < rounds; ++round) {
      stopwatch const watch;
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
      seconds += watch.seconds();
      spending const spent{.labels = on.by_labels() ? end : 0,
                           .scored = on.by_labels() ? 0 : 2 * end,
                           .written = 2 * end};
      out.points.push_back(on.judge(writer.log_prob(), (round + 1) * how.steps, spent));
      out.points.back().seconds = seconds;
    }
    return out;
  }

 private:
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
