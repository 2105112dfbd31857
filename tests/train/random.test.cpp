// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <prefer/train/random.hpp>
#include <vector>

namespace {

using words = std::array<std::uint32_t, 4>;

// Published with Random123 as known answers of philox4x32-10.
static_assert(prefer::philox({0, 0})({0, 0, 0, 0}) ==
              words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
static_assert(prefer::philox({0xffffffff, 0xffffffff})({0xffffffff, 0xffffffff, 0xffffffff,
                                                        0xffffffff}) ==
              words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
static_assert(prefer::philox({0xa4093822, 0x299f31d0})({0x243f6a88, 0x85a308d3, 0x13198a2e,
                                                        0x03707344}) ==
              words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});

prefer::random_stream stream(std::uint64_t seed, std::uint64_t step = 0, std::uint64_t index = 0) {
  return prefer::random_stream(
      {.seed = seed, .purpose = prefer::random_purpose::user, .step = step, .index = index});
}

// Quantile of chi-square by Wilson and Hilferty 1931; 148.3 for 99 degrees at z = 3.09, where tables have 148.2.
double chi_square_quantile(double degrees, double z) {
  double const a = 2 / (9 * degrees);
  return degrees * std::pow(1 - a + z * std::sqrt(a), 3);
}

// True if the counts are as uneven as chance makes them: neither too uneven nor too even, each at 1 in 10000.
bool plausible(std::vector<double> const& counts, std::vector<double> const& expected) {
  double statistic = 0;
  for (std::size_t i = 0; i != counts.size(); ++i) {
    statistic += (counts[i] - expected[i]) * (counts[i] - expected[i]) / expected[i];
  }
  double const degrees = static_cast<double>(counts.size()) - 1;
  // With one or two degrees a perfect fit is no surprise, and the approximation is poor there.
  double const least = degrees < 3 ? 0 : chi_square_quantile(degrees, -3.72);
  return statistic >= least && statistic <= chi_square_quantile(degrees, 3.72);
}

bool plausible(std::vector<double> const& counts, double expected) {
  return plausible(counts, std::vector<double>(counts.size(), expected));
}

double normal_probability(double z) { return std::erfc(-z / std::sqrt(2.0)) / 2; }

}  // namespace

TEST_CASE("random_stream: the words are the generator's, block by block", "[train][random]") {
  // Key and counter of the third known answer, as far as an address reaches: its block counter starts at 0.
  auto numbers = prefer::random_stream({.seed = 0x299f31d0a4093822,
                                        .purpose = static_cast<prefer::random_purpose>(0x1319),
                                        .step = 0x03707344,
                                        .index = 0x8a2e85a308d3});
  prefer::philox const generator({0xa4093822, 0x299f31d0});
  for (std::uint32_t block = 0; block != 3; ++block) {
    for (auto const word : generator({block, 0x85a308d3, 0x13198a2e, 0x03707344})) {
      CHECK(numbers() == word);
    }
  }
}

TEST_CASE("random_stream: draws do not depend on the order of use", "[train][random]") {
  std::vector<std::uint64_t> forwards;
  std::vector<std::uint64_t> backwards;
  for (std::uint64_t i = 0; i != 50; ++i) forwards.push_back(stream(3, i / 10, i % 10).next64());
  for (std::uint64_t i = 50; i-- != 0;) backwards.push_back(stream(3, i / 10, i % 10).next64());
  std::reverse(backwards.begin(), backwards.end());
  CHECK(forwards == backwards);
}

TEST_CASE("random_stream: each part of the address makes another sequence", "[train][random]") {
  using prefer::random_purpose;
  std::vector<std::uint64_t> firsts;
  for (prefer::random_address const& address :
       {prefer::random_address{.seed = 0}, prefer::random_address{.seed = 1},
        prefer::random_address{.seed = std::uint64_t{1} << 32},
        prefer::random_address{.purpose = random_purpose::shuffle},
        prefer::random_address{.purpose = random_purpose::user}, prefer::random_address{.step = 1},
        prefer::random_address{.step = 0xffffffff}, prefer::random_address{.index = 1},
        prefer::random_address{.index = std::uint64_t{1} << 32},
        prefer::random_address{.index = (std::uint64_t{1} << 48) - 1}}) {
    firsts.push_back(prefer::random_stream(address).next64());
  }
  std::sort(firsts.begin(), firsts.end());
  // Ten 64-bit numbers agree by chance once in 4e17.
  CHECK(std::adjacent_find(firsts.begin(), firsts.end()) == firsts.end());
}

TEST_CASE("random_stream: an address out of range is refused", "[train][random]") {
  CHECK_THROWS_AS(stream(0, std::uint64_t{1} << 32), prefer::precondition_error);
  CHECK_THROWS_AS(stream(0, 0, std::uint64_t{1} << 48), prefer::precondition_error);
}

TEST_CASE("uniform01: uses the first 53 bits and is below 1", "[train][random]") {
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

TEST_CASE("uniform01: a hundred equal parts are hit evenly", "[train][random]") {
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

TEST_CASE("below: small and large ranges are hit evenly", "[train][random]") {
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

TEST_CASE("below: the ends of the range of n", "[train][random]") {
  auto numbers = stream(13);
  for (int i = 0; i != 20; ++i) CHECK(prefer::below(numbers, 1) == 0);
  auto same = numbers;
  CHECK(prefer::below(numbers, std::uint64_t{1} << 32) == (same.next64() & 0xffffffff));
  CHECK(prefer::below(numbers, (std::uint64_t{1} << 32) + 1) <= std::uint64_t{1} << 32);
  CHECK(prefer::below(numbers, ~std::uint64_t{0}) < ~std::uint64_t{0});
  CHECK_THROWS_AS(prefer::below(numbers, 0), prefer::precondition_error);
}

TEST_CASE("portable_log: agrees with the C library to two units in the last place",
          "[train][random]") {
  auto numbers = stream(14);
  for (int i = 0; i != 20000; ++i) {
    double const x = std::ldexp(1 + prefer::uniform01(numbers), -(i % 54));
    double const expected = std::log(x);
    double const unit = std::abs(std::nextafter(expected, 1e300) - expected);
    REQUIRE(std::abs(prefer::detail::portable_log(x) - expected) <= 2 * unit);
  }
  CHECK(prefer::detail::portable_log(1.0) == 0);
}

TEST_CASE("normal_quantile: inverts the error function in every branch", "[train][random]") {
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

TEST_CASE("normal: parts of the line are hit as the error function says", "[train][random]") {
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

TEST_CASE("fill_normal: an element's value depends on its address alone", "[train][random]") {
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

TEST_CASE("permutation: every number once, another order every epoch", "[train][random]") {
  auto const first = prefer::permutation(1000, 7, 0);
  CHECK(first == prefer::permutation(1000, 7, 0));
  CHECK(first != prefer::permutation(1000, 7, 1));
  CHECK(first != prefer::permutation(1000, 8, 0));
  auto sorted = first;
  std::sort(sorted.begin(), sorted.end());
  CHECK(first != sorted);
  for (std::uint32_t i = 0; i != 1000; ++i) REQUIRE(sorted[i] == i);
  CHECK(prefer::permutation(0, 7, 0).empty());
  CHECK(prefer::permutation(1, 7, 0) == std::vector<std::uint32_t>{0});
  CHECK_THROWS_AS(prefer::permutation(4, 7, std::uint64_t{1} << 32), prefer::precondition_error);
}

TEST_CASE("permutation: all 24 orders of four are equally likely", "[train][random]") {
  constexpr int draws = 24000;
  std::map<std::vector<std::uint32_t>, double> counts;
  for (std::uint64_t epoch = 0; epoch != draws; ++epoch) ++counts[prefer::permutation(4, 9, epoch)];
  REQUIRE(counts.size() == 24);
  std::vector<double> each;
  for (auto const& [order, count] : counts) each.push_back(count);
  CHECK(plausible(each, draws / 24.0));
}

TEST_CASE("sample_without_replacement: all 20 ordered pairs of five are equally likely",
          "[train][random]") {
  constexpr int draws = 20000;
  std::map<std::vector<std::uint64_t>, double> counts;
  for (std::uint64_t i = 0; i != draws; ++i) {
    auto numbers = stream(16, 0, i);
    ++counts[prefer::sample_without_replacement(5, 2, numbers)];
  }
  REQUIRE(counts.size() == 20);
  std::vector<double> each;
  for (auto const& [pair, count] : counts) {
    CHECK(pair[0] != pair[1]);
    each.push_back(count);
  }
  CHECK(plausible(each, draws / 20.0));
}

TEST_CASE("sample_without_replacement: distinct, in range, from nothing to everything",
          "[train][random]") {
  auto numbers = stream(17);
  for (auto const& [n, count] : {std::pair<std::uint64_t, std::size_t>{100, 100},
                                 {1000, 1},
                                 {5, 0},
                                 {std::uint64_t{1} << 60, 500},
                                 {~std::uint64_t{0}, 50}}) {
    auto sample = prefer::sample_without_replacement(n, count, numbers);
    REQUIRE(sample.size() == count);
    std::sort(sample.begin(), sample.end());
    CHECK(std::adjacent_find(sample.begin(), sample.end()) == sample.end());
    CHECK((sample.empty() || sample.back() < n));
  }
  CHECK_THROWS_AS(prefer::sample_without_replacement(3, 4, numbers), prefer::precondition_error);
}
