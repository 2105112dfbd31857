// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/metrics/tokens.hpp>
#include <string>
#include <train/small_problem.hpp>
#include <vector>

using prefer::metrics;
using prefer::token_columns;

namespace {

// Two pairs; all sums over the tokens of a completion.
struct two_pairs {
  std::vector<int> chosen_length = {2, 6};
  std::vector<int> rejected_length = {4, 4};
  std::vector<double> chosen_entropy = {1, 3};
  std::vector<double> rejected_entropy = {8, 4};
  std::vector<double> chosen_logit = {-4, 12};
  std::vector<double> rejected_logit = {2, 2};
  std::vector<int> correct = {2, 2};
  [[nodiscard]] token_columns chosen() const {
    return {.length = chosen_length,
            .entropy = chosen_entropy,
            .logit = chosen_logit,
            .correct = correct};
  }
  [[nodiscard]] token_columns rejected() const {
    return {.length = rejected_length, .entropy = rejected_entropy, .logit = rejected_logit};
  }
};

}  // namespace

TEST_CASE("token metrics: are means over tokens of both sides, or of the one that they name",
          "[objective][token_metrics]") {
  two_pairs const at;
  auto const sums = metrics(at.chosen(), at.rejected());
  CHECK(sums.entropy.mean() == 1);           // 16 nats over 16 tokens
  CHECK(sums.token_accuracy.mean() == 0.5);  // 4 of 8
  CHECK(sums.logit_chosen.mean() == 1);      // 8 / 8
  CHECK(sums.logit_rejected.mean() == 0.5);  // 4 / 8

  std::vector<std::string> names;
  for_each_metric(sums, [&](char const* name, double) { names.emplace_back(name); });
  CHECK(names == std::vector<std::string>{"entropy", "mean_token_accuracy", "logits/chosen",
                                          "logits/rejected"});
}

TEST_CASE("token metrics: what a policy does not give is not reported",
          "[objective][token_metrics]") {
  two_pairs const at;
  auto const sums = metrics(token_columns{.length = at.chosen_length, .entropy = at.chosen_entropy},
                            token_columns{.length = at.rejected_length});
  std::vector<std::string> names;
  for_each_metric(sums, [&](char const* name, double value) {
    names.emplace_back(name);
    CHECK(value == 0.5);  // 4 nats over the 8 tokens whose entropy is known
  });
  CHECK(names == std::vector<std::string>{"entropy"});
}

TEST_CASE("token metrics: of labelled completions, desirable ones stand for chosen",
          "[objective][token_metrics]") {
  two_pairs const at;
  bool const label[] = {false, true};
  auto const sums = metrics(at.chosen(), label);
  CHECK(sums.entropy.mean() == 0.5);
  CHECK(sums.logit_chosen.mean() == 2);     // 12 / 6
  CHECK(sums.logit_rejected.mean() == -2);  // -4 / 2
  CHECK(sums.token_accuracy.count == 6);
  auto const both = sums + metrics(at.chosen(), at.rejected());
  CHECK(both.entropy.mean() == Approx(20.0 / 24));
}

TEST_CASE("token metrics: sizes that disagree are refused", "[objective][token_metrics]") {
  two_pairs const at;
  std::vector<int> const three = {1, 1, 1};
  CHECK(small::message_of([&] { (void)metrics(at.chosen(), token_columns{.length = three}); }) ==
        "metrics: rejected.length has 3 elements, expected 2");
  auto wrong = at.chosen();
  wrong.correct = three;
  CHECK(small::message_of([&] { (void)metrics(wrong, at.rejected()); }) ==
        "metrics: a column of tokens has 3 elements, expected 2");
}
