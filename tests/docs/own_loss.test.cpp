// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <prefer/prefer.hpp>
#include <span>
#include <vector>

namespace own_loss {

// [loss]
/// Exponential loss on the reward margin: loss = exp(-beta * log_ratio_margin).
struct exponential {
  static constexpr std::size_t arity = 2;  // 1: labelled completions, prefer::dynamic_arity: lists
  static constexpr char const* name = "exponential";

  prefer::positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    return exp(-pair.beta_or(beta) * pair.log_ratio_margin());
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("beta", self.beta); }
};

static_assert(prefer::check::loss<exponential>());
static_assert(prefer::margin_only<exponential>);
static_assert(prefer::needs<exponential> ==
              (prefer::column_name::policy | prefer::column_name::reference));
// [/loss]

// [select]
/// Hinge whose slope doubles where the pair is in the wrong order.
struct strict_hinge {
  static constexpr std::size_t arity = 2;
  prefer::positive beta = 0.1;

  constexpr auto operator()(auto const& pair) const {
    auto const z = beta * pair.log_ratio_margin();
    return select(z < 0.0, 1.0 - 2.0 * z, relu(1.0 - z));
  }
};
// [/select]

// [prepare]
/// DPO around the batch's mean margin, as it was before: the mean carries no gradient.
struct centred_dpo {
  static constexpr std::size_t arity = 2;
  struct state {
    double mean_margin = 0.0;  // nats
  };
  prefer::positive beta = 0.1;

  constexpr state prepare(auto const& batch, prefer::nothing&) const {
    return {batch.means([](auto const& pair) { return pair.log_ratio_margin(); })};
  }
  constexpr auto operator()(auto const& pair, state const& batch) const {
    return softplus(-beta * (pair.log_ratio_margin() - batch.mean_margin));
  }
};
// [/prepare]

// [match]
/// DPO of each chosen completion against that rejected one of the batch which has risen most.
struct hardest_rejected {
  static constexpr std::size_t arity = 2;
  prefer::positive beta = 0.1;

  void match(auto const& batch, prefer::pair_order& order) const {
    auto const ascending =
        batch.ascending([](auto const& pair) { return pair.rejected.log_ratio(); });
    order.rejected.assign(ascending.size(), ascending.back());
  }
  constexpr auto operator()(auto const& pair) const {
    return softplus(-beta * pair.log_ratio_margin());
  }
};
// [/match]

// [list]
/// The first of three completions against the mean of the others.
struct first_of_three {
  static constexpr std::size_t arity = prefer::dynamic_arity;
  static constexpr std::size_t list_size = 3;

  constexpr auto operator()(auto const& list) const {
    return softplus(0.5 * (list[1].log_ratio() + list[2].log_ratio()) - list[0].log_ratio());
  }
};
// [/list]

// [wrapper]
/// A pair that is far off counts no more than `most`: most * (1 - exp(-L / most)), which is L where L is small.
template <prefer::PairLoss L = prefer::dpo>
struct saturated {
  static constexpr std::size_t arity = 2;

  L loss = {};
  prefer::positive most = 2.0;  // nats

  static constexpr auto parts(auto& self, auto&& visit) { return visit(self.loss); }
  constexpr auto operator()(auto const& pair, auto const& part) const {
    return -most * expm1(-part(pair) / most);
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("most", self.most); }
};

static_assert(prefer::check::loss<saturated<prefer::kto_pair>>());  // with its state
static_assert(prefer::check::loss<saturated<prefer::aot>>());       // on its rows
// [/wrapper]

prefer::pair_columns columns(std::vector<double> const& chosen, std::vector<double> const& rejected,
                             std::vector<double> const& zero) {
  return {.policy = {.chosen = chosen, .rejected = rejected},
          .reference = {.chosen = zero, .rejected = zero}};
}

}  // namespace own_loss

using namespace own_loss;

TEST_CASE("own loss: value and coefficients follow from the formula", "[docs][own_loss]") {
  std::vector<double> const chosen = {-3.0, -7.5};
  std::vector<double> const rejected = {-4.0, -2.0};
  std::vector<double> const zero = {0.0, 0.0};
  auto const batch = columns(chosen, rejected, zero);

  // [use]
  auto const result = prefer::evaluate(exponential{.beta = 0.5}, batch);
  auto const both = prefer::evaluate(exponential{.beta = 0.5} + 0.1 * prefer::nll{}, batch);
  // [/use]

  CHECK(result.value[0] == Approx(std::exp(-0.5)));  // margin 1
  CHECK(result.value[1] == Approx(std::exp(2.75)));  // margin -5.5
  CHECK(result.coefficient.chosen[0] == Approx(-0.5 * std::exp(-0.5) / 2));
  CHECK(result.coefficient.rejected[0] == Approx(0.5 * std::exp(-0.5) / 2));
  CHECK(both.value[0] == Approx(std::exp(-0.5) + 0.3));
  CHECK(both.coefficient.chosen[0] == Approx(-0.5 * std::exp(-0.5) / 2 - 0.05));
  CHECK_FALSE(prefer::margin_only<decltype(exponential{} + 0.1 * prefer::nll{})>);
}

