// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cstddef>
#include <initializer_list>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <range/v3/view/take.hpp>

#include <prefer/data/json_lines.hpp>

#include "error_of.hpp"
#include "temporary_file.hpp"

namespace data = prefer::data;
using Catch::EndsWith;
using Catch::StartsWith;

namespace {

data::json_row one(std::string_view line) { return *data::json_lines_in(line, "f").begin(); }

// What is said about the line, without the place.
std::string line_error(std::string_view line) {
  std::string const error = error_in(data::json_lines_in(line, "f"));
  std::string const start = "data::json_lines: f:1: ";
  return error.starts_with(start) ? error.substr(start.size()) : error;
}

std::string nested(std::size_t depth) {
  // The row itself is one level.
  return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
}

}  // namespace

TEST_CASE("json_lines: rows come with their line numbers", "[data][json_lines]") {
  std::vector<std::pair<std::size_t, double>> seen;
  for (auto const& row : data::json_lines_in("{\"x\": 1}\n\n{\"x\": 2.5}\n")) {
    seen.emplace_back(row.at.line, data::number(row, "x"));
  }
  REQUIRE(seen == std::vector<std::pair<std::size_t, double>>{{1, 1.0}, {3, 2.5}});
}

TEST_CASE("json_lines: files, texts and streams give the same rows", "[data][json_lines]") {
  std::string const content =
      "\xEF\xBB\xBF{\"a\":{\"b\":[1,-2,null,true,\"\\u00e9\"]}}\r\n{\"c\":1e3}";
  temporary_file const file("rows.jsonl", content);
  std::istringstream stream(content);
  auto const expected =
      std::vector{data::json::parse("{\"a\":{\"b\":[1,-2,null,true,\"\xC3\xA9\"]}}"),
                  data::json::parse("{\"c\":1000.0}")};
  for (auto const& rows :
       {data::json_lines(file.path()), data::json_lines_in(content), data::json_lines_in(stream)}) {
    std::vector<data::json> seen;
    for (auto const& row : rows) seen.push_back(row.fields);
    REQUIRE(seen == expected);
  }
}

TEST_CASE("json_lines: a bad second line is not met by take(1)", "[data][json_lines]") {
  int seen = 0;
  for (auto const& row : data::json_lines_in("{\"x\":1}\nno json\n") | ::ranges::views::take(1)) {
    seen += static_cast<int>(data::number(row, "x"));
  }
  REQUIRE(seen == 1);
  REQUIRE_THAT(error_in(data::json_lines_in("{\"x\":1}\nno json\n", "f")),
               StartsWith("data::json_lines: f:2: not valid JSON at byte 2"));
}

TEST_CASE("json_lines: a missing file is an error at the call", "[data][json_lines]") {
  REQUIRE_THAT(error_of([] { static_cast<void>(data::json_lines("/nowhere/x.jsonl")); }),
               StartsWith("data::json_lines: /nowhere/x.jsonl: cannot open file: "));
}

TEST_CASE("json_lines: a directory is an error with its path", "[data][json_lines]") {
  REQUIRE_THAT(error_of([] { static_cast<void>(*data::json_lines("/").begin()); }),
               StartsWith("data::json_lines: /: cannot "));
}

TEST_CASE("json_lines: an empty file is an error", "[data][json_lines]") {
  temporary_file const file("empty.jsonl", "");
  REQUIRE(error_in(data::json_lines(file.path())) ==
          "data::json_lines: " + file.path() +
              ": there is nothing in it; expected one JSON object per line");
}

TEST_CASE("json_lines: a last line that was cut off is called truncated", "[data][json_lines]") {
  for (auto const* const text :
       {"{", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":tr", "{\"a\":-", "{\"a\":[1,",
        "{\"a\":\"x\\", "{\"a\":\"\\\"}", "{\"a\":\"\\u00", "{\"a\":{}"}) {
    CAPTURE(text);
    REQUIRE(line_error(text) == "truncated: the file ends inside a JSON object");
  }
}

TEST_CASE("json_lines: an object over several lines is told from a truncated file",
          "[data][json_lines]") {
  REQUIRE(line_error("{\n\"a\": 1\n}\n") ==
          "the line ends inside its JSON object; expected one whole object per line");
}

TEST_CASE("json_lines: what is no JSON is an error with its byte", "[data][json_lines]") {
  REQUIRE_THAT(line_error("{\"a\": 'x'}"),
               StartsWith("not valid JSON at byte 7 (") && EndsWith("after \"{\"a\": '\""));
  REQUIRE_THAT(line_error("{\"a\":1,}"), StartsWith("not valid JSON at byte 8 ("));
  REQUIRE_THAT(line_error("{\"a\":}"), StartsWith("not valid JSON at byte 6 ("));
  REQUIRE_THAT(line_error("{\"a\":1} {\"b\":2}"), StartsWith("not valid JSON at byte 9 ("));
  REQUIRE_THAT(line_error("{\"a\":\"\\ud800\"}"),
               StartsWith("not valid JSON at byte 13 ("));  // half of a surrogate pair
  REQUIRE_THAT(line_error("{\"a\":\"\x01\"}"), StartsWith("not valid JSON at byte 7 ("));
}

