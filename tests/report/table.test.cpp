// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstdio>
#include <string>

#include <catch2/catch.hpp>
#include <prefer/expects.hpp>
#include <prefer/report/table.hpp>

namespace report = prefer::report;

TEST_CASE("table: text stands left, numbers stand right, no line ends with spaces",
          "[report][table]") {
  report::table t({{.header = "method"}, {.header = "loss", .precision = 2}, {.header = "note"}});
  t.add_row({"dpo", 0.6931, "a"});
  t.add_row({"simpo", 12.5, "longer"});
  CHECK(t.text() ==
        "method   loss  note\n"
        "------  -----  ------\n"
        "dpo      0.69  a\n"
        "simpo   12.50  longer\n");
  CHECK(t.row_count() == 2);
}

TEST_CASE("table: a column with a number aligns its text cells and its header right too",
          "[report][table]") {
  report::table t({{.header = "n"}});
  t.add_row({1000});
  t.add_row({"-"});
  CHECK(t.text() == "   n\n----\n1000\n   -\n");
}

TEST_CASE("table: alignment can be asked for", "[report][table]") {
  report::table t({{.header = "a", .align = report::align::right},
                   {.header = "b", .align = report::align::left},
                   {.header = "c"}});
  t.add_row({"xyz", 12345, 7});
  t.add_row({"x", 1, 7});
  CHECK(t.text() ==
        "  a  b      c\n"
        "---  -----  -\n"
        "xyz  12345  7\n"
        "  x  1      7\n");
}

TEST_CASE("table: mean and spread share the precision of their column", "[report][table]") {
  report::table t({{.header = "acc", .precision = 1}});
  t.add_row({report::mean_spread{.mean = 71.26, .spread = 0.349}});
  CHECK(t.text() == "       acc\n----------\n71.3 ± 0.3\n");
}

TEST_CASE("table: non-finite numbers are shown by name", "[report][table]") {
  report::table t({{.header = "loss", .precision = 1}});
  t.add_row({std::nan("")});
  t.add_row({-INFINITY});
  t.add_row({report::mean_spread{.mean = 1.5, .spread = std::nan("")}});
  CHECK(t.text() == "     loss\n---------\n      nan\n     -inf\n1.5 ± nan\n");
}

TEST_CASE("table: columns of UTF-8 text line up", "[report][table]") {
  report::table t({{.header = "β"}, {.header = "x"}});
  t.add_row({"π₀", "1"});    // two cells wide
  t.add_row({"偏好", "2"});  // two wide characters: four cells
  CHECK(t.text() == "β     x\n----  -\nπ₀    1\n偏好  2\n");
}

TEST_CASE("table: a line break in a cell does not break the row", "[report][table]") {
  report::table t({{.header = "a"}});
  t.add_row({"x\ny"});
  CHECK(t.text() == "a\n---\nx y\n");
}

TEST_CASE("table: integers keep all their digits", "[report][table]") {
  report::table t({{.header = "n"}});
  t.add_row({18446744073709551615ULL});
  t.add_row({-9223372036854775807LL});
  CHECK(t.text().find("18446744073709551615\n") != std::string::npos);
  CHECK(t.text().find("-9223372036854775807\n") != std::string::npos);
}

TEST_CASE("table: a row of the wrong length is refused with both numbers", "[report][table]") {
  report::table t({{.header = "a"}, {.header = "b"}});
  using Catch::Matchers::Contains;
  REQUIRE_THROWS_AS(t.add_row({"only one"}), prefer::precondition_error);
  CHECK_THROWS_WITH(t.add_row({1, 2, 3}), Contains("3") && Contains("2") && Contains("add_row"));
  CHECK(t.row_count() == 0);
}

TEST_CASE("table: no columns and a negative precision are refused", "[report][table]") {
  CHECK_THROWS_AS(report::table({}), prefer::precondition_error);
  CHECK_THROWS_AS(report::table({{.header = "a", .precision = -1}}), prefer::precondition_error);
}

TEST_CASE("table: print writes the text, and a stream that takes nothing is a backend_error",
          "[report][table]") {
  report::table t({{.header = "a"}});
  t.add_row({1});
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  t.print(file);
  std::rewind(file);
  char buffer[64] = {};
  std::size_t const count = std::fread(buffer, 1, sizeof buffer, file);
  std::fclose(file);
  CHECK(std::string(buffer, count) == "a\n-\n1\n");

  if (std::FILE* full = std::fopen("/dev/full", "w")) {
    CHECK_THROWS_AS(t.print(full), prefer::backend_error);
    std::fclose(full);
  }
}
