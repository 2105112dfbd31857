// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/aggregation/mean_tokens.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/policy/aggregated.hpp>
#include <prefer/policy/token_policy.hpp>
#include <support/token_policy_archetypes.hpp>
#include <vector>

using namespace prefer;

namespace {

template <test::token_policy_lacks L>
using without = test::token_policy_archetype<L>;
using lacks = test::token_policy_lacks;
using reference = test::reference_archetype<>;

}  // namespace

TEST_CASE("TokenPolicy: each missing member makes the concept false", "[policy][token_policy]") {
  STATIC_REQUIRE(TokenPolicy<without<lacks::nothing>, choice_batch>);
  STATIC_REQUIRE(TokenPolicy<without<lacks::alignment>, choice_batch>);
  STATIC_REQUIRE_FALSE(TokenPolicy<without<lacks::log_prob>, choice_batch>);
  STATIC_REQUIRE_FALSE(TokenPolicy<without<lacks::token_offsets>, choice_batch>);
  STATIC_REQUIRE_FALSE(TokenPolicy<without<lacks::token_log_prob>, choice_batch>);
  STATIC_REQUIRE_FALSE(TokenPolicy<without<lacks::token_backward>, choice_batch>);
  STATIC_REQUIRE_FALSE(TokenPolicy<tabular<double>, choice_batch>);
  STATIC_REQUIRE(check::token_policy<without<lacks::nothing>, choice_batch>());
}

TEST_CASE("TokenReference: needs no backward pass", "[policy][token_policy]") {
  STATIC_REQUIRE(TokenReference<without<lacks::nothing>, choice_batch>);
  STATIC_REQUIRE(TokenReference<without<lacks::token_backward>, choice_batch>);
  STATIC_REQUIRE_FALSE(TokenReference<without<lacks::token_offsets>, choice_batch>);
  STATIC_REQUIRE_FALSE(TokenReference<without<lacks::token_log_prob>, choice_batch>);
}

TEST_CASE("AlignmentPolicy, DivergencePolicy, PerturbablePolicy: are what they ask for",
          "[policy][token_policy]") {
  STATIC_REQUIRE(AlignmentPolicy<without<lacks::nothing>, choice_batch>);
  STATIC_REQUIRE(AlignmentPolicy<without<lacks::token_offsets>, choice_batch>);
  STATIC_REQUIRE_FALSE(AlignmentPolicy<without<lacks::alignment>, choice_batch>);
  STATIC_REQUIRE_FALSE(AlignmentPolicy<without<lacks::evaluate>, choice_batch>);
  STATIC_REQUIRE_FALSE(AlignmentPolicy<without<lacks::log_prob>, choice_batch>);

  STATIC_REQUIRE(DivergencePolicy<without<lacks::nothing>, reference, choice_batch>);
  STATIC_REQUIRE(DivergencePolicy<without<lacks::alignment>, reference, choice_batch>);
  STATIC_REQUIRE_FALSE(DivergencePolicy<without<lacks::gives>, reference, choice_batch>);
  STATIC_REQUIRE_FALSE(DivergencePolicy<without<lacks::evaluate_against>, reference, choice_batch>);
  STATIC_REQUIRE_FALSE(DivergencePolicy<without<lacks::backward_against>, reference, choice_batch>);
  STATIC_REQUIRE_FALSE(DivergencePolicy<without<lacks::nothing>, tabular<double>, choice_batch>);

  STATIC_REQUIRE(PerturbablePolicy<without<lacks::nothing>, reference, choice_batch>);
  STATIC_REQUIRE(PerturbablePolicy<without<lacks::backward_against>, reference, choice_batch>);
  STATIC_REQUIRE_FALSE(PerturbablePolicy<without<lacks::gives>, reference, choice_batch>);
  STATIC_REQUIRE_FALSE(
      PerturbablePolicy<without<lacks::evaluate_against>, reference, choice_batch>);
}

TEST_CASE("aggregated: asks for no more than a token policy", "[policy][token_policy]") {
  using archetype = test::token_policy_archetype<>;
  archetype policy(-1.5);
  aggregated<archetype&, mean_tokens> mean(policy, {});
  STATIC_REQUIRE(TokenPolicy<decltype(mean), choice_batch>);
  choice_data data;
  data.add_pair(0, 1, 2);
  std::vector<double> out(2);
  mean.log_prob(data.batch(), out);
  CHECK(out == std::vector<double>{-1.5, -1.5});
  mean.backward(data.batch(), std::vector<double>{2, 3});
  CHECK(policy.token_gradient() == 5);
  // What it does not have is not offered.
  constexpr auto finishes = [](auto& p) { return requires { p.finish_backward(); }; };
  constexpr auto takes_threads = [](auto& p) { return requires { p.use(executor()); }; };
  CHECK_FALSE(finishes(mean));
  CHECK_FALSE(takes_threads(mean));
}
