// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/gpo.hpp>
#include <prefer/loss/ipo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;

// Of f(z) and f'(z), z = r_w - r_l over 2.
template <class L, class F>
void is_link(L const& loss, F const& f_and_slope,
             std::vector<prefer::pair_record<double>> const& pairs = some_pairs()) {
  has_closed_form(
      loss,
      [&](paper_numbers const& n) {
        closed_form const f = f_and_slope(0.5L * (n.r_w - n.r_l));
        return of_margin(f.value, f.by_chosen, 0.5);
      },
      pairs);
}

TEST_CASE("gpo_squared: (1 - z)^2", "[loss][gpo]") {
  is_link(prefer::gpo_squared{.beta = 0.5}, [](long double z) {
    return closed_form{(1 - z) * (1 - z), -2 * (1 - z), 0};
  });
}

TEST_CASE("gpo_squared: with beta = 2 tau it is 4 tau^2 times ipo_sum", "[loss][gpo]") {
  for (auto const& pair : some_pairs()) {
    auto const squared = at(prefer::gpo_squared{.beta = 0.5}, pair);
    auto const ipo = at(prefer::ipo_sum{.beta = 0.25}, pair);
    CHECK(near(squared.value, 0.25 * ipo.value, 1e-15));
    CHECK(near(squared.chosen, 0.25 * ipo.chosen, 1e-15));
  }
}

TEST_CASE("gpo_exponential: exp(-z), which overflows for pairs very far in the wrong order",
          "[loss][gpo]") {
  is_link(
      prefer::gpo_exponential{.beta = 0.5},
      [](long double z) {
        return closed_form{std::exp(-z), -std::exp(-z), 0};
      },
      pairs_of({-600.0, -3.0, 0.0, 2.5, 700.0}, {-500.0, -1.25, 0.0, 600.0}));
  CHECK(std::isinf(at(prefer::gpo_exponential{.beta = 1.0}, pair_with_margin(-800.0)).value));
}

TEST_CASE("gpo_truncated_quadratic: max(0, 1 - z)^2, flat from 1 on", "[loss][gpo]") {
  is_link(prefer::gpo_truncated_quadratic{.beta = 0.5}, [](long double z) {
    long double const left = z < 1 ? 1 - z : 0;
    return closed_form{left * left, -2 * left, 0};
  });
  auto const kink = at(prefer::gpo_truncated_quadratic{.beta = 0.5}, pair_with_margin(2.0));
  CHECK(kink.value == 0.0);
  CHECK(kink.chosen == 0.0);
}

TEST_CASE("gpo_savage: sigmoid(-z)^2, bounded by 1 on the wrong side", "[loss][gpo]") {
  is_link(prefer::gpo_savage{.beta = 0.5}, [](long double z) {
    return closed_form{sig(-z) * sig(-z), -2 * sig(-z) * sig(-z) * sig(z), 0};
  });
  CHECK(at(prefer::gpo_savage{.beta = 0.5}, pair_with_margin(-1e4)).value == 1.0);
  CHECK(at(prefer::gpo_savage{.beta = 0.5}, pair_with_margin(-1e4)).chosen == 0.0);
}

TEST_CASE("gpo: every link falls at the reference", "[loss][gpo]") {
  auto const start = pair_with_margin(0.0);
  CHECK(at(prefer::gpo_squared{.beta = 0.5}, start).chosen == -1.0);
  CHECK(at(prefer::gpo_exponential{.beta = 0.5}, start).chosen == -0.5);
  CHECK(at(prefer::gpo_truncated_quadratic{.beta = 0.5}, start).chosen == -1.0);
  CHECK(at(prefer::gpo_savage{.beta = 0.5}, start).chosen == -0.125);
}

// -z: the perceptron's loss without its kink. Any link will do.
struct linear_link {
  static constexpr char const* name = "linear";
  static constexpr auto of(auto const& z) { return -z; }
};

TEST_CASE("gpo: a link of one's own makes a loss", "[loss][gpo]") {
  using linear = prefer::gpo<linear_link>;
  STATIC_REQUIRE(prefer::PairLoss<linear>);
  STATIC_REQUIRE(prefer::margin_only<linear>);
  CHECK(std::string(linear::name) == "linear");
  CHECK(at(linear{.beta = 0.5}, pair_with_margin(3.0)).value == -1.5);
}

TEST_CASE("gpo: beta out of range is refused", "[loss][gpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(prefer::gpo_savage{.beta = 0.0}),
                  prefer::precondition_error);
}

}  // namespace
