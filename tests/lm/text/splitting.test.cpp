// SPDX-License-Identifier: MIT
//
// From text to pre-tokens, from bytes to letters and back, and merging.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <map>
#include <prefer/lm/text/byte_alphabet.hpp>
#include <prefer/lm/text/byte_pair_merges.hpp>
#include <prefer/lm/text/pre_tokenizer_table.hpp>
#include <prefer/lm/text/special_tokens.hpp>
#include <prefer/lm/text/splitter.hpp>
#include <prefer/lm/text/token_index.hpp>
#include <prefer/lm/text/utf8_stream.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "any_text.hpp"

using namespace prefer;
using namespace prefer::test;
using list = std::vector<std::string>;

namespace {

list pieces_of(lm::splitter const& cut, std::string_view text) {
  list all;
  cut.split(text, [&](std::string_view piece) { all.emplace_back(piece); });
  return all;
}
/// The text of bytes that come at once.
std::string made_of(std::string_view bytes) {
  lm::utf8_stream stream;
  std::string text = stream.add(bytes);
  return text + stream.end();
}
list pieces_of(std::string_view name, std::string_view text) {
  return pieces_of(lm::splitter(lm::find_pre_tokenizer(name)->pattern), text);
}

}  // namespace

TEST_CASE("byte alphabet: every byte has a letter, and the letter is that byte's", "[lm][text]") {
  for (int b = 0; b < 256; ++b) {
    std::string const byte(1, static_cast<char>(b));
    CHECK(lm::bytes_of_letters(lm::letters_of_bytes(byte)) == byte);
  }
  // 188 bytes print; space is the 33rd of those that do not, counted from 0.
  CHECK(lm::letters_of_bytes(" the") == "Ġthe");
  CHECK(lm::letters_of_bytes("\n") == "Ċ");
  CHECK(lm::letters_of_bytes("é") == "Ã©");
  CHECK_FALSE(lm::bytes_of_letters("two words"));
  CHECK_FALSE(lm::bytes_of_letters("你"));
}

TEST_CASE("splitter: pre-tokens of every pattern join to the text, and none is empty",
          "[lm][text]") {
  for (auto const& each : lm::pre_tokenizers) {
    lm::splitter const cut(each.pattern);
    CHECK(pieces_of(cut, "").empty());
    for (std::uint32_t seed = 0; seed < 40; ++seed) {
      auto const text = any_text(seed, 60);
      std::string all;
      for (auto const& piece : pieces_of(cut, text)) {
        CHECK_FALSE(piece.empty());
        all += piece;
      }
      CHECK(all == text);
    }
  }
}

TEST_CASE("splitter: digits one by one, then GPT-2 between them, is smollm's one pattern",
          "[lm][text]") {
  lm::splitter const digits(R"(\p{N})");
  lm::splitter const gpt2(lm::find_pre_tokenizer("gpt-2")->pattern);
  lm::splitter const both(lm::find_pre_tokenizer("smollm")->pattern);
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    auto const text = any_text(seed, 30);
    list in_two_steps;
    digits.split(text, [&](std::string_view piece) {
      for (auto& each : pieces_of(gpt2, piece)) in_two_steps.push_back(each);
    });
    INFO(text);
    CHECK(pieces_of(both, text) == in_two_steps);
  }
}

TEST_CASE("splitter: families differ in digits, capitals and line ends", "[lm][text]") {
  CHECK(pieces_of("gpt-2", "I'LL 1234\n\nx") == list{"I", "'", "LL", " 1234", "\n", "\n", "x"});
  CHECK(pieces_of("smollm", "a  12") == list{"a", "  ", "1", "2"});
  CHECK(pieces_of("llama-bpe", "I'LL 1234\n\nx") == list{"I", "'LL", " ", "123", "4", "\n\n", "x"});
  CHECK(pieces_of("qwen2", " 12!\r\n") == list{" ", "1", "2", "!\r\n"});
  // U+180E is no white space since Unicode 6.3.
  CHECK(pieces_of("gpt-2", "!\u180E?") == list{"!\u180E?"});
  CHECK(pieces_of("gpt-2", "!\u0085?") == list{"!", "\u0085", "?"});
}

TEST_CASE("splitter: a megabyte of spaces, and an expression that is none", "[lm][text]") {
  std::string const spaces(1 << 20, ' ');
  for (auto const& each : lm::pre_tokenizers) {
    CHECK(pieces_of(lm::splitter(each.pattern), spaces).size() == 1);
  }
  CHECK_THROWS_WITH(lm::splitter("a(b"), Catch::Contains("parenthesis"));
}

