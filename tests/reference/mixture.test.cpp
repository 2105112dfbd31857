// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/mixture.hpp>
#include <prefer/reference/moving_average.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/reference/per_prompt.hpp>
#include <prefer/train/trainer.hpp>
#include <reference/in_pieces.hpp>
#include <vector>

using Catch::Matchers::Contains;
using prefer::choice_batch;
using prefer::frozen;
using prefer::geometric_mixture;
using prefer::mixture;
using small::message_of;
using small::state_of;

namespace {

using table = prefer::tabular<double>;

double const epsilon = std::numeric_limits<double>::epsilon();
double const infinity = std::numeric_limits<double>::infinity();

// Says the same of everything.
struct says {
  using value_type = double;
  double number;
  void log_prob(choice_batch const&, std::span<double> out) const {
    for (double& each : out) each = number;
  }
};

double of(auto&& reference) {
  prefer::choice_data data;
  data.add_labelled(0, 0, true);
  double out = 1.0;
  reference.log_prob(data.batch(), std::span(&out, 1));
  return out;
}

// One prompt, three completions.
table with_probabilities(double a, double b, double c) {
  return {1, 3, {std::log(a), std::log(b), std::log(c)}};
}
std::vector<double> probabilities(auto& reference) {
  prefer::choice_data data;
  std::vector<std::uint32_t> const all = {0, 1, 2};
  data.add_list(0, all);
  std::vector<double> out(3);
  reference.log_prob(data.batch(), out);
  for (double& each : out) each = std::exp(each);
  return out;
}

}  // namespace

TEST_CASE("mixture: adds probabilities", "[reference][mixture]") {
  mixture reference({0.25, 0.75}, frozen(with_probabilities(0.5, 0.3, 0.2)),
                    frozen(with_probabilities(0.1, 0.1, 0.8)));
  auto const found = probabilities(reference);
  CHECK(found[0] == Approx(0.25 * 0.5 + 0.75 * 0.1).epsilon(1e-14));
  CHECK(found[1] == Approx(0.25 * 0.3 + 0.75 * 0.1).epsilon(1e-14));
  CHECK(found[2] == Approx(0.25 * 0.2 + 0.75 * 0.8).epsilon(1e-14));
}

TEST_CASE("mixture: of any number of references", "[reference][mixture]") {
  CHECK(of(mixture({1.0}, says{-3.0})) == -3.0);
  CHECK(of(mixture({0.2, 0.3, 0.5}, says{std::log(0.1)}, says{std::log(0.2)},
                   says{std::log(0.3)})) == Approx(std::log(0.23)).epsilon(1e-14));
}

TEST_CASE("mixture: of sequences far from each other keeps the likelier one",
          "[reference][mixture]") {
  // exp(-5000) is 0 as a double; the mixture is log(0.3) - 1000 and not -infinity.
  CHECK(of(mixture({0.7, 0.3}, says{-5000.0}, says{-1000.0})) ==
        Approx(std::log(0.3) - 1000.0).epsilon(1e-14));
  CHECK(of(mixture({0.7, 0.3}, says{-infinity}, says{-1.0})) ==
        Approx(std::log(0.3) - 1.0).epsilon(1e-14));
  CHECK(of(mixture({0.7, 0.3}, says{-infinity}, says{-infinity})) == -infinity);
  CHECK(std::isnan(of(mixture({0.7, 0.3}, says{std::nan("")}, says{-1.0}))));
  CHECK(std::isnan(of(mixture({0.7, 0.3}, says{-1.0}, says{std::nan("")}))));
  // Ten times 0.1 is not 1 in doubles; a log-probability is not above 0 all the same.
  CHECK(of(mixture({0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1000000001}, says{0}, says{0},
                   says{0}, says{0}, says{0}, says{0}, says{0}, says{0}, says{0}, says{0})) == 0.0);
}

TEST_CASE("mixture: refuses weights that are none", "[reference][mixture]") {
  CHECK(message_of([] {
          mixture({0.5, 0.4}, says{-1}, says{-1});
        }) == "mixture: the weights sum to 0.900000, expected 1");
  CHECK(message_of([] {
          mixture({1.5, -0.5}, says{-1}, says{-1});
        }) == "mixture: weight 1 is -0.500000; expected a finite number greater than zero");
  CHECK(message_of([] {
          mixture({1.0, 0.0}, says{-1}, says{-1});
        }) == "mixture: weight 1 is 0.000000; expected a finite number greater than zero");
  CHECK_THAT(message_of([] {
               geometric_mixture({1.0, std::nan("")}, says{-1}, says{-1});
             }),
             Contains("geometric_mixture: weight 1 is nan"));
  CHECK_THAT(message_of([] { geometric_mixture({infinity}, says{-1}); }),
             Contains("expected a finite number"));
}

TEST_CASE("geometric_mixture: adds log-probabilities", "[reference][mixture]") {
  CHECK(of(geometric_mixture({0.25, 0.75}, says{-4.0}, says{-8.0})) == -7.0);
  CHECK(of(geometric_mixture({2.0}, says{-4.0})) == -8.0);
}

