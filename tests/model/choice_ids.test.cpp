// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstddef>
#include <utility>
#include <vector>

#include <prefer/model/choice_ids.hpp>

using namespace prefer;

namespace {

std::vector<std::size_t> drained(detail::id_set& set) {
  std::vector<std::size_t> out;
  set.drain([&](std::size_t id) { out.push_back(id); });
  return out;
}

std::vector<std::pair<std::size_t, double>> drained(detail::coefficient_sums& sums) {
  std::vector<std::pair<std::size_t, double>> out;
  sums.drain([&](std::size_t id, double sum) { out.emplace_back(id, sum); });
  return out;
}

}  // namespace

TEST_CASE("id_set: lists each member once, in ascending order, and is empty afterwards",
          "[policy][choice_ids]") {
  detail::id_set set(200);
  for (std::size_t const id : {199u, 0u, 64u, 63u, 64u, 128u, 0u}) set.insert(id);
  CHECK(drained(set) == std::vector<std::size_t>{0, 63, 64, 128, 199});
  CHECK(drained(set).empty());
}

TEST_CASE("coefficient_sums: opposite coefficients leave exactly nothing", "[policy][choice_ids]") {
  detail::coefficient_sums sums(10);
  for (float const c : {0.1f, 3e-9f, 0.7f}) {
    sums.add(3, static_cast<double>(c));
    sums.add(3, -static_cast<double>(c));
  }
  sums.add(7, 0.25);
  sums.add(1, 2.0);
  sums.add(7, 0.5);
  CHECK(drained(sums) == std::vector<std::pair<std::size_t, double>>{{1, 2.0}, {7, 0.75}});
  CHECK(drained(sums).empty());
  sums.add(7, 1.0);
  CHECK(drained(sums) == std::vector<std::pair<std::size_t, double>>{{7, 1.0}});
}
