// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <prefer/beta/adaptive.hpp>
#include <prefer/beta/schedule.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/moving_average.hpp>
#include <prefer/train/trainer.hpp>
#include <reference/in_pieces.hpp>
#include <vector>

using Catch::Matchers::Contains;
using prefer::adaptive_beta;
using prefer::kl_target;
using small::message_of;

namespace {

using table = prefer::tabular<double>;
using numbers = std::vector<double>;

// The rule fed with given numbers: neither policy nor reference is looked at.
struct fed {
  double kl;
  adaptive_beta<double (*)(double&, int&)> rule;

  explicit fed(kl_target target) : kl(0.0), rule(target, [](double& said, int&) { return said; }) {}
  double after(double measured, std::uint64_t step = 1) {
    int nothing = 0;
    rule.observe(measured, nothing, step);
    return rule(step);
  }
};

// KL(policy || reference), mean over the prompts, exactly.
template <class P, class R>
double exact_kl(P& policy, R& reference) {
  std::vector<std::uint32_t> all(policy.completions());
  for (std::uint32_t y = 0; y < all.size(); ++y) all[y] = y;
  prefer::choice_data data;
  for (std::uint32_t x = 0; x < policy.prompts(); ++x) data.add_list(x, all);
  numbers ours(data.completion.size());
  numbers theirs(ours.size());
  policy.log_prob(data.batch(), ours);
  reference.log_prob(data.batch(), theirs);
  double sum = 0.0;
  for (std::size_t i = 0; i < ours.size(); ++i) sum += std::exp(ours[i]) * (ours[i] - theirs[i]);
  return sum / static_cast<double>(policy.prompts());
}
auto const measure = [](auto& policy, auto& reference) { return exact_kl(policy, reference); };

// Five actions with rewards, and how often people who follow Bradley and Terry prefer each to each other.
constexpr std::size_t actions = 5;
numbers const reward = {0.3, 1.2, -0.5, 0.8, 2.0};
numbers const start = {0.4, 0.25, 0.2, 0.1, 0.05};

table start_policy() {
  numbers logits;
  for (double const p : start) logits.push_back(std::log(p));
  return {1, actions, logits};
}
prefer::choice_data preferences() {
  prefer::choice_data data;
  for (std::uint32_t i = 0; i < actions; ++i) {
    for (std::uint32_t j = 0; j < actions; ++j) {
      if (i == j) continue;
      data.add_pair(0, i, j);
      data.weight.push_back(static_cast<float>(1.0 / (1.0 + std::exp(reward[j] - reward[i]))));
    }
  }
  return data;
}

// KL(pi || start) of pi = start * exp(reward / beta) / Z: E_pi[reward] / beta - log Z.
double kl_of_optimum(double beta) {
  double z = 0.0;
  double mean = 0.0;
  for (std::size_t i = 0; i < actions; ++i) {
    double const w = start[i] * std::exp(reward[i] / beta);
    z += w;
    mean += w * reward[i];
  }
  return mean / z / beta - std::log(z);
}
// It falls with beta, so the beta of a KL is found by halving.
double beta_of_kl(double kl) {
  double low = 0.01;
  double high = 100.0;
  for (int i = 0; i < 200; ++i) {
    double const middle = std::sqrt(low * high);
    (kl_of_optimum(middle) > kl ? low : high) = middle;
  }
  return low;
}

}  // namespace

static_assert(prefer::BetaRule<adaptive_beta<decltype(measure)>>);

TEST_CASE("adaptive_beta: moves in proportion to the error, and never by more than a fifth of gain",
          "[beta][adaptive]") {
  fed at({.kl = 2.0, .beta = 0.5, .gain = 0.1});
  CHECK(at.rule(0) == 0.5);
  CHECK(at.after(2.0) == 0.5);
  CHECK(at.after(2.2) == Approx(0.5 * 1.01).epsilon(1e-14));         // 10 % too far
  CHECK(at.after(1.8) == Approx(0.5 * 1.01 * 0.99).epsilon(1e-14));  // 10 % too near
  fed far({.kl = 2.0, .beta = 0.5, .gain = 0.1});
  CHECK(far.after(1000.0) == Approx(0.5 * 1.02).epsilon(1e-14));
  CHECK(far.after(0.0) == Approx(0.5 * 1.02 * 0.98).epsilon(1e-14));
  CHECK(far.after(-1.0) == Approx(0.5 * 1.02 * 0.98 * 0.98).epsilon(1e-14));  // a noisy estimate
}

