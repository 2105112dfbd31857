// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/loss/compose.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/parallel/thread_processes.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/trainer.hpp>

#include "small_problem.hpp"

// A policy with a value head, and losses that read what it expects.

namespace {

using namespace prefer;

/// A table of log-probabilities with a linear value head on two features of a completion:
///
///   value(x, y) = weight_0 + weight_1 * y
class with_value_head {
 public:
  using value_type = double;
  static constexpr completion_output_set gives = completion_output::value;

  with_value_head() : choice_(small::policy<tabular<double>>()) {}

  void log_prob(choice_batch const& batch, std::span<double> out) { choice_.log_prob(batch, out); }
  void backward(choice_batch const& batch, std::span<double const> coefficient) {
    choice_.backward(batch, coefficient);
  }
  void evaluate(choice_batch const& batch, completion_outputs<double> const& wanted) {
    ++forward_passes;
    if (!wanted.log_prob.empty()) choice_.log_prob(batch, wanted.log_prob);
    for (std::size_t i = 0; i != wanted.value.size(); ++i) {
      wanted.value[i] = weight_[0] + weight_[1] * batch.completion[i];
    }
  }
  void backward(choice_batch const& batch, completion_gradients<double> const& given) {
    ++backward_passes;
    if (!given.log_prob.empty()) choice_.backward(batch, given.log_prob);
    for (std::size_t i = 0; i != given.value.size(); ++i) {
      gradient_[0] += given.value[i];
      gradient_[1] += given.value[i] * batch.completion[i];
    }
  }
  void finish_backward() { choice_.finish_backward(); }
  std::vector<parameter<double>> parameters() {
    auto out = choice_.parameters();
    out.push_back({.name = "value head", .value = weight_, .gradient = gradient_});
    return out;
  }

  int forward_passes = 0;
  int backward_passes = 0;

 private:
  tabular<double> choice_;
  double weight_[2] = {0, 0};
  double gradient_[2] = {0, 0};
};

/// Half the squared distance of the value head from the return, which is the score.
struct value_regression {
  static constexpr std::size_t arity = 1;
  constexpr auto operator()(auto const& example) const {
    return 0.5 * square(example.value_estimate - example.score);
  }
};

/// Negative log-likelihood of every completion, whatever its label.
struct plain_nll {
  static constexpr std::size_t arity = 1;
  constexpr auto operator()(auto const& example) const { return -example.log_prob; }
};

choice_data returns() {
  auto data = small::labelled(24);
  for (std::uint32_t const y : data.completion) data.score.push_back(2.0F - 0.75F * float(y));
  return data;
}

}  // namespace

TEST_CASE("value head: regression finds the returns, and moves nothing else", "[train][value]") {
  auto const data = returns();
  with_value_head policy;
  auto const table_before = small::state_of(policy);
  no_reference<double> reference;
  trainer run(policy, value_regression{}, reference, data,
              {.batch_size = 24,
               .steps = 600,
               .rate = 0.2 * small::gradient_descent_scale,
               .optimizer = small::gradient_descent});
  step_report last;
  run.run([&](step_report const& report) { last = report; });
  auto const head = policy.parameters().back().value;
  // The returns are linear in the feature, so the least squares fit is exact.
  CHECK(head[0] == Approx(2.0).margin(1e-6));
  CHECK(head[1] == Approx(-0.75).margin(1e-6));
  CHECK(last.loss < 1e-12);
  auto const after = small::state_of(policy);
  CHECK(std::equal(after.begin(), after.end() - 2, table_before.begin()));
  CHECK(policy.forward_passes == 600);
  CHECK(policy.backward_passes == 600);
}

TEST_CASE("value head: beside a loss of log-probabilities both get their gradients",
          "[train][value]") {
  auto const data = returns();
  no_reference<double> reference;
  train_options const how = {.batch_size = 7,
                             .micro_batch_size = 3,
                             .epochs = 2,
                             .rate = 0.1 * small::gradient_descent_scale,
                             .optimizer = small::gradient_descent};
  auto const train = [&](auto const& loss, auto const& on) {
    with_value_head policy;
    trainer(policy, loss, reference, data, how, {}, on).run();
    return small::state_of(policy);
  };
  auto const head_alone = train(value_regression{}, single_process{});
  auto const table_alone = train(plain_nll{}, single_process{});
  auto const both = train(plain_nll{} + value_regression{}, single_process{});
  auto const head_begins = static_cast<std::ptrdiff_t>(both.size()) - 2;
  CHECK(std::equal(both.begin(), both.begin() + head_begins, table_alone.begin()));
  CHECK(std::equal(both.begin() + head_begins, both.end(), head_alone.begin() + head_begins));
  thread_processes::run(3, [&](auto const& mine) {
    auto const shared = train(plain_nll{} + value_regression{}, mine);
    for (std::size_t i = 0; i != both.size(); ++i) {
      if (std::fabs(shared[i] - both[i]) > 1e-12) throw std::runtime_error("differs");
    }
  });
}

TEMPLATE_TEST_CASE("evaluate: the derivative by the value estimate, with weights",
                   "[objective][value]", float, double) {
  // d/dv of w * (v - s)^2 / 2 is w * (v - s): exact numbers in float.
  std::vector<TestType> const policy(19, TestType(-1));
  std::vector<TestType> value, score, weight, expected;
  for (int i = 0; i != 19; ++i) {
    value.push_back(static_cast<TestType>(i));
    score.push_back(static_cast<TestType>(i % 5));
    weight.push_back(static_cast<TestType>(1 + i % 3));
    expected.push_back(weight.back() * (value.back() - score.back()));
  }
  std::vector<TestType> of_value(19), of_log_prob(19, TestType(7));
  unpaired_columns const batch{
      .policy = policy, .score = score, .weight = weight, .value_estimate = value};
  evaluate_into(value_regression{}, batch, {.coefficient = of_log_prob, .value_estimate = of_value},
                nothing{}, {.reduce = reduction::none});
  CHECK(of_value == expected);
  CHECK(of_log_prob == std::vector<TestType>(19));
  auto const result = evaluate(value_regression{}, batch);
  CHECK(result.value_coefficient[7] == Approx(static_cast<double>(expected[7]) / 19));
}

TEST_CASE("evaluate: a value estimate that is wanted and not there, or there and not wanted",
          "[objective][value]") {
  std::vector<double> const numbers = {-1.0, -2.0};
  std::vector<double> out(2);
  unpaired_columns const without{.policy = numbers, .score = numbers};
  CHECK(small::message_of([&] {
          (void)evaluate(value_regression{}, without);
        }).find("value_estimate") != std::string::npos);
  CHECK(small::message_of([&] {
          evaluate_into(plain_nll{}, without, {.value_estimate = out}, nothing{});
        }) == "evaluate: results.value_estimate is asked for, and this loss does not read it");
}
