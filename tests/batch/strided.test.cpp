// SPDX-License-Identifier: MIT
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include <prefer/batch/backend.hpp>
#include <prefer/batch/column.hpp>
#include <prefer/batch/strided.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/objective/evaluate.hpp>

#include "support/near.hpp"

namespace {

using prefer::bfloat16;
using prefer::bits_as;
using prefer::column;
using prefer::half;
using prefer::mutable_column;
using prefer::storage;
using prefer::strided;

/// What std::mdspan<float, dextents<size_t, Rank>, layout_stride> says of itself, which C++20 lacks.
template <class T, std::size_t Rank>
struct view_of {
  using element_type = T;
  static constexpr std::size_t rank() { return Rank; }
  T* first;
  std::array<std::size_t, Rank> lengths, steps;
  [[nodiscard]] T* data_handle() const { return first; }
  [[nodiscard]] std::size_t extent(std::size_t r) const { return lengths[r]; }
  [[nodiscard]] std::size_t stride(std::size_t r) const { return steps[r]; }
};

/// Somebody's number of 16 bits.
struct their_half {
  std::uint16_t x;
};

std::vector<double> numbers_of(column const& from) {
  std::vector<double> out(from.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = from[i];
  return out;
}

}  // namespace

template <>
struct prefer::element_traits<their_half> {
  static constexpr auto stored = prefer::storage::float16;
};

namespace {

TEST_CASE("strided: rows, every other number and all of it backwards are columns",
          "[batch][strided]") {
  std::vector<float> memory(12);
  std::iota(memory.begin(), memory.end(), 0.0f);
  float* const p = memory.data();
  CHECK(numbers_of(strided(p + 1, 3, 4)) == std::vector<double>{1.0, 5.0, 9.0});
  CHECK(numbers_of(strided(p + 11, 3, -2)) == std::vector<double>{11.0, 9.0, 7.0});
  CHECK(numbers_of(strided(p + 5, 3, 0)) == std::vector<double>{5.0, 5.0, 5.0});
  column const every_other = strided(p, 6, 2);
  CHECK(every_other.stored_as() == storage::float32);
  CHECK(every_other.direct<float>(0) == nullptr);
  float room[2];
  CHECK(every_other.as(2, 2, room) == room);
  CHECK(room[1] == 6.0f);
  CHECK(column(strided(p, 6)).direct<float>(1) == p + 1);  // a step of 1 is read in place
}

TEST_CASE("strided: results go where the steps lead and nowhere else", "[batch][strided]") {
  std::vector<double> memory(6, -1.0);
  mutable_column const target = strided(memory.data() + 1, 3, 2);
  CHECK(target.direct<double>(0) == nullptr);
  float const results[] = {0.5f, 0.25f};
  target.assign(1, 2, results);
  CHECK(memory == std::vector<double>{-1.0, -1.0, -1.0, 0.5, -1.0, 0.25});
  STATIC_REQUIRE(!std::convertible_to<strided<double const>, mutable_column>);
  STATIC_REQUIRE(!std::convertible_to<strided<bool>, mutable_column>);
}

TEST_CASE("strided: views like std::mdspan of one dimension are columns, others are refused",
          "[batch][strided]") {
  std::vector<float> memory(12);
  std::iota(memory.begin(), memory.end(), 0.0f);
  view_of<float, 1> const row{memory.data() + 2, {3}, {4}};
  CHECK(numbers_of(row) == std::vector<double>{2.0, 6.0, 10.0});
  CHECK(prefer::as_column(row)[2] == 10.0);
  double const results[] = {-1.0, -2.0, -3.0};
  mutable_column(row).assign(0, 3, results);
  CHECK(memory[10] == -3.0f);
  STATIC_REQUIRE(std::convertible_to<view_of<float, 1>, column>);  // a passing view is sound
  STATIC_REQUIRE(!std::convertible_to<view_of<float const, 1>, mutable_column>);
  STATIC_REQUIRE(std::convertible_to<view_of<bool const, 1>, column>);
  STATIC_REQUIRE(!std::convertible_to<view_of<float, 2>, column>);
  STATIC_REQUIRE(!std::convertible_to<view_of<std::int64_t, 1>, column>);
  STATIC_REQUIRE(prefer::column_traits<view_of<float, 2>>::refused);
}

TEST_CASE("column: numbers of 16 bits are read as float and written rounded", "[batch][strided]") {
  std::vector<half> const h = {half(1.0f), half(-0.1f), half(65504.0f)};
  std::vector<bfloat16> b(3);
  CHECK(column(h).stored_as() == storage::float16);
  CHECK(numbers_of(h) == std::vector<double>{1.0, -0.0999755859375, 65504.0});
  float room[3];
  CHECK(column(h).as(1, 2, room)[0] == -0.0999755859375f);
  double const results[] = {1.0 / 3.0, -7.0, 1e39};
  mutable_column(b).assign(0, 3, results);
  CHECK(static_cast<float>(b[0]) == 0.333984375f);  // 171 / 512
  CHECK(static_cast<float>(b[1]) == -7.0f);
  CHECK(std::isinf(static_cast<float>(b[2])));
  STATIC_REQUIRE(std::convertible_to<std::vector<half>&, mutable_column>);
  STATIC_REQUIRE(!std::convertible_to<std::vector<half> const&, mutable_column>);
}

TEST_CASE("column: 16 bits in others' types are columns by their name or by bits_as",
          "[batch][strided]") {
  std::vector<std::uint16_t> bits = {0x3c00, 0xbc00, 0x4000, 0x4200};  // 1, -1, 2, 3
  STATIC_REQUIRE(!std::convertible_to<std::vector<std::uint16_t> const&, column>);
  CHECK(numbers_of(bits_as<half>(bits.data(), 4)) == std::vector<double>{1.0, -1.0, 2.0, 3.0});
  CHECK(numbers_of(bits_as<bfloat16>(bits.data(), 2, 2)) ==
        std::vector<double>{0.0078125, 2.0});  // the same bits mean 1/128 and 2
  double const half_one[] = {0.5};
  mutable_column(bits_as<half>(bits.data(), 4)).assign(3, 1, half_one);
  CHECK(bits[3] == 0x3800);
  std::uint16_t const* const constant = bits.data();
  STATIC_REQUIRE(!std::convertible_to<decltype(bits_as<half>(constant, 4)), mutable_column>);
  std::vector<their_half> const theirs = {{0x3c00}, {0x4200}};
  CHECK(numbers_of(theirs) == std::vector<double>{1.0, 3.0});
#if defined(__FLT16_MANT_DIG__)
  std::vector<_Float16> compilers(2, _Float16(-0.1f));
  CHECK(column(compilers)[1] == -0.0999755859375);
  mutable_column(compilers).assign(0, 1, half_one);
  CHECK(static_cast<float>(compilers[0]) == 0.5f);
#endif
}

/// The same numbers four times: in a vector of their own, in steps, in 16 bits, and as whoever holds steps of 16 bits has
/// them. All of them are numbers of bfloat16, so that nothing is lost.
struct in_four_ways {
  explicit in_four_ways(std::size_t n, std::uint32_t seed)
      : plain(n), steps(3 * n, -1e30f), bits(n) {
    std::uint32_t state = seed;
    for (std::size_t i = 0; i < n; ++i) {
      state = state * 1664525u + 1013904223u;
      bits[i] = bfloat16(-20.0f * static_cast<float>(state >> 8) * 0x1p-24f);
      plain[i] = static_cast<float>(bits[i]);
      steps[3 * i + 1] = plain[i];
    }
  }
  [[nodiscard]] column as(int way) const {
    if (way == 0) return plain;
    if (way == 1) return strided(steps.data() + 1, plain.size(), 3);
    return bits;
  }
  std::vector<float> plain, steps;
  std::vector<bfloat16> bits;
};

TEST_CASE("evaluate: how columns are stored changes no bit of the results", "[batch][strided]") {
  std::size_t const n = 2077;  // more than a block, and no whole lane
  in_four_ways const a(n, 1), b(n, 2), c(n, 3), d(n, 4);
  auto const batch = [&](int way) {
    return prefer::pair_columns{.policy = {a.as(way), b.as(way)},
                                .reference = {c.as(way), d.as(way)}};
  };
  auto const plain = prefer::evaluate(prefer::dpo{}, batch(0));
  for (int const way : {1, 2}) {
    CAPTURE(way);
    auto const other = prefer::evaluate(prefer::dpo{}, batch(way));
    CHECK(prefer::test::same_bits(other.loss, plain.loss));
    CHECK(other.value == plain.value);
    CHECK(other.coefficient.chosen == plain.coefficient.chosen);
    auto const kto = [&](int of) {
      return prefer::evaluate(prefer::kto{},
                              prefer::unpaired_columns{.policy = a.as(of),
                                                       .reference = b.as(of),
                                                       .label = d.as(0),
                                                       .kl_examples = {c.as(of), d.as(of)}});
    };
    CHECK(kto(way).coefficient == kto(0).coefficient);
    std::vector<std::size_t> offset = {0};
    while (offset.back() + 3 < n) offset.push_back(offset.back() + 3);
    offset.push_back(n);
    auto const lists = [&](int of) {
      return prefer::evaluate(
          prefer::plackett_luce{},
          prefer::list_columns{.policy = a.as(of), .reference = b.as(of), .offset = offset});
    };
    CHECK(lists(way).coefficient == lists(0).coefficient);
  }
}

TEST_CASE("evaluate: coefficients in steps and in 16 bits are those in float, rounded",
          "[batch][strided]") {
  std::size_t const n = 1500;
  in_four_ways const a(n, 1), b(n, 2), c(n, 3), d(n, 4);
  auto const batch =
      prefer::pair_columns{.policy = {a.as(2), b.as(2)}, .reference = {c.as(2), d.as(2)}};
  prefer::evaluate_options const each{.reduce = prefer::reduction::none};
  std::vector<float> chosen(n), rejected(n), steps(2 * n, 42.0f);
  std::vector<half> small(n);
  prefer::evaluate_into(prefer::dpo{}, batch,
                        prefer::pair_results{.chosen = chosen, .rejected = rejected}, each);
  prefer::evaluate_into(
      prefer::dpo{}, batch,
      prefer::pair_results{.chosen = small, .rejected = strided(steps.data(), n, 2)}, each);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < n; ++i) {
    // By its definition: -beta sigmoid(-beta margin), to the rounding of float.
    double const margin = (double{a.plain[i]} - c.plain[i]) - (double{b.plain[i]} - d.plain[i]);
    wrong += !prefer::test::near(chosen[i], -0.1 / (1.0 + std::exp(0.1 * margin)), 1e-6);
    wrong += small[i].bits != half(chosen[i]).bits;
    wrong += steps[2 * i] != rejected[i] || steps[2 * i + 1] != 42.0f;
  }
  CHECK(wrong == 0);
}

TEST_CASE("host: gathers numbers in steps and of 16 bits as float", "[batch][strided]") {
  in_four_ways const a(5, 7);
  std::vector<std::uint32_t> const rows = {4, 0, 0};
  for (int const way : {0, 1, 2}) {
    auto const gathered = prefer::host{}.gather(a.as(way), rows);
    CHECK(gathered.view().stored_as() == storage::float32);
    CHECK(numbers_of(gathered.view()) == std::vector<double>{a.plain[4], a.plain[0], a.plain[0]});
  }
}

}  // namespace
