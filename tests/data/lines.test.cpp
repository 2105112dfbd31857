// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/data/lines.hpp>

#include "error_of.hpp"

namespace data = prefer::data;

namespace {

data::line_reader lines_of(std::string_view text, std::size_t most_bytes = 1000) {
  return {std::make_unique<data::text_bytes>(text), data::place{"read", "text", 0}, "lines",
          most_bytes};
}

using numbered = std::vector<std::pair<std::size_t, std::string>>;

numbered all_of(data::line_reader reader) {
  numbered all;
  while (reader.next()) all.emplace_back(reader.at().line, reader.line());
  return all;
}

std::string error_reading(std::string_view text, std::size_t most_bytes = 1000) {
  return error_of([&] { all_of(lines_of(text, most_bytes)); });
}

// A line without end.
class endless final : public data::byte_source {
 public:
  explicit endless(std::size_t& given) : given_(&given) {}
  std::size_t read(char* to, std::size_t count) override {
    if (*given_ > 10'000'000) throw std::logic_error("read on far behind the limit");
    std::fill_n(to, count, 'x');
    *given_ += count;
    return count;
  }

 private:
  std::size_t* given_;
};

// Gives one byte per call, so that every line crosses the end of a block.
class one_byte_at_a_time final : public data::byte_source {
 public:
  explicit one_byte_at_a_time(std::string text) : text_(std::move(text)) {}
  std::size_t read(char* to, std::size_t) override {
    if (at_ == text_.size()) return 0;
    *to = text_[at_++];
    return 1;
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

}  // namespace

TEST_CASE("line_reader: blank lines are passed over and counted", "[data][lines]") {
  REQUIRE(all_of(lines_of("\na\n \t\n\nb\n")) == numbered{{2, "a"}, {5, "b"}});
}

TEST_CASE("line_reader: a line ends in LF or CR LF", "[data][lines]") {
  REQUIRE(all_of(lines_of("a\r\n\r\nb\nc\r\n")) == numbered{{1, "a"}, {3, "b"}, {4, "c"}});
}

TEST_CASE("line_reader: the last line needs no end", "[data][lines]") {
  auto reader = lines_of("a\nb");
  REQUIRE(reader.next());
  REQUIRE(reader.has_line_end());
  REQUIRE(reader.next());
  REQUIRE(reader.line() == "b");
  REQUIRE_FALSE(reader.has_line_end());
  REQUIRE_FALSE(reader.next());
  REQUIRE_FALSE(reader.next());
}

TEST_CASE("line_reader: a byte order mark is skipped at the start only", "[data][lines]") {
  REQUIRE(all_of(lines_of("\xEF\xBB\xBF"
                          "a\n\xEF\xBB\xBF"
                          "b\n")) == numbered{{1, "a"},
                                              {2,
                                               "\xEF\xBB\xBF"
                                               "b"}});
}

TEST_CASE("line_reader: nothing to read is an error", "[data][lines]") {
  REQUIRE(error_reading("") == "read: text: there is nothing in it; expected lines");
  REQUIRE(error_reading("\n \r\n") == "read: text: there are only blank lines; expected lines");
}

TEST_CASE("line_reader: a line longer than the limit is an error, one of that length is not",
          "[data][lines]") {
  REQUIRE(error_reading("a\n1234567890\n", 10) == "no error");
  REQUIRE(error_reading("a\n12345678901\n", 10) ==
          "read: text:2: the line is longer than the limit of 10 bytes");
  REQUIRE(error_reading("a\n" + std::string(1u << 20, 'x'), 10) ==
          "read: text:2: the line is longer than the limit of 10 bytes");
}

TEST_CASE("line_reader: a line without end is given up soon behind the limit", "[data][lines]") {
  std::size_t given = 0;
  data::line_reader reader(std::make_unique<endless>(given), data::place{"read", "text", 0},
                           "lines", 1000);
  REQUIRE(error_of([&] { reader.next(); }) ==
          "read: text:1: the line is longer than the limit of 1000 bytes");
  REQUIRE(given < 1'000'000);
}

TEST_CASE("line_reader: lines longer than a block arrive whole", "[data][lines]") {
  std::string const x(300'000, 'x'), y(70'000, 'y');
  REQUIRE(all_of(lines_of(x + "\n" + y + "\nz", 1u << 20)) == numbered{{1, x}, {2, y}, {3, "z"}});
}

TEST_CASE("line_reader: it does not matter how the source cuts its bytes", "[data][lines]") {
  data::line_reader reader(std::make_unique<one_byte_at_a_time>("\xEF\xBB\xBF"
                                                                "ab\r\n\ncd\r\nef"),
                           data::place{"read", "text", 0}, "lines", 1000);
  REQUIRE(all_of(std::move(reader)) == numbered{{1, "ab"}, {3, "cd"}, {4, "ef"}});
}

TEST_CASE("line_reader: invalid UTF-8 is an error with its byte", "[data][lines]") {
  REQUIRE(error_reading("ok\nab\xFF"
                        "c\n") == "read: text:2: byte 3 of the line is not valid UTF-8");
}

TEST_CASE("line_reader: a NUL is an error", "[data][lines]") {
  REQUIRE(error_reading(std::string_view("a\0b\n", 4)) ==
          "read: text:1: byte 2 of the line is NUL; expected text");
}

TEST_CASE("line_reader: goes on behind a line that is too long", "[data][lines]") {
  auto reader = lines_of("a\n" + std::string(300'000, 'x') + "\nb\n", 10);
  REQUIRE(reader.next());
  REQUIRE(error_of([&] { reader.next(); }) ==
          "read: text:2: the line is longer than the limit of 10 bytes");
  REQUIRE(reader.next());
  REQUIRE(reader.line() == "b");
  REQUIRE(reader.at().line == 3);
  REQUIRE_FALSE(reader.next());
}

TEST_CASE("line_reader: a missing file and a directory are errors with the path", "[data][lines]") {
  REQUIRE_THAT(error_of([] {
                 data::file_bytes(data::place{"read", "/nowhere/x.jsonl", 0});
               }),
               Catch::StartsWith("read: /nowhere/x.jsonl: cannot open file: "));
  REQUIRE_THAT(error_of([] {
                 data::place const at{"read", "/", 0};
                 data::line_reader(std::make_unique<data::file_bytes>(at), at, "lines", 10).next();
               }),
               Catch::StartsWith("read: /: cannot "));
}

TEST_CASE("line_reader: a stream that breaks is an error", "[data][lines]") {
  std::istringstream stream("a\nb\n");
  stream.setstate(std::ios::badbit);
  data::place const at{"read", "stream", 0};
  data::line_reader reader(std::make_unique<data::stream_bytes>(stream, at), at, "lines", 10);
  REQUIRE(error_of([&] { reader.next(); }) == "read: stream: cannot read stream");
}
