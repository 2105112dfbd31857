// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <prefer/loss/dpo.hpp>
#include <prefer/model/log_linear.hpp>
#include <prefer/model/matrix_factorization.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/reference/reference.hpp>
#include <prefer/train/trainer.hpp>
#include <support/policy_archetypes.hpp>
#include <train/small_problem.hpp>
#include <vector>

using prefer::choice_batch;
using prefer::Reference;
using small::message_of;

namespace {

using table = prefer::tabular<double>;

double const infinity = std::numeric_limits<double>::infinity();

// What a user writes: completions by how often they were met.
struct popularity {
  using value_type = double;
  std::vector<double> log_share;
  void log_prob(choice_batch const& batch, std::span<double> out) const {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = log_share[batch.completion[i]];
  }
};

// Log-probabilities as they are given, whatever the batch holds.
struct spoken {
  using value_type = double;
  std::vector<double> numbers;
  void log_prob(choice_batch const&, std::span<double> out) const {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = numbers[i];
  }
};
struct spoken_policy : spoken {
  void backward(choice_batch const&, std::span<double const>) {}
  std::vector<prefer::parameter<double>> parameters() { return {}; }
};

}  // namespace

TEST_CASE("Reference: each missing member makes the concept false", "[reference]") {
  using prefer::test::reference_archetype;
  using prefer::test::reference_lacks;
  STATIC_REQUIRE(Reference<reference_archetype<>, choice_batch>);
  STATIC_REQUIRE_FALSE(Reference<reference_archetype<reference_lacks::value_type>, choice_batch>);
  STATIC_REQUIRE_FALSE(Reference<reference_archetype<reference_lacks::log_prob>, choice_batch>);
}

TEST_CASE("Reference: policies and everything that is offered are references", "[reference]") {
  STATIC_REQUIRE(Reference<prefer::test::policy_archetype<>, choice_batch>);
  STATIC_REQUIRE(Reference<table, choice_batch>);
  STATIC_REQUIRE(Reference<prefer::frozen<table>, choice_batch>);
  STATIC_REQUIRE(Reference<prefer::cached<float>, choice_batch>);
  STATIC_REQUIRE(Reference<prefer::no_reference<float>, choice_batch>);
  STATIC_REQUIRE(Reference<popularity, choice_batch>);
}

TEST_CASE("Reference: the generic functions ask for no more than the concepts", "[reference]") {
  prefer::test::policy_archetype<> policy(-1.5);
  prefer::test::reference_archetype<prefer::test::reference_lacks::nothing, float> reference(-2.0f);
  auto const data = small::pairs(3);
  CHECK(prefer::distance_to_reference(policy, reference, data.batch()).largest == 0.5);
  CHECK_THROWS_AS(prefer::expect_initial_reference(policy, reference, data.batch()),
                  prefer::precondition_error);
  CHECK_NOTHROW(prefer::cached<double>::of(reference, data, 0));
}

TEST_CASE("no_reference: says 0 of everything", "[reference][none]") {
  auto const data = small::pairs(3);
  prefer::no_reference<double> none;
  std::vector<double> out(6, 1.0);
  none.log_prob(data.batch(), out);
  CHECK(out == std::vector<double>(6));
  out.assign(6, 1.0);
  none.logit(data.batch(), out);
  CHECK(out == std::vector<double>(6));
}

TEMPLATE_TEST_CASE("frozen: stays where it was while the policy trains", "[reference][frozen]",
                   prefer::tabular<float>, prefer::tabular<double>,
                   prefer::matrix_factorization<float>, prefer::log_linear<double>) {
  using T = typename TestType::value_type;
  auto const data = small::pairs(10);
  auto policy = small::policy<TestType>();
  auto reference = prefer::frozen(policy);
  std::vector<T> start(20);
  policy.log_prob(data.batch(), start);
  prefer::trainer(policy, prefer::dpo{}, reference, data, {.batch_size = 3, .rate = 0.1}).run();

  std::vector<T> out(20);
  reference.log_prob(data.batch(), out);
  CHECK(out == start);
  policy.log_prob(data.batch(), out);
  CHECK(out != start);
}

