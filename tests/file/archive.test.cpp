// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <string>
#include <vector>

using Catch::Contains;
using prefer::archive;
using prefer::archive_writer;

namespace {

using bytes = std::vector<unsigned char>;

void add_small(archive_writer& file) {
  file.add("loss", "dpo");
  file.add("step", std::uint64_t{100});
  file.add("value/bias", std::vector<float>{1.5F, -2.0F, 3.0F});
}

bytes small_file() {
  archive_writer file;
  add_small(file);
  return file.bytes();
}

// What a forger would do: the checksum of the changed content.
bytes with_checksum(bytes content) {
  std::size_t const end = content.size() - 8;
  auto const sum =
      prefer::detail::archive_checksum(std::span<unsigned char const>(content).first(end));
  std::memcpy(content.data() + end, &sum, 8);
  return content;
}

template <class T>
bytes with_number(bytes content, std::size_t offset, T number) {
  std::memcpy(content.data() + offset, &number, sizeof number);
  return with_checksum(content);
}

template <class T>
void number_bytes(bytes& out, T number) {
  auto const* const first = reinterpret_cast<unsigned char const*>(&number);
  out.insert(out.end(), first, first + sizeof number);
}

archive parse(bytes content) { return archive::parse(std::move(content), "test.prefer"); }

}  // namespace

TEST_CASE("archive: gives back every type that was added, bit by bit", "[file][archive]") {
  std::vector<float> const floats = {0.0F, -0.0F, 1e-45F, std::numeric_limits<float>::infinity()};
  std::vector<double> const doubles = {std::numeric_limits<double>::quiet_NaN(), 0.1};
  std::vector<std::int64_t> const integers = {std::numeric_limits<std::int64_t>::min(), -1};
  std::array<std::uint64_t, 1> const unsigned_integers = {~std::uint64_t{0}};
  std::string const text("two\0lines\n", 10);
  archive_writer writer;
  writer.add("floats", std::span(floats));
  writer.add("doubles", doubles);
  writer.add("integers", integers);
  writer.add("unsigned", unsigned_integers);
  writer.add("nothing", std::vector<double>{});
  writer.add("text", text);
  writer.add("empty text", "");
  writer.add("float", 2.5F);
  writer.add("double", 2.5);
  writer.add("zero", 0);
  writer.add("int", -3);
  writer.add("size", std::uint32_t{7});

  auto const file = parse(writer.bytes());
  auto const same_bits = [](auto const& left, auto const& right) {
    return left.size() == right.size() &&
           std::memcmp(left.data(), right.data(), left.size() * sizeof(left[0])) == 0;
  };
  CHECK(same_bits(file.get<float>("floats"), floats));
  CHECK(same_bits(file.get<double>("doubles"), doubles));
  CHECK(file.get<std::int64_t>("integers") == integers);
  CHECK(file.get<std::uint64_t>("unsigned") == std::vector<std::uint64_t>{~std::uint64_t{0}});
  CHECK(file.get<double>("nothing").empty());
  CHECK(file.text("text") == text);
  CHECK(file.text("empty text").empty());
  CHECK(file.number<float>("float") == 2.5F);
  CHECK(file.number<double>("double") == 2.5);
  CHECK(file.number<std::int64_t>("zero") == 0);
  CHECK(file.number<std::int64_t>("int") == -3);
  CHECK(file.number<std::uint64_t>("size") == 7);
  CHECK(file.names().size() == 12);
  CHECK(file.contains("text"));
  CHECK_FALSE(file.contains("tex"));
}

TEST_CASE("archive: the file has the documented bytes", "[file][archive]") {
  bytes expected = {'p', 'r', 'e', 'f', 'e', 'r', 0x1a, 0x0a, 2, 0, 0, 0, 0, 0, 0, 0};
  bytes const step = {4,   0,   0,   0,   4, 0, 0, 0, 1,    0, 0, 0, 0, 0, 0, 0,
                      's', 't', 'e', 'p', 0, 0, 0, 0, 0x2a, 1, 0, 0, 0, 0, 0, 0};
  bytes const loss = {5,   0,   0,   0,   4, 0, 0, 0, 3,   0,   0,   0, 0, 0, 0, 0,
                      'l', 'o', 's', 's', 0, 0, 0, 0, 'd', 'p', 'o', 0, 0, 0, 0, 0};
  expected.insert(expected.end(), step.begin(), step.end());
  expected.insert(expected.end(), loss.begin(), loss.end());
  number_bytes(expected, std::uint64_t{2});
  number_bytes(expected, std::uint64_t{16 + 32 + 32 + 24});
  expected.resize(expected.size() + 8);

  archive_writer writer;
  writer.add("step", std::uint64_t{0x12a});
  writer.add("loss", "dpo");
  CHECK(writer.bytes() == with_checksum(expected));
  CHECK(parse(writer.bytes()).names() == std::vector<std::string>{"step", "loss"});
}

