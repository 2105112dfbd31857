// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <prefer/expects.hpp>
#include <prefer/report/csv.hpp>
#include <support/file_size_limit.hpp>
#include <support/temporary_folder.hpp>

namespace report = prefer::report;

namespace {

using rows = std::vector<std::vector<std::string>>;

/// A reader of RFC 4180 written from its grammar alone, as a state machine over characters.
rows parsed(std::string const& text) {
  rows result;
  std::vector<std::string> row;
  std::string field;
  enum { start, plain, quoted, quote_in_quoted } state = start;
  for (char const c : text) {
    if (state == quoted) {
      if (c == '"') {
        state = quote_in_quoted;
      } else {
        field += c;
      }
    } else if (c == '"') {
      REQUIRE(state != plain);  // a quote inside an unquoted field is an error
      if (state == quote_in_quoted) field += '"';
      state = quoted;
    } else if (c == ',' || c == '\n') {
      row.push_back(field);
      field.clear();
      state = start;
      if (c == '\n') {
        result.push_back(row);
        row.clear();
      }
    } else {
      REQUIRE(state != quote_in_quoted);  // nothing follows a closing quote
      field += c;
      state = plain;
    }
  }
  REQUIRE(state == start);
  REQUIRE(row.empty());
  return result;
}

void put(std::string const& path, std::string const& text) { std::ofstream(path) << text; }

}  // namespace

TEST_CASE("csv_writer: any text survives a round trip", "[report][csv]") {
  temporary_folder const folder;
  std::vector<std::string> const awkward = {
      "plain", "a,b", "say \"hi\"", "two\nlines", "cr\rlf\r\n", "", " padded ", "\"", ",", "β ± 1"};
  std::vector<std::string> header;
  for (std::size_t i = 0; i < awkward.size(); ++i) header.push_back("column, " + std::to_string(i));
  report::csv_writer csv(folder / "a.csv", header);
  csv.add_row({awkward.begin(), awkward.end()});
  csv.add_row({awkward.rbegin(), awkward.rend()});
  csv.commit();

  auto const read = parsed(content_of(folder / "a.csv"));
  REQUIRE(read.size() == 3);
  CHECK(read[0] == header);
  CHECK(read[1] == awkward);
  CHECK(read[2] == std::vector<std::string>(awkward.rbegin(), awkward.rend()));
}

TEST_CASE("csv_writer: quotes only where the grammar needs them", "[report][csv]") {
  temporary_folder const folder;
  report::csv_writer csv(folder / "a.csv", {"name", "text"});
  csv.add_row({"dpo", "a b"});
  csv.add_row({"x,y", "6\""});
  csv.add_row({" in", "out "});  // some readers strip bare spaces
  csv.commit();
  CHECK(content_of(folder / "a.csv") ==
        "name,text\ndpo,a b\n\"x,y\",\"6\"\"\"\n\" in\",\"out \"\n");
}

TEST_CASE("csv_writer: a lone empty field is not an empty line", "[report][csv]") {
  temporary_folder const folder;
  report::csv_writer csv(folder / "a.csv", {"only"});
  csv.add_row({""});
  csv.commit();
  CHECK(content_of(folder / "a.csv") == "only\n\"\"\n");
}

TEST_CASE("csv_writer: numbers read back as the same numbers", "[report][csv]") {
  temporary_folder const folder;
  double const value = 0.1 + 0.2;  // 0.30000000000000004, which fewer digits would turn into 0.3
  report::csv_writer csv(folder / "a.csv", {"double", "float", "integer", "tiny"});
  csv.add_row({value, 0.1F, 18446744073709551615ULL, 5e-324});
  csv.commit();
  auto const read = parsed(content_of(folder / "a.csv")).at(1);
  CHECK(std::strtod(read[0].c_str(), nullptr) == value);
  CHECK(read[1] == "0.1");
  CHECK(read[2] == "18446744073709551615");
  CHECK(std::strtod(read[3].c_str(), nullptr) == 5e-324);
}

