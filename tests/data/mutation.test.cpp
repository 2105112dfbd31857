// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "read_anything.hpp"

namespace {

constexpr std::array<std::string_view, 9> seeds = {
    R"({"prompt":"The sky is","chosen":" blue","rejected":" green","weight":2,"beta":0.1})",
    "{\"chosen\":\"caf\xC3\xA9 "
    "\xF0\x9F\x98\x80\",\"rejected\":\"caf\xC3\xA8\",\"score_chosen\":1,\"score_rejected\":-1e3}\n",
    R"({"prompt":[{"role":"user","content":"Hi"}],"chosen":[{"role":"assistant","content":"a"}],"rejected":[{"role":"assistant","content":"b"}]})",
    R"({"chosen":[{"role":"user","content":"x"},{"role":"assistant","content":"a"}],"rejected":[{"role":"user","content":"x"},{"role":"assistant","content":"b"}]})",
    R"({"prompt":"x","chosen":[{"role":"user","content":"x"},{"role":"assistant","content":"a"}],"rejected":[{"role":"user","content":"x"},{"role":"assistant","content":"b"}]})",
    "{\"prompt\":\"p\",\"completion\":\"c\",\"label\":true}\r\n{\"prompt\":\"q\",\"completion\":"
    "\"\\u00e9\\ud83d\\ude00\",\"label\":0}\n",
    R"({"a":[[[[{"b":[{}]}]]]],"c":null,"d":1e308,"e":-0,"f":"\"\\\/\b\f\n\r\t"})",
    "user_id:token\titem_id:token\trating:float\ttimestamp:"
    "float\n196\t242\t3\t881250949\n186\t302\t3.5\t8.9e8\n",
    "\xEF\xBB\xBFtimestamp\trating\titem_id\tuser_id\r\n\r\n1\t2\ti\tu"};

constexpr std::array<std::string_view, 16> pieces = {
    "\"",           "{",   "}",     "[",    "]",      ",", ":", "\\", "\n", "\t", "\xC3",
    "\xED\xA0\x80", "NaN", "1e999", "null", "{\"a\":"};

// A linear congruential generator (multiplier of Knuth's MMIX): the same mutations on every machine.
struct dice {
  std::uint64_t state;
  std::size_t below(std::size_t sides) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>((state >> 33) % sides);
  }
};

std::string mutated(dice& roll) {
  std::string text(seeds[roll.below(seeds.size())]);
  for (std::size_t edits = roll.below(4) + 1; edits > 0; --edits) {
    std::size_t const at = roll.below(text.size() + 1);
    switch (roll.below(6)) {
      case 0:
        text.resize(at);
        break;
      case 1:
        text.insert(at, pieces[roll.below(pieces.size())]);
        break;
      case 2:
        text.erase(at, roll.below(8) + 1);
        break;
      case 3:
        if (at < text.size()) text[at] = static_cast<char>(roll.below(256));
        break;
      case 4:
        text.insert(at, text.substr(roll.below(text.size() + 1), 1 + roll.below(30)));
        break;
      default:
        text += seeds[roll.below(seeds.size())];
        break;
    }
  }
  return text;
}

}  // namespace

TEST_CASE("readers: every seed is readable in some way", "[data][mutation]") {
  for (auto const seed : seeds) {
    CAPTURE(seed);
    REQUIRE(anything::read(seed).rows > 0);
  }
}

TEST_CASE("readers: mutated files throw backend_error or keep their promises", "[data][mutation]") {
  dice roll{1};
  anything::outcome total;
  for (int i = 0; i < 5'000; ++i) {
    std::string const text = mutated(roll);
    CAPTURE(i, text);
    anything::outcome seen;
    REQUIRE_NOTHROW(seen = anything::read(text));
    total.rows += seen.rows;
    total.errors += seen.errors;
  }
  // Mutations that all fail, or all pass, would test nothing.
  REQUIRE(total.rows > 250);
  REQUIRE(total.errors > 250);
}

TEST_CASE("readers: every beginning of every seed throws backend_error or keeps its promises",
          "[data][mutation]") {
  for (auto const seed : seeds) {
    for (std::size_t length = 0; length <= seed.size(); ++length) {
      CAPTURE(seed, length);
      REQUIRE_NOTHROW(anything::read(seed.substr(0, length)));
    }
  }
}