TEST_CASE("adaptive_beta: measures every so many steps", "[beta][adaptive]") {
  fed at({.kl = 1.0, .beta = 0.5, .gain = 1.0, .every = 3});
  CHECK(at.after(5.0, 1) == 0.5);
  CHECK(at.after(std::nan(""), 2) == 0.5);
  CHECK(at.after(5.0, 3) == Approx(0.6).epsilon(1e-14));
}

TEST_CASE("adaptive_beta: stays within its limits", "[beta][adaptive]") {
  fed at({.kl = 1.0, .beta = 0.5, .gain = 1.0, .lowest = 0.45, .highest = 0.55});
  CHECK(at.after(9.0) == 0.55);
  CHECK(at.after(9.0) == 0.55);
  CHECK(at.after(0.0) == 0.45);
}

TEST_CASE("adaptive_beta: refuses targets without sense and a KL that is none",
          "[beta][adaptive]") {
  double const nan = std::nan("");
  CHECK_THROWS_AS(fed({.kl = 0.0}), prefer::precondition_error);
  CHECK_THROWS_AS(fed({.kl = nan}), prefer::precondition_error);
  CHECK_THROWS_AS(fed({.beta = -1.0}), prefer::precondition_error);
  CHECK_THROWS_AS(fed({.gain = 0.0}), prefer::precondition_error);
  CHECK(message_of([] { fed({.gain = 5.0}); }) == "adaptive_beta: gain must be less than 5");
  CHECK(message_of([] { fed({.every = 0}); }) == "adaptive_beta: every must be at least 1");
  CHECK(message_of([] { fed({.beta = 0.1, .lowest = 0.2}); }) ==
        "adaptive_beta: beta must be from lowest to highest");
  fed at({.beta = 0.5});
  CHECK(message_of([&] { at.after(nan, 7); }) ==
        "adaptive_beta: the KL measured after step 7 is nan; expected a finite number");
  CHECK_THROWS_AS(at.after(std::numeric_limits<double>::infinity()), prefer::precondition_error);
  CHECK(at.rule(0) == 0.5);
}

TEST_CASE("adaptive_beta: ends at the beta whose optimum has the wanted KL", "[beta][adaptive]") {
  auto const data = preferences();
  for (double const wanted : {0.2, 0.6}) {
    double const expected = beta_of_kl(wanted);
    CHECK(kl_of_optimum(expected) == Approx(wanted).epsilon(1e-12));
    for (double const first : {0.25 * expected, 4.0 * expected}) {
      auto policy = start_policy();
      auto reference = prefer::frozen(policy);
      adaptive_beta const rule(kl_target{.kl = wanted, .beta = first, .gain = 0.1, .every = 4},
                               measure);
      // On z = beta * log-ratio a step of descent is rate * beta^2 / 20 times a Laplacian with eigenvalues
      // between 0.35 and 1.25 (see laws/optimum.test.cpp). With rate = 1 / expected^2 that is at most
      // 16 / 20 * 1.25 = 1 at 4 * expected, below the 2 where descent breaks, and at least 0.35 / 20 at
      // expected: four steps shrink the policy's error by 7 %. A measurement moves beta by at most 2 %, and
      // near the target by a tenth of its relative error in KL. So the policy keeps up, and 1,500 measurements
      // are many times the hundred or so that it takes to come near and the forty that halve the rest.
      double const rate = 1.0 / (expected * expected);
      prefer::trainer run(policy, prefer::dpo{}, reference, data,
                          {.batch_size = data.size(),
                           .steps = 6000,
                           .rate = rate * small::gradient_descent_scale,
                           .optimizer = small::gradient_descent},
                          rule);
      double beta = 0.0;
      run.run([&](prefer::step_report const& report) { beta = report.beta; });
      CAPTURE(wanted, first, expected);
      // The weights are floats, good to 6e-8, and descent is Adam's with an epsilon of 1e8.
      CHECK(beta == Approx(expected).epsilon(1e-5));
      CHECK(exact_kl(policy, reference) == Approx(wanted).epsilon(1e-5));
    }
  }
}

