// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <numbers>
#include <prefer/beta/schedule.hpp>
#include <prefer/loss/compose.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/simpo.hpp>

namespace {

struct by_hand {  // a user's own rule
  double operator()(std::uint64_t step) const { return 1.0 / static_cast<double>(step + 1); }
};

constexpr auto formula = prefer::pair_loss([](auto const& p) { return -p.log_prob_margin(); });

}  // namespace

static_assert(prefer::BetaRule<prefer::constant_beta>);
static_assert(prefer::BetaRule<prefer::linear_beta>);
static_assert(prefer::BetaRule<prefer::cosine_beta>);
static_assert(prefer::BetaRule<by_hand>);
static_assert(!prefer::BetaRule<prefer::beta_of_the_loss>);
static_assert(!prefer::BetaRule<double>);

TEST_CASE("constant_beta: is the same at every step", "[beta][schedule]") {
  constexpr prefer::constant_beta rule{0.3};
  CHECK(rule(0) == 0.3);
  CHECK(rule(std::numeric_limits<std::uint64_t>::max()) == 0.3);
}

TEST_CASE("linear_beta: rises or falls along a line, then stays", "[beta][schedule]") {
  constexpr prefer::linear_beta falling{.from = 3, .to = 1, .steps = 4};
  CHECK(falling(0) == 3);
  CHECK(falling(1) == 2.5);
  CHECK(falling(2) == 2);
  CHECK(falling(3) == 1.5);
  CHECK(falling(4) == 1);
  CHECK(falling(1000000) == 1);
  constexpr prefer::linear_beta rising{.from = 1, .to = 2, .steps = 2};
  CHECK(rising(1) == 1.5);
}

TEST_CASE("cosine_beta: follows half a cosine, then stays", "[beta][schedule]") {
  // beta = 3 - (1 + cos(pi step / 4)): the cosine is 1, sqrt(1/2), 0, -sqrt(1/2).
  prefer::cosine_beta const rule{.from = 1, .to = 3, .steps = 4};
  double const root = std::numbers::sqrt2 / 2;
  CHECK(rule(0) == 1);
  CHECK(rule(1) == Approx(2 - root));
  CHECK(rule(2) == Approx(2));
  CHECK(rule(3) == Approx(2 + root));
  CHECK(rule(4) == 3);
  CHECK(rule(1000000) == 3);
}

TEST_CASE("beta schedules: over no steps are already at their end", "[beta][schedule]") {
  CHECK(prefer::linear_beta{.from = 1, .to = 2, .steps = 0}(0) == 2);
  CHECK(prefer::cosine_beta{.from = 1, .to = 2, .steps = 0}(0) == 2);
}

TEST_CASE("beta schedules: refuse a beta that is not positive", "[beta][schedule]") {
  CHECK_THROWS_AS((prefer::constant_beta{0.0}(0)), prefer::precondition_error);
  CHECK_THROWS_AS((prefer::linear_beta{.from = -1.0, .to = 1.0}(0)), prefer::precondition_error);
  CHECK_THROWS_AS((prefer::cosine_beta{.from = 1.0, .to = std::nan("")}(0)),
                  prefer::precondition_error);
}

TEST_CASE("set_beta: reaches every part of a composed loss, and beta_of reads the first",
          "[beta][schedule]") {
  prefer::dpo single{.beta = 0.1, .label_smoothing = 0.2};
  CHECK(prefer::set_beta(single, 0.5) == 1);
  CHECK(static_cast<double>(single.beta) == 0.5);
  CHECK(static_cast<double>(single.label_smoothing) == 0.2);
  CHECK(prefer::beta_of(single) == 0.5);

  auto composed = 2.0 * prefer::dpo{.beta = 0.1} + 0.5 * prefer::simpo{.beta = 2.0};
  CHECK(prefer::beta_of(composed) == 0.1);
  CHECK(prefer::set_beta(composed, 0.25) == 2);
  CHECK(static_cast<double>(composed.first.loss.beta) == 0.25);
  CHECK(static_cast<double>(composed.second.loss.beta) == 0.25);
  CHECK(composed.first.weight == 2);
}

TEST_CASE("set_beta: finds none in a loss without beta, whose beta_of is 1", "[beta][schedule]") {
  auto loss = formula;
  CHECK(prefer::set_beta(loss, 0.5) == 0);
  CHECK(prefer::beta_of(loss) == 1);
}

TEST_CASE("set_beta: refuses what beta refuses and changes nothing", "[beta][schedule]") {
  prefer::kto loss{.beta = 0.3};
  CHECK_THROWS_AS(prefer::set_beta(loss, 0.0), prefer::precondition_error);
  CHECK(prefer::beta_of(loss) == 0.3);
}