TEST_CASE("byte_pair_merges: merges as whoever looks through all pairs each time", "[lm][text]") {
  // Symbols 0 to 3 and random merges of what there is, each to a symbol of its own.
  for (std::uint32_t seed = 0; seed < 30; ++seed) {
    std::mt19937 draw(seed);
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::pair<std::uint32_t, std::uint32_t>>
        known;
    lm::byte_pair_merges merges(40);
    for (std::uint32_t rank = 0; rank < 40; ++rank) {
      auto const left = static_cast<std::uint32_t>(draw() % (4 + rank));
      auto const right = static_cast<std::uint32_t>(draw() % (4 + rank));
      known[{left, right}] = {rank, 4 + rank};
      merges.add(left, right, rank, 4 + rank);
    }
    for (std::size_t const length : std::array<std::size_t, 8>{0, 1, 2, 5, 48, 49, 50, 400}) {
      std::vector<std::uint32_t> symbols = {99};  // what stands before is left alone
      for (std::size_t i = 0; i < length; ++i) {
        symbols.push_back(static_cast<std::uint32_t>(draw() % 4));
      }
      auto naive = symbols;
      for (;;) {
        std::size_t best = 0;
        std::uint32_t least = UINT32_MAX;
        for (std::size_t i = 1; i + 1 < naive.size(); ++i) {
          auto const found = known.find({naive[i], naive[i + 1]});
          if (found == known.end() || found->second.first >= least) continue;
          least = found->second.first;
          best = i;
        }
        if (best == 0) break;
        naive[best] = known[{naive[best], naive[best + 1]}].second;
        naive.erase(naive.begin() + static_cast<std::ptrdiff_t>(best) + 1);
      }
      merges.merge(symbols, 1);
      INFO(seed << ": " << length);
      CHECK(symbols == naive);
    }
  }
}

TEST_CASE("token_index: finds what was added, of every length, and nothing else", "[lm][text]") {
  list words;
  for (std::size_t size = 0; size < 40; ++size) {
    for (char const c : {'a', 'b', '\0'}) {
      words.emplace_back(size, 'x');
      words.back() += c;
    }
  }
  lm::token_index index(words.size());
  for (std::uint32_t id = 0; id < words.size(); ++id) index.add(words[id], id);
  index.add(words[3], 77);  // the first stays
  for (std::uint32_t id = 0; id < words.size(); ++id) CHECK(index.find(words[id]) == id);
  CHECK(index.find("") == lm::no_token);
  CHECK(index.find("xxxxxxxxx") == lm::no_token);
}

TEST_CASE("special_tokens: the leftmost, and of those the longest", "[lm][text]") {
  lm::special_tokens known;
  known.add("<a>", 1);
  known.add("<a>b", 2);
  known.add("a>", 3);
  auto const found = known.next("x<a>b<a>", 0);
  REQUIRE(found);
  CHECK(found->at == 1);
  CHECK(found->id == 2);
  CHECK(known.next("x<a>b<a>", 2)->id == 3);
  CHECK(known.next("x<a>b<a>", 3)->id == 1);
  CHECK_FALSE(known.next("x<a", 0));
}

TEST_CASE("utf8_stream: in any pieces it gives what it gives of the whole", "[lm][text]") {
  for (std::uint32_t seed = 0; seed < 100; ++seed) {
    std::mt19937 draw(seed);
    std::string bytes = any_text(seed, 20);
    bool const damaged = seed % 2 == 1;
    if (damaged) bytes[draw() % bytes.size()] = static_cast<char>(draw());
    std::string const once = made_of(bytes);
    lm::utf8_stream parts;
    std::string out;
    for (std::size_t at = 0; at < bytes.size();) {
      std::size_t const size = 1 + draw() % 3;
      out += parts.add(std::string_view(bytes).substr(at, size));
      CHECK_FALSE(text::first_invalid_utf8(out));
      at += size;
    }
    CHECK(out + parts.end() == once);
    if (!damaged) CHECK(once == bytes);
  }
}

TEST_CASE("utf8_stream: one U+FFFD for each longest beginning of a code point", "[lm][text]") {
  // The examples of the Unicode Standard, tables 3-8 to 3-11.
  std::string const r = "\uFFFD";
  CHECK(made_of("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41") == r + r + r + r + r + r + r + r + "A");
  CHECK(made_of("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41") == r + r + r + r + r + r + r + r + "A");
  CHECK(made_of("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42") == r + r + r + r + r + "A" + r + r + "B");
  CHECK(made_of("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41") == r + r + r + r + "A");
  lm::utf8_stream stream;
  CHECK(stream.add("\xF0\x9F").empty());
  CHECK(stream.add("\x99\x82!") == "🙂!");
}
