// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <prefer/data/json_lines.hpp>

#include "error_of.hpp"

namespace data = prefer::data;
using Catch::StartsWith;

namespace {

std::string error_in_bytes(std::string_view bytes) {
  return error_in(data::json_lines_in(bytes, "f"));
}

// "gzip" of the tests: two bytes before the text.
class without_two_bytes final : public data::byte_source {
 public:
  explicit without_two_bytes(std::unique_ptr<data::byte_source> source)
      : source_(std::move(source)) {
    char two[2];
    for (char& each : two) source_->read(&each, 1);
  }
  std::size_t read(char* to, std::size_t count) override { return source_->read(to, count); }

 private:
  std::unique_ptr<data::byte_source> source_;
};

}  // namespace

TEST_CASE("first bytes: what is no text is refused with the command that makes one of it",
          "[data][first_bytes]") {
  std::pair<std::string_view, std::string_view> const files[] = {
      {"\x1F\x8B\x08", "compressed (gzip); expected plain text, which this makes of it: gzip -dc "},
      {{"\xFD"
        "7zXZ\0\0",
        7},
       "compressed (xz); expected plain text, which this makes of it: xz "},
      {"\x28\xB5\x2F\xFD$",
       "compressed (zstd); expected plain text, which this makes of it: zstd "},
      {"BZh91AY", "compressed (bzip2); expected plain text, which this makes of it: bzip2 "},
      {"\x04\x22\x4D\x18", "compressed (lz4); expected plain text, which this makes of it: lz4 "},
      {"PK\x03\x04\n", "an archive (zip); expected plain text, which this makes of it: unzip "},
      {"PAR1\x15", "Parquet; expected plain text, which this makes of it: python3 -c "},
      {"ARROW1\n", "Arrow; expected plain text, which this makes of it: python3 -c "},
      {"\xFF\xFF\xFF\xFF\n",
       "an Arrow stream; expected plain text, which this makes of it: python3 "},
      {"version https://git-lfs.github.com/spec/v1\n",
       "a pointer of Git LFS; expected plain text, which this makes of it: git lfs pull"},
      {{"\xFF\xFE{\0", 4}, "UTF-16; expected plain text, which this makes of it: iconv "}};
  for (auto const& [bytes, said] : files) {
    CAPTURE(said);
    REQUIRE_THAT(error_in_bytes(bytes),
                 StartsWith("data::json_lines: f: the file is " + std::string(said)));
    REQUIRE(error_in_bytes(bytes).size() < 400);
  }
  REQUIRE_THAT(error_in_bytes("rows.jsonl" + std::string(247, '\0') + "ustar"),
               StartsWith("data::json_lines: f: the file is an archive (tar); "));
}

TEST_CASE("first bytes: a decoder reads what it is for, and only that", "[data][first_bytes]") {
  data::decoders const with{.gzip = [](std::unique_ptr<data::byte_source> source,
                                       data::place const&) -> std::unique_ptr<data::byte_source> {
    return std::make_unique<without_two_bytes>(std::move(source));
  }};
  auto const read = [&](std::string_view text) {
    return (*data::json_lines_in(text, "f", {}, with).begin()).fields.dump();
  };
  REQUIRE(read("\x1F\x8B{\"a\":1}\n") == "{\"a\":1}");
  REQUIRE(read("{\"a\":1}\n") == "{\"a\":1}");
  REQUIRE(read("{}") == "{}");
  REQUIRE_THAT(error_in(data::json_lines_in("BZh9", "f", {}, with)),
               StartsWith("data::json_lines: f: the file is compressed (bzip2)"));
  // Compressed twice is compressed still.
  REQUIRE_THAT(error_in(data::json_lines_in("\x1F\x8B\x1F\x8B", "f", {}, with)),
               StartsWith("data::json_lines: f: the file is compressed (gzip)"));
}
