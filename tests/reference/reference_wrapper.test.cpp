// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/mixture.hpp>
#include <prefer/reference/moving_average.hpp>
#include <prefer/reference/reference_wrapper.hpp>
#include <prefer/reference/unconditional.hpp>

using namespace prefer;

namespace {

using table = tabular<double>;
using average = moving_average<table, tr_dpo>;

// A reference that says nothing of itself.
struct nameless {
  using value_type = double;
  void log_prob(choice_batch const& /*batch*/, std::span<double> out) const {
    for (double& each : out) each = 0.0;
  }
};

average of(table const& policy) { return {policy, tr_dpo{.alpha = 0.5, .every = 1}}; }

template <class W>
std::vector<double> first_prompt(W& reference) {
  choice_data data;
  data.add_pair(0, 0, 1);
  std::vector<double> out(2);
  reference.log_prob(data.batch(), out);
  return out;
}

}  // namespace

TEST_CASE("reference_wrapper: passes on what the reference has", "[reference]") {
  table policy(2, 3);
  reference_wrapper moving(of(policy));
  STATIC_REQUIRE(decltype(moving)::moves);
  CHECK(moving.version() == 0);
  moving.after_step(policy, 1);
  CHECK(moving.version() == 1);
  CHECK(moving.identity() == of(policy).identity());
  CHECK(moving.normalised());

  reference_wrapper still(nameless{});
  STATIC_REQUIRE_FALSE(decltype(still)::moves);
  constexpr auto identified = [](auto& r) { return requires { r.identity(); }; };
  constexpr auto versioned = [](auto const& r) { return requires { r.version(); }; };
  CHECK_FALSE(identified(still));
  CHECK_FALSE(versioned(still));
  archive_writer file;
  still.save(file);
  CHECK(archive::parse(file.bytes(), "test").names().empty());
}

TEST_CASE("reference_wrapper: two wrapped references of one mixture save under their own names",
          "[reference]") {
  table policy(2, 3);
  auto const make = [&] {
    return mixture({0.5, 0.5}, unconditional(of(policy), 1), unconditional(of(policy), 1));
  };
  auto both = make();
  for (auto const& each : policy.parameters()) {
    for (std::size_t i = 0; i < each.value.size(); ++i) each.value[i] = static_cast<double>(i % 4);
  }
  both.after_step(policy, 1);
  archive_writer file;
  both.save(file);
  auto const saved = archive::parse(file.bytes(), "test");
  CHECK(saved.contains("reference/0/value/logits"));
  CHECK(saved.contains("reference/1/value/logits"));

  table start(2, 3);
  auto again = mixture({0.5, 0.5}, unconditional(of(start), 1), unconditional(of(start), 1));
  CHECK(first_prompt(again) != first_prompt(both));
  again.load(saved);
  CHECK(first_prompt(again) == first_prompt(both));
}
