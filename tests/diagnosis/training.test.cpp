// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <prefer/diagnosis/training.hpp>
#include <prefer/loss/catalogue.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/metrics/scored_pairs.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/trainer.hpp>
#include <string>
#include <train/small_problem.hpp>
#include <vector>

using prefer::choice_data;
using prefer::diagnose;
using prefer::problem;
using prefer::training_finding;
using prefer::training_report;

namespace {

using table = prefer::tabular<double>;

std::vector<problem> kinds(training_report const& report,
                           prefer::diagnosis_limits const& limits = {}) {
  std::vector<problem> out;
  for (training_finding const& each : diagnose_training(report, limits)) out.push_back(each.kind);
  return out;
}

bool has(std::vector<problem> const& found, problem kind) {
  for (problem const each : found) {
    if (each == kind) return true;
  }
  return false;
}

// KL(policy || uniform), exactly, averaged over prompts.
double kl_to_uniform(table const& policy) {
  double sum = 0.0;
  std::vector<double> row(policy.completions());
  for (std::uint32_t x = 0; x < policy.prompts(); ++x) {
    policy.log_probs(x, row);
    for (double const log_p : row) {
      sum += std::exp(log_p) * (log_p + std::log(static_cast<double>(row.size())));
    }
  }
  return sum / static_cast<double>(policy.prompts());
}

template <class L>
training_report trained(table& policy, L const& loss, choice_data const& data,
                        prefer::train_options const& options, table const& start,
                        choice_data const& held_out = {}) {
  auto reference = prefer::frozen(start);
  auto const summary = [&](choice_data const& of) {
    auto const scored = prefer::score_pairs(policy, reference, of);
    return summary_of(scored.columns(), loss);
  };
  training_report report{.start = summary(data)};
  prefer::trainer run(policy, loss, reference, data, options);
  run.run([&](prefer::step_report const& step) { report.steps.push_back(step); });
  report.end = summary(data);
  if (held_out.size() != 0) report.held_out = summary(held_out);
  report.kl = kl_to_uniform(policy);
  return report;
}

// From the uniform policy, which is the reference.
template <class L>
training_report trained(std::size_t prompts, std::size_t completions, L const& loss,
                        choice_data const& data, prefer::train_options const& options,
                        choice_data const& held_out = {}) {
  table policy(prompts, completions);
  auto report = trained(policy, loss, data, options, table(prompts, completions), held_out);
  report.reference_is_start = true;
  return report;
}

// Of six completions of every prompt, 0 is better than 1, 2 than 3 and 4 than 5: no completion is chosen
// here and rejected there. Lengths are those of small::with_lengths.
choice_data separate_pairs(std::uint32_t prompts) {
  choice_data data;
  for (std::uint32_t x = 0; x < prompts; ++x) {
    for (std::uint32_t y = 0; y < 6; y += 2) data.add_pair(x, y, y + 1);
  }
  return small::with_lengths(data);
}

// Of six completions of every prompt each is better than the next.
choice_data chains(std::uint32_t prompts) {
  choice_data data;
  for (std::uint32_t x = 0; x < prompts; ++x) {
    for (std::uint32_t y = 0; y < 5; ++y) data.add_pair(x, y, y + 1);
  }
  data.length.assign(data.completion.size(), 4.0f);
  return data;
}

}  // namespace

TEST_CASE("diagnose: a healthy run has no findings", "[train][diagnose]") {
  auto const data = separate_pairs(8);
  auto const report = trained(8, 6, prefer::dpo{.beta = 1.0}, data,
                              {.batch_size = 8, .epochs = 10, .rate = 0.02}, data);
  CHECK(report.steps.size() == 30);
  CHECK(report.end.rewards.accuracy.mean() == 1);
  CHECK(report.end.rewards.reward_margin.mean() > 0.5);
  CHECK(kinds(report).empty());
}

TEST_CASE("diagnose: what is not in a report is not judged", "[train][diagnose]") {
  CHECK(diagnose_training(training_report{}).empty());
}

TEST_CASE("diagnose: chosen completions that share their mass with better ones fall",
          "[train][diagnose]") {
  // The best margins are a ladder of equal steps from completion 0 down to 5. Four of the five chosen
  // completions are rejected as often as chosen, and lose what completion 0 gains.
  auto const report = trained(4, 6, prefer::dpo{.beta = 0.5}, chains(4),
                              {.batch_size = 20, .epochs = 200, .rate = 0.05});
  REQUIRE(report.end.rewards.accuracy.mean() == 1);  // for the margins all is well
  auto const found = diagnose_training(report);
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == problem::likelihood_displacement);
  CHECK(report.end.displaced.chosen.fell.mean() == 0.8);
  CHECK(found[0].sentence.find("80 % of the chosen completions fell below the reference, by ") ==
        0);
  CHECK(found[0].sentence.find(" per token)") != std::string::npos);
  CHECK(found[0].suggestions[0].loss == std::string("nll_per_token"));

  // The first suggestion works.
  auto const cured = trained(4, 6, prefer::dpo{.beta = 0.5} + 2.0 * prefer::nll_per_token{},
                             chains(4), {.batch_size = 20, .epochs = 200, .rate = 0.05});
  CHECK(cured.end.rewards.accuracy.mean() == 1);
  CHECK(cured.end.displaced.chosen.fell.mean() < 0.5);
  CHECK_FALSE(has(kinds(cured), problem::likelihood_displacement));
}

