// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/batch/choices.hpp>
#include <prefer/policy/completion_outputs.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/reference/none.hpp>
#include <string>
#include <support/policy_archetypes.hpp>
#include <support/token_policy_archetypes.hpp>
#include <vector>

using namespace prefer;
using Catch::Matchers::Contains;

namespace {

using outputs = completion_outputs<double>;
using gradients = completion_gradients<double>;

// What a policy was called with, in order.
struct with_evaluate : test::policy_archetype<> {
  using base = test::policy_archetype<>;
  using base::backward;
  using base::base;
  static constexpr completion_output_set gives =
      completion_output::entropy | completion_output::divergence;

  void evaluate(choice_batch const&, outputs const& wanted) {
    calls += wanted.entropy.empty() ? "e" : "E";
  }
  void evaluate(choice_batch const&, outputs const&, no_reference<double>&) { calls += "R"; }
  void backward(choice_batch const&, gradients const&) { calls += "b"; }
  void backward(choice_batch const&, gradients const&, no_reference<double>&) { calls += "D"; }

  std::string calls;
};

struct one_pair {
  choice_data data;
  std::vector<double> column = std::vector<double>(2);
  one_pair() { data.add_pair(0, 1, 2); }
};

}  // namespace

TEST_CASE("completion_outputs: what is wanted are the columns that are not empty", "[policy]") {
  std::vector<double> column(1);
  CHECK(outputs{}.wanted().empty());
  CHECK(outputs{.log_prob = column}.wanted().empty());
  using enum completion_output;
  CHECK(outputs{.token_log_prob = column}.wanted() == token_log_prob);
  CHECK(outputs{.perturbed_away = column}.wanted() == perturbed);
  CHECK(outputs{.divergence = column, .value = column}.wanted() == (divergence | value));
  CHECK(gradients{.divergence = column}.given() == divergence);
  CHECK((divergence | value | entropy) - (value | perturbed) == (divergence | entropy));
}

TEST_CASE("completion_outputs: a column of another size is named", "[policy]") {
  std::vector<double> two(2), three(3);
  CHECK_NOTHROW((outputs{.log_prob = two, .token_log_prob = three}.expects_sizes(2, 3, "mine")));
  CHECK_THROWS_WITH((outputs{.entropy = three}.expects_sizes(2, 3, "mine")),
                    Contains("mine: entropy has 3 elements, expected 2"));
  CHECK_THROWS_WITH((outputs{.token_weight = two}.expects_sizes(2, 3, "mine")),
                    Contains("mine: token_weight has 2 elements, expected 3"));
  CHECK_THROWS_WITH((gradients{.value = three}.expects_sizes(2, 3, "mine")),
                    Contains("mine: value has 3 elements, expected 2"));
}

TEST_CASE("forward_pass, backward_pass: the short contract is enough for log_prob", "[policy]") {
  one_pair p;
  no_reference<double> reference;
  test::policy_archetype<> policy(-1.5);
  forward_pass(policy, p.data.batch(), {.log_prob = p.column}, reference);
  CHECK(p.column == std::vector<double>{-1.5, -1.5});
  backward_pass(policy, p.data.batch(), {.log_prob = p.column}, reference);
  CHECK(std::vector<parameter<double>>(policy.parameters())[0].gradient[0] == -3.0);
  CHECK_THROWS_WITH(forward_pass(policy, p.data.batch(), {.entropy = p.column}, reference),
                    Contains("this policy does not give entropy"));
  CHECK_THROWS_WITH(backward_pass(policy, p.data.batch(), {.value = p.column}, reference),
                    Contains("this policy does not give value"));
  CHECK_THROWS_WITH(forward_pass(policy, p.data.batch(),
                                 {.log_prob = p.column, .token_weight = p.column}, reference),
                    Contains("it weighs no tokens"));
}

TEST_CASE("forward_pass, backward_pass: a token policy needs no evaluate for its tokens",
          "[policy]") {
  one_pair p;
  no_reference<double> reference;
  using lacks = test::token_policy_lacks;
  test::token_policy_archetype<lacks::evaluate> policy(-1.5);
  std::vector<double> token(4);
  forward_pass(policy, p.data.batch(), {.log_prob = p.column, .token_log_prob = token}, reference);
  CHECK(p.column == std::vector<double>{-3, -3});
  CHECK(token == std::vector<double>{-1.5, -1.5, -1.5, -1.5});
  backward_pass(policy, p.data.batch(), {.token_log_prob = token}, reference);
  CHECK(policy.token_gradient() == -6);
}

TEST_CASE("forward_pass, backward_pass: one call, with the reference where the policy takes it",
          "[policy]") {
  one_pair p;
  no_reference<double> taken;
  test::policy_archetype<> not_taken(0.0);
  with_evaluate policy(0.0);
  auto const batch = p.data.batch();
  forward_pass(policy, batch, {.log_prob = p.column, .entropy = p.column}, taken);
  forward_pass(policy, batch, {.log_prob = p.column, .entropy = p.column}, not_taken);
  forward_pass(policy, batch, {.log_prob = p.column}, not_taken);
  backward_pass(policy, batch, {.log_prob = p.column, .divergence = p.column}, taken);
  backward_pass(policy, batch, {.log_prob = p.column}, not_taken);
  CHECK(policy.calls == "REeDb");
  CHECK_THROWS_WITH(forward_pass(policy, batch, {.divergence = p.column}, not_taken),
                    Contains("does not give divergence, or not against this reference"));
  CHECK_THROWS_WITH(backward_pass(policy, batch, {.divergence = p.column}, not_taken),
                    Contains("does not give divergence, or not against this reference"));
  CHECK_THROWS_WITH(forward_pass(policy, batch, {.alignment = p.column}, taken),
                    Contains("does not give alignment"));
  CHECK(policy.calls == "REeDb");
}

TEST_CASE("outputs_of: what a policy says, through references and const", "[policy]") {
  STATIC_REQUIRE(outputs_of<with_evaluate>() == with_evaluate::gives);
  STATIC_REQUIRE(outputs_of<with_evaluate const&>() == with_evaluate::gives);
  STATIC_REQUIRE(outputs_of<test::policy_archetype<>>().empty());
}