TEST_CASE("geometric_mixture: its logits are its log_prob up to a constant per prompt",
          "[reference][mixture]") {
  auto const data = small::pairs(10);
  geometric_mixture reference({0.5, 1.5}, frozen(small::policy<table>()),
                              frozen(table(6, 5, small::values<double>(30))));
  std::vector<double> log_prob(20);
  std::vector<double> logit(20);
  reference.log_prob(data.batch(), log_prob);
  reference.logit(data.batch(), logit);
  for (std::size_t i = 0; i < 20; i += 2) {
    CHECK(std::abs(logit[i] - logit[i + 1] - (log_prob[i] - log_prob[i + 1])) <= 32 * epsilon);
  }
  constexpr auto logits = [](auto& r) {
    return requires(choice_batch const& b, std::span<double> out) { r.logit(b, out); };
  };
  mixture arithmetic({1.0}, frozen(small::policy<table>()));
  geometric_mixture without({1.0}, says{-1.0});
  CHECK(logits(reference));
  CHECK_FALSE(logits(arithmetic));
  CHECK_FALSE(logits(without));
}

TEST_CASE("geometric_mixture: two KL penalties end where one to it does", "[reference][mixture]") {
  // IPO asks for a log-ratio margin of 1 / (2 beta) = 1 nat over the reference, and one pair can have it: the
  // margin of log-probabilities ends at 1 + 0.25 * m1 + 0.75 * m2.
  double const m1 = 0.5;
  double const m2 = -2.0;
  prefer::choice_data data;
  data.add_pair(0, 0, 1);
  table policy(1, 2);
  geometric_mixture reference({0.25, 0.75}, frozen(table(1, 2, {m1, 0.0})),
                              frozen(table(1, 2, {m2, 0.0})));
  // With gradient 2 (h - 1) on the margin, whose two logits both move, a rate of 1/8 halves the error: 60
  // steps leave 2^-60 of it.
  prefer::trainer(policy, prefer::ipo_sum{.beta = 0.5}, reference, data,
                  {.steps = 60,
                   .rate = 0.125 * small::gradient_descent_scale,
                   .optimizer = small::gradient_descent})
      .run();
  auto const end = state_of(policy);
  CHECK(end[0] - end[1] == Approx(1.0 + 0.25 * m1 + 0.75 * m2).margin(1e-6));
}

TEST_CASE(
    "geometric_mixture: losses that read more than margins refuse it, cached or inside another",
    "[reference][mixture]") {
  auto const data = small::labelled(10);
  auto const pairs = small::pairs(10);
  auto policy = small::policy<table>();
  geometric_mixture reference({0.5, 0.5}, frozen(policy), frozen(policy));
  std::string const sentence = "trainer: this reference is not normalised";
  CHECK_THAT(message_of([&] { prefer::trainer(policy, prefer::kto{}, reference, data); }),
             Contains(sentence));
  CHECK(message_of([&] { prefer::trainer(policy, prefer::dpo{}, reference, pairs); }) == "");

  auto cache = prefer::cached<double>::of(reference, data, 7);
  CHECK_FALSE(cache.normalised());
  CHECK_THAT(message_of([&] { prefer::trainer(policy, prefer::kto{}, cache, data); }),
             Contains(sentence));
  temporary_folder folder;
  cache.save(folder / "cache");
  CHECK_FALSE(prefer::cached<double>::load(folder / "cache", data, 7).normalised());

  prefer::per_prompt some(std::vector<std::uint32_t>(6), frozen(policy), reference);
  CHECK_THAT(message_of([&] { prefer::trainer(policy, prefer::kto{}, some, data); }),
             Contains(sentence));
  CHECK_THAT(message_of([&] {
               mixture({0.5, 0.5}, frozen(policy), reference);
             }),
             Contains("mixture: it adds probabilities"));
  mixture good({0.5, 0.5}, frozen(policy), frozen(policy));
  CHECK(message_of([&] { prefer::trainer(policy, prefer::kto{}, good, data); }) == "");

  // A loss with a captured constant is probed when the trainer is made.
  double const strength = 0.5;
  auto const margin = prefer::pair_loss(
      [strength](auto const& p) { return softplus(-strength * p.log_ratio_margin()); });
  auto const chosen = prefer::pair_loss(
      [strength](auto const& p) { return softplus(-strength * p.chosen.log_ratio()); });
  CHECK(message_of([&] { prefer::trainer(policy, margin, reference, pairs); }) == "");
  CHECK_THAT(message_of([&] { prefer::trainer(policy, chosen, reference, pairs); }),
             Contains(sentence));
}

TEST_CASE("mixture: its parts move, are saved and come back", "[reference][mixture]") {
  auto const data = small::pairs(10);
  auto const two_that_move = [](table& policy) {
    return mixture({0.5, 0.25, 0.25}, frozen(policy),
                   prefer::moving_average(policy, prefer::ema{.rate = 0.3}),
                   prefer::moving_average(policy, prefer::tr_dpo{.alpha = 1.0, .every = 4}));
  };
  small::resumes_to_the_same_bits(prefer::dpo{}, data, two_that_move);
  small::resumes_to_the_same_bits(prefer::dpo{}, data, [&](table& policy) {
    return geometric_mixture({0.5, 0.5}, two_that_move(policy), frozen(policy));
  });
}

TEST_CASE("mixture: other weights or parts are another reference to a checkpoint",
          "[reference][mixture]") {
  table const start(6, 5);
  auto const identity = [&](double w, prefer::share rate) {
    return mixture({w, 1.0 - w}, frozen(start),
                   prefer::moving_average(start, prefer::ema{.rate = rate}))
        .identity();
  };
  CHECK(identity(0.5, 0.1) == identity(0.5, 0.1));
  CHECK(identity(0.5, 0.1) != identity(0.25, 0.1));
  CHECK(identity(0.5, 0.1) != identity(0.5, 0.2));
  CHECK(geometric_mixture({1.0}, frozen(start)).identity() !=
        mixture({1.0}, frozen(start)).identity());
}