TEST_CASE("archive: written to a file and read back", "[file][archive]") {
  std::string const path = "archive_test.prefer";
  archive_writer writer(path);
  add_small(writer);
  CHECK_THROWS_WITH(archive::read(path), Contains("cannot open file"));
  writer.commit();
  CHECK(prefer::read_bytes(path) == small_file());
  auto const file = archive::read(path);
  CHECK(file.path() == path);
  CHECK(file.get<float>("value/bias") == std::vector<float>{1.5F, -2.0F, 3.0F});
  std::remove(path.c_str());
  CHECK_THROWS_WITH(archive::read(path), Contains(path) && Contains("cannot open file"));
  CHECK_THROWS_WITH(archive_writer("no/such/folder/file"), Contains("no/such/folder/file"));
}

TEST_CASE("archive_writer: what is larger than a block of its checksum is the same in a file",
          "[file][archive]") {
  // Ends before, at and after a block: an entry is its header, the name and the numbers, after the file's header.
  std::string const path = "archive_blocks.prefer";
  for (std::size_t const around : {8160u, 8184u, 8185u, 8186u, 8187u, 8188u, 8189u, 20000u}) {
    CAPTURE(around);
    std::vector<double> numbers(around);
    for (std::size_t i = 0; i < around; ++i) numbers[i] = static_cast<double>(i);
    archive_writer in_memory;
    in_memory.add("numbers", numbers);
    archive_writer in_file(path);
    in_file.add("numbers", numbers);
    in_file.commit();
    CHECK(prefer::read_bytes(path) == in_memory.bytes());
    CHECK(archive::read(path).get<double>("numbers") == numbers);
  }
  std::remove(path.c_str());
}

TEST_CASE("archive_writer: writes at once, and what was there stays until commit",
          "[file][archive]") {
  std::string const path = "archive_stream.prefer";
  {
    archive_writer first(path);
    add_small(first);
    first.commit();
  }
  {
    archive_writer second(path);
    second.add("large", std::vector<double>(100000));
    CHECK(archive::read(path).contains("loss"));
  }  // given up
  CHECK(archive::read(path).contains("loss"));
  std::remove(path.c_str());
}

TEST_CASE("archive_writer: into memory or into a file, not both", "[file][archive]") {
  archive_writer in_memory;
  CHECK_THROWS_WITH(in_memory.commit(), Contains("has no path"));
  archive_writer in_file("archive_neither.prefer");
  CHECK_THROWS_WITH(in_file.bytes(), Contains("writes into a file"));
}

TEST_CASE("archive: an entry that is missing or does not fit is refused by name",
          "[file][archive]") {
  auto const file = parse(small_file());
  CHECK_THROWS_AS(file.text("beta"), prefer::backend_error);
  CHECK_THROWS_WITH(file.text("beta"), Contains("test.prefer") && Contains("no entry 'beta'"));
  CHECK_THROWS_WITH(file.number<double>("step"),
                    Contains("'step'") && Contains("uint64") && Contains("double"));
  CHECK_THROWS_WITH(file.get<float>("loss"), Contains("'loss'") && Contains("text"));
  std::vector<float> two(2);
  CHECK_THROWS_WITH(file.copy_to("value/bias", std::span(two)),
                    Contains("'value/bias'") && Contains("3 elements, expected 2"));
  CHECK_THROWS_WITH(file.number<float>("value/bias"), Contains("3 elements, expected 1"));
}

TEST_CASE("archive: a part of an array is copied, of an array of the expected size",
          "[file][archive]") {
  auto const file = parse(small_file());
  auto const whole = file.get<float>("value/bias");
  for (std::size_t begin = 0; begin <= 3; ++begin) {
    for (std::size_t end = begin; end <= 3; ++end) {
      std::vector<float> part(end - begin);
      file.copy_part_to("value/bias", 3, begin, std::span(part));
      CHECK(std::equal(part.begin(), part.end(), whole.begin() + static_cast<int>(begin)));
    }
  }
  std::vector<float> two(2);
  CHECK_THROWS_WITH(file.copy_part_to("value/bias", 4, 0, std::span(two)),
                    Contains("'value/bias'") && Contains("3 elements, expected 4"));
  CHECK_THROWS_WITH(file.copy_part_to("value/bias", 3, 2, std::span(two)),
                    "archive::copy_part_to: the part goes past the end of the array");
}

