// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdint>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/tdpo.hpp>
#include <prefer/model/bigram.hpp>
#include <prefer/policy/any_policy.hpp>
#include <prefer/reference/any_reference.hpp>
#include <prefer/reference/cached.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/moving_average.hpp>
#include <prefer/train/trainer.hpp>
#include <support/message_of.hpp>
#include <support/policy_archetypes.hpp>
#include <support/temporary_folder.hpp>
#include <vector>

using Catch::Matchers::Contains;
using prefer::any_policy;
using prefer::any_reference;
using prefer::test::message_of;

namespace {

using policy_type = prefer::bigram<double>;

struct problem {
  prefer::token_table table;
  prefer::choice_data data;

  problem() {
    std::vector<std::vector<std::uint32_t>> const texts = {{1, 2, 0}, {2, 2}, {0, 1}, {1}};
    for (auto const& each : texts) table.add(each);
    data.add_pair(0, 0, 1);
    data.add_pair(2, 2, 3);
    data.add_pair(1, 3, 0);
  }
  [[nodiscard]] policy_type policy() const {
    return {3, table, {0.5, -0.25, 1.0, 0.0, 0.75, -1.0, 0.25, 0.5, -0.5}};
  }
};

prefer::train_options const options{
    .batch_size = 2, .micro_batch_tokens = 4, .epochs = 3, .rate = 0.1, .max_gradient_norm = 0.2};

// The checkpoint of a finished run, byte by byte: parameters, moments, the reference, and what all of it stands for.
template <class P, class L, class R>
std::string checkpoint_of(P& policy, L const& loss, R& reference, prefer::choice_data const& data) {
  temporary_folder const folder;
  prefer::trainer run(policy, loss, reference, data, options);
  run.run();
  run.save(folder / "checkpoint");
  return content_of(folder / "checkpoint");
}

// Trains a policy with what `make` makes of it as a reference, and another one through handles.
template <class L>
void expect_same_checkpoints(L const& loss, auto const& make) {
  problem const of;
  policy_type direct = of.policy();
  auto beside = make(direct, of);
  policy_type hidden = of.policy();
  auto behind = make(hidden, of);
  any_policy<double> policy(hidden);
  any_reference<double> reference(behind, hidden);
  std::string const expected = checkpoint_of(direct, loss, beside, of.data);
  CHECK(checkpoint_of(policy, loss, reference, of.data) == expected);
  CHECK(direct.parameters()[0].value[0] != 0.5);  // it has moved
}

}  // namespace

TEST_CASE("any_policy: a run through handles writes the checkpoint of a run without, byte by byte",
          "[reference][any_reference]") {
  auto const start = [](policy_type& policy, problem const&) { return prefer::frozen(policy); };
  SECTION("a loss of log-probabilities, a reference that stays") {
    expect_same_checkpoints(prefer::dpo{.beta = 0.3}, start);
  }
  SECTION("a loss that reads a divergence, which the two give together") {
    expect_same_checkpoints(prefer::tdpo2{}, start);
  }
  SECTION("a reference that follows the policy and is saved") {
    expect_same_checkpoints(prefer::dpo{}, [](policy_type& policy, problem const&) {
      return prefer::moving_average(policy, prefer::ema{.rate = 0.25});
    });
  }
  SECTION("a reference that looks up") {
    expect_same_checkpoints(prefer::dpo{}, [](policy_type& policy, problem const& of) {
      return prefer::cached<double>::of(policy, of.data);
    });
  }
}

TEST_CASE("any_policy: what a policy gives is known when the program runs",
          "[reference][any_reference]") {
  problem const of;
  policy_type policy = of.policy();
  prefer::test::policy_archetype<> least(-1.0);
  CHECK(any_policy<double>(policy).outputs() == policy_type::gives);
  CHECK(any_policy<double>(policy).gives_tokens());
  CHECK(any_policy<double>(policy).samples());
  CHECK(any_policy<double>(least).outputs().empty());
  CHECK_FALSE(any_policy<double>(least).gives_tokens());
  CHECK_FALSE(any_policy<double>(least).samples());
}

TEST_CASE(
    "any_policy: of one with the short contract the rest is the trainer's default, or refused",
    "[reference][any_reference]") {
  problem const of;
  prefer::test::policy_archetype<> least(-1.0);
  any_policy<double> policy(least);
  auto const batch = of.data.batch();
  std::vector<double> out(6, 1.0);
  policy.evaluate(batch, {.log_prob = out});
  CHECK(out == std::vector<double>(6, -1.0));
  policy.backward(batch, prefer::completion_gradients<double>{.log_prob = out});
  CHECK(policy.parameters()[0].gradient[0] == -6.0);
  policy.clear_gradient();
  CHECK(policy.parameters()[0].gradient[0] == 0.0);
  CHECK(policy.same_completion(1, 1));
  CHECK_FALSE(policy.same_completion(1, 2));
  CHECK(policy.identity() == 0);
  policy.finish_backward();
  policy.parameters_moved();
  policy.use({});

  std::vector<std::size_t> offsets;
  CHECK_THAT(message_of([&] { policy.token_offsets(batch, offsets); }),
             Contains("this policy has no token_offsets"));
  CHECK_THAT(message_of([&] { policy.token_log_prob(batch, out); }),
             Contains("this policy has no token_log_prob"));
  CHECK_THAT(message_of([&] { policy.token_backward(batch, out); }),
             Contains("this policy has no token_backward"));
  CHECK_THAT(message_of([&] { policy.group_tokens(batch, offsets); }),
             Contains("needs a policy that counts tokens"));
  CHECK_THAT(message_of([&] {
               prefer::token_table into;
               std::vector<std::uint32_t> ids;
               policy.sample({}, {}, {}, into, ids);
             }),
             Contains("this policy has no sample"));
  CHECK_THAT(message_of([&] { policy.evaluate(batch, {.divergence = out}); }),
             Contains("does not give divergence"));
}

TEST_CASE("any_reference: of one with the short contract the rest is the trainer's default",
          "[reference][any_reference]") {
  problem const of;
  prefer::test::policy_archetype<> least(-1.0);
  prefer::test::reference_archetype<> still(-2.0);
  any_policy<double> policy(least);
  any_reference<double> reference(still, least);
  auto const batch = of.data.batch();
  std::vector<double> out(6);
  reference.log_prob(batch, out);
  CHECK(out == std::vector<double>(6, -2.0));
  CHECK_FALSE(reference.gives_tokens());
  CHECK(reference.normalised());
  CHECK(reference.identity() == 0);
  reference.use({});
  reference.after_step(policy, 1);
  std::vector<std::size_t> offsets;
  CHECK_THAT(message_of([&] { reference.token_offsets(batch, offsets); }),
             Contains("this reference has no token_offsets"));
  CHECK_THAT(message_of([&] { reference.token_log_prob(batch, out); }),
             Contains("this reference has no token_log_prob"));
  CHECK_THAT(message_of([&] { policy.evaluate(batch, {.divergence = out}, reference); }),
             Contains("does not give divergence"));
}

TEST_CASE("any_reference: goes with the policy that it was made with, and no other",
          "[reference][any_reference]") {
  problem const of;
  policy_type one = of.policy();
  policy_type other = of.policy();
  prefer::frozen start(one);
  any_policy<double> policy(other);
  any_reference<double> reference(start, one);
  std::vector<double> out(6);
  CHECK_THAT(message_of([&] { policy.evaluate(of.data.batch(), {.divergence = out}, reference); }),
             Contains("it was made with another policy"));
  CHECK_THAT(message_of([&] { reference.after_step(policy, 1); }),
             Contains("it was made with another policy"));
}
