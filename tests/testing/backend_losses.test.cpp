// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <set>
#include <string>
#include <vector>

#include <prefer/testing/backend_losses.hpp>

#include "testing/faulty_backend.hpp"

namespace {

using namespace prefer::test;

std::vector<prefer::testing::finding> found(fault wrong) {
  fault_now = wrong;
  toy_crossings crossings;
  return prefer::testing::check_losses(faulty(crossings), [&](std::vector<double> const& numbers) {
    return faulty_column(toy_column(numbers, crossings));
  });
}

std::set<std::string> losses_in(std::vector<prefer::testing::finding> const& findings) {
  std::set<std::string> out;
  for (auto const& each : findings) out.insert(each.operation);
  return out;
}

TEST_CASE("backend losses: a backend without a fault passes", "[testing][backend_losses]") {
  std::string said;
  for (auto const& each : found(fault::none)) said += to_string(each) + "\n";
  CHECK(said == "");
}

TEST_CASE("backend losses: what a backend does not read is found in the losses that read it",
          "[testing][backend_losses]") {
  auto const names = losses_in(found(fault::score_ignored));
  CHECK(names.count("rebel") == 1);
  CHECK(names.count("odpo") == 1);
  CHECK(names.count("dpo") == 0);
  CHECK(names.count("kto") == 0);
}

TEST_CASE("backend losses: sides that are swapped are found in every pair loss that takes sides",
          "[testing][backend_losses]") {
  auto const names = losses_in(found(fault::sides_swapped));
  for (char const* const each : {"dpo", "ipo", "simpo", "nll", "orpo"}) {
    CAPTURE(each);
    CHECK(names.count(each) == 1);
  }
  CHECK(names.count("plackett_luce") == 0);
}

}  // namespace