TEST_CASE("csv_writer: non-finite numbers are nan, inf and -inf", "[report][csv]") {
  temporary_folder const folder;
  report::csv_writer csv(folder / "a.csv", {"a", "b", "c"});
  csv.add_row({std::nan(""), INFINITY, -INFINITY});
  csv.commit();
  CHECK(content_of(folder / "a.csv") == "a,b,c\nnan,inf,-inf\n");
}

TEST_CASE("csv_writer: without commit the old file stays and nothing is left over",
          "[report][csv]") {
  temporary_folder const folder;
  put(folder / "a.csv", "old");
  {
    report::csv_writer csv(folder / "a.csv", {"a"});
    csv.add_row({1});
    CHECK(content_of(folder / "a.csv") == "old");
  }
  CHECK(content_of(folder / "a.csv") == "old");
  CHECK(folder.count() == 1);
}

TEST_CASE("csv_writer: a row of the wrong length is refused with both numbers", "[report][csv]") {
  temporary_folder const folder;
  report::csv_writer csv(folder / "a.csv", {"a", "b"});
  using Catch::Matchers::Contains;
  REQUIRE_THROWS_AS(csv.add_row({1, 2, 3}), prefer::precondition_error);
  CHECK_THROWS_WITH(csv.add_row({1, 2, 3}), Contains("3") && Contains("2"));
  csv.add_row({1, 2});  // the refused row left nothing behind
  csv.commit();
  CHECK(content_of(folder / "a.csv") == "a,b\n1,2\n");
}

TEST_CASE("csv_writer: a bad header is refused before a file is made", "[report][csv]") {
  temporary_folder const folder;
  CHECK_THROWS_AS(report::csv_writer(folder / "a.csv", {}), prefer::precondition_error);
  CHECK_THROWS_WITH(report::csv_writer(folder / "a.csv", {"x", "loss", "loss"}),
                    Catch::Matchers::Contains("\"loss\""));
  CHECK(folder.count() == 0);
}

TEST_CASE("csv_writer: nothing can be added or committed twice after commit", "[report][csv]") {
  temporary_folder const folder;
  report::csv_writer csv(folder / "a.csv", {"a"});
  csv.commit();
  CHECK_THROWS_AS(csv.add_row({1}), prefer::precondition_error);
  CHECK_THROWS_AS(csv.commit(), prefer::precondition_error);
  CHECK(content_of(folder / "a.csv") == "a\n");
}

TEST_CASE("csv_writer: a folder that does not exist is a backend_error with the path",
          "[report][csv]") {
  temporary_folder const folder;
  REQUIRE_THROWS_AS(report::csv_writer(folder / "none/a.csv", {"a"}), prefer::backend_error);
  CHECK_THROWS_WITH(report::csv_writer(folder / "none/a.csv", {"a"}),
                    Catch::Matchers::Contains("none/a.csv"));
}

TEST_CASE("csv_writer: a full disk found at commit leaves the old file", "[report][csv]") {
  temporary_folder const folder;
  put(folder / "a.csv", "old");
  {
    file_size_limit const limit(1);
    report::csv_writer csv(folder / "a.csv", {"a"});
    csv.add_row({1});
    CHECK_THROWS_AS(csv.commit(), prefer::backend_error);
  }
  CHECK(content_of(folder / "a.csv") == "old");
  CHECK(folder.count() == 1);
}

TEST_CASE("csv_writer: a disk that fills up between rows leaves the old file", "[report][csv]") {
  temporary_folder const folder;
  put(folder / "a.csv", "old");
  bool failed = false;
  {
    file_size_limit const limit(64 * 1024);
    report::csv_writer csv(folder / "a.csv", {"a"});
    for (int i = 0; i < 100 && !failed; ++i) {
      try {
        csv.add_row({std::string(4096, 'x')});
      } catch (prefer::backend_error const&) {
        failed = true;
      }
    }
    if (failed) CHECK_THROWS_AS(csv.add_row({1}), prefer::precondition_error);
  }
  CHECK(failed);
  CHECK(content_of(folder / "a.csv") == "old");
  CHECK(folder.count() == 1);
}
