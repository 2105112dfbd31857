// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <range/v3/range/conversion.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/take.hpp>

#include <prefer/data/ratings.hpp>

#include "error_of.hpp"
#include "temporary_file.hpp"

namespace data = prefer::data;

namespace {

constexpr char const* header = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n";

std::string error_of_rows(std::string const& rows) {
  return error_in(data::ratings_in(header + rows, "f"));
}
std::string error_of_text(std::string const& text) { return error_in(data::ratings_in(text, "f")); }

}  // namespace

TEST_CASE("ratings: columns are read by name", "[data][ratings]") {
  auto const all =
      data::ratings_in(std::string(header) + "196\t242\t3\t881250949\n186\ti-9\t4.5\t891717742\n") |
      ::ranges::to<std::vector>();
  REQUIRE(all.size() == 2);
  REQUIRE(all[0].user == "196");
  REQUIRE(all[0].item == "242");
  REQUIRE(all[0].value == 3.0);
  REQUIRE(all[0].timestamp == 881250949.0);
  REQUIRE(all[0].line == 2);
  REQUIRE(all[1].item == "i-9");
  REQUIRE(all[1].value == 4.5);
  REQUIRE(all[1].line == 3);
}

TEST_CASE("ratings: the order of columns, their types and further columns do not matter",
          "[data][ratings]") {
  auto const row =
      *data::ratings_in("rating\tgenre:token\ttimestamp\titem_id\tuser_id:int\n-1.5\tx\t7\ti\tu\n")
           .begin();
  REQUIRE(row.user == "u");
  REQUIRE(row.item == "i");
  REQUIRE(row.value == -1.5);
  REQUIRE(row.timestamp == 7.0);
}

TEST_CASE("ratings: byte order mark, CR LF, blank lines and a last line without end",
          "[data][ratings]") {
  std::string const content =
      "\xEF\xBB\xBFuser_id\titem_id\trating\ttimestamp\r\n\r\na\tb\t1\t2\r\nc\td\t3\t4";
  temporary_file const file("ratings.inter", content);
  std::istringstream stream(content);
  auto const from_file = data::read_ratings(file.path());
  auto const from_stream = data::ratings_in(stream) | ::ranges::to<std::vector>();
  for (auto const* const all : {&from_file, &from_stream}) {
    REQUIRE(all->size() == 2);
    REQUIRE((*all)[0].line == 3);
    REQUIRE((*all)[1].user == "c");
    REQUIRE((*all)[1].timestamp == 4.0);
  }
}

TEST_CASE("ratings: a bad second row is not met by take(1)", "[data][ratings]") {
  auto const first = data::ratings_in(std::string(header) + "a\tb\t1\t2\nbad\n") |
                     ::ranges::views::take(1) | ::ranges::to<std::vector>();
  REQUIRE(first.size() == 1);
}

TEST_CASE("ratings: a column that is named twice is an error", "[data][ratings]") {
  REQUIRE(error_of_text("user_id\tuser_id:token\titem_id\trating\ttimestamp\n1\t2\t3\t4\t5\n") ==
          "data::ratings: f:1: column \"user_id\" is named twice in the header");
}

TEST_CASE("ratings: a row with too few or too many cells is an error", "[data][ratings]") {
  REQUIRE(error_of_rows("1\t2\t3\n") ==
          "data::ratings: f:2: found 3 cells; expected 4 as in the header");
  REQUIRE(error_of_rows("1\t2\t3\t4\t5\n") ==
          "data::ratings: f:2: found 5 cells; expected 4 as in the header");
  REQUIRE(error_of_rows("1\t2\t3\t4\n1\t2") ==
          "data::ratings: f:3: found 2 cells; expected 4 as in the header (the file is truncated)");
}

TEST_CASE("ratings: what is no finite number is an error", "[data][ratings]") {
  for (std::string const cell :
       {"x", "", "3x", " 3", "nan", "inf", "-inf", "1e999", "0x10", "3,5"}) {
    CAPTURE(cell);
    REQUIRE(error_of_rows("1\t2\t" + cell + "\t4\n") ==
            "data::ratings: f:2: column \"rating\": found \"" + cell +
                "\"; expected a finite number");
    REQUIRE(error_of_rows("1\t2\t3\t" + cell + "\n") ==
            "data::ratings: f:2: column \"timestamp\": found \"" + cell +
                "\"; expected a finite number");
  }
}

TEST_CASE("ratings: an empty id is an error", "[data][ratings]") {
  REQUIRE(error_of_rows("\t2\t3\t4\n") == "data::ratings: f:2: column \"user_id\" is empty");
  REQUIRE(error_of_rows("1\t\t3\t4\n") == "data::ratings: f:2: column \"item_id\" is empty");
}

TEST_CASE("ratings: an empty file and a header alone are errors", "[data][ratings]") {
  REQUIRE(error_of_text("") ==
          "data::ratings: f: there is nothing in it; expected rows of user, item, rating and "
          "timestamp");
  REQUIRE(error_of_rows("") == "data::ratings: f:1: there is no row below the header");
}

TEST_CASE("ratings: a missing file is an error with its path", "[data][ratings]") {
  REQUIRE_THAT(error_of([] { static_cast<void>(data::ratings("/nowhere/x.inter")); }),
               Catch::StartsWith("data::ratings: /nowhere/x.inter: cannot open file: "));
}

TEST_CASE("ratings: range-v3 views compose", "[data][ratings]") {
  auto const liked =
      data::ratings_in(std::string(header) + "a\tx\t5\t1\nb\ty\t1\t2\nc\tz\t4\t3\n") |
      ::ranges::views::filter([](data::rating const& r) { return r.value >= 4; }) |
      ::ranges::to<std::vector>();
  REQUIRE(liked.size() == 2);
  REQUIRE(liked[1].user == "c");
}
