// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <concepts>
#include <cstdint>
#include <list>
#include <sstream>
#include <utility>
#include <vector>

#include <range/v3/view/all.hpp>
#include <range/v3/view/drop_exactly.hpp>
#include <range/v3/view/enumerate.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/istream.hpp>
#include <range/v3/view/reverse.hpp>
#include <range/v3/view/slice.hpp>
#include <range/v3/view/span.hpp>
#include <range/v3/view/take_exactly.hpp>
#include <range/v3/view/transform.hpp>
#include <range/v3/view/zip.hpp>

#include <prefer/adapters/ranges.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/rebel.hpp>
#include <prefer/objective/evaluate.hpp>

namespace {

using namespace prefer;
namespace views = ::ranges::views;

TEST_CASE("ranges: contiguous views are columns, in place", "[adapters][ranges]") {
  std::vector<double> v = {1.0, 2.0, 3.0, 4.0, 5.0};
  auto const in_place = [&](auto const& view, std::size_t first, std::size_t size) {
    column const c(view);
    double room[5];
    CHECK(c.size() == size);
    CHECK(c.as(0, size, room) == v.data() + first);
  };
  in_place(views::all(v), 0, 5);
  in_place(v | views::slice(1, 4), 1, 3);
  in_place(v | views::take_exactly(2), 0, 2);
  in_place(v | views::drop_exactly(2), 2, 3);
  in_place(::ranges::span<double>(v), 0, 5);
}

TEST_CASE("ranges: views that compute or skip are no columns", "[adapters][ranges]") {
  std::vector<double> v = {1.0, 2.0};
  auto const doubled = v | views::transform([](double x) { return 2.0 * x; });
  auto const backwards = v | views::reverse;
  std::vector<std::int64_t> wide = {1, 2};
  auto const wide_view = wide | views::take_exactly(1);
  STATIC_REQUIRE(!std::convertible_to<decltype(doubled), column>);
  STATIC_REQUIRE(!std::convertible_to<decltype(backwards), column>);
  STATIC_REQUIRE(!std::convertible_to<decltype(wide_view), column>);
}

TEST_CASE("ranges: a batch of pairs is a view of records", "[adapters][ranges]") {
  std::vector<double> const pc = {-1.0, -5.0, -2.0}, pr = {-2.0, -3.0, -2.5};
  std::vector<float> const rc = {-1.5f, -4.0f, -2.0f}, rr = {-2.0f, -4.0f, -3.0f};
  std::vector<std::int32_t> const length = {2, 4, 8};
  std::vector<double> const beta = {0.1, 0.2, 0.3};
  auto const batch = pair_columns{
      .policy = {pc, pr}, .reference = {rc, rr}, .length = {length, length}, .beta = beta};

  std::vector<std::size_t> wrong;  // margins: 0.5, -2, -0.5
  for (auto const& [i, pair] : records(batch) | views::enumerate) {
    if (pair.log_ratio_margin() < 0.0) wrong.push_back(static_cast<std::size_t>(i));
  }
  CHECK(wrong == std::vector<std::size_t>{1, 2});
  CHECK(records(batch)[1].chosen.mean_log_prob() == -1.25);
  CHECK(records(batch)[2].beta_or(9.0) == 0.3);
  CHECK(records(batch)[2].target_margin_or(9.0) == 9.0);
}

TEST_CASE("ranges: a loss applied to every record is evaluate's value", "[adapters][ranges]") {
  std::vector<double> const pc = {-1.0, -5.0, -2.0}, pr = {-2.0, -3.0, -2.5};
  auto const batch = pair_columns{.policy = {pc, pr}, .reference = {pr, pc}};
  auto const result = evaluate(dpo{}, batch);
  for (auto const& [i, pair] : records(batch) | views::enumerate) {
    CHECK(dpo{}(pair) == Approx(result.value[static_cast<std::size_t>(i)]).epsilon(1e-14));
  }
}

TEST_CASE("ranges: a record has every column of its batch", "[adapters][ranges]") {
  std::vector<double> const policy = {-3.0}, one = {1.0}, five = {5.0};
  auto const batch =
      pair_columns{.policy = {policy, policy}, .reference = {policy, policy}, .score = {five, one}};
  CHECK(rebel{}(records(batch)[0]) == 16.0);  // (0 - (5 - 1))^2
  CHECK(evaluate(rebel{}, batch).value[0] == 16.0);
}

TEST_CASE("ranges: labelled completions are a view of records", "[adapters][ranges]") {
  std::vector<double> const policy = {-1.0, -5.0}, reference = {-2.0, -4.0};
  std::vector<std::int32_t> const label = {0, 1};
  auto const batch = unpaired_columns{.policy = policy, .reference = reference, .label = label};
  CHECK(!records(batch)[0].desirable);
  CHECK(records(batch)[1].desirable);
  CHECK(records(batch)[1].log_ratio() == -1.0);
}

TEST_CASE("ranges: a column shorter than the batch is refused", "[adapters][ranges]") {
  std::vector<double> const two = {-1.0, -2.0}, one = {-1.0};
  CHECK_THROWS_WITH(records(pair_columns{.policy = {two, one}}),
                    "records: policy.rejected has 1 elements, expected 2");
}

TEST_CASE("ranges: to_columns materialises what yields chosen and rejected", "[adapters][ranges]") {
  std::list<std::pair<float, int>> const rows = {{-1.5f, -2}, {-0.5f, -3}};
  auto const policy = to_columns(rows);
  CHECK(policy.chosen == std::vector<double>{-1.5, -0.5});
  CHECK(policy.rejected == std::vector<double>{-2.0, -3.0});

  std::vector<double> const a = {-1.0, -2.0, -3.0}, b = {-2.0, -1.0, -4.0};
  auto const agreed = to_columns<float>(
      views::zip(a, b) | views::filter([](auto const& p) { return p.first > p.second; }));
  CHECK(agreed.chosen == std::vector<float>{-1.0f, -3.0f});
  auto const batch = pair_columns{.policy = agreed, .reference = agreed};
  CHECK(batch.policy.chosen.stored_as() == storage::float32);
  CHECK(evaluate(dpo{}, batch).value.size() == 2);
  STATIC_REQUIRE(!std::convertible_to<owned_completions<float>, completions>);  // it would dangle
}

TEST_CASE("ranges: to_columns takes a range that can be read once only", "[adapters][ranges]") {
  std::istringstream text("-1 -2 -3 -4");
  auto const policy = to_columns(::ranges::istream<double>(text) |
                                 views::transform([](double x) { return std::pair(x, x - 1.0); }));
  CHECK(policy.rejected == std::vector<double>{-2.0, -3.0, -4.0, -5.0});
}

}  // namespace
