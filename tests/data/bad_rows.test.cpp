// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cstddef>
#include <string>
#include <vector>

#include <prefer/data/preference.hpp>
#include <prefer/data/ratings.hpp>

#include "error_of.hpp"

namespace data = prefer::data;

namespace {

std::string good(std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) {
    out += R"({"prompt":"p","chosen":"a","rejected":"b","id":)" + std::to_string(i) + "}\n";
  }
  return out;
}

struct outcome {
  std::size_t pairs = 0;
  std::string error;
  data::reading_report report;
};

outcome read(std::string const& text, double most_bad) {
  outcome out;
  data::reading const how{.bad = data::bad_rows::skipped, .most_bad = most_bad};
  out.error = error_of([&] {
    for (auto const& pair : data::pairs_in(text, "f", how, &out.report)) {
      out.pairs += pair.line != 0 ? 1 : 0;
    }
  });
  return out;
}

}  // namespace

TEST_CASE("bad rows: are skipped and counted by reason, with the first line of each",
          "[data][bad_rows]") {
  std::string const bad =
      "{\"prompt\":\"p\",\"chosen\":7,\"rejected\":\"b\"}\n"
      "{\"prompt\":\"p\",\"chosen\":12,\"rejected\":\"b\"}\n"
      "no json\n"
      "\xFF\n"
      "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"a\"}\n";
  auto const [pairs, error, report] = read(good(1) + bad + good(4), 0.5);
  REQUIRE(error == "no error");
  REQUIRE(pairs == 5);
  REQUIRE(report.rows == 10);
  REQUIRE(report.bad_rows() == 5);
  REQUIRE(report.bad.size() == 4);
  auto const& kind = report.bad.at(
      "field \"chosen\": found the number #; expected a string or a list of messages");
  REQUIRE(kind.count == 2);
  REQUIRE(kind.first_line == 2);
  // Nothing of a bad row is counted elsewhere.
  REQUIRE(report.unused.at("id").count == 5);
  REQUIRE(report.examples == 5);
}

TEST_CASE("bad rows: more than the share that is allowed is an error at the end",
          "[data][bad_rows]") {
  REQUIRE(read(good(99) + "x\n", 0.01).error == "no error");
  auto const over = read(good(98) + "x\nx\n", 0.01);
  REQUIRE(over.pairs == 98);
  REQUIRE_THAT(over.error,
               Catch::StartsWith("data::pairs: f: 2 of 100 rows are bad, more than the share "
                                 "of 0.01 that may be skipped; not valid JSON"));
}

TEST_CASE("bad rows: a file that cannot be read any further is an error at once",
          "[data][bad_rows]") {
  REQUIRE(read("[{},", 1).error ==
          "data::pairs: f: truncated: the file ends inside its JSON array");
  REQUIRE(read("PAR1", 1).error.substr(0, 35) == "data::pairs: f: the file is Parquet");
}

TEST_CASE("bad rows: what differs from row to row is no reason of its own", "[data][bad_rows]") {
  std::string text;
  for (int i = 0; i < 200; ++i) {
    text += "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"weight\":\"" +
            std::to_string(i) + "x" + std::string(static_cast<std::size_t>(i % 7), 'y') + "\"}\n";
  }
  REQUIRE(read(text, 1).report.bad.size() == 1);
}

namespace {

struct rated {
  std::size_t rows = 0;
  std::string error;
  data::ratings_report report;
};

rated read_ratings(std::string const& text, double most_bad) {
  rated out;
  data::ratings_reading const how{.bad = data::bad_rows::skipped, .most_bad = most_bad};
  out.error = error_of([&] {
    for (auto const& row : data::ratings_in(text, "f", how, &out.report)) {
      out.rows += row.line != 0 ? 1 : 0;
    }
  });
  return out;
}

std::string const ratings_header = "user_id\titem_id\trating\ttimestamp\n";

}  // namespace

TEST_CASE("bad rows: of ratings too are counted by reason, with the first line of each",
          "[data][bad_rows][ratings]") {
  auto const [rows, error, report] =
      read_ratings(ratings_header +
                       "u\ti\t3\t1\n"      // 2
                       "u\ti\tnan\t1\n"    // 3
                       "u\ti\t3\n"         // 4
                       "u\ti\tthree\t1\n"  // 5: no other reason than that of 3
                       "\ti\t3\t1\n"       // 6
                       "u\t\xFF\t3\t1\n"   // 7
                       "u\ti\t3\t2",       // 8
                   0.9);
  REQUIRE(error == "no error");
  REQUIRE(rows == 2);
  REQUIRE(report.rows == 7);
  REQUIRE(count_of(report.bad) == 5);
  REQUIRE(report.bad.size() == 4);
  auto const& number = report.bad.at("column \"rating\": found \"...\"; expected a finite number");
  REQUIRE(number.count == 2);
  REQUIRE(number.first_line == 3);
}

TEST_CASE("bad rows: too many of ratings, or none that is good, are an error",
          "[data][bad_rows][ratings]") {
  REQUIRE_THAT(read_ratings(ratings_header + "u\ti\t3\t1\nx\n", 0.4).error,
               Catch::StartsWith("data::ratings: f: 1 of 2 rows are bad, more than the share of "
                                 "0.4 that may be skipped; found # cells"));
  REQUIRE_THAT(read_ratings(ratings_header + "x\ny\n", 1).error,
               Catch::EndsWith("there is no row below the header"));
  // The first line says what the columns are: without it no row can be read.
  REQUIRE(read_ratings("x\nu\ti\t3\t1\n", 1).error.substr(0, 19) == "data::ratings: f:1:");
}
