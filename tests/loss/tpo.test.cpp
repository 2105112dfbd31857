// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <vector>

#include <prefer/loss/tpo.hpp>
#include <prefer/objective/evaluate.hpp>

#include "loss/closed_form.hpp"
#include "loss/one_list.hpp"

namespace {

using namespace prefer::test;
using prefer::tpo;
using prefer::tpo_l;

// Gold, chosen, rejected.
std::vector<list_point> const triples = {
    {{-12.0, -20.0, -30.0}, {4.0, 8.0, 16.0}, {0.0, 0.0, 0.0}},
    {{-1.0, -80.0, -3.0}, {1.0, 2.0, 4.0}, {0.0, 0.0, 0.0}},
    {{-64.0, -3000.0, -40.0}, {32.0, 64.0, 8.0}, {0.0, 0.0, 0.0}},
    {{-64.0, -3.0, -4000.0}, {32.0, 2.0, 16.0}, {0.0, 0.0, 0.0}}};

TEST_CASE("tpo: value and derivatives are the paper's", "[loss][tpo]") {
  double const beta = 0.5, alpha = 0.25, e = 0.125;
  for (auto const& y : triples) {
    long double const z = beta * (static_cast<long double>(y.log_prob[1]) - y.log_prob[2]);
    auto const at = at_list(tpo{.beta = beta, .alpha = alpha, .label_smoothing = e}, y);
    CHECK(near(
        at.value,
        static_cast<double>((1 - e) * sp(-z) + e * sp(z) - alpha * y.log_prob[0] / y.length[0]),
        1e-14));
    CHECK(at.slope[0] == -alpha / y.length[0]);
    CHECK(near(at.slope[1], static_cast<double>(beta * (sig(z) - (1 - e))), 1e-14));
    CHECK(near(at.slope[2], static_cast<double>(-beta * (sig(z) - (1 - e))), 1e-14));
  }
}

TEST_CASE("tpo_l: value and derivatives are the paper's", "[loss][tpo]") {
  double const beta = 2.0, gamma = 0.75, alpha = 0.25;
  for (auto const& y : triples) {
    long double const z = beta * (static_cast<long double>(y.log_prob[1]) / y.length[1] -
                                  static_cast<long double>(y.log_prob[2]) / y.length[2]) -
                          gamma;
    auto const at = at_list(tpo_l{.beta = beta, .gamma = gamma, .alpha = alpha}, y);
    CHECK(near(at.value, static_cast<double>(sp(-z) - alpha * y.log_prob[0] / y.length[0]), 1e-14));
    CHECK(at.slope[0] == -alpha / y.length[0]);
    CHECK(near(at.slope[1], static_cast<double>(-beta * sig(-z) / y.length[1]), 1e-14, 1e-300));
    CHECK(near(at.slope[2], static_cast<double>(beta * sig(-z) / y.length[2]), 1e-14, 1e-300));
  }
}

TEST_CASE("tpo: a list of two is refused with a sentence", "[loss][tpo]") {
  std::vector<double> const v(5, -1.0);
  std::vector<std::size_t> const offset = {0, 3, 5};
  prefer::list_columns const lists{.policy = v, .length = v, .offset = offset};
  CHECK_THROWS_WITH(evaluate(tpo{}, lists),
                    "evaluate: list 1 has 2 completions; this loss takes 3");
  CHECK_THROWS_WITH(evaluate(tpo_l{}, lists),
                    "evaluate: list 1 has 2 completions; this loss takes 3");
}

TEST_CASE("tpo: the reference is not read", "[loss][tpo]") {
  CHECK(prefer::needs<tpo> == (prefer::column_name::policy | prefer::column_name::length));
  CHECK(prefer::needs<tpo_l> == (prefer::column_name::policy | prefer::column_name::length));
}

TEST_CASE("tpo: parameters out of range are refused", "[loss][tpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(tpo{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(tpo{.alpha = -1.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(tpo{.label_smoothing = 0.5}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(tpo_l{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(tpo_l{.alpha = -1.0}),
                  prefer::precondition_error);
}

}  // namespace
