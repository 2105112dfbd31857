// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <prefer/random/philox.hpp>
#include <vector>

#include "numbers_of.hpp"

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

}  // namespace

TEST_CASE("random_stream: the words are the generator's, block by block", "[random]") {
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

TEST_CASE("random_stream: draws do not depend on the order of use", "[random]") {
  std::vector<std::uint64_t> forwards;
  std::vector<std::uint64_t> backwards;
  for (std::uint64_t i = 0; i != 50; ++i) forwards.push_back(stream(3, i / 10, i % 10).next64());
  for (std::uint64_t i = 50; i-- != 0;) backwards.push_back(stream(3, i / 10, i % 10).next64());
  std::reverse(backwards.begin(), backwards.end());
  CHECK(forwards == backwards);
}

TEST_CASE("random_stream: each part of the address makes another sequence", "[random]") {
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

TEST_CASE("random_stream: an address out of range is refused", "[random]") {
  CHECK_THROWS_AS(stream(0, std::uint64_t{1} << 32), prefer::precondition_error);
  CHECK_THROWS_AS(stream(0, 0, std::uint64_t{1} << 48), prefer::precondition_error);
}
