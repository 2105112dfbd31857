// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <prefer/random/distributions.hpp>
#include <vector>

#include "numbers_of.hpp"

namespace {

double normal_probability(double z) { return std::erfc(-z / std::sqrt(2.0)) / 2; }

}  // namespace

TEST_CASE("uniform01: uses the first 53 bits and is below 1", "[random]") {
  auto numbers = stream(5);
  auto same = stream(5);
  double largest = 0;
  for (int i = 0; i != 1000; ++i) {
    double const u = prefer::uniform01(numbers);
    REQUIRE(u * 0x1p53 == static_cast<double>(same.next64() >> 11));
    largest = std::max(largest, u);
  }
  CHECK(largest < 1);
  CHECK(largest > 0.98);  // all 1000 below 0.98 has probability 2e-9
}

TEST_CASE("uniform01: a hundred equal parts are hit evenly", "[random]") {
  constexpr int draws = 100000;
  std::vector<double> counts(100);
  std::vector<double> counts_float(100);
  std::vector<double> lattice(100);
  for (std::uint64_t i = 0; i != draws; ++i) {
    auto numbers = stream(11, 0, i);
    auto const first = static_cast<std::size_t>(100 * prefer::uniform01(numbers));
    auto const second = static_cast<std::size_t>(100 * prefer::uniform01_float(numbers));
    ++counts[first];
    ++counts_float[second];
    // Successive draws, and draws at neighbouring addresses, as pairs of tenths.
    ++lattice[first / 10 * 10 + second / 10];
  }
  CHECK(plausible(counts, draws / 100.0));
  CHECK(plausible(counts_float, draws / 100.0));
  CHECK(plausible(lattice, draws / 100.0));
}

TEST_CASE("below: small and large ranges are hit evenly", "[random]") {
  constexpr int draws = 60000;
  auto numbers = stream(12);
  std::vector<double> die(6);
  for (int i = 0; i != draws; ++i) ++die[prefer::below(numbers, 6)];
  CHECK(plausible(die, draws / 6.0));

  // Without rejection, multiples of 3 below 3 * 2^30 would come up half of the time and not a third.
  for (std::uint64_t const n : {std::uint64_t{3} << 30, std::uint64_t{3} << 40}) {
    std::vector<double> remainders(3);
    std::vector<double> thirds(3);
    for (int i = 0; i != draws; ++i) {
      auto const drawn = prefer::below(numbers, n);
      REQUIRE(drawn < n);
      ++remainders[drawn % 3];
      ++thirds[drawn / (n / 3)];
    }
    CHECK(plausible(remainders, draws / 3.0));
    CHECK(plausible(thirds, draws / 3.0));
  }
}

TEST_CASE("below: the ends of the range of n", "[random]") {
  auto numbers = stream(13);
  for (int i = 0; i != 20; ++i) CHECK(prefer::below(numbers, 1) == 0);
  auto same = numbers;
  CHECK(prefer::below(numbers, std::uint64_t{1} << 32) == (same.next64() & 0xffffffff));
  CHECK(prefer::below(numbers, (std::uint64_t{1} << 32) + 1) <= std::uint64_t{1} << 32);
  CHECK(prefer::below(numbers, ~std::uint64_t{0}) < ~std::uint64_t{0});
  CHECK_THROWS_AS(prefer::below(numbers, 0), prefer::precondition_error);
}

TEST_CASE("portable_log: agrees with the C library to two units in the last place", "[random]") {
  auto numbers = stream(14);
  for (int i = 0; i != 20000; ++i) {
    double const x = std::ldexp(1 + prefer::uniform01(numbers), -(i % 54));
    double const expected = std::log(x);
    double const unit = std::abs(std::nextafter(expected, 1e300) - expected);
    REQUIRE(std::abs(prefer::detail::portable_log(x) - expected) <= 2 * unit);
  }
  CHECK(prefer::detail::portable_log(1.0) == 0);
}

TEST_CASE("normal_quantile: inverts the error function in every branch", "[random]") {
  // A relative error e of z is one of z^2 e in the tail probability, hence 70 * 1e-15.
  for (double const p :
       {0x1p-53, 1e-14, 1.3e-11, 1.4e-11, 1e-8, 1e-4, 0.01, 0.0749, 0.0751, 0.2, 0.4999, 0.5}) {
    double const z = prefer::normal_quantile(p);
    CHECK(normal_probability(z) == Approx(p).epsilon(7e-14));
    CHECK(prefer::normal_quantile(0.5) == 0);
  }
  // Symmetric where 1 - p is exact.
  for (double const p : {0x1p-53, 0x1p-30, 0.0625, 0.25}) {
    CHECK(prefer::normal_quantile(1 - p) == -prefer::normal_quantile(p));
  }
  CHECK(prefer::normal_quantile(0.975) == Approx(1.959963984540054).epsilon(1e-15));
  for (double const p : {0.0, 1.0, -0.1, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK_THROWS_AS(prefer::normal_quantile(p), prefer::precondition_error);
  }
}

TEST_CASE("normal: parts of the line are hit as the error function says", "[random]") {
  constexpr int draws = 100000;
  std::vector<double> const cuts = {-2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5};
  std::vector<double> counts(cuts.size() + 1);
  double sum = 0;
  double sum_of_squares = 0;
  for (std::uint64_t i = 0; i != draws; ++i) {
    auto numbers = stream(15, 0, i);
    double const z = prefer::normal(numbers);
    sum += z;
    sum_of_squares += z * z;
    auto const part = std::upper_bound(cuts.begin(), cuts.end(), z) - cuts.begin();
    ++counts[static_cast<std::size_t>(part)];
  }
  std::vector<double> expected;
  double before = 0;
  for (double const cut : cuts) {
    expected.push_back(draws * (normal_probability(cut) - before));
    before = normal_probability(cut);
  }
  expected.push_back(draws * (1 - before));
  CHECK(plausible(counts, expected));
  // Standard errors sqrt(1/n) of the mean and sqrt(2/n) of the variance, at four of them.
  CHECK(std::abs(sum / draws) < 4 * std::sqrt(1.0 / draws));
  CHECK(std::abs(sum_of_squares / draws - 1) < 4 * std::sqrt(2.0 / draws));
}

TEST_CASE("fill_normal: an element's value depends on its address alone", "[random]") {
  prefer::random_address const address{.seed = 1,
                                       .purpose = prefer::random_purpose::initial_values};
  std::vector<double> whole(10);
  prefer::fill_normal(std::span(whole), address, 5.0, 2.0);
  std::vector<double> end(4);
  auto later = address;
  later.index = 6;
  prefer::fill_normal(std::span(end), later, 5.0, 2.0);
  CHECK(std::equal(end.begin(), end.end(), whole.begin() + 6));
  prefer::random_stream numbers(later);
  CHECK(whole[6] == Approx(5 + 2 * prefer::normal(numbers)).epsilon(1e-15));
}
