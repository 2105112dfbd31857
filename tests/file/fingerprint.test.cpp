// SPDX-License-Identifier: MIT
#include <algorithm>
#include <bit>
#include <catch2/catch.hpp>
#include <cstdint>
#include <limits>
#include <prefer/file/fingerprint.hpp>
#include <span>
#include <string>
#include <vector>

using prefer::fingerprint;

namespace {

bool all_different(std::vector<fingerprint> const& all) {
  std::vector<std::uint64_t> values;
  for (auto const& each : all) values.push_back(each.value());
  std::sort(values.begin(), values.end());
  return std::adjacent_find(values.begin(), values.end()) == values.end();
}

enum class color : int { red = 1 };

}  // namespace

static_assert(fingerprint().add(1).value() == fingerprint().add(1).value());
static_assert(fingerprint().add(1).value() != fingerprint().add(2).value());

TEST_CASE("fingerprint: equal sequences agree, however they are held", "[file][fingerprint]") {
  std::vector<float> const values = {1, 2, 3};
  std::vector<float> changeable = values;
  CHECK(fingerprint().add("text").add(std::span(values)) ==
        fingerprint().add(std::string("text")).add(std::span(changeable)));
  CHECK(fingerprint().add(std::span<float const, 3>(values)) ==
        fingerprint().add(std::span(values)));
}

TEST_CASE("fingerprint: the type of a value counts", "[file][fingerprint]") {
  std::vector<float> const array = {1};
  CHECK(all_different({fingerprint(), fingerprint().add(1), fingerprint().add(1U),
                       fingerprint().add(std::int64_t{1}), fingerprint().add(1.0),
                       fingerprint().add(1.0F), fingerprint().add(true), fingerprint().add('\1'),
                       fingerprint().add(color::red), fingerprint().add("1"),
                       fingerprint().add("\1"), fingerprint().add(std::span(array))}));
}

TEST_CASE("fingerprint: order and borders count", "[file][fingerprint]") {
  std::vector<std::int32_t> const numbers = {1, 2, 3};
  auto const span = std::span(numbers);
  CHECK(all_different({fingerprint().add("ab").add("c"), fingerprint().add("a").add("bc"),
                       fingerprint().add("abc"), fingerprint().add("abc").add(""),
                       fingerprint().add("").add("abc"), fingerprint().add("c").add("ab"),
                       fingerprint().add(std::string("abc\0", 4)), fingerprint().add(span),
                       fingerprint().add(span.first(1)).add(span.last(2)),
                       fingerprint().add(span.first(2)).add(span.last(1)),
                       fingerprint().add(1).add(2).add(3), fingerprint().add(3).add(2).add(1)}));
}

TEST_CASE("fingerprint: floating-point values count by their bits", "[file][fingerprint]") {
  double const nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(fingerprint().add(nan) == fingerprint().add(nan));
  CHECK(fingerprint().add(0.0) != fingerprint().add(-0.0));
}

TEST_CASE("fingerprint: one flipped bit flips about half of the value", "[file][fingerprint]") {
  std::string const text = "The quick brown fox jumps over the lazy dog";
  auto const before = fingerprint().add(text).value();
  int flipped = 0;
  for (std::size_t bit = 0; bit != text.size() * 8; ++bit) {
    auto changed = text;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << bit % 8));
    int const distance = std::popcount(before ^ fingerprint().add(changed).value());
    // Of 64 fair bits, fewer than 8 or more than 56 differ once in 10^10.
    REQUIRE(distance >= 8);
    REQUIRE(distance <= 56);
    flipped += distance;
  }
  // 344 * 64 fair bits: standard deviation of the share 0.0034.
  CHECK(flipped / (344.0 * 64) == Approx(0.5).margin(0.017));
}

TEST_CASE("fingerprint: a million small sequences have a million values", "[file][fingerprint]") {
  std::vector<std::uint64_t> values;
  for (int i = 0; i != 1000; ++i) {
    for (int j = 0; j != 1000; ++j) values.push_back(fingerprint().add(i).add(j).value());
  }
  std::sort(values.begin(), values.end());
  // A random function would collide with probability 3e-8.
  CHECK(std::adjacent_find(values.begin(), values.end()) == values.end());
}
