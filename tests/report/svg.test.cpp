// SPDX-License-Identifier: MIT
#include <string>

#include <catch2/catch.hpp>
#include <prefer/report/svg.hpp>

#include "xml.hpp"

namespace report = prefer::report;

TEST_CASE("xml reader of the tests: refuses what is not well-formed", "[report][svg]") {
  CHECK_NOTHROW(xml::reader("<a b=\"1\"><c/>text</a>"));
  for (std::string const bad :
       {"<a>", "<a></b>", "<a><b></a></b>", "<a b=1/>", "<a>&</a>", "<a>&x;</a>", "<a b=\"<\"/>",
        "<a b=\"1\" b=\"2\"/>", "<a/><b/>", "text", "<a>\x01</a>"}) {
    INFO(bad);
    CHECK_THROWS_AS(xml::reader(bad), std::runtime_error);
  }
}

TEST_CASE("xml_escaped: the five special characters become entities", "[report][svg]") {
  CHECK(report::xml_escaped("a<b>&\"c'") == "a&lt;b&gt;&amp;&quot;c&apos;");
  CHECK(report::xml_escaped("β ≤ 1") == "β ≤ 1");
}

TEST_CASE("xml_escaped: what XML cannot hold becomes U+FFFD", "[report][svg]") {
  CHECK(report::xml_escaped(std::string("a\0b", 3)) == "a\uFFFDb");
  CHECK(report::xml_escaped("\x1B[0m") == "\uFFFD[0m");
  CHECK(report::xml_escaped("x\xFFy") == "x\uFFFDy");
  CHECK(report::xml_escaped("\uFFFE\uFFFD") == "\uFFFD\uFFFD");
  CHECK(report::xml_escaped("tab\tstays") == "tab\tstays");
}

TEST_CASE("svg_number: at most two digits, none without meaning", "[report][svg]") {
  CHECK(report::svg_number(12.0) == "12");
  CHECK(report::svg_number(1.005) == "1");  // the double below 1.005
  CHECK(report::svg_number(0.125 + 0.0625) == "0.19");
  CHECK(report::svg_number(100.0) == "100");
  CHECK(report::svg_number(-0.001) == "0");
}

TEST_CASE("svg_writer: texts and attributes come back as they went in", "[report][svg]") {
  report::svg_writer out(100, 50.5);
  out.open("g", {{"class", "it's \"<&>\""}});
  out.text({{"x", 1.5}}, "a < b & c");
  std::string const document = std::move(out).finish();  // closes g and svg
  xml::reader const read(document);
  REQUIRE(read.elements.size() == 4);  // svg, background, g, text
  CHECK(read.elements[0].attributes.at("viewBox") == "0 0 100 50.5");
  CHECK(read.elements[0].attributes.at("width") == "100");
  CHECK(read.elements[1].attributes.at("fill") == "white");
  CHECK(read.elements[2].attributes.at("class") == "it's \"<&>\"");
  CHECK(read.elements[3].text == "a < b & c");
  CHECK(read.elements[3].number("x") == 1.5);
}
