// SPDX-License-Identifier: MIT
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <prefer/batch/record_from.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/objective/on_backend.hpp>
#include <prefer/testing/backend_suite.hpp>

#include "../../examples/stub_backend/stub_backend.hpp"
#include "support/toy_backend.hpp"

namespace own_backend {

/// A list formula that every backend could run.
struct weight_of_list {
  static constexpr std::size_t room = 0;
  [[nodiscard]] static constexpr prefer::column_set reads() { return prefer::column_name::weight; }
  constexpr auto operator()(auto const&, auto const& weight, auto, auto) const { return weight; }
};

}  // namespace own_backend

namespace {

using own_backend::weight_of_list;

TEST_CASE("own backend: the stub names what is unimplemented, by operation",
          "[docs][own_backend]") {
  stub_backend const on;
  prefer::basic_pair_columns<stub_column> const batch{};
  auto const formula = [](auto const& pair) { return pair.beta_or(1.0); };
  using std::array;
  CHECK_THROWS_WITH(on.for_each_record(batch, formula, array<stub_column, 1>{}),
                    "for_each_record is unimplemented");
  CHECK_THROWS_WITH(on.read(array<stub_number, 1>{}), "read is unimplemented");
  CHECK_THROWS_WITH(on.numbers(batch, formula), "numbers is unimplemented");
  CHECK_THROWS_WITH(on.ascending(batch, formula), "ascending is unimplemented");
  CHECK_THROWS_WITH(on.inverse({}), "inverse is unimplemented");
  CHECK_THROWS_WITH(on.gather(stub_rows{}, stub_rows{}), "gather of rows is unimplemented");
  CHECK_THROWS_WITH(on.gather(stub_column{}, {}), "gather is unimplemented");
  CHECK_THROWS_WITH(on.scatter({}, {}), "scatter is unimplemented");
  CHECK_THROWS_WITH(on.room(3), "room is unimplemented");
  CHECK_THROWS_WITH(
      on.for_each_list(prefer::basic_list_columns<stub_column>{}, weight_of_list{}, {}, {}),
      "for_each_list is unimplemented");
}

TEST_CASE("own backend: the suite says what is left to do", "[docs][own_backend]") {
  // [suite]
  auto const upload = [](std::vector<double> const& numbers) {
    return stub_column(numbers.size());
  };
  std::vector<prefer::testing::finding> const found =
      prefer::testing::check_backend(stub_backend(), upload);
  // [/suite]
  std::vector<std::string> said;
  for (auto const& each : found) said.push_back(to_string(each));
  CHECK(said == std::vector<std::string>{"numbers: throws: numbers is unimplemented",
                                         "room: throws: room is unimplemented",
                                         "read: throws: for_each_record is unimplemented",
                                         "for_each_record: throws: room is unimplemented",
                                         "for_each_record: throws: numbers is unimplemented",
                                         "for_each_list: throws: room is unimplemented",
                                         "ascending: throws: ascending is unimplemented",
                                         "gather: throws: ascending is unimplemented",
                                         "inverse: throws: ascending is unimplemented",
                                         "scatter: throws: ascending is unimplemented"});
}

/// Columns that are vectors, for the loops that the guide shows.
struct vector_column {
  std::vector<double>* numbers = nullptr;
  [[nodiscard]] bool present() const { return numbers != nullptr; }
  [[nodiscard]] std::size_t size() const { return present() ? numbers->size() : 0; }
};

// [loop]
template <class Columns, class F, std::size_t N>
std::array<double, N> for_each_record(Columns const& batch, F const& formula,
                                      std::array<vector_column, N> const& results) {
  auto const number = [](vector_column const& column, std::size_t row) {
    return (*column.numbers)[row];
  };
  std::array<double, N> sums{};
  for (std::size_t row = 0; row < batch.size(); ++row) {
    auto const record = prefer::record_from<double>(batch, row, number);
    auto const weight = prefer::weight_from<double>(batch, row, number);
    std::array<double, N> const given = prefer::apply_formula(formula, record, weight);
    for (std::size_t n = 0; n < N; ++n) {
      if (results[n].present()) (*results[n].numbers)[row] = given[n];
      sums[n] += given[n];
    }
  }
  return sums;
}
// [/loop]

TEST_CASE("own backend: a formula is run by asking for records", "[docs][own_backend]") {
  std::vector<double> chosen = {-1.0, -2.0}, rejected = {-3.0, -5.0}, weight = {1.0, 10.0},
                      margin(2);
  prefer::basic_pair_columns<vector_column> batch{.policy = {{&chosen}, {&rejected}}};
  batch.weight = {&weight};
  auto const formula = [](auto const& pair, auto const& w) { return w * pair.log_prob_margin(); };
  auto const sums = for_each_record(batch, formula, std::array{vector_column{&margin}});
  CHECK(margin == std::vector<double>{2.0, 30.0});
  CHECK(sums[0] == 32.0);
}

TEST_CASE("own backend: evaluate runs a loss where the columns are", "[docs][own_backend]") {
  using namespace prefer::test;
  toy_crossings crossings;
  auto const up = [&](std::vector<double> const& numbers) {
    return toy_column(numbers, crossings);
  };
  toy_column const policy_chosen = up({-12.0}), policy_rejected = up({-15.0});
  toy_column const reference = up({-13.0});
  toy_column const chosen = up({0.0}), rejected = up({0.0});
  // [evaluate]
  auto const mean = prefer::evaluate_into(
      prefer::dpo{.beta = 0.5},
      prefer::basic_pair_columns<toy_column>{
          .policy = {.chosen = policy_chosen, .rejected = policy_rejected},
          .reference = {.chosen = reference, .rejected = reference}},
      prefer::basic_pair_results<toy_column>{.chosen = chosen, .rejected = rejected});
  double const loss = backend_of(chosen).read(std::array{mean})[0];  // waits; nothing before did
  // [/evaluate]
  CHECK(loss == Approx(std::log1p(std::exp(-1.5))));
  CHECK(chosen.look()[0] == Approx(-0.5 / (1.0 + std::exp(1.5))));
}

}  // namespace
