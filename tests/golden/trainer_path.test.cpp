// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/loss/compose.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/nash_md.hpp>
#include <prefer/loss/xpo.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/policy/sampling_policy.hpp>
#include <prefer/policy/token_policy.hpp>
#include <prefer/train/judges.hpp>
#include <prefer/train/sampled.hpp>
#include <prefer/train/trainer.hpp>

// TRL's online trainers, row by row, through the whole path here: somebody writes completions, a judge makes examples of them,
// the trainer takes a step, and what its policy is told is TRL's gradient.

namespace {

using namespace prefer;
using nlohmann::json;
using ids = std::vector<std::uint32_t>;
using numbers = std::vector<double>;

/// Log-probabilities as the file has them: token k of any completion has number k. Keeps what it is told on the way back, beside
/// the gradient that a trainer clears.
class told {
 public:
  using value_type = double;

  told(token_table const& table, numbers log_prob)
      : table_(&table),
        value_(std::move(log_prob)),
        gradient_(value_.size()),
        received_(value_.size()) {}

  void log_prob(choice_batch const& batch, std::span<double> out) const {
    for (std::size_t i = 0; i != out.size(); ++i) {
      out[i] = 0;
      for (std::uint32_t const k : table_->tokens(batch.completion[i])) out[i] += value_[k];
    }
  }
  void backward(choice_batch const& batch, std::span<double const> coefficient) {
    for (std::size_t i = 0; i != coefficient.size(); ++i) {
      for (std::uint32_t const k : table_->tokens(batch.completion[i])) {
        add(k, coefficient[i]);
      }
    }
  }
  void token_offsets(choice_batch const& batch, std::vector<std::size_t>& out) const {
    table_->offsets(batch.completion, out);
  }
  void token_log_prob(choice_batch const& batch, std::span<double> out) const {
    std::size_t t = 0;
    for (std::uint32_t const y : batch.completion) {
      for (std::uint32_t const k : table_->tokens(y)) out[t++] = value_[k];
    }
  }
  void token_backward(choice_batch const& batch, std::span<double const> coefficient) {
    std::size_t t = 0;
    for (std::uint32_t const y : batch.completion) {
      for (std::uint32_t const k : table_->tokens(y)) add(k, coefficient[t++]);
    }
  }
  [[nodiscard]] std::vector<parameter<double>> parameters() {
    return {{.name = "log_prob", .value = value_, .gradient = gradient_}};
  }
  [[nodiscard]] numbers const& received() const { return received_; }

 private:
  void add(std::size_t k, double coefficient) {
    gradient_[k] += coefficient;
    received_[k] += coefficient;
  }

  token_table const* table_;
  numbers value_;
  numbers gradient_;
  numbers received_;
};
static_assert(Policy<told, choice_batch> && TokenPolicy<told, choice_batch>);

/// Writes what the file has for prompt p, in its order.
struct written {
  std::vector<std::vector<ids>> of_prompt;

  void sample(std::span<std::uint32_t const> prompts, sampling_options const&,
              random_address const&, token_table& into, std::span<std::uint32_t> out) const {
    std::vector<std::size_t> next(of_prompt.size());
    for (std::size_t i = 0; i != prompts.size(); ++i) {
      out[i] = into.add(of_prompt[prompts[i]][next[prompts[i]]++]);
    }
  }
};
static_assert(SamplingPolicy<written>);

struct step_taken {
  double loss;
  numbers gradient;
};

/// One step over all prompts, as the trainer takes it.
template <Judge J, Loss L>
step_taken step(written const& writer, J const& judge, L const& loss, numbers const& policy,
                numbers const& reference) {
  token_table table;
  told trained(table, policy);
  told held_near(table, reference);
  written by = writer;
  ids prompts;
  for (std::uint32_t p = 0; p != writer.of_prompt.size(); ++p) prompts.push_back(p);
  sampled source(by, table, prompts, judge,
                 {.prompts_per_step = prompts.size(), .completions = writer.of_prompt[0].size()});
  trainer run(trained, loss, held_near, source, {.micro_batch_size = 2, .steps = 1, .rate = 1e-3});
  double said = std::numeric_limits<double>::quiet_NaN();
  run.run([&](step_report const& report) {
    said = report.loss;
    return true;
  });
  return {said, trained.received()};
}

json file_of(char const* family) {
  std::ifstream stream(std::string(PREFER_GOLDEN_DIR) + "/" + family + ".json");
  return json::parse(stream);
}

// Sums of a few doubles in another order.
void check_same(numbers const& ours, numbers const& theirs, double relative = 1e-12) {
  REQUIRE(ours.size() == theirs.size());
  for (std::size_t k = 0; k != ours.size(); ++k) {
    CHECK(ours[k] == Approx(theirs[k]).epsilon(relative).margin(1e-14));
  }
}

}  // namespace

