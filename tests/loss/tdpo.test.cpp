// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/tdpo.hpp>

#include "loss/closed_form.hpp"

namespace {

using namespace prefer::test;
using prefer::tdpo1;
using prefer::tdpo2;

std::vector<prefer::pair_record<double>> const divergent = [] {
  auto pairs = some_pairs();
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i].chosen.divergence = static_cast<double>(i % 5) / 4;
    pairs[i].rejected.divergence = static_cast<double>(i % 7) / 2;
  }
  return pairs;
}();

// Derivatives by the divergences.
template <class L>
value_and_slopes by_divergence(L const& loss, prefer::pair_record<double> const& pair) {
  using S = prefer::dual<double, 2>;
  auto record = with_variables<S>(pair);
  record.chosen.log_prob = S(pair.chosen.log_prob);
  record.rejected.log_prob = S(pair.rejected.log_prob);
  record.chosen.divergence = S::variable(pair.chosen.divergence, 0);
  record.rejected.divergence = S::variable(pair.rejected.divergence, 1);
  S const y = loss(record);
  return {y.value, y.partial[0], y.partial[1]};
}

TEST_CASE("tdpo1: value and all four derivatives are the paper's", "[loss][tdpo]") {
  double const beta = 0.5;
  for (auto const& pair : divergent) {
    paper_numbers const n(pair);
    long double const gap =
        static_cast<long double>(pair.rejected.divergence) - pair.chosen.divergence;
    long double const z = beta * (n.r_w - n.r_l - gap);
    compare(at(tdpo1{.beta = beta}, pair), of_margin(sp(-z), -sig(-z), beta), n, {});
    compare(by_divergence(tdpo1{.beta = beta}, pair), {sp(-z), -beta * sig(-z), beta * sig(-z)}, n,
            {});
  }
}

TEST_CASE("tdpo2: value and derivatives are the paper's, none through chosen's divergence",
          "[loss][tdpo]") {
  double const beta = 0.5, alpha = 0.25;
  auto const loss = tdpo2{.beta = beta, .alpha = alpha};
  for (auto const& pair : divergent) {
    paper_numbers const n(pair);
    long double const gap =
        static_cast<long double>(pair.rejected.divergence) - pair.chosen.divergence;
    long double const z = beta * (n.r_w - n.r_l - alpha * gap);
    compare(at(loss, pair), of_margin(sp(-z), -sig(-z), beta), n, {});
    compare(by_divergence(loss, pair), {sp(-z), 0, alpha * beta * sig(-z)}, n, {});
  }
}

TEST_CASE("tdpo2: with alpha = 1 it has the values of tdpo1, and other gradients", "[loss][tdpo]") {
  auto const& pair = divergent[11];
  CHECK(at(tdpo2{.alpha = 1.0}, pair).value == at(tdpo1{}, pair).value);
  CHECK(by_divergence(tdpo2{.alpha = 1.0}, pair).chosen == 0.0);
  CHECK(by_divergence(tdpo1{}, pair).chosen < 0.0);
}

TEST_CASE("tdpo: where policy and reference agree it is dpo", "[loss][tdpo]") {
  CHECK(near(at(tdpo1{}, pair_with_margin(0.0)).value, std::log(2.0), 1e-15));
  CHECK(at(tdpo2{.beta = 0.5}, pair_with_margin(0.0)).chosen == -0.25);
}

TEST_CASE("tdpo: parameters out of range are refused", "[loss][tdpo]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(tdpo1{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(tdpo2{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(tdpo2{.alpha = -0.5}),
                  prefer::precondition_error);
}

}  // namespace
