// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cstddef>
#include <string>

#include <prefer/text/utf8.hpp>

using prefer::text::common_prefix;
using prefer::text::first_invalid_utf8;

TEST_CASE("utf8: the ends of every length's range are valid", "[text][utf8]") {
  for (std::string const text :
       {"", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
        "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    REQUIRE_FALSE(first_invalid_utf8(text).has_value());
  }
}

TEST_CASE("utf8: what lies just outside of the ranges is invalid", "[text][utf8]") {
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

TEST_CASE("utf8: a sequence cut off by the end is invalid", "[text][utf8]") {
  REQUIRE(first_invalid_utf8("a\xC3") == std::size_t{1});
  REQUIRE(first_invalid_utf8("a\xE2\x82") == std::size_t{1});
  REQUIRE(first_invalid_utf8("\xF0\x9F\x98") == std::size_t{0});
}

TEST_CASE("common_prefix: equal bytes count up to the first difference", "[text][utf8]") {
  REQUIRE(common_prefix("abc", "abd") == 2);
  REQUIRE(common_prefix("abc", "xbc") == 0);
  REQUIRE(common_prefix("abc", "abcd") == 3);
  REQUIRE(common_prefix("", "a") == 0);
}

TEST_CASE("common_prefix: a code point is never cut", "[text][utf8]") {
  // U+00E9 is C3 A9 and U+00E8 is C3 A8: one equal byte, no equal code point.
  REQUIRE(common_prefix("a\xC3\xA9", "a\xC3\xA8") == 1);
  // U+1F600 and U+1F601 share three of four bytes.
  REQUIRE(common_prefix("hi \xF0\x9F\x98\x80", "hi \xF0\x9F\x98\x81") == 3);
  REQUIRE(common_prefix("\xC3\xA9"
                        "a",
                        "\xC3\xA9"
                        "b") == 2);
}

TEST_CASE("decode: one to four bytes give their code point", "[text][utf8]") {
  CHECK(prefer::text::decode("a", 0).value == U'a');
  CHECK(prefer::text::decode("\xCE\xB2", 0).value == 0x3B2);            // beta
  CHECK(prefer::text::decode("\xE2\x88\x92", 0).value == 0x2212);       // minus sign
  CHECK(prefer::text::decode("\xF0\x9F\x98\x80", 0).value == 0x1F600);  // a face
  CHECK(prefer::text::decode("\xF0\x9F\x98\x80", 0).bytes == 4);
  CHECK(prefer::text::decode("x\xCE\xB2", 1).bytes == 2);
}

TEST_CASE("decode: an ill-formed byte is U+FFFD of one byte", "[text][utf8]") {
  for (std::string const text :
       {"\x80", "\xFF", "\xC0\xAF", "\xE2\x88", "\xED\xA0\x80", "\xE0\x80\xAF", "\xF4\x90\x80\x80",
        "\xCE"
        "a"}) {
    INFO(text);
    CHECK(prefer::text::decode(text, 0).value == 0xFFFD);
    CHECK(prefer::text::decode(text, 0).bytes == 1);
  }
}

TEST_CASE("display_width: counts what a terminal shows, not bytes", "[text][utf8]") {
  CHECK(prefer::text::display_width("beta") == 4);
  CHECK(prefer::text::display_width("\xCE\xB2 \xC2\xB1") == 3);         // beta, space, plus-minus
  CHECK(prefer::text::display_width("e\xCC\x81") == 1);                 // e and a combining acute
  CHECK(prefer::text::display_width("\xE5\x81\x8F\xE5\xA5\xBD") == 4);  // two ideographs
  CHECK(prefer::text::display_width("\xFF\xFE") == 2);                  // not UTF-8
  CHECK(prefer::text::display_width("") == 0);
}