TEST_CASE("adaptive_beta: a run in pieces has the bits of one without a break",
          "[beta][adaptive]") {
  auto const frozen_copy = [](table& policy) { return prefer::frozen(policy); };
  adaptive_beta const rule(kl_target{.kl = 0.01, .gain = 1.0}, measure);
  small::resumes_to_the_same_bits(prefer::dpo{}, small::pairs(10), frozen_copy, rule);
  small::resumes_to_the_same_bits(prefer::kto{}, small::labelled(10), frozen_copy, rule);
  small::resumes_to_the_same_bits(prefer::plackett_luce{}, small::lists(10), frozen_copy, rule);
  auto const sum = 0.5 * prefer::dpo{} + 1.0 * prefer::nll{};
  small::resumes_to_the_same_bits(sum, small::pairs(10), frozen_copy, rule);
  // Each step measures before the reference moves, else a hard update would read 0.
  small::resumes_to_the_same_bits(
      prefer::dpo{}, small::pairs(10),
      [](table& policy) { return prefer::moving_average(policy, prefer::ema{.rate = 1.0}); }, rule);
}

TEST_CASE("adaptive_beta: is asked before a moving reference moves", "[beta][adaptive]") {
  auto const data = small::pairs(10);
  auto policy = small::policy<table>();
  prefer::moving_average reference(policy, prefer::ema{.rate = 1.0});
  std::vector<double> measured;
  adaptive_beta const rule(kl_target{}, [&](auto& p, auto& r) {
    measured.push_back(exact_kl(p, r));
    return measured.back();
  });
  prefer::trainer run(policy, prefer::dpo{}, reference, data, {.steps = 2, .rate = 0.1}, rule);
  double const before = run.step().beta;
  double const after = run.step().beta;
  REQUIRE(measured.size() == 2);
  CHECK(measured[0] > 1e-4);
  CHECK(after == Approx(before * 0.98).epsilon(1e-14));
  CHECK(exact_kl(policy, reference) == 0.0);
}

TEST_CASE("adaptive_beta: a checkpoint of another target, or of none, is refused",
          "[beta][adaptive]") {
  temporary_folder folder;
  std::string const path = folder / "checkpoint";
  auto const data = small::pairs(10);
  auto policy = small::policy<table>();
  auto reference = prefer::frozen(policy);
  auto const message = [&](auto const& rule, bool save) {
    prefer::trainer run(policy, prefer::dpo{}, reference, data, {.batch_size = 5}, rule);
    run.step();
    return message_of([&] { save ? run.save(path) : run.resume(path); });
  };
  auto const with = [](kl_target target) { return adaptive_beta(target, measure); };
  std::string const other = "made with another loss";
  CHECK(message(with({.kl = 2.0}), true) == "");
  CHECK(message(with({.kl = 2.0}), false) == "");
  CHECK_THAT(message(with({.kl = 3.0}), false), Contains(other));
  CHECK_THAT(message(with({.kl = 2.0, .beta = 0.2}), false), Contains(other));
  CHECK_THAT(message(with({.kl = 2.0, .gain = 0.2}), false), Contains(other));
  CHECK_THAT(message(with({.kl = 2.0, .every = 2}), false), Contains(other));
  CHECK_THAT(message(with({.kl = 2.0, .lowest = 0.01}), false), Contains(other));
  CHECK_THAT(message(with({.kl = 2.0, .highest = 10}), false), Contains(other));
  CHECK_THAT(message(prefer::constant_beta{0.1}, false), Contains(other));

  prefer::archive_writer broken;
  broken.add("beta/adaptive", 1e9);
  auto rule = with({});
  CHECK_THAT(message_of([&] { rule.load(prefer::archive::parse(broken.bytes(), "file")); }),
             Contains("adaptive_beta::load: file: beta is 1000000000.000000, outside its limits"));
}

TEST_CASE("adaptive_beta: a loss without beta is refused", "[beta][adaptive]") {
  auto const data = small::pairs(10);
  auto policy = small::policy<table>();
  auto reference = prefer::frozen(policy);
  adaptive_beta const rule(kl_target{}, measure);
  CHECK_THAT(message_of([&] { prefer::trainer(policy, prefer::nll{}, reference, data, {}, rule); }),
             Contains("this loss has no hyper-parameter beta"));
}
