// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/model/tabular.hpp>
#include <prefer/reference/composite.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/reference/moving_average.hpp>
#include <string>
#include <train/small_problem.hpp>
#include <type_traits>

using prefer::composite;
using prefer::frozen;
using prefer::moving_average;

namespace {

using table = prefer::tabular<double>;

// A user's own, with entries that it names freely.
struct with_a_name {
  using value_type = double;
  std::string name;
  double number = 0.0;
  void log_prob(prefer::choice_batch const&, std::span<double>) {}
  void after_step(table&, std::uint64_t step) { number = static_cast<double>(step); }
  void save(prefer::archive_writer& file) const { file.add(name, number); }
  void load(prefer::archive const& file) { number = file.number<double>(name); }
};

prefer::archive saved(auto& reference) {
  prefer::archive_writer file;
  reference.save(file);
  return prefer::archive::parse(file.bytes(), "memory");
}

}  // namespace

TEST_CASE("composite: moves if a part does", "[reference][composite]") {
  using still = frozen<table>;
  using soft = moving_average<table, prefer::tr_dpo>;
  using every = moving_average<table, prefer::ema>;
  STATIC_REQUIRE_FALSE(composite<still, still>::moves);
  STATIC_REQUIRE(composite<still, soft>::moves);
  STATIC_REQUIRE(composite<still, with_a_name>::moves);
  STATIC_REQUIRE_FALSE(composite<still, soft>::moves_every_step);
  STATIC_REQUIRE(composite<every, soft>::moves_every_step);
}

TEST_CASE("composite: each part saves under a name of its own", "[reference][composite]") {
  table policy(2, 3);
  composite parts(moving_average(policy, prefer::ema{}), frozen(policy),
                  moving_average(policy, prefer::tr_dpo{}), with_a_name{"mine"});
  parts.after_step(policy, 7);
  CHECK(saved(parts).names() ==
        std::vector<std::string>{"reference/0/identity", "reference/0/value/logits",
                                 "reference/2/identity", "reference/2/value/logits", "mine"});
  composite clash(with_a_name{"mine"}, with_a_name{"mine"});
  CHECK_THROWS_WITH(saved(clash), Catch::Contains("entry 'mine' is added twice"));
}

TEST_CASE("composite: where one part cannot be loaded, none is", "[reference][composite]") {
  table policy(2, 3, {1, 2, 3, 4, 5, 6});
  composite parts(moving_average(table(2, 3), prefer::ema{.rate = 1.0}), with_a_name{"a"});
  parts.after_step(policy, 7);
  composite untouched(moving_average(table(2, 3), prefer::ema{.rate = 1.0}), with_a_name{"b"});
  CHECK_THROWS_WITH(untouched.load(saved(parts)), Catch::Contains("has no entry 'b'"));
  untouched.for_each([](auto& part) {
    if constexpr (requires { part.policy(); }) {
      auto copy = part.policy();
      CHECK(small::state_of(copy) == std::vector<double>(6));
    }
  });
}

TEST_CASE("composite: its version grows with that of any part", "[reference][composite]") {
  table policy(2, 3);
  composite parts(moving_average(policy, prefer::tr_dpo{.every = 2}), frozen(policy),
                  moving_average(policy, prefer::tr_dpo{.every = 3}));
  std::vector<std::uint64_t> found;
  for (std::uint64_t step = 1; step <= 6; ++step) {
    parts.after_step(policy, step);
    found.push_back(parts.version());
  }
  CHECK(found == std::vector<std::uint64_t>{0, 1, 2, 3, 3, 5});
}

TEST_CASE("composite: the order of its parts is part of its identity", "[reference][composite]") {
  table policy(2, 3);
  moving_average one(policy, prefer::ema{});
  frozen two(policy);
  CHECK(composite(one, two).identity() != composite(two, one).identity());
  CHECK(composite(one, two).identity() == composite(one, two).identity());
}
