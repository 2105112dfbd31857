// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <prefer/loss/aot.hpp>
#include <prefer/loss/bco.hpp>
#include <prefer/loss/beta_dpo.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/odpo.hpp>
#include <prefer/loss/sppo.hpp>
#include <prefer/loss/tpo.hpp>
#include <prefer/loss/xpo.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/order.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/none.hpp>
#include <prefer/train/trainer.hpp>
#include <support/temporary_folder.hpp>
#include <train/small_problem.hpp>
#include <vector>

// Training by losses that read scores, provenance and random numbers, or that see the batch as a whole.

using prefer::choice_data;
using prefer::train_options;
using prefer::trainer;
using small::message_of;
using small::state_of;

namespace {

using table = prefer::tabular<double>;

choice_data two_pairs() {
  choice_data data;
  data.add_pair(0, 2, 1);
  data.add_pair(1, 0, 2);
  return data;
}

// The loss of a first step, from a policy that gives 1/3 to each completion and is its own reference.
template <class L>
double first_loss(L const& loss, choice_data const& data) {
  table policy(2, 3);
  auto reference = prefer::frozen(policy);
  return trainer(policy, loss, reference, data, {.batch_size = 2}).step().loss;
}

// The loss of every step, and the parameters after the last.
struct trace {
  std::vector<double> losses;
  std::vector<double> parameters;
  bool operator==(trace const&) const = default;
};
template <class L>
trace trained(L const& loss, choice_data const& data, train_options const& options) {
  auto policy = small::policy<table>();
  auto reference = prefer::frozen(policy);
  trainer run(policy, loss, reference, data, options);
  trace out;
  run.run([&](prefer::step_report const& r) { out.losses.push_back(r.loss); });
  out.parameters = state_of(policy);
  return out;
}
// With a break after every step: a new policy, reference and trainer each time, which know only the file.
template <class L>
trace trained_in_pieces(L const& loss, choice_data const& data, train_options const& options) {
  temporary_folder folder;
  std::string const path = folder / "checkpoint";
  trace out;
  for (bool first = true;; first = false) {
    auto policy = small::policy<table>();
    auto reference = prefer::frozen(policy);
    trainer run(policy, loss, reference, data, options);
    if (!first) run.resume(path);
    if (run.done()) {
      out.parameters = state_of(policy);
      return out;
    }
    out.losses.push_back(run.step().loss);
    run.save(path);
  }
}

template <class L>
void same_for_every_cut(L const& loss, choice_data const& data) {
  train_options options{.batch_size = 10, .epochs = 2, .seed = 3, .rate = 0.05};
  auto const whole = trained(loss, data, options);
  REQUIRE(whole.losses.size() == 6);
  REQUIRE(whole.losses[0] != whole.losses[1]);
  CHECK(trained_in_pieces(loss, data, options) == whole);
  for (std::size_t const micro : {1u, 3u, 7u, 10u}) {
    CAPTURE(micro);
    options.micro_batch_size = micro;
    CHECK(trained(loss, data, options) == whole);
  }
}

TEST_CASE("trainer: scores of the data reach the loss, each with its completion",
          "[train][trainer]") {
  choice_data data = two_pairs();
  data.score = {0.75f, 0.5f, 1.0f, 0.25f};  // chosen, rejected, chosen, rejected
  // sppo_soft at the reference: ((P_w - 1/2)^2 + (P_l - 1/2)^2) / (2 beta^2), of 1/16 + 0 and 1/4 + 1/16.
  CHECK(first_loss(prefer::sppo_soft{.beta = 0.5}, data) ==
        Approx((1.0 / 16 + 5.0 / 16) / (2 * 0.25) / 2).epsilon(1e-14));
  // odpo at the reference: log(1 + (score gap)^alpha), gaps 1/4 and 3/4.
  CHECK(first_loss(prefer::odpo{.alpha = 2.0}, data) ==
        Approx((std::log1p(1.0 / 16) + std::log1p(9.0 / 16)) / 2).epsilon(1e-14));
}

TEST_CASE("trainer: which completion came from the reference reaches the loss",
          "[train][trainer]") {
  table policy(2, 3);
  policy.parameters()[0].value[2] = std::log(2.0);  // prompt 0: 1/4, 1/4, 1/2
  prefer::no_reference<double> none;
  choice_data data = two_pairs();  // (2, 1) of prompt 0, (0, 2) of prompt 1
  for (bool const first : {false, true}) {
    data.chosen_from_reference = {first ? 1.0f : 0.0f, 1.0f};
    table copy = policy;
    auto const loss = trainer(copy, prefer::optimism{}, none, data, {.batch_size = 2}).step().loss;
    CHECK(loss ==
          Approx(((first ? std::log(0.5) : std::log(0.25)) - std::log(3.0)) / 2).epsilon(1e-14));
  }
}

TEST_CASE("trainer: a column that the loss reads and the data lacks is told", "[train][trainer]") {
  table policy(2, 3);
  auto reference = prefer::frozen(policy);
  choice_data const data = two_pairs();
  CHECK(message_of([&] { trainer(policy, prefer::odpo{}, reference, data); }) ==
        "trainer: this loss reads score, which the data does not have");
  CHECK(message_of([&] { trainer(policy, prefer::xpo{}, reference, data); }) ==
        "trainer: this loss reads chosen_from_reference, which the data does not have");
}

TEST_CASE("trainer: lists of a size that the loss does not take are told", "[train][trainer]") {
  table policy(2, 3);
  prefer::no_reference<double> none;
  choice_data data;
  std::vector<std::uint32_t> const three = {0, 1, 2}, two = {0, 1};
  data.add_list(0, three);
  data.add_list(1, two);
  data.length.assign(5, 1.0f);
  CHECK(message_of([&] { trainer(policy, prefer::tpo{}, none, data); }) ==
        "trainer: a list of the data has 2 elements, expected 3");
}

// The random number of each pair, as a loss.
struct drawn {
  static constexpr std::size_t arity = 2;
  constexpr auto operator()(auto const& pair) const {
    return pair.uniform + 0.0 * pair.chosen.log_prob;
  }
};

TEST_CASE("trainer: a pair's random number is addressed by seed, step and row",
          "[train][trainer]") {
  auto const data = small::pairs(7);
  auto const order = prefer::permutation(7, 11, 0);
  for (std::size_t const micro : {0u, 2u}) {
    auto policy = small::policy<table>();
    prefer::no_reference<double> none;
    trainer run(policy, drawn{}, none, data,
                {.batch_size = 3, .micro_batch_size = micro, .steps = 2, .seed = 11});
    for (std::uint64_t step = 0; step < 2; ++step) {
      double mean = 0.0;
      for (std::size_t i = 0; i < 3; ++i) {
        prefer::random_stream numbers({.seed = 11,
                                       .purpose = prefer::random_purpose::selection,
                                       .step = step,
                                       .index = order[3 * step + i]});
        mean += static_cast<double>(prefer::uniform01_float(numbers)) / 3;
      }
      CHECK(run.step().loss == Approx(mean).epsilon(1e-14));
    }
  }
}

TEST_CASE("trainer: losses of the whole batch have the same bits in any cut and after a break",
          "[train][trainer]") {
  SECTION("aot") { same_for_every_cut(prefer::aot{}, small::pairs(23)); }
  SECTION("aot_unpaired and a likelihood") {
    same_for_every_cut(prefer::aot_unpaired{} + 0.1 * prefer::nll{}, small::pairs(23));
  }
  SECTION("beta_dpo, with what it draws and what it remembers") {
    same_for_every_cut(prefer::beta_dpo<>{}, small::pairs(23));
  }
  SECTION("bco, with what it remembers") { same_for_every_cut(prefer::bco{}, small::labelled(23)); }
}

TEST_CASE("trainer: bco's threshold is the mean over all batches so far", "[train][trainer]") {
  // Two examples, one a step, and a policy that stands still: rewards are beta * log_prob. The first meets itself as the
  // threshold, the second the mean of both.
  table policy(2, 3);
  policy.parameters()[0].value[0] = std::log(7.0);  // 7/9 for completion 0 of prompt 0
  prefer::no_reference<double> none;
  choice_data data;
  data.add_labelled(0, 0, true);
  data.add_labelled(1, 0, true);  // 1/3
  trainer run(policy, prefer::bco{.beta = 2.0}, none, data,
              {.batch_size = 1, .rate = 1e-300, .optimizer = small::gradient_descent});
  CHECK(run.step().loss == Approx(std::numbers::ln2).epsilon(1e-14));
  double const apart = 2.0 * std::log(7.0 / 3.0);  // rewards
  bool const better_first = prefer::permutation(2, train_options{}.seed, 0)[0] == 0;
  double const above = better_first ? -apart / 2 : apart / 2;
  CHECK(run.step().loss == Approx(std::log1p(std::exp(-above))).epsilon(1e-14));
}

TEST_CASE("trainer: aot compares each pair with the reference margin of its rank",
          "[train][trainer]") {
  // Margins of the policy: ln 4 and ln 2; of the reference 0 and ln 8, in the other order.
  table policy(2, 3), start(2, 3);
  policy.parameters()[0].value[2] = std::log(4.0);      // pair (2, 1) of prompt 0
  policy.parameters()[0].value[3 + 0] = std::log(2.0);  // pair (0, 2) of prompt 1
  start.parameters()[0].value[3 + 0] = std::log(8.0);
  auto reference = prefer::frozen(start);
  auto const data = two_pairs();
  trainer run(policy, prefer::aot{.beta = 1.0}, reference, data, {.batch_size = 2});
  // By rank: ln 2 - 0 and ln 4 - ln 8.
  CHECK(run.step().loss == Approx((std::log(1.5) + std::log(3.0)) / 2).epsilon(1e-14));
}

}  // namespace
