// SPDX-License-Identifier: MIT
#include <string>

#include <catch2/catch.hpp>
#include <prefer/report/utf8.hpp>

namespace report = prefer::report;

TEST_CASE("decode: one to four bytes give their code point", "[report][utf8]") {
  CHECK(report::decode("a", 0).value == U'a');
  CHECK(report::decode("\xCE\xB2", 0).value == 0x3B2);            // beta
  CHECK(report::decode("\xE2\x88\x92", 0).value == 0x2212);       // minus sign
  CHECK(report::decode("\xF0\x9F\x98\x80", 0).value == 0x1F600);  // a face
  CHECK(report::decode("\xF0\x9F\x98\x80", 0).bytes == 4);
  CHECK(report::decode("x\xCE\xB2", 1).bytes == 2);
}

TEST_CASE("decode: an ill-formed byte is U+FFFD of one byte", "[report][utf8]") {
  for (std::string const text :
       {"\x80", "\xFF", "\xC0\xAF", "\xE2\x88", "\xED\xA0\x80", "\xE0\x80\xAF", "\xF4\x90\x80\x80",
        "\xCE"
        "a"}) {
    INFO(text);
    CHECK(report::decode(text, 0).value == 0xFFFD);
    CHECK(report::decode(text, 0).bytes == 1);
  }
}

TEST_CASE("display_width: counts what a terminal shows, not bytes", "[report][utf8]") {
  CHECK(report::display_width("beta") == 4);
  CHECK(report::display_width("\xCE\xB2 \xC2\xB1") == 3);         // beta, space, plus-minus
  CHECK(report::display_width("e\xCC\x81") == 1);                 // e and a combining acute
  CHECK(report::display_width("\xE5\x81\x8F\xE5\xA5\xBD") == 4);  // two ideographs
  CHECK(report::display_width("\xFF\xFE") == 2);                  // not UTF-8
  CHECK(report::display_width("") == 0);
}
