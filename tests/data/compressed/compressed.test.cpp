// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <lzma.h>
#include <zlib.h>

#include <prefer/data/gzip.hpp>
#include <prefer/data/json_lines.hpp>
#include <prefer/data/preference.hpp>
#include <prefer/data/xz.hpp>

#include "../error_of.hpp"

namespace data = prefer::data;
using Catch::Contains;

namespace {

std::string gzipped(std::string const& text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::vector<unsigned char> in(text.begin(), text.end());
  std::vector<unsigned char> out(deflateBound(&stream, in.size()) + 64);
  stream.next_in = in.data();
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  std::string result(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(stream.total_out));
  deflateEnd(&stream);
  return result;
}

std::string xz_of(std::string const& text) {
  std::vector<std::uint8_t> const in(text.begin(), text.end());
  std::vector<std::uint8_t> out(lzma_stream_buffer_bound(in.size()));
  std::size_t written = 0;
  REQUIRE(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC64, nullptr, in.data(), in.size(), out.data(),
                                  &written, out.size()) == LZMA_OK);
  return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(written)};
}

constexpr data::decoders with{.gzip = data::gzip_decoder, .xz = data::xz_decoder};

std::string text_in(std::string_view bytes) {
  std::string all;
  for (auto const& row : data::json_lines_in(bytes, "f", {}, with)) {
    all += row.fields.dump() + "\n";
  }
  return all;
}
std::string objection(std::string_view bytes) {
  return error_in(data::json_lines_in(bytes, "f", {}, with));
}

/// A few hundred kilobytes, which no block holds.
std::string long_text() {
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "{\"x\":" + std::to_string(i * 7919) + "}\n";
  return text;
}

struct way {
  char const* name;
  std::string (*compress)(std::string const&);
};
way const ways[] = {{"gzip", gzipped}, {"xz", xz_of}};

}  // namespace

TEST_CASE("compressed: what was compressed comes out, of one piece or of several",
          "[data][compressed]") {
  std::string const text = long_text();
  for (way const& each : ways) {
    CAPTURE(each.name);
    REQUIRE(text_in(each.compress(text)) == text);
    REQUIRE(text_in(each.compress(text) + each.compress("{\"y\":1}\n")) == text + "{\"y\":1}\n");
    REQUIRE(text_in(each.compress("[{\"y\":1},{\"y\":2}]")) == "{\"y\":1}\n{\"y\":2}\n");
  }
}

TEST_CASE("compressed: a file that was cut off is called truncated, wherever",
          "[data][compressed]") {
  for (way const& each : ways) {
    std::string const bytes = each.compress("{\"x\":1}\n{\"y\":2}\n");
    for (std::size_t length = 8; length < bytes.size(); ++length) {
      CAPTURE(each.name, length);
      REQUIRE_THAT(objection(bytes.substr(0, length)),
                   Catch::StartsWith("data::json_lines: f: truncated: the file ends inside its "));
    }
  }
}

TEST_CASE("compressed: what stands behind the data is refused", "[data][compressed]") {
  for (way const& each : ways) {
    CAPTURE(each.name);
    REQUIRE_THAT(objection(each.compress("{\"x\":1}\n") + "some garbage behind the end"),
                 Contains("behind"));
  }
}

TEST_CASE("compressed: damage is an error", "[data][compressed]") {
  for (way const& each : ways) {
    std::string bytes = each.compress(long_text());
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x55);
    CAPTURE(each.name);
    REQUIRE_THAT(objection(bytes), Catch::StartsWith("data::json_lines: f:"));
  }
}

TEST_CASE("compressed: preferences are read through the same decoders", "[data][compressed]") {
  std::string const row = R"({"prompt":"p","chosen":"a","rejected":"b"})";
  for (way const& each : ways) {
    auto const pair = *data::pairs_in(each.compress(row), "f", {.decode = with}).begin();
    REQUIRE(data::to_json(pair) == row);
  }
}
