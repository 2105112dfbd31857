// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/model/bigram.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/prefer.hpp>

namespace online {

constexpr std::size_t vocabulary = 4;
constexpr std::uint32_t end = 3;

// [reward]
/// Short completions with many ones.
double reward(std::uint32_t /*prompt*/, std::span<std::uint32_t const> tokens) {
  double ones = 0.0;
  for (std::uint32_t const token : tokens) ones += token == 1 ? 1.0 : 0.0;
  return ones - 0.25 * static_cast<double>(tokens.size());
}
// [/reward]

std::vector<std::uint32_t> prompts() {
  std::vector<std::uint32_t> out;
  for (std::uint32_t i = 0; i < 64; ++i) out.push_back(i % 3);
  return out;
}

/// Mean reward of a thousand completions.
double mean_reward(prefer::bigram<double> const& policy) {
  prefer::token_table written;
  // [sample]
  std::vector<std::uint32_t> const asked(1000, 0);  // the prompt 0, a thousand times
  std::vector<std::uint32_t> ids(asked.size());
  policy.sample(asked, {.max_tokens = 8, .stop_token = end, .temperature = 1.0},
                {.seed = 7, .purpose = prefer::random_purpose::completion}, written, ids);
  // [/sample]
  double sum = 0.0;
  for (std::uint32_t const id : ids) sum += reward(0, written.tokens(id));
  return sum / static_cast<double>(ids.size());
}

struct rewards {
  double before;
  double after;
};

rewards train() {
  // [train]
  prefer::token_table table;
  prefer::bigram<double> policy(vocabulary, table);
  auto reference = prefer::frozen(policy);
  prefer::sampled source(
      policy, table, prompts(), prefer::best_and_worst{reward},
      {.prompts_per_step = 16, .completions = 4, .sampling = {.max_tokens = 8, .stop_token = end}});
  prefer::trainer training(policy, prefer::dpo{.beta = 0.5}, reference, source,
                           {.steps = 60, .rate = 0.02});
  // [/train]
  double const before = mean_reward(policy);
  training.run();
  return {before, mean_reward(policy)};
}

// [judge]
/// Of two completions the longer one is chosen; two of one length make no pair.
struct longer {
  void operator()(prefer::written_completions const& written, prefer::choice_data& examples) const {
    std::size_t const a = written.tokens(0).size();
    std::size_t const b = written.tokens(1).size();
    if (a == b) return;
    examples.add_pair(written.prompt, written.completion[a > b ? 0 : 1],
                      written.completion[a > b ? 1 : 0]);
  }
};
static_assert(prefer::Judge<longer>);
// [/judge]

// [source]
/// The first rows of a data set in the first steps, twice as many from then on.
class growing {
 public:
  explicit growing(prefer::choice_data const& data) : data_(data) {}

  void gather(std::uint64_t step, prefer::batch_part const& part, prefer::choice_minibatch& out) {
    std::vector<std::uint32_t> rows;
    for (std::uint32_t r = 0; r < (step < 10 ? 8U : 16U); ++r) rows.push_back(r);
    out.gather(data_, part.of(std::span<std::uint32_t const>(rows)), step);
  }
  [[nodiscard]] std::uint64_t steps_per_epoch() const { return 1; }
  [[nodiscard]] std::uint64_t identity() const { return prefer::fingerprint_of(data_); }

 private:
  prefer::choice_data const& data_;
};
static_assert(prefer::ExampleSource<growing>);
// [/source]

// [token_loss]
/// REINFORCE with a baseline, token by token: the score is the advantage of the token's completion.
struct policy_gradient {
  static constexpr std::size_t arity = 1;
  static constexpr auto example = prefer::example_of::token;

  constexpr auto operator()(auto const& token) const { return -(token.score * token.log_prob); }
};
// [/token_loss]

double train_tokens() {
  prefer::token_table table;
  prefer::bigram<double> policy(vocabulary, table);
  // [tokens]
  prefer::no_reference<double> none;
  prefer::sampled source(
      policy, table, prompts(), prefer::with_advantage{reward},
      {.prompts_per_step = 16, .completions = 4, .sampling = {.max_tokens = 8, .stop_token = end}});
  prefer::trainer training(policy, policy_gradient{}, none, source, {.steps = 100, .rate = 0.05});
  // [/tokens]
  training.run();
  return mean_reward(policy);
}

}  // namespace online

TEST_CASE("online: the guide's run raises the reward of what the policy writes", "[docs][online]") {
  auto const [before, after] = online::train();
  // The standard error of a mean of a thousand rewards, each within 8, is below 0.1.
  CHECK(after > before + 0.5);
  CHECK(online::train_tokens() > before + 0.5);
}

TEST_CASE("online: the guide's judge and source train", "[docs][online]") {
  prefer::token_table table;
  prefer::bigram<double> policy(online::vocabulary, table);
  auto reference = prefer::frozen(policy);
  prefer::sampled source(policy, table, online::prompts(), online::longer{},
                         {.sampling = {.max_tokens = 8, .stop_token = online::end}});
  prefer::trainer training(policy, prefer::dpo{}, reference, source, {.steps = 40, .rate = 0.05});
  training.run();
  std::vector<double> log_p(online::vocabulary);
  policy.token_log_probs(0, log_p);
  CHECK(log_p[online::end] < -1.4);  // from -log 4 = -1.386: what ends early is rejected

  prefer::choice_data data;
  for (std::uint32_t i = 0; i < 16; ++i) data.add_pair(i % 3, 1, i % 2 == 0 ? 0 : 2);
  prefer::tabular<double> table_policy(3, 3);
  auto start = prefer::frozen(table_policy);
  online::growing rows(data);
  prefer::trainer other(table_policy, prefer::dpo{}, start, rows, {.steps = 20});
  CHECK(other.run([](prefer::step_report const& r) { return r.loss > 0.0; }) ==
        prefer::run_outcome::finished);
}
