// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstddef>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/loss/catalogue.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/objective/evaluate.hpp>

namespace {

using namespace prefer;

template <class Action>
std::string complaint_of(Action const& action) {
  try {
    action();
    return "";
  } catch (precondition_error const& error) {
    return error.what();
  }
}

TEST_CASE("laws: a loss has no number that it does not name", "[laws][parameters]") {
  for_each_loss([]<Loss L>(L const& loss, loss_info const&) {
    INFO(L::name);
    std::size_t named = 0;
    for_each_hyper_parameter(loss, [&](char const*, auto const& value) { named += sizeof value; });
    CHECK(named == (std::is_empty_v<L> ? 0 : sizeof(L)));
  });
}

TEST_CASE("laws: a hyper-parameter out of its range is refused by loss, name and value",
          "[laws][parameters]") {
  std::size_t refused = 0;
  for_each_loss([&]<Loss L>(L const&, loss_info const&) {
    std::size_t count = 0;
    for_each_hyper_parameter(L{}, [&](char const*, auto const&) { ++count; });
    for (std::size_t k = 0; k < count; ++k) {
      L loss{};
      std::size_t at = 0;
      std::string wanted;
      for_each_hyper_parameter(loss, [&](char const* name, auto& value) {
        if (at++ != k) return;
        if constexpr (requires { value.in_range(); }) {
          value = -7.0;
          wanted = std::string(": ") + name + " is -7, " + value.expected();
        }
      });
      INFO(L::name << wanted);
      std::string const from_rewards = complaint_of([&] { (void)reward_rule_of(loss); });
      CHECK((wanted.empty() ? from_rewards.empty() : from_rewards.ends_with(wanted)));
      refused += wanted.empty() ? 0 : 1;
    }
  });
  CHECK(refused > 67);  // most have a beta and something else
}

TEST_CASE("laws: a hyper-parameter that is not finite is refused by loss, name and value",
          "[laws][parameters]") {
  double const infinity = std::numeric_limits<double>::infinity();
  std::size_t without_range = 0;
  for_each_loss([&]<Loss L>(L const&, loss_info const&) {
    std::size_t count = 0;
    for_each_hyper_parameter(L{}, [&](char const*, auto const&) { ++count; });
    for (std::size_t k = 0; k < count; ++k) {
      for (double const given : {std::numeric_limits<double>::quiet_NaN(), infinity, -infinity}) {
        L loss{};
        std::size_t at = 0;
        std::string wanted;
        for_each_hyper_parameter(loss, [&](char const* name, auto& value) {
          if (at++ != k) return;
          value = given;
          wanted = std::string(": ") + name + " is " +
                   (given > 0   ? "inf"
                    : given < 0 ? "-inf"
                                : "nan") +
                   ", expected ";
          if constexpr (std::is_same_v<std::remove_cvref_t<decltype(value)>, double>) {
            ++without_range;
            wanted += "a finite number";
          }
        });
        INFO(L::name << wanted);
        CHECK(complaint_of([&] { (void)reward_rule_of(loss); }).find(wanted) != std::string::npos);
      }
    }
  });
  CHECK(without_range >=
        3 * 8);  // target margins of simpo, cpo_simpo, alphapo, tpo_l, slic_hf, ...
}

TEST_CASE("laws: whatever takes a loss refuses a hyper-parameter first", "[laws][parameters]") {
  std::string const sentence = "dpo: beta is -1, expected a finite number greater than zero";
  std::vector<double> const one = {-1.0};
  auto const batch = pair_columns{.policy = {one, one}, .reference = {one, one}};
  dpo const bad{.beta = -1};
  CHECK(complaint_of([&] { (void)evaluate(bad, batch); }) == sentence);
  CHECK(complaint_of([&] { (void)evaluate(0.5 * bad + nll{}, batch); }) == sentence);
  CHECK(complaint_of([&] { (void)evaluate(wpo<>{.loss = bad}, batch); }) == sentence);
  CHECK(complaint_of([&] {
          (void)evaluate(dpo{} + std::numeric_limits<double>::quiet_NaN() * nll{}, batch);
        }).ends_with("weight is nan, expected a finite number"));
  // Before anything is computed with it: what is remembered stays as it was.
  bco const remembers{.beta = std::numeric_limits<double>::quiet_NaN()};
  loss_memory<bco> memory{};
  auto const examples = unpaired_columns{.policy = one, .reference = one, .label = one};
  CHECK(complaint_of([&] { (void)evaluate(remembers, examples, memory); }) ==
        "bco: beta is nan, expected a finite number greater than zero");
  CHECK(memory.count == 0.0);
}

}  // namespace
