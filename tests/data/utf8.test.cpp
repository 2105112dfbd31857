// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cstddef>
#include <string>

#include <prefer/data/utf8.hpp>

using prefer::data::common_prefix;
using prefer::data::first_invalid_utf8;

TEST_CASE("utf8: the ends of every length's range are valid", "[data][utf8]") {
  for (std::string const text :
       {"", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
        "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    REQUIRE_FALSE(first_invalid_utf8(text).has_value());
  }
}

TEST_CASE("utf8: what lies just outside of the ranges is invalid", "[data][utf8]") {
  for (std::string const bad : {"\x80",              // a continuation alone
                                "\xC1\xBF",          // overlong form of U+007F
                                "\xE0\x9F\xBF",      // overlong form of U+07FF
                                "\xF0\x8F\xBF\xBF",  // overlong form of U+FFFF
                                "\xED\xA0\x80",      // surrogate U+D800
                                "\xF4\x90\x80\x80",  // U+110000
                                "\xF5\x80\x80\x80", "\xFF",
                                "\xC3\x28",  // lead byte without continuation
                                "\xE2\x82\x28", "\xF0\x9F\x98\x28"}) {
    REQUIRE(first_invalid_utf8("ab" + bad + "c") == std::size_t{2});
  }
}

TEST_CASE("utf8: a sequence cut off by the end is invalid", "[data][utf8]") {
  REQUIRE(first_invalid_utf8("a\xC3") == std::size_t{1});
  REQUIRE(first_invalid_utf8("a\xE2\x82") == std::size_t{1});
  REQUIRE(first_invalid_utf8("\xF0\x9F\x98") == std::size_t{0});
}

TEST_CASE("common_prefix: equal bytes count up to the first difference", "[data][utf8]") {
  REQUIRE(common_prefix("abc", "abd") == 2);
  REQUIRE(common_prefix("abc", "xbc") == 0);
  REQUIRE(common_prefix("abc", "abcd") == 3);
  REQUIRE(common_prefix("", "a") == 0);
}

TEST_CASE("common_prefix: a code point is never cut", "[data][utf8]") {
  // U+00E9 is C3 A9 and U+00E8 is C3 A8: one equal byte, no equal code point.
  REQUIRE(common_prefix("a\xC3\xA9", "a\xC3\xA8") == 1);
  // U+1F600 and U+1F601 share three of four bytes.
  REQUIRE(common_prefix("hi \xF0\x9F\x98\x80", "hi \xF0\x9F\x98\x81") == 3);
  REQUIRE(common_prefix("\xC3\xA9"
                        "a",
                        "\xC3\xA9"
                        "b") == 2);
}