TEST_CASE("diagnose: a step far too large makes the loss rise", "[train][diagnose]") {
  // One label of four is turned round. AdamW's first step is the rate itself on every logit: margins of
  // 2 * 50 * beta, right three times, wrong by 100 once.
  choice_data data;
  for (int i = 0; i < 8; ++i) data.add_pair(0, i % 4 == 0 ? 1 : 0, i % 4 == 0 ? 0 : 1);
  auto const report =
      trained(1, 2, prefer::dpo{.beta = 1.0}, data, {.batch_size = 8, .epochs = 5, .rate = 50.0});
  CHECK(report.steps[1].loss == Approx(25).epsilon(1e-3));  // 1/4 softplus(100)
  auto const found = diagnose_training(report);
  REQUIRE_FALSE(found.empty());
  CHECK(found[0].kind == problem::diverged);
  CHECK(found[0].sentence.find("the loss rose from 0.693 at the first step to ") == 0);
  CHECK(kinds(trained(1, 2, prefer::dpo{.beta = 1.0}, data,
                      {.batch_size = 8, .epochs = 20, .rate = 0.05}))
            .empty());  // the first suggestion works
}

TEST_CASE("diagnose: a step far too small teaches nothing", "[train][diagnose]") {
  auto const data = separate_pairs(4);
  auto const report =
      trained(4, 6, prefer::dpo{.beta = 1.0}, data, {.batch_size = 12, .epochs = 20, .rate = 1e-6});
  auto const found = diagnose_training(report);
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == problem::no_learning);
  CHECK(found[0].sentence.find("after 20 steps the loss is 0.693 where it began with 0.693") == 0);
  // Few steps are no reason to complain.
  auto const early =
      trained(4, 6, prefer::dpo{.beta = 1.0}, data, {.batch_size = 12, .epochs = 5, .rate = 1e-6});
  CHECK(kinds(early).empty());
}

TEST_CASE("diagnose: separable pairs trained for long saturate, and a squared loss does not",
          "[train][diagnose]") {
  auto const data = separate_pairs(4);
  prefer::train_options const options{.batch_size = 12, .epochs = 200, .rate = 0.05};
  auto const found = diagnose_training(trained(4, 6, prefer::dpo{.beta = 1.0}, data, options));
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == problem::saturation);
  CHECK(found[0].sentence.find("only 0 % of 12 pairs have a reward margin z") == 0);
  CHECK(kinds(trained(4, 6, prefer::ipo_sum{.beta = 1.0}, data, options)).empty());
  CHECK(kinds(trained(4, 6, prefer::dpo{.beta = 1.0, .label_smoothing = 0.1}, data, options))
            .empty());
}

TEST_CASE("diagnose: rewards that follow length are found", "[train][diagnose]") {
  // Completion y has y + 1 tokens, and the longer one is chosen, whichever two are compared.
  choice_data data;
  for (std::uint32_t x = 0; x < 4; ++x) {
    for (std::uint32_t y = 1; y < 6; ++y) {
      for (std::uint32_t other = 0; other < y; ++other) {
        data.add_pair(x, y, other);
        data.length.push_back(static_cast<float>(y + 1));
        data.length.push_back(static_cast<float>(other + 1));
      }
    }
  }
  auto const report =
      trained(4, 6, prefer::dpo{.beta = 1.0}, data, {.batch_size = 20, .epochs = 10, .rate = 0.02});
  auto const found = diagnose_training(report);
  REQUIRE(has(kinds(report), problem::length_exploitation));
  // The mean longer of two different numbers from 1 to 6 is 14/3, the shorter one 7/3.
  for (auto const& each : found) {
    if (each.kind != problem::length_exploitation) continue;
    CHECK(each.sentence.find("chosen completions have 4.67 tokens, rejected ones 2.33") !=
          std::string::npos);
  }
  auto shuffled = data;  // the same preferences, lengths that have nothing to do with them
  for (std::size_t i = 0; i < shuffled.length.size(); ++i) {
    shuffled.length[i] = static_cast<float>(1 + shuffled.completion[i] * 7 % 5 % 3);
  }
  CHECK_FALSE(has(kinds(trained(4, 6, prefer::dpo{.beta = 1.0}, shuffled,
                                {.batch_size = 20, .epochs = 10, .rate = 0.02})),
                  problem::length_exploitation));
}