TEST_CASE("json_lines: an error of the parser stays short however long the line is",
          "[data][json_lines]") {
  REQUIRE(
      line_error("{\"" + std::string(100'000, 'k') + "\":\"" + std::string(100'000, 'v') + "\"x}")
          .size() < 300);
}

TEST_CASE("json_lines: a row must be an object", "[data][json_lines]") {
  REQUIRE(line_error("[1,2]") == "found the number 1; expected one JSON object per line");
  REQUIRE(line_error("[[1,2]]") == "found a list; expected one JSON object per line");
  REQUIRE(line_error("\"abc\"") == "found the string \"abc\"; expected one JSON object per line");
  REQUIRE(line_error("17") == "found the number 17; expected one JSON object per line");
  REQUIRE(line_error("null") == "found null; expected one JSON object per line");
}

TEST_CASE("json_lines: NaN and infinities are refused by name", "[data][json_lines]") {
  for (std::string const word : {"NaN", "nan", "Infinity", "-Infinity", "inf", "-inf"}) {
    CAPTURE(word);
    REQUIRE(line_error("{\"a\":1,\"weight\": " + word + "}") ==
            "field \"weight\": found " + word +
                ", which JSON does not have; expected a finite number");
  }
}

TEST_CASE("json_lines: a number too large for a double is refused", "[data][json_lines]") {
  REQUIRE_THAT(line_error("{\"a\":1e999}"), StartsWith("not valid JSON at byte ") &&
                                                Catch::Contains("a number too large for a double"));
}

TEST_CASE("json_lines: a whole number that would come out as another one is refused",
          "[data][json_lines]") {
  REQUIRE(line_error("{\"a\":18446744073709551616}") ==
          "the whole number 18446744073709551616 has more than 64 bits; expected a string or a "
          "number with an exponent");
  REQUIRE(line_error("{\"a\":18446744073709551615,\"b\":-9223372036854775808,\"c\":1e20}") ==
          "no error");
}

TEST_CASE("json_lines: members stay in the order of the text", "[data][json_lines]") {
  REQUIRE(one("{\"z\":{\"b\":1,\"a\":2},\"y\":0}").fields.dump() ==
          "{\"z\":{\"b\":1,\"a\":2},\"y\":0}");
}