TEST_CASE("golden: OnlineDPOTrainer's rows through source, judge and trainer", "[golden][online]") {
  auto const file = file_of("online_dpo");
  std::size_t rows = 0;
  for (auto const& row : file.at("cases")) {
    INFO(row.at("id").get<std::string>());
    auto const& in = file.at("inputs").at(row.at("inputs").get<std::string>());
    auto score = in.at("scores").get<numbers>();
    auto const ended = in.at("has_eos").get<std::vector<bool>>();
    auto const& penalty = row.at("hyper").at("missing_eos_penalty");
    for (std::size_t i = 0; i != score.size(); ++i) {
      if (!penalty.is_null() && !ended[i]) score[i] -= penalty.get<double>();
    }
    // First and second answers lie in two halves.
    std::size_t const count = score.size() / 2;
    written writer;
    for (std::uint32_t p = 0; p != count; ++p) {
      writer.of_prompt.push_back({{p}, {p + static_cast<std::uint32_t>(count)}});
    }
    // Of equal scores TRL prefers the first; best_and_worst makes no pair of them, so that its own judge is here.
    bool tied = false;
    for (std::size_t p = 0; p != count; ++p) tied = tied || score[p] == score[p + count];
    auto const reward = [&](std::uint32_t, std::span<std::uint32_t const> y) {
      return score[y[0]];
    };
    auto const first_of_equals = [&](written_completions const& two, choice_data& examples) {
      bool const first = reward(0, two.tokens(0)) >= reward(0, two.tokens(1));
      examples.add_pair(two.prompt, two.completion[first ? 0 : 1], two.completion[first ? 1 : 0]);
    };
    auto const policy = in.at("policy").get<numbers>();
    auto const reference = in.at("ref").get<numbers>();
    double const beta = row.at("hyper").at("beta").get<double>();
    auto const taken = [&](auto const& judge) {
      return row.at("loss_type") == "ipo"
                 ? step(writer, judge, ipo_sum{.beta = beta}, policy, reference)
                 : step(writer, judge, dpo{.beta = beta}, policy, reference);
    };
    auto const by_trl = taken(first_of_equals);
    CHECK(by_trl.loss == Approx(row.at("loss").get<double>()).epsilon(1e-12));
    check_same(by_trl.gradient, row.at("grad_policy").get<numbers>());
    if (!tied) {
      auto const ours = taken(best_and_worst{reward});
      CHECK(ours.loss == by_trl.loss);
      CHECK(ours.gradient == by_trl.gradient);
    }
    ++rows;
  }
  CHECK(rows == 48);
}

TEST_CASE("golden: XPOTrainer's rows through source, judge and trainer", "[golden][online]") {
  auto const file = file_of("xpo");
  std::size_t rows = 0;
  for (auto const& row : file.at("cases")) {
    INFO(row.at("id").get<std::string>());
    auto const& in = file.at("inputs").at(row.at("inputs").get<std::string>());
    auto const wins = in.at("y_is_chosen").get<std::vector<bool>>();
    std::size_t const count = wins.size();
    // The policy wrote y, the reference yref.
    auto const joined = [&](char const* y, char const* yref) {
      auto out = in.at(y).get<numbers>();
      auto const more = in.at(yref).get<numbers>();
      out.insert(out.end(), more.begin(), more.end());
      return out;
    };
    written writer;
    for (std::uint32_t p = 0; p != count; ++p) {
      writer.of_prompt.push_back({{p}, {p + static_cast<std::uint32_t>(count)}});
    }
    auto const judge = [&](written_completions const& two, choice_data& examples) {
      bool const own = wins[two.prompt];
      examples.add_pair(two.prompt, two.completion[own ? 0 : 1], two.completion[own ? 1 : 0]);
      examples.chosen_from_reference.push_back(own ? 0.0F : 1.0F);
    };
    double const beta = row.at("hyper").at("beta").get<double>();
    double const alpha = row.at("hyper").at("alpha").get<double>();
    auto const policy = joined("policy_y", "policy_yref");
    auto const reference = joined("ref_y", "ref_yref");
    auto const taken =
        row.at("loss_type") == "ipo"
            ? step(writer, judge, ipo_sum{.beta = beta} + alpha * optimism{}, policy, reference)
            : step(writer, judge, xpo{.beta = beta, .alpha = alpha}, policy, reference);
    CHECK(taken.loss == Approx(row.at("loss").get<double>()).epsilon(1e-12));
    auto expected = row.at("grad_y").get<numbers>();
    auto const more = row.at("grad_yref").get<numbers>();
    expected.insert(expected.end(), more.begin(), more.end());
    check_same(taken.gradient, expected);
    ++rows;
  }
  CHECK(rows == 32);
}

TEST_CASE("golden: NashMDTrainer's rows through source, judge and trainer", "[golden][online]") {
  auto const file = file_of("nash_md");
  std::size_t rows = 0;
  for (auto const& row : file.at("cases")) {
    INFO(row.at("id").get<std::string>());
    auto const& in = file.at("inputs").at(row.at("inputs").get<std::string>());
    auto const probability = in.at("probability").get<numbers>();
    written writer;
    numbers policy;
    numbers reference;
    numbers expected;
    for (std::size_t p = 0; p != probability.size(); ++p) {
      ids tokens;
      for (double const each : in.at("policy").at(p)) {
        tokens.push_back(static_cast<std::uint32_t>(policy.size()));
        policy.push_back(each);
      }
      for (double const each : in.at("ref").at(p)) reference.push_back(each);
      for (double const each : row.at("grad_policy").at(p)) expected.push_back(each);
      writer.of_prompt.push_back({tokens});
    }
    // It won against the mixture's sample with this probability.
    auto const judge = [&](written_completions const& one, choice_data& examples) {
      examples.add_labelled(one.prompt, one.completion[0], probability[one.prompt] > 0.5);
      examples.score.push_back(static_cast<float>(probability[one.prompt]));
    };
    double const beta = row.at("hyper").at("beta").get<double>();
    auto taken = step(writer, judge, nash_md{.beta = beta}, policy, reference);
    // The trainer's mean is over tokens, TRL's over completions of sums.
    double const per_completion =
        static_cast<double>(policy.size()) / static_cast<double>(probability.size());
    for (double& each : taken.gradient) each *= per_completion;
    // Scores are floats: 2^-25 of at most 1, over the completions.
    REQUIRE(taken.gradient.size() == expected.size());
    for (std::size_t k = 0; k != expected.size(); ++k) {
      CHECK(std::abs(taken.gradient[k] - expected[k]) <=
            0x1p-25 / static_cast<double>(probability.size()) + 1e-14);
    }
    ++rows;
  }
  CHECK(rows == 8);
}