TEST_CASE("diagnose: noisy labels learnt by heart are overconfidence on held-out pairs",
          "[train][diagnose]") {
  // 400 prompts with one pair each, of whose labels 30 % are wrong; held out are the same pairs, labelled
  // anew. Labels agree with probability 0.7^2 + 0.3^2 = 0.58, with a standard error of 0.025.
  auto const labelled = [](std::uint64_t seed) {
    choice_data data;
    for (std::uint32_t x = 0; x < 400; ++x) {
      prefer::random_stream numbers(
          {.seed = seed, .purpose = prefer::random_purpose::label_noise, .index = x});
      std::uint32_t const chosen = prefer::uniform01(numbers) < 0.3 ? 1 : 0;
      data.add_pair(x, chosen, 1 - chosen);
    }
    return data;
  };
  auto const data = labelled(1);
  prefer::train_options const options{.batch_size = 100, .epochs = 20, .rate = 0.02};
  auto const report = trained(400, 2, prefer::dpo{.beta = 1.0}, data, options, labelled(2));
  CHECK(report.held_out.calibrated.total().accuracy() == Approx(0.58).margin(0.1));  // four errors
  auto const found = diagnose_training(report);
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == problem::overconfidence);
  CHECK(found[0].sentence.find("on held-out pairs sigmoid(|z|) claims ") == 0);
  // A suggestion: label smoothing at a rate of 0.4 makes the best confidence 0.6.
  CHECK(kinds(trained(400, 2, prefer::dpo{.beta = 1.0, .label_smoothing = 0.4}, data, options,
                      labelled(2)))
            .empty());
}

TEST_CASE("diagnose: a policy far from its start is found at the limit that is set",
          "[train][diagnose]") {
  auto const data = separate_pairs(4);
  auto const report = trained(4, 6, prefer::dpo{.beta = 0.05}, data,
                              {.batch_size = 12, .epochs = 100, .rate = 0.05});
  // What is never chosen loses everything: three of six remain, log 2 from uniform.
  CHECK(report.kl == Approx(std::log(2.0)).epsilon(0.05));
  CHECK(kinds(report).empty());
  auto const found = diagnose_training(report, {.kl = 0.5});
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == problem::kl_blow_up);
  CHECK(found[0].sentence.find(" nats of KL away from its start, more than 0.5") !=
        std::string::npos);
}

TEST_CASE("diagnose: a reference that is not the start it is said to be", "[train][diagnose]") {
  auto const data = separate_pairs(4);
  table policy(4, 6);
  auto other = table(4, 6);
  for (auto& logit : other.parameters()[0].value.first(6)) logit = 0.5;
  other.parameters()[0].value[0] = 1.5;  // completion 0 of prompt 0 is a nat likelier than the rest
  prefer::train_options const options{.batch_size = 12, .epochs = 10, .rate = 0.02};
  auto report = trained(policy, prefer::dpo{.beta = 1.0}, data, options, other);
  CHECK(kinds(report).empty());  // another reference, and a near one
  report.reference_is_start = true;
  auto const found = diagnose_training(report);
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == problem::reference_mismatch);
  CHECK(found[0].sentence.find("so all should be 0") != std::string::npos);
}

TEST_CASE("diagnose: a reference that puts margins far off before the first step",
          "[train][diagnose]") {
  auto const data = separate_pairs(4);
  table policy(4, 6);
  auto other = table(4, 6);
  for (std::size_t i = 0; i < 24; ++i) {
    other.parameters()[0].value[i] = i % 2 == 0 ? 8.0 : 0.0;  // right about every pair, by 8 nats
  }
  auto const report = trained(policy, prefer::dpo{.beta = 1.0}, data,
                              {.batch_size = 12, .epochs = 10, .rate = 0.02}, other);
  auto const found = diagnose_training(report);
  REQUIRE_FALSE(found.empty());
  CHECK(found[0].kind == problem::reference_mismatch);
  CHECK(found[0].sentence.find("reward margins -8 with deviation 0") != std::string::npos);
  // With beta 0.1 the same reference is of use.
  table again(4, 6);
  CHECK_FALSE(has(kinds(trained(again, prefer::dpo{.beta = 0.1}, data,
                                {.batch_size = 12, .epochs = 10, .rate = 0.02}, other)),
                  problem::reference_mismatch));
}