TEST_CASE("own loss: select takes a branch per pair", "[docs][own_loss]") {
  std::vector<double> const chosen = {-3.0, -7.5};
  std::vector<double> const rejected = {-4.0, -2.0};
  std::vector<double> const zero = {0.0, 0.0};
  auto const result = prefer::evaluate(strict_hinge{.beta = 0.5}, columns(chosen, rejected, zero));
  CHECK(result.value[0] == Approx(0.5));  // 1 - 0.5
  CHECK(result.value[1] == Approx(6.5));  // 1 + 2 * 2.75
  CHECK(result.coefficient.chosen[1] == Approx(-2 * 0.5 / 2));
}

TEST_CASE("own loss: prepare sees the whole batch", "[docs][own_loss]") {
  std::vector<double> const chosen = {-3.0, -7.5};
  std::vector<double> const rejected = {-4.0, -2.0};
  std::vector<double> const zero = {0.0, 0.0};
  auto const result = prefer::evaluate(centred_dpo{.beta = 1.0}, columns(chosen, rejected, zero));
  // margins 1 and -5.5, mean -2.25: 3.25 above and 3.25 below
  CHECK(result.value[0] == Approx(std::log1p(std::exp(-3.25))));
  CHECK(result.value[1] == Approx(std::log1p(std::exp(3.25))));
}

TEST_CASE("own loss: match puts rows together, and coefficients find their rows",
          "[docs][own_loss]") {
  std::vector<double> const chosen = {-3.0, -7.5};
  std::vector<double> const rejected = {-4.0, -2.0};  // the second is the harder one
  std::vector<double> const zero = {0.0, 0.0};
  auto const result =
      prefer::evaluate(hardest_rejected{.beta = 1.0}, columns(chosen, rejected, zero));
  CHECK(result.value[0] == Approx(std::log1p(std::exp(1.0))));  // -3 against -2
  CHECK(result.value[1] == Approx(std::log1p(std::exp(5.5))));
  double const first = 1.0 / (1.0 + std::exp(-1.0)), second = 1.0 / (1.0 + std::exp(-5.5));
  CHECK(result.coefficient.chosen[0] == Approx(-first / 2));
  CHECK(result.coefficient.rejected[0] == 0.0);  // compared with nobody
  CHECK(result.coefficient.rejected[1] == Approx((first + second) / 2));
}

TEST_CASE("own loss: a list of another size is refused", "[docs][own_loss]") {
  std::vector<double> const log_prob = {-1.0, -2.0, -4.0, -1.0, -1.0};
  std::vector<double> const zero(5, 0.0);
  std::vector<std::size_t> const three = {0, 3}, uneven = {0, 3, 5};
  auto const all = std::span(log_prob), none = std::span(zero);
  auto const y = prefer::evaluate(
      first_of_three{},
      prefer::list_columns{.policy = all.first(3), .reference = none.first(3), .offset = three});
  CHECK(y.loss == Approx(std::log1p(std::exp(-2.0))));  // -3 against -1
  CHECK_THROWS_AS(
      prefer::evaluate(first_of_three{},
                       prefer::list_columns{.policy = all, .reference = none, .offset = uneven}),
      prefer::precondition_error);
}

TEST_CASE("own loss: a wrapper is its formula, its parts and its own parameters",
          "[docs][own_loss]") {
  std::vector<double> const chosen = {-3.0, -7.5};
  std::vector<double> const rejected = {-4.0, -2.0};
  std::vector<double> const zero = {0.0, 0.0};
  auto const batch = columns(chosen, rejected, zero);
  auto const bare = prefer::evaluate(prefer::dpo{.beta = 1.0}, batch);
  auto const result = prefer::evaluate(saturated<>{.loss = {.beta = 1.0}}, batch);
  for (std::size_t i = 0; i < 2; ++i) {
    double const left = std::exp(-bare.value[i] / 2.0);
    CHECK(result.value[i] == Approx(2.0 * (1.0 - left)));
    CHECK(result.coefficient.chosen[i] == Approx(left * bare.coefficient.chosen[i]));
    CHECK(result.coefficient.rejected[i] == Approx(left * bare.coefficient.rejected[i]));
  }
  saturated<> loss;
  CHECK(prefer::set_beta(loss, 0.3) == 1);
  CHECK(loss.loss.beta == 0.3);
}

TEST_CASE("own loss: a loss that captures a number is no less a loss", "[docs][own_loss]") {
  std::vector<double> const chosen = {-3.0};
  std::vector<double> const rejected = {-4.0};
  // [lambda]
  double const beta = 0.3;
  auto const captured = prefer::pair_loss([=](auto const& pair) {
    return softplus(-beta * pair.log_prob_margin());  // no reference: it is never asked for
  });
  auto const result = prefer::evaluate(
      captured, prefer::pair_columns{.policy = {.chosen = chosen, .rejected = rejected}});
  // [/lambda]
  CHECK(result.loss == Approx(std::log1p(std::exp(-0.3))));
  // Not known at compile time: such a lambda is not default-constructible.
  CHECK_FALSE(prefer::margin_only<std::remove_const_t<decltype(captured)>>);
}
