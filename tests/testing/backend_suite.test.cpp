// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include <prefer/testing/backend_suite.hpp>

#include "support/toy_backend.hpp"
#include "testing/faulty_backend.hpp"

namespace {

using prefer::testing::check_backend;
using prefer::testing::finding;
using namespace prefer::test;

std::string all_of(std::vector<finding> const& found) {
  std::string out;
  for (finding const& each : found) out += to_string(each) + "\n";
  return out;
}

struct uploaded {
  std::vector<double> numbers;
  [[nodiscard]] prefer::column view() const { return numbers; }
};

TEST_CASE("backend suite: the host passes", "[testing][backend_suite]") {
  CHECK(all_of(check_backend(prefer::host{}, [](std::vector<double> const& numbers) {
          return uploaded{numbers};
        })) == "");
}

TEST_CASE("backend suite: the toy passes", "[testing][backend_suite]") {
  prefer::test::toy_crossings crossings;
  CHECK(all_of(check_backend(prefer::test::toy(crossings), [&](std::vector<double> const& numbers) {
          return prefer::test::toy_column(numbers, crossings);
        })) == "");
}

void found(fault wrong, std::string const& operation) {
  fault_now = wrong;
  toy_crossings crossings;
  auto const findings = check_backend(faulty(crossings), [&](std::vector<double> const& numbers) {
    return faulty_column(toy_column(numbers, crossings));
  });
  CAPTURE(operation, static_cast<int>(wrong), all_of(findings));
  bool by_name = false;
  for (finding const& each : findings) by_name = by_name || each.operation == operation;
  CHECK(by_name);
}

TEST_CASE("backend suite: what the faults are put into has none itself",
          "[testing][backend_suite]") {
  fault_now = fault::none;
  toy_crossings crossings;
  CHECK(all_of(check_backend(faulty(crossings), [&](std::vector<double> const& numbers) {
          return faulty_column(toy_column(numbers, crossings));
        })) == "");
}

TEST_CASE("backend suite: each fault is found by the name of its operation",
          "[testing][backend_suite]") {
  found(fault::present_by_default, "column");
  found(fault::numbers_backwards, "numbers");
  found(fault::room_not_cleared, "room");
  found(fault::sums_swapped, "read");
  found(fault::last_record_left_out, "for_each_record");
  found(fault::sides_swapped, "for_each_record");
  found(fault::weight_ignored, "for_each_record");
  found(fault::score_ignored, "for_each_record");
  found(fault::sums_drift, "for_each_record");
  found(fault::second_result_not_written, "for_each_record");
  found(fault::list_weight_ignored, "for_each_list");
  found(fault::first_list_twice, "for_each_list");
  found(fault::descending, "ascending");
  found(fault::equal_rows_backwards, "ascending");
  found(fault::nan_first, "ascending");
  found(fault::gathers_nothing, "gather");
  found(fault::rows_swapped, "gather");
  found(fault::inverse_is_itself, "inverse");
  found(fault::scatter_gathers, "scatter");
  found(fault::throws, "inverse");
}

}  // namespace
