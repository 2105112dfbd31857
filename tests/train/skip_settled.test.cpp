// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <prefer/batch/token_table.hpp>
#include <prefer/loss/aot.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/parallel/thread_processes.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/trainer.hpp>

#include "course.hpp"
#include "small_problem.hpp"

// Groups whose coefficients are small beside the largest of the batch may skip their backward pass.

namespace {

using namespace prefer;
using table = tabular<double>;

small::course<double> trained(auto const& loss, choice_data const& data, train_options how,
                              double share, std::size_t micro_batch) {
  how.skip_settled = share;
  how.micro_batch_size = micro_batch;
  return small::course_of(small::policy<table>(), loss, data, how, single_process{});
}

/// What a step of gradient descent at a rate of 1 has subtracted from every parameter.
std::vector<double> gradient(choice_data const& data, double share, std::size_t micro_batch,
                             step_report& report) {
  auto policy = small::policy<table>();
  auto const before = small::state_of(policy);
  auto reference = frozen(small::half_of(policy));
  trainer run(policy, dpo{.beta = 2.0}, reference, data,
              {.batch_size = data.size(),
               .micro_batch_size = micro_batch,
               .rate = small::gradient_descent_scale,
               .optimizer = small::gradient_descent,
               .skip_settled = share});
  report = run.step();
  auto out = small::state_of(policy);
  for (std::size_t k = 0; k != out.size(); ++k) out[k] = before[k] - out[k];
  return out;
}

/// REINFORCE, token by token.
struct reinforced {
  static constexpr std::size_t arity = 1;
  static constexpr auto example = example_of::token;
  constexpr auto operator()(auto const& token) const { return -(token.score * token.log_prob); }
};

}  // namespace

TEST_CASE("skip_settled: where nothing is below the share, no bit changes", "[train][settled]") {
  train_options const how{.batch_size = 10, .epochs = 2, .rate = 0.05};
  auto const same = [&](auto const& loss, choice_data const& data) {
    auto const whole = trained(loss, data, how, 0.0, 0);
    CHECK(std::isnan(whole.reports.back().settled));
    for (std::size_t const micro_batch : {0U, 3U}) {
      auto const watched = trained(loss, data, how, 1e-300, micro_batch);
      CHECK(watched.parameters == whole.parameters);
      for (std::size_t s = 0; s != whole.reports.size(); ++s) {
        CHECK(watched.reports[s].loss == whole.reports[s].loss);
        CHECK(watched.reports[s].settled == 0.0);
      }
    }
  };
  same(dpo{}, small::pairs(25));
  same(aot{}, small::pairs(25));
  same(kto{}, small::labelled(25));
  same(plackett_luce{}, small::lists(25));
}

TEST_CASE("skip_settled: what is left out is counted and bounds the change of the gradient",
          "[train][settled]") {
  // The gradient of a pair in a table of logits is its coefficient, at chosen and rejected with opposite signs: the
  // normaliser is the same for both. The coefficient is beta sigmoid(-beta margin) / pairs, and the reference is half of the
  // policy's logits, so the margin is half of their difference.
  auto const data = small::pairs(12);
  auto policy = small::policy<table>();
  auto const logits = small::state_of(policy);
  auto const at = [&](std::size_t g, std::size_t side) {
    return data.prompt[g] * small::completions + data.completion[2 * g + side];
  };
  std::vector<double> coefficient;
  for (std::size_t g = 0; g != data.size(); ++g) {
    double const margin = 0.5 * (logits[at(g, 0)] - logits[at(g, 1)]);
    coefficient.push_back(2.0 / (1.0 + std::exp(2.0 * margin)) / 12.0);
  }
  double const largest = *std::max_element(coefficient.begin(), coefficient.end());
  for (double const share : {0.3, 0.6, 0.9}) {
    std::vector<double> expected(logits.size());
    double settled = 0;
    for (std::size_t g = 0; g != data.size(); ++g) {
      if (coefficient[g] < share * largest) {
        ++settled;
        continue;
      }
      expected[at(g, 0)] -= coefficient[g];
      expected[at(g, 1)] += coefficient[g];
    }
    REQUIRE(settled < 12);
    if (share > 0.5) REQUIRE(settled > 0);
    step_report report;
    step_report whole;
    auto const all = gradient(data, 0.0, 0, whole);
    for (std::size_t const micro_batch : {0U, 1U, 5U}) {
      CAPTURE(share, micro_batch);
      auto const left = gradient(data, share, micro_batch, report);
      CHECK(report.settled == settled);
      CHECK(report.loss == whole.loss);
      double change = 0;
      for (std::size_t k = 0; k != left.size(); ++k) {
        CHECK(left[k] == Approx(expected[k]).margin(1e-8));
        change += (left[k] - all[k]) * (left[k] - all[k]);
      }
      CHECK(std::sqrt(change) <= std::sqrt(2.0) * settled * share * largest + 1e-8);
    }
  }
}

TEST_CASE("skip_settled: the batch's largest is that of all micro-batches and processes",
          "[train][settled]") {
  // Steps of plain gradient descent, so that what processes round otherwise stays small.
  auto how = small::for_processes;
  auto const check = [&](auto const& loss, choice_data const& data) {
    how.micro_batch_size = 0;
    auto const whole = trained(loss, data, how, 0.9, 0);
    double settled = 0;
    for (auto const& report : whole.reports) settled += report.settled;
    CHECK(settled > 0);
    for (std::size_t const micro_batch : {1U, 2U, 5U}) {
      auto const cut = trained(loss, data, how, 0.9, micro_batch);
      CHECK(cut.parameters == whole.parameters);
    }
    how.skip_settled = 0.9;
    thread_processes::run(3, [&](thread_processes::process const& mine) {
      auto const part = small::course_of(small::policy<table>(), loss, data, how, mine);
      for (std::size_t s = 0; s != whole.reports.size(); ++s) {
        if (part.reports[s].settled != whole.reports[s].settled) throw std::size_t{s};
      }
    });
  };
  check(dpo{.beta = 10.0}, small::pairs(small::rows));
  check(aot{.beta = 10.0}, small::pairs(small::rows));
  check(kto{.beta = 10.0}, small::labelled(small::rows));
  check(plackett_luce{.beta = 10.0}, small::lists(small::rows));
}

TEST_CASE("skip_settled: of a loss over tokens a completion's largest coefficient counts",
          "[train][settled]") {
  token_table tokens;
  choice_data data;
  for (std::uint32_t const first : {0U, 1U, 2U}) {
    std::vector<std::uint32_t> const completion = {first, 1, 0};
    data.add_labelled(first, tokens.add(completion), true);
  }
  auto const with_score = [&](float second, double share) {
    data.score = {1.0F, second, -2.0F};
    data.label.clear();
    bigram<double> policy(3, tokens);
    no_reference<double> none;
    trainer run(policy, reinforced{}, none, data, {.rate = 0.1, .skip_settled = share});
    CHECK((share == 0.0 || run.step().settled == 1.0));
    if (share == 0.0) run.step();
    return small::state_of(policy);
  };
  CHECK(with_score(0.125F, 0.25) == with_score(0.0F, 0.0));
}

TEST_CASE("skip_settled: a share of 1 would leave nothing to learn from and is refused",
          "[train][settled]") {
  auto const data = small::pairs(4);
  auto policy = small::policy<table>();
  no_reference<double> none;
  for (double const share : {1.0, -0.1, std::nan("")}) {
    CHECK(small::message_of([&] { trainer(policy, dpo{}, none, data, {.skip_settled = share}); }) ==
          "trainer: skip_settled must be at least 0 and below 1");
  }
}
