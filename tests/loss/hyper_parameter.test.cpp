// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include <prefer/loss/beta_dpo.hpp>
#include <prefer/loss/compose.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/rebel.hpp>
#include <prefer/loss/simpo.hpp>

namespace {

using namespace prefer;

template <class L>
std::vector<std::string> names_of(L const& loss) {
  std::vector<std::string> names;
  for_each_hyper_parameter(loss, [&](char const* name, auto const&) { names.push_back(name); });
  return names;
}

TEST_CASE("set_beta: every part of a composed loss that has a beta gets it", "[loss][parameters]") {
  auto sum = 0.5 * dpo{} + hinge{} + nll{};
  CHECK(set_beta(sum, 0.25) == 2);
  CHECK(sum.first.first.loss.beta == 0.25);
  CHECK(sum.first.second.beta == 0.25);
  CHECK(sum.first.first.weight == 0.5);
}

TEST_CASE("set_beta: a wrapped loss has its beta set, a loss without one has none set",
          "[loss][parameters]") {
  beta_dpo<hinge> wrapped;
  CHECK(set_beta(wrapped, 0.25) == 1);
  CHECK(wrapped.loss.beta == 0.25);
  nll none;
  CHECK(set_beta(none, 0.25) == 0);
  rebel eta;
  CHECK(set_beta(eta, 0.25) == 0);
  CHECK(eta.eta == 1.0);
}

TEST_CASE("set_beta: a value out of range is refused and changes nothing", "[loss][parameters]") {
  dpo loss{.beta = 0.3};
  CHECK_THROWS_AS(set_beta(loss, 0.0), precondition_error);
  CHECK(loss.beta == 0.3);
}

TEST_CASE("beta_of: the first part that has one, and 1 where none has", "[loss][parameters]") {
  CHECK(beta_of(dpo{.beta = 0.3}) == 0.3);
  CHECK(beta_of(nll{} + dpo{.beta = 0.3} + hinge{.beta = 0.7}) == 0.3);
  CHECK(beta_of(beta_dpo<hinge>{.loss = {.beta = 0.7}}) == 0.7);
  CHECK(beta_of(nll{}) == 1.0);
  CHECK(beta_of(rebel{}) == 1.0);
  STATIC_REQUIRE(beta_of(dpo{.beta = 0.5}) == 0.5);  // known to the compiler
}

TEST_CASE("hyper_parameter_or: by whole names, not by their beginnings", "[loss][parameters]") {
  CHECK(detail::hyper_parameter_or(simpo{.gamma = 0.7}, "gamma", 9.0) == 0.7);
  CHECK(detail::hyper_parameter_or(simpo{}, "gam", 9.0) == 9.0);
  CHECK(detail::hyper_parameter_or(simpo{}, "gammas", 9.0) == 9.0);
  CHECK(detail::hyper_parameter_or(nll{}, "gamma", 9.0) == 9.0);
  CHECK(detail::same_name("", ""));
  CHECK_FALSE(detail::same_name("", "b"));
}

TEST_CASE("for_each_hyper_parameter: parts come in order, the outer one's own last",
          "[loss][parameters]") {
  CHECK(names_of(beta_dpo<>{}) ==
        std::vector<std::string>{"beta", "label_smoothing", "sensitivity", "kept_share", "rate"});
  CHECK(names_of(nll{}).empty());
  STATIC_REQUIRE(HasBeta<dpo>);
  STATIC_REQUIRE(!HasBeta<nll>);
  STATIC_REQUIRE(!HasBeta<rebel>);
}

}  // namespace
