// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/data/json_lines.hpp>

#include "error_of.hpp"

namespace data = prefer::data;

namespace {

std::vector<std::pair<std::size_t, std::string>> rows_of(std::string_view text) {
  std::vector<std::pair<std::size_t, std::string>> all;
  for (auto const& row : data::json_lines_in(text, "f")) {
    all.emplace_back(row.at.line, row.fields.dump());
  }
  return all;
}

std::string array_error(std::string_view text) {
  std::string const error = error_in(data::json_lines_in(text, "f"));
  std::string const start = "data::json_lines: f: ";
  return error.starts_with(start) ? error.substr(start.size()) : error;
}

using numbered = std::vector<std::pair<std::size_t, std::string>>;

}  // namespace

TEST_CASE("JSON array: each element is a row, and its number the line", "[data][json_array]") {
  numbered const expected = {{1, R"({"a":1})"}, {2, R"({"b":[1,{"c":"]},["}]})"}};
  REQUIRE(rows_of(R"([{"a":1},{"b":[1,{"c":"]},["}]}])") == expected);
  REQUIRE(
      rows_of(
          "\xEF\xBB\xBF\r\n [\r\n {\r\n \"a\": 1\r\n},\n\n{\"b\":[1,\n{\"c\":\"]},[\"}]}\n ] \n") ==
      expected);
}

TEST_CASE("JSON array: a quote behind a backslash does not end a string", "[data][json_array]") {
  REQUIRE(rows_of(R"([{"a":"\\\",{"},{"b":"\\"}])") ==
          numbered{{1, R"({"a":"\\\",{"})"}, {2, R"({"b":"\\"})"}});
}

TEST_CASE("JSON array: elements longer than a block arrive whole, wherever blocks end",
          "[data][json_array]") {
  std::string text = "[";
  for (std::size_t i = 0; i < 50; ++i) {
    text += (i == 0 ? "" : " , ") + std::string("{\"x\":\"") + std::string(7919 * i, 'x') + "\"}";
  }
  auto const rows = rows_of(text + "]");
  REQUIRE(rows.size() == 50);
  for (std::size_t i = 0; i < 50; ++i) {
    REQUIRE(rows[i].first == i + 1);
    REQUIRE(rows[i].second.size() == 8 + 7919 * i);
  }
}

TEST_CASE("JSON array: every beginning of one is an error", "[data][json_array]") {
  std::string const text = R"([{"a":"]"},{"b":[{}]}])";
  for (std::size_t length = 1; length < text.size(); ++length) {
    CAPTURE(length);
    REQUIRE(array_error(text.substr(0, length)) ==
            "truncated: the file ends inside its JSON array");
  }
}

TEST_CASE("JSON array: what is no array is refused with the element", "[data][json_array]") {
  REQUIRE(array_error("[{},]") == "element 2 of the JSON array: there is a comma, and no element");
  REQUIRE(array_error("[,{}]") == "element 1 of the JSON array: there is a comma, and no element");
  REQUIRE(array_error("[{}}]") ==
          "element 1 of the JSON array: a bracket is closed that was not opened");
  REQUIRE(array_error("[{}] {}") == "something stands behind the end of the JSON array");
  REQUIRE(array_error("[]") == "there is nothing in it; expected one JSON object per line");
  REQUIRE_THAT(array_error("[{} {}]"), Catch::StartsWith("data::json_lines: f:1: not valid JSON"));
  REQUIRE_THAT(array_error("[{\"a\":\"x\ny\"}]"),
               Catch::StartsWith("data::json_lines: f:1: the line ends inside"));
}