TEST_CASE("frozen: offers what the policy offers and no more", "[reference][frozen]") {
  auto const data = small::pairs(3);
  auto policy = small::policy<table>();
  prefer::frozen reference(policy);
  std::vector<double> ours(6);
  std::vector<double> theirs(6);
  policy.logit(data.batch(), ours);
  reference.logit(data.batch(), theirs);
  CHECK(ours == theirs);
  constexpr auto logits = [](auto& r) {
    return requires(choice_batch const& b, std::span<double> out) { r.logit(b, out); };
  };
  constexpr auto takes_threads = [](auto& r) { return requires { r.use(prefer::executor()); }; };
  prefer::frozen bare(spoken_policy{});
  CHECK(logits(reference));
  CHECK(takes_threads(reference));
  CHECK_FALSE(logits(bare));
  CHECK_FALSE(takes_threads(bare));
}

TEST_CASE("distance_to_reference: is the largest log-ratio, either way, and says where",
          "[reference]") {
  auto const data = small::pairs(2);
  spoken_policy policy{{{-1, -2, -3, -4}}};
  spoken reference{{-1, -2.5, -2.25, -4}};
  auto const distance = prefer::distance_to_reference(policy, reference, data.batch());
  CHECK(distance.largest == 0.75);
  CHECK(distance.completion == 2);
}

TEST_CASE("distance_to_reference: NaN is farther than any number, wherever it is", "[reference]") {
  auto const data = small::pairs(2);
  spoken reference{{-1, -2, -3, -4}};
  for (std::size_t place = 0; place < 4; ++place) {
    spoken_policy policy{{{-1, -2, -3, -4}}};
    policy.numbers[place] = std::nan("");
    auto const distance = prefer::distance_to_reference(policy, reference, data.batch());
    CHECK(std::isnan(distance.largest));
    CHECK(distance.completion == place);
    CHECK_THROWS_AS(prefer::expect_initial_reference(policy, reference, data.batch()),
                    prefer::precondition_error);
    policy.numbers[place] = -infinity;
    CHECK(prefer::distance_to_reference(policy, reference, data.batch()).largest == infinity);
  }
}

TEST_CASE("expect_initial_reference: names completion and log-ratio of a policy that has moved",
          "[reference]") {
  auto const data = small::pairs(2);
  spoken_policy policy{{{-1, -2, -3, -4}}};
  spoken reference{{-1, -2, -3, -4}};
  prefer::expect_initial_reference(policy, reference, data.batch());
  policy.numbers[3] += 1e-6;  // rounding of a float
  prefer::expect_initial_reference(policy, reference, data.batch());
  policy.numbers[3] = -3.5;
  CHECK(message_of([&] { prefer::expect_initial_reference(policy, reference, data.batch()); }) ==
        "reference: it should be the initial policy, yet |log_ratio| of completion 3 is 0.500000 "
        "nats; expected 0 before the first step");
  prefer::expect_initial_reference(policy, reference, data.batch(), 0.5);

  std::vector<std::size_t> const rows = {40, 17};
  auto batch = data.batch();
  batch.row = rows;
  CHECK(message_of([&] { prefer::expect_initial_reference(policy, reference, batch); }) ==
        "reference: it should be the initial policy, yet |log_ratio| of completion 1 of row 17 is "
        "0.500000 nats; expected 0 before the first step");
}

TEST_CASE("a user's reference: shifts the margin of DPO by its own", "[reference]") {
  // Policy uniform, shares 1/2 and 1/4: the log-ratio margin of (0, 1) is -ln 2, so with beta 1 the loss
  // is log(1 + 2).
  table policy(1, 3);
  popularity reference{{std::log(0.5), std::log(0.25), std::log(0.25)}};
  prefer::choice_data data;
  data.add_pair(0, 0, 1);
  auto const report = prefer::trainer(policy, prefer::dpo{.beta = 1.0}, reference, data).step();
  CHECK(report.loss == Approx(std::log(3.0)));
  CHECK(report.reward_margin == Approx(-std::log(2.0)));
}