TEST_CASE("diagnose: numbers that are none come first and alone", "[train][diagnose]") {
  auto const data = separate_pairs(1);
  table policy(1, 6);
  table broken(1, 6);
  broken.parameters()[0].value[1] = std::numeric_limits<double>::quiet_NaN();
  auto reference = prefer::frozen(broken);
  auto const scored = prefer::score_pairs(policy, reference, data);
  training_report report{.start = summary_of(scored.columns(), prefer::dpo{})};
  auto const found = diagnose_training(report);
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == problem::not_finite);
  CHECK(found[0].sentence == "mean rewards at the start are nan (chosen) and nan (rejected)");
  // And the suggestion finds the place: a softmax over a NaN is NaN everywhere.
  auto const rows = diagnose(scored.columns());
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].column == "reference.chosen");

  training_report const steps{
      .steps = {{.step = 1, .loss = 0.7},
                {.step = 2, .loss = std::numeric_limits<double>::infinity()}}};
  CHECK(diagnose_training(steps)[0].sentence == "step 2 has loss inf and gradient norm nan");
}

TEST_CASE("diagnose: over-optimisation of a table by few noisy pairs", "[train][diagnose]") {
  // 64 completions with true rewards R ~ N(0, 1); 100 pairs from the start policy, labelled by
  // sigmoid(2 (R - R')). With a small beta and many steps the policy ends on completions that were lucky.
  constexpr std::size_t actions = 64;
  auto const normal = [](std::uint64_t step) {
    std::vector<double> out(actions);
    prefer::fill_normal(std::span<double>(out),
                        {.seed = 3, .purpose = prefer::random_purpose::data, .step = step}, 0.0,
                        1.0);
    return out;
  };
  std::vector<double> const reward = normal(0);
  table policy(1, actions);
  choice_data data;
  for (std::uint64_t i = 0; data.size() < 100; ++i) {
    prefer::random_stream numbers(
        {.seed = 3, .purpose = prefer::random_purpose::label_noise, .index = i});
    auto const pick = [&] {
      return static_cast<std::uint32_t>(prefer::uniform01(numbers) * static_cast<double>(actions));
    };
    std::uint32_t const a = pick();
    std::uint32_t const b = pick();
    if (a == b) continue;
    bool const a_wins =
        prefer::uniform01(numbers) < 1.0 / (1.0 + std::exp(2 * (reward[b] - reward[a])));
    data.add_pair(0, a_wins ? a : b, a_wins ? b : a);
  }
  auto reference = prefer::frozen(policy);
  prefer::dpo const loss{.beta = 0.05};
  training_report report;
  prefer::trainer run(policy, loss, reference, data,
                      {.batch_size = 100, .epochs = 400, .rate = 0.1});
  auto const look = [&](std::uint64_t step) {
    auto const scored = prefer::score_pairs(policy, reference, data);
    double truth = 0.0;
    std::vector<double> row(actions);
    policy.log_probs(0, row);
    for (std::size_t y = 0; y < actions; ++y) truth += std::exp(row[y]) * reward[y];
    report.checkpoints.push_back(
        {.step = step,
         .proxy = summary_of(scored.columns(), loss).rewards.reward_margin.mean(),
         .truth = truth,
         .kl = kl_to_uniform(policy)});
  };
  look(0);
  run.run([&](prefer::step_report const& step) {
    if (step.step % 10 == 0) look(step.step);
  });
  auto const found = diagnose_training(report);
  auto const fall = prefer::find_over_optimisation(report.checkpoints);
  CHECK(fall.peak > 0);
  CHECK(fall.drop > 0.1);  // of a true reward whose deviation is 1
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == problem::over_optimisation);
  CHECK(found[0].sentence.find(", at step " + std::to_string(report.checkpoints[fall.peak].step) +
                               " (sqrt(KL) ") != std::string::npos);
  report.truth_noise = fall.drop;
  CHECK(diagnose_training(report).empty());  // a fall that is no more than noise is none
}

TEST_CASE("diagnose: every loss that a suggestion names is in the catalogue", "[train][diagnose]") {
  using namespace prefer::detail;
  for (std::span<prefer::suggestion const> const suggestions :
       {std::span<prefer::suggestion const>(suggestions_for_not_finite),
        std::span<prefer::suggestion const>(suggestions_for_reference_mismatch),
        std::span<prefer::suggestion const>(suggestions_for_diverged),
        std::span<prefer::suggestion const>(suggestions_for_no_learning),
        std::span<prefer::suggestion const>(suggestions_for_displacement),
        std::span<prefer::suggestion const>(suggestions_for_saturation),
        std::span<prefer::suggestion const>(suggestions_for_length_exploitation),
        std::span<prefer::suggestion const>(suggestions_for_overconfidence),
        std::span<prefer::suggestion const>(suggestions_for_kl),
        std::span<prefer::suggestion const>(suggestions_for_over_optimisation)}) {
    CHECK(suggestions.size() >= 2);
    for (prefer::suggestion const& each : suggestions) {
      if (each.loss[0] == 0) continue;
      INFO(each.loss);
      CHECK_NOTHROW(prefer::with_loss(each.loss, [](auto const&, auto const&) {}));
    }
  }
}
