// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdint>
#include <vector>

#include <prefer/loss/dpo.hpp>
#include <prefer/policy/token_policy.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/without_adapter.hpp>
#include <prefer/train/trainer.hpp>

#include "../train/adapter_policy.hpp"
#include "../train/small_problem.hpp"

using namespace prefer;

namespace {

std::vector<float> const base = {0.5f, -0.25f, 0.0f, 1.0f, 0.75f};

struct with_tokens : small::adapter_policy {
  using small::adapter_policy::adapter_policy;
  void token_offsets(choice_batch const&, std::vector<std::size_t>& out) { out = {0, 1, 2}; }
  void token_log_prob_without_adapter(choice_batch const&, std::span<double> out) {
    for (double& each : out) each = -2.0;
  }
  [[nodiscard]] std::uint64_t identity() const { return 11; }
};

}  // namespace

TEST_CASE("without_adapter: is the base, however the adapter has moved", "[reference]") {
  small::adapter_policy policy(base);
  small::adapter_policy untrained(base);
  without_adapter reference(policy);
  auto const data = small::pairs(6);
  std::vector<double> ours(12), theirs(12);
  untrained.log_prob(data.batch(), theirs);
  policy.parameters()[1].value[2] = 3.0f;
  policy.parameters_moved();
  reference.log_prob(data.batch(), ours);
  CHECK(ours == theirs);
  policy.log_prob(data.batch(), ours);
  CHECK(ours != theirs);
}

TEST_CASE("without_adapter: trains to the bits of a frozen copy", "[reference]") {
  auto const data = small::pairs(10);
  train_options const options{
      .batch_size = 4, .epochs = 3, .rate = 0.05, .reference_is_start = true};
  small::adapter_policy shared(base);
  without_adapter own(shared);
  trainer(shared, dpo{.beta = 0.5}, own, data, options).run();
  small::adapter_policy policy(base);
  frozen copy(policy);
  trainer(policy, dpo{.beta = 0.5}, copy, data, options).run();
  CHECK(small::state_of(shared) == small::state_of(policy));
  CHECK(small::state_of(shared)[5] != 0.0);
}

TEST_CASE("without_adapter: offers what its policy does", "[reference]") {
  using plain = without_adapter<small::adapter_policy>;
  using tokens = without_adapter<with_tokens>;
  STATIC_REQUIRE(Reference<plain, choice_batch>);
  STATIC_REQUIRE_FALSE(MovingReference<plain>);
  STATIC_REQUIRE_FALSE(TokenReference<plain, choice_batch>);
  STATIC_REQUIRE(TokenReference<tokens, choice_batch>);
  constexpr auto identified = [](auto& r) { return requires { r.identity(); }; };
  with_tokens policy(base);
  tokens reference(policy);
  small::adapter_policy without(base);
  plain nameless(without);
  CHECK(identified(reference));
  CHECK_FALSE(identified(nameless));
  CHECK(reference.identity() == 11);
  auto const data = small::pairs(1);
  std::vector<double> out(2);
  reference.token_log_prob(data.batch(), out);
  CHECK(out == std::vector<double>{-2.0, -2.0});
}