TEST_CASE("archive_writer: a name is needed, once", "[file][archive]") {
  archive_writer writer;
  writer.add("step", 1);
  CHECK_THROWS_AS(writer.add("", 1), prefer::precondition_error);
  CHECK_THROWS_WITH(writer.add("step", 2.0), Contains("'step'"));
}

TEST_CASE("archive: a file cut off anywhere is refused", "[file][archive]") {
  auto const whole = small_file();
  for (std::size_t size = 0; size != whole.size(); ++size) {
    bytes const part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    REQUIRE_THROWS_AS(parse(part), prefer::backend_error);
    // And so is one that claims to be no longer than it is.
    if (size < 40) continue;
    REQUIRE_THROWS_AS(parse(with_number(part, size - 16, std::uint64_t{size})),
                      prefer::backend_error);
  }
  auto longer = whole;
  longer.push_back(0);
  CHECK_THROWS_WITH(parse(longer), Contains("appended"));
}

TEST_CASE("archive: a change of any byte to any value is refused", "[file][archive]") {
  auto const whole = small_file();
  for (std::size_t i = 0; i != whole.size(); ++i) {
    for (int change = 1; change != 256; ++change) {
      auto damaged = whole;
      damaged[i] = static_cast<unsigned char>(damaged[i] ^ change);
      REQUIRE_THROWS_AS(parse(damaged), prefer::backend_error);
    }
  }
}

TEST_CASE("archive: damage under a correct checksum is refused or is another valid file",
          "[file][archive]") {
  auto const whole = small_file();
  int accepted = 0;
  for (std::size_t i = 0; i != whole.size() - 8; ++i) {
    for (int change = 1; change != 256; ++change) {
      auto forged = whole;
      forged[i] = static_cast<unsigned char>(forged[i] ^ change);
      forged = with_checksum(forged);
      try {
        auto const file = parse(forged);
        ++accepted;
        REQUIRE(file.names().size() == 3);
      } catch (prefer::backend_error const&) {
      }
    }
  }
  // What can change unseen is content (3, 8 and 12 bytes), names (4, 4 and 10), and a number's type.
  CHECK(accepted >= (3 + 8 + 12 + 4 + 4 + 10) * 255);
  CHECK(accepted < (3 + 8 + 12 + 4 + 4 + 10 + 3) * 255);
}

TEST_CASE("archive: each kind of damage has its own sentence", "[file][archive]") {
  auto const whole = small_file();
  CHECK_THROWS_WITH(parse({}), Contains("not a prefer archive"));
  CHECK_THROWS_WITH(parse({'#', '!', '/', 'b', 'i', 'n', '/', 's', 'h'}),
                    Contains("not a prefer archive"));
  CHECK_THROWS_WITH(parse(bytes(whole.begin(), whole.begin() + 20)), Contains("truncated"));
  CHECK_THROWS_WITH(parse(bytes(whole.begin(), whole.end() - 1)), Contains("truncated"));
  CHECK_THROWS_WITH(parse(with_number(whole, 8, std::uint32_t{3})),
                    Contains("version 3, expected 2"));
  auto damaged = whole;
  damaged[50] ^= 1;
  CHECK_THROWS_WITH(parse(damaged), Contains("checksum"));

  // The first entry, "loss", begins at 16: kind, size of the name at 20, number of elements at 24, name at 32.
  CHECK_THROWS_WITH(parse(with_number(whole, 12, std::uint32_t{1})), Contains("header"));
  CHECK_THROWS_WITH(parse(with_number(whole, whole.size() - 24, std::uint64_t{2})),
                    Contains("another number of entries"));
  CHECK_THROWS_WITH(parse(with_number(whole, 16, std::uint32_t{9})),
                    Contains("'loss'") && Contains("type"));
  CHECK_THROWS_WITH(parse(with_number(whole, 20, std::uint32_t{0})), Contains("no name"));
  CHECK_THROWS_WITH(parse(with_number(whole, 20, std::uint32_t{0xffffffff})),
                    Contains("past the end"));
  CHECK_THROWS_WITH(parse(with_number(whole, 36, std::uint32_t{1})),
                    Contains("between two entries"));
  // As numbers of 8 bytes, 2^61 of them would be 2^64 bytes, that is none.
  auto const many = with_number(whole, 24, std::uint64_t{1} << 61);
  CHECK_THROWS_WITH(parse(with_number(many, 16, std::uint32_t{2})),
                    Contains("'loss' goes past the end"));
  // "step" (16 + 32 + 16) renamed to what stands before it.
  std::array<char, 4> const name = {'l', 'o', 's', 's'};
  CHECK_THROWS_WITH(parse(with_number(whole, 64, name)), Contains("'loss' is there twice"));
}
