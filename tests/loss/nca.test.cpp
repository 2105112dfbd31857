// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/loss/nca.hpp>

#include "loss/closed_form.hpp"
#include "loss/one_list.hpp"

namespace {

using namespace prefer::test;
using prefer::info_nca;
using prefer::nca;
using prefer::nca_pair;

list_point const ranked = list_point::of({0.5, -1.25, 3.0, 0.0, -2.5}, {2.0, 0.25, -1.0, 1.0, 0.5});

TEST_CASE("nca_pair: value and derivatives are the paper's", "[loss][nca]") {
  double const beta = 0.5;
  has_closed_form(nca_pair{.beta = beta}, [&](paper_numbers const& n) {
    long double const w = beta * n.r_w, l = beta * n.r_l;
    // beta (3/2 sigmoid(u) - 1), in the form that keeps its digits where sigmoid(u) is small
    return closed_form{sp(-w) + sp(w) / 2 + sp(l) / 2, beta * (sig(w) / 2 - sig(-w)),
                       beta * sig(l) / 2};
  });
}

TEST_CASE("nca_pair: chosen is at rest at twice the reference's probability, rejected falls on",
          "[loss][nca]") {
  auto const y = at(nca_pair{.beta = 1.0}, pair_with_log_ratios(std::log(2.0), -50.0));
  CHECK(std::fabs(y.chosen) < 1e-15);  // sigmoid(ln 2) = 2/3
  CHECK(y.rejected > 0.0);
  CHECK(at(nca_pair{.beta = 1.0}, pair_with_log_ratios(1.0, 0.0)).chosen > 0.0);  // and pulled back
}

TEST_CASE("info_nca: value and derivatives are the paper's", "[loss][nca]") {
  // -sum p_i log q_i; d / d s_i = q_i - p_i.
  double const beta = 0.5, temperature = 2.0;
  auto const q = softmax(scaled(ranked.log_ratios(), beta));
  auto const p = softmax(scaled(ranked.score, 1 / temperature));
  long double value = 0;
  for (std::size_t i = 0; i < q.size(); ++i) value -= p[i] * std::log(q[i]);
  auto const loss = info_nca{.beta = beta, .temperature = temperature};
  for (auto const& y : {at_list(loss, ranked), at_list_by_rule(loss, ranked)}) {
    CHECK(near(y.value, static_cast<double>(value), 1e-14));
    for (std::size_t i = 0; i < q.size(); ++i) {
      CHECK(near(y.slope[i], static_cast<double>(beta * (q[i] - p[i])), 1e-13, 0.1));
    }
  }
}

TEST_CASE("info_nca: with all weight on one completion it is log softmax of that one",
          "[loss][nca]") {
  auto const sure = list_point::of({0.5, -1.25, 3.0}, {0.0, -1e4, -1e4});
  auto const q = softmax(scaled(sure.log_ratios(), 1.0));
  auto const y = at_list(info_nca{.beta = 1.0}, sure);
  CHECK(near(y.value, static_cast<double>(-std::log(q[0])), 1e-14));
  CHECK(near(y.slope[0], static_cast<double>(q[0] - 1), 1e-14));
  CHECK(near(y.slope[1], static_cast<double>(q[1]), 1e-14));
}

TEST_CASE("info_nca: extreme log-ratios are finite", "[loss][nca]") {
  auto const far = list_point::of({-1e4, 1e4, 0.0}, {0.0, -1e4, -1e4});
  for (auto const& y :
       {at_list(info_nca{.beta = 1.0}, far), at_list_by_rule(info_nca{.beta = 1.0}, far)}) {
    CHECK(y.value == 2e4);
    CHECK(y.slope == std::vector<double>{-1.0, 1.0, 0.0});
  }
}

TEST_CASE("nca: value and derivatives are the paper's", "[loss][nca]") {
  // sum p_i sp(-s_i) + sp(s_i) / K; d / d s_i = sigmoid(s_i) / K - p_i sigmoid(-s_i).
  double const beta = 0.5, temperature = 2.0;
  auto const s = scaled(ranked.log_ratios(), beta);
  auto const p = softmax(scaled(ranked.score, 1 / temperature));
  long double value = 0;
  for (std::size_t i = 0; i < s.size(); ++i) value += p[i] * sp(-s[i]) + sp(s[i]) / 5;
  auto const y = at_list(nca{.beta = beta, .temperature = temperature}, ranked);
  CHECK(near(y.value, static_cast<double>(value), 1e-14));
  for (std::size_t i = 0; i < s.size(); ++i) {
    CHECK(near(y.slope[i], static_cast<double>(beta * (sig(s[i]) / 5 - p[i] * sig(-s[i]))), 1e-13,
               0.1));
  }
}

TEST_CASE("nca: of two completions, with all weight on the first, it is nca_pair", "[loss][nca]") {
  auto const list = at_list(nca{.beta = 0.5}, list_point::of({1.5, -3.0}, {0.0, -1e4}));
  auto const pair = at(nca_pair{.beta = 0.5}, pair_with_log_ratios(1.5, -3.0));
  CHECK(near(list.value, pair.value, 1e-15));
  CHECK(near(list.slope[0], pair.chosen, 1e-14));
  CHECK(near(list.slope[1], pair.rejected, 1e-14));
}

TEST_CASE("nca: parameters out of range are refused", "[loss][nca]") {
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(nca_pair{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(info_nca{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(info_nca{.temperature = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(nca{.beta = 0.0}),
                  prefer::precondition_error);
  CHECK_THROWS_AS(prefer::expects_hyper_parameters_in_range(nca{.temperature = -1.0}),
                  prefer::precondition_error);
}

}  // namespace