TEST_CASE("json_lines: among many fields too one that appears twice is found",
          "[data][json_lines]") {
  std::string line = "{";
  for (int i = 0; i < 20'000; ++i) line += "\"k" + std::to_string(i) + "\":0,";
  REQUIRE(line_error(line + "\"k\":0}") == "no error");
  REQUIRE(line_error(line + "\"k19999\":0}") == "field \"k19999\" appears twice");
  REQUIRE(line_error(line + "\"k3\":0}") == "field \"k3\" appears twice");
}

TEST_CASE("json_lines: a field that appears twice is an error", "[data][json_lines]") {
  REQUIRE(line_error("{\"a\":1,\"b\":2,\"a\":3}") == "field \"a\" appears twice");
  REQUIRE(line_error("{\"m\":[{\"a\":1},{\"a\":2,\"a\":2}]}") == "field \"a\" appears twice");
  REQUIRE(line_error("{\"a\":{\"a\":1},\"b\":{\"a\":1}}") == "no error");  // one in each object
}

TEST_CASE("json_lines: invalid UTF-8 is an error with its byte", "[data][json_lines]") {
  REQUIRE(line_error("{\"a\":\"\xC3\x28\"}") == "byte 7 of the line is not valid UTF-8");
}

TEST_CASE("json_lines: depth is limited, and the limit itself is allowed", "[data][json_lines]") {
  REQUIRE(line_error(nested(64)) == "no error");
  REQUIRE(line_error(nested(65)) == "lists and objects are nested deeper than the limit of 64");
  REQUIRE(error_in(data::json_lines_in(nested(3), "f", {.depth = 2})) ==
          "data::json_lines: f:1: lists and objects are nested deeper than the limit of 2");
}

TEST_CASE("json_lines: a hundred thousand brackets do no harm", "[data][json_lines]") {
  std::string const brackets(100'000, '[');
  REQUIRE(error_in(data::json_lines_in(brackets, "f")) ==
          "data::json_lines: f: truncated: the file ends inside its JSON array");
  REQUIRE(line_error(brackets + std::string(100'000, ']')) ==
          "found a list; expected one JSON object per line");
  REQUIRE(line_error("{\"a\":" + brackets) ==
          "lists and objects are nested deeper than the limit of 64");
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
  REQUIRE(line_error(objects) == "lists and objects are nested deeper than the limit of 64");
}

TEST_CASE("json_lines: a very long line is read, and refused beyond the limit",
          "[data][json_lines]") {
  std::string const line = "{\"a\":\"" + std::string(3'000'000, 'x') + "\"}";
  REQUIRE(data::text(one(line), "a").size() == 3'000'000);
  REQUIRE(error_in(data::json_lines_in("{}\n" + line, "f", {.bytes = 1'000'000})) ==
          "data::json_lines: f:2: the line is longer than the limit of 1000000 bytes");
}

TEST_CASE("number: integers and fractions, nothing else", "[data][json_lines]") {
  auto const row = one(
      R"({"i":-3,"u":18446744073709551615,"f":0.25,"s":"nan","n":null,"l":[1],"o":{},"b":false})");
  REQUIRE(data::number(row, "i") == -3.0);
  REQUIRE(data::number(row, "u") == 18446744073709551616.0);  // 2^64: the nearest double
  REQUIRE(data::number(row, "f") == 0.25);
  auto const error = [&](char const* name) {
    return error_of([&] { static_cast<void>(data::number(row, name)); });
  };
  REQUIRE(error("s") ==
          "data::json_lines: f:1: field \"s\": found the string \"nan\"; expected a finite number");
  REQUIRE(error("n") == "data::json_lines: f:1: field \"n\": found null; expected a finite number");
  REQUIRE(error("l") ==
          "data::json_lines: f:1: field \"l\": found a list; expected a finite number");
  REQUIRE(error("o") ==
          "data::json_lines: f:1: field \"o\": found an object; expected a finite number");
  REQUIRE(error("b") ==
          "data::json_lines: f:1: field \"b\": found false; expected a finite number");
}

TEST_CASE("number: a missing field is an error that points at a misspelling",
          "[data][json_lines]") {
  auto const row = one(R"({"polcy_chosen": 1, "other": 2})");
  REQUIRE(
      error_of([&] { static_cast<void>(data::number(row, "policy_chosen")); }) ==
      "data::json_lines: f:1: field \"policy_chosen\" is missing; expected a number of this name; "
      "is \"polcy_chosen\" a misspelling of it?");
  REQUIRE(error_of([&] { static_cast<void>(data::number(row, "reference")); }) ==
          "data::json_lines: f:1: field \"reference\" is missing; expected a number of this name");
}

TEST_CASE("optional_number: absent and null are nothing, a wrong type is an error",
          "[data][json_lines]") {
  auto const row = one(R"({"x": 4, "n": null, "s": "4"})");
  REQUIRE(data::optional_number(row, "x") == 4.0);
  REQUIRE_FALSE(data::optional_number(row, "n").has_value());
  REQUIRE_FALSE(data::optional_number(row, "y").has_value());
  REQUIRE_THAT(error_of([&] { static_cast<void>(data::optional_number(row, "s")); }),
               EndsWith("field \"s\": found the string \"4\"; expected a finite number"));
}

TEST_CASE("text: strings, nothing else", "[data][json_lines]") {
  auto const row = one(R"({"s": "a\nb", "e": "", "x": 1.5, "n": null})");
  REQUIRE(data::text(row, "s") == "a\nb");
  REQUIRE(data::text(row, "e").empty());
  REQUIRE(data::optional_text(row, "s") == "a\nb");
  REQUIRE_FALSE(data::optional_text(row, "n").has_value());
  REQUIRE_THAT(error_of([&] { static_cast<void>(data::text(row, "x")); }),
               EndsWith("field \"x\": found the number 1.5; expected a string"));
  REQUIRE_THAT(error_of([&] { static_cast<void>(data::text(row, "y")); }),
               EndsWith("field \"y\" is missing; expected a string of this name"));
}

TEST_CASE("truth: booleans and the integers 0 and 1", "[data][json_lines]") {
  auto const row =
      one(R"({"t": true, "f": false, "one": 1, "zero": 0, "two": 2, "half": 1.0, "s": "true"})");
  REQUIRE(data::truth(row, "t"));
  REQUIRE_FALSE(data::truth(row, "f"));
  REQUIRE(data::truth(row, "one"));
  REQUIRE_FALSE(data::truth(row, "zero"));
  auto const error = [&](char const* name) {
    return error_of([&] { static_cast<void>(data::truth(row, name)); });
  };
  REQUIRE_THAT(error("two"),
               EndsWith("field \"two\": found the number 2; expected true, false, 1 or 0"));
  REQUIRE_THAT(error("half"),
               EndsWith("field \"half\": found the number 1.0; expected true, false, 1 or 0"));
  REQUIRE_THAT(error("s"),
               EndsWith("field \"s\": found the string \"true\"; expected true, false, 1 or 0"));
}

TEST_CASE("refuse_misspelt: a near miss of an absent field is an error", "[data][json_lines]") {
  auto const error = [](std::string_view line) {
    return error_of([&] { data::refuse_misspelt(one(line), {"weight", "beta"}); });
  };
  REQUIRE(error(R"({"wieght": 1})") ==
          "data::json_lines: f:1: field \"wieght\" is unknown; did you mean \"weight\"?");
  REQUIRE(error(R"({"weights": 1, "weight": 1})") == "no error");  // the known field is there
  REQUIRE(error(R"({"id": 1, "source": "x", "meta": {}})") == "no error");
}
