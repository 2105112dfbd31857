// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdint>
#include <prefer/loss/dpo.hpp>
#include <prefer/train/trainer.hpp>
#include <span>
#include <support/archetypes.hpp>
#include <support/policy_archetypes.hpp>
#include <train/small_problem.hpp>
#include <type_traits>
#include <vector>

#include "trainer_subjects.hpp"

using namespace trainer_subjects;

TEST_CASE("trainer: borrows its data, so a temporary does not compile", "[train][trainer]") {
  STATIC_REQUIRE(trains_on<table, prefer::dpo, choice_data&>);
  STATIC_REQUIRE(trains_on<table, prefer::dpo, choice_data const&>);
  STATIC_REQUIRE_FALSE(trains_on<table, prefer::dpo, choice_data>);
  STATIC_REQUIRE_FALSE(trains_on<table, prefer::dpo, choice_data const>);
  using any = trainer<table, prefer::dpo, no_reference<double>>;
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<any>);
  STATIC_REQUIRE_FALSE(std::is_copy_assignable_v<any>);
}

TEST_CASE("Policy: each missing member makes the concept false", "[train][trainer]") {
  using prefer::Policy;
  using prefer::test::policy_archetype;
  using prefer::test::policy_lacks;
  STATIC_REQUIRE(Policy<policy_archetype<>, choice_batch>);
  STATIC_REQUIRE_FALSE(Policy<policy_archetype<policy_lacks::value_type>, choice_batch>);
  STATIC_REQUIRE_FALSE(Policy<policy_archetype<policy_lacks::floating_value>, choice_batch>);
  STATIC_REQUIRE_FALSE(Policy<policy_archetype<policy_lacks::log_prob>, choice_batch>);
  STATIC_REQUIRE_FALSE(Policy<policy_archetype<policy_lacks::backward>, choice_batch>);
  STATIC_REQUIRE_FALSE(Policy<policy_archetype<policy_lacks::parameters>, choice_batch>);
  STATIC_REQUIRE_FALSE(prefer::LogitPolicy<policy_archetype<>, choice_batch>);
  STATIC_REQUIRE(prefer::LogitPolicy<table, choice_batch>);
}

TEMPLATE_TEST_CASE_SIG("trainer: asks no more of policy, reference and loss than their concepts",
                       "[train][trainer]", ((std::size_t Arity), Arity), 0, 1, 2) {
  using namespace prefer::test;
  policy_archetype<> policy(-1.5);
  reference_archetype<> reference(-2.0);
  choice_data data;
  for (std::uint32_t p = 0; p < 4; ++p) {
    std::vector<std::uint32_t> const completions = {0, 1, 2};
    data.add_list(p, std::span(completions).first(Arity == 0 ? 3 : Arity));
  }
  trainer run(policy, loss_archetype<Arity>(0), reference, data, {.batch_size = 2});
  std::vector<double> losses;
  CHECK(run.run([&](step_report const& r) { losses.push_back(r.loss); }) ==
        prefer::run_outcome::finished);
  // Arity 2 is a difference of two equal numbers; the others are -log_prob, which AdamW then raises.
  CHECK(losses[0] == (Arity == 2 ? 0.0 : 1.5));
  CHECK((Arity == 2 ? policy.value() == -1.5 : policy.value() > -1.5));
}

TEST_CASE("trainer: works with archetypes of losses that remember and of betas",
          "[train][trainer]") {
  using namespace prefer::test;
  policy_archetype<policy_lacks::nothing, float> policy(-1.5f);
  reference_archetype<> reference(-2.0);
  auto const data = small::pairs(4);
  trainer run(policy, remembering_archetype(0), reference, data, {.batch_size = 2});
  CHECK(run.run([](step_report const&) { return true; }, {.every = 1},
                [](auto const& p) { return p.value(); }) == prefer::run_outcome::finished);
}
