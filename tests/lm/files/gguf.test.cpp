// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include <prefer/lm/files/gguf.hpp>
#include <prefer/lm/files/gguf_writer.hpp>
#include <support/message_of.hpp>
#include <support/temporary_folder.hpp>

#include "bytes.hpp"

namespace lm = prefer::lm;
using files_test::bytes;
using lm::tensor_type;
using prefer::test::message_of;

namespace {

/// GGUF's numbers of types.
enum : std::uint64_t { uint32 = 4, boolean = 7, text = 8, array = 9 };
enum : std::uint64_t { f32 = 0, q5_k = 13, q8_0 = 8 };

bytes header(std::uint64_t tensors, std::uint64_t entries, std::uint64_t version = 3) {
  return bytes().letters("GGUF").u32(version).u64(tensors).u64(entries);
}
bytes entry(std::string const& key, std::uint64_t type) { return bytes().text(key).u32(type); }
bytes tensor(std::string const& name, std::vector<std::uint64_t> const& extents, std::uint64_t type,
             std::uint64_t offset) {
  bytes all;
  all.text(name).u32(extents.size());
  for (auto const each : extents) all.u64(each);
  return all.u32(type).u64(offset);
}

std::string gguf_complaint(bytes const& file) {
  return message_of([&] { lm::gguf_file(file, "hostile.gguf"); });
}

std::string written_gguf(temporary_folder const& folder) {
  auto path = folder / "small.gguf";
  lm::gguf_writer file(path);
  file.add("general.architecture", "llama");
  file.add("a.flag", true);
  file.add("a.count", std::uint32_t{7});
  file.add("a.large", std::uint64_t{1} << 40);
  file.add("a.epsilon", 1e-5f);
  file.add("some.texts", std::vector<std::string>{"one", "", "three"});
  file.add("some.numbers", std::vector<std::int32_t>{3, -1});
  file.declare("matrix", tensor_type::f32, {2, 3});
  file.declare("blocks", tensor_type::q8_0, {1, 32});
  std::vector<float> const values = {1, 2, 3, 4, 5, 6};
  file.write(std::as_bytes(std::span(values)));
  std::vector<std::byte> const block(34, std::byte{1});
  file.write(std::span(block).first(10));
  file.write(std::span(block).subspan(10));
  file.commit();
  return path;
}

}  // namespace

TEST_CASE("gguf: what was written is read, metadata of every type and tensors where they lie",
          "[lm][files]") {
  temporary_folder const folder;
  auto const path = written_gguf(folder);
  lm::gguf_file const file(path);
  CHECK(file.version() == 3);
  CHECK(file.alignment() == 32);
  CHECK(file.text("general.architecture") == "llama");
  CHECK(file.flag("a.flag") == true);
  CHECK(file.whole_number("a.count") == 7);
  CHECK(file.whole_number("a.large") == std::uint64_t{1} << 40);
  CHECK(file.number("a.epsilon") == 1e-5);  // and not the float nearest to it
  CHECK(file.texts("some.texts") == std::vector<std::string_view>{"one", "", "three"});
  CHECK(file.integers("some.numbers") == std::vector<std::int64_t>{3, -1});
  CHECK_FALSE(file.text("no.such.key").has_value());

  auto const& matrix = *file.find("matrix");
  CHECK(matrix.shape == std::vector<std::size_t>{2, 3});
  CHECK(lm::detail::number_at<float>(file.bytes(matrix).data() + 16) == 5);
  auto const& blocks = *file.find("blocks");
  // What llama.cpp demands: each begins at the padded running sum of those before it.
  CHECK(blocks.offset == matrix.offset + 32);
  CHECK(matrix.offset % 32 == 0);
  CHECK(content_of(path).size() == blocks.offset + 64);
}

TEST_CASE("gguf: a key whose value is of another type than asked for is refused with both",
          "[lm][files]") {
  temporary_folder const folder;
  lm::gguf_file const file(written_gguf(folder));
  CHECK_THROWS_WITH(file.text("a.count"),
                    Catch::Contains("\"a.count\" is of type uint32, expected a text"));
  CHECK_THROWS_WITH(file.whole_number("a.epsilon"), Catch::Contains("expected a whole number"));
  CHECK_THROWS_WITH(file.number("a.flag"), Catch::Contains("is of type boolean"));
  CHECK_THROWS_WITH(file.texts("some.numbers"), Catch::Contains("is of type array of int32"));
  CHECK_THROWS_WITH(file.integers("general.architecture"), Catch::Contains("expected an array"));
}

TEST_CASE("gguf: a file that ends anywhere too early is refused", "[lm][files]") {
  temporary_folder const folder;
  auto const whole = content_of(written_gguf(folder));
  std::size_t const padding = 64 - 34;  // behind the last block nothing is missed
  for (std::size_t size = 0; size != whole.size() - padding; ++size) {
    auto const said = gguf_complaint(bytes().letters(whole.substr(0, size)));
    INFO(size << ": " << said);
    CHECK(said.rfind("gguf: hostile.gguf: ", 0) == 0);
  }
}

TEST_CASE("gguf: every count, length, type, shape and offset is checked before it is used",
          "[lm][files]") {
  constexpr std::uint64_t huge = ~std::uint64_t{0};
  struct hostile {
    bytes file;
    std::string complaint;
  };
  auto const one_tensor = [](bytes const& entry) { return header(1, 0).append(entry); };
  auto const with_data = [](bytes file) { return file.pad(32).zeros(64); };
  for (auto const& [file, expected] : std::vector<hostile>{
           {bytes().letters("GGML").u32(3), "does not begin with the letters GGUF"},
           {header(0, 0, 1), "is of GGUF version 1, expected 2 or 3"},
           {header(0, 0, 4), "is of GGUF version 4"},
           {header(0, 0, 0x03000000), "of the other byte order"},
           {header(huge, 0), "says that it has 18446744073709551615 tensors"},
           {header(0, huge), "keys of metadata"},
           {header(0, 1).u64(huge).zeros(8), "a key of metadata takes 18446744073709551615 bytes"},
           {header(0, 1).append(entry("", uint32)).u32(1), "is empty"},
           {header(0, 1).append(entry(std::string(70000, 'k'), uint32)).u32(1), "70000 bytes"},
           {header(0, 1).append(entry("k", 13)).u32(1), "has the type 13, which there is not"},
           {header(0, 1).append(entry("k", text)).u64(huge), "takes 18446744073709551615 bytes"},
           {header(0, 1).append(entry("k", array)).u32(uint32).u64(huge / 4 + 2), "elements of"},
           {header(0, 1).append(entry("k", array)).u32(text).u64(1 << 20), "elements of"},
           {header(0, 1).append(entry("k", array)).u32(array).u64(1).u32(4).u64(0),
            "is an array of arrays"},
           {header(0, 1).append(entry("k", boolean)).number(std::uint8_t{2}),
            "a boolean of 2, expected 0 or 1"},
           {header(0, 2).append(entry("k", uint32)).u32(1).append(entry("k", uint32)).u32(2),
            "metadata \"k\" is there twice"},
           {header(0, 1).append(entry("general.alignment", uint32)).u32(24),
            "is 24, expected a power of two"},
           {header(0, 1).append(entry("general.alignment", uint32)).u32(0), "is 0, expected"},
           {header(0, 1).append(entry("general.alignment", boolean)).zeros(1), "expected uint32"},
           {one_tensor(tensor("", {1}, f32, 0)), "has 0 bytes, expected 1 to 64"},
           {one_tensor(tensor(std::string(65, 'n'), {1}, f32, 0)), "has 65 bytes"},
           {one_tensor(tensor("t", {}, f32, 0)).zeros(9), "has 0 dimensions, expected 1 to 4"},
           {one_tensor(tensor("t", {1, 1, 1, 1, 1}, f32, 0)), "has 5 dimensions"},
           {one_tensor(tensor("t", {0}, f32, 0)), "has a dimension of 0"},
           {one_tensor(tensor("t", {huge}, f32, 0)), "has a dimension of 18446744073709551615"},
           {one_tensor(tensor("t", {1u << 31, 1u << 31, 4}, f32, 0)), "which no memory holds"},
           {one_tensor(tensor("t", {1, 1}, q5_k, 0)),
            "is of type Q5_K, which is not read here; expected one of F32 F16"},
           {one_tensor(tensor("t", {1}, 99, 0)), "is of type number 99"},
           {one_tensor(tensor("t", {48, 2}, q8_0, 0)), "expected a multiple of 32"},
           {with_data(one_tensor(tensor("t", {1}, f32, 7))),
            "expected a multiple of the alignment"},
           {with_data(one_tensor(tensor("t", {1}, f32, huge - 31))), "past the end of the file"},
           {with_data(one_tensor(tensor("t", {1}, f32, 64))), "past the end of the file"},
           {with_data(one_tensor(tensor("t", {17}, f32, 0))), "takes 68 bytes from byte 0"},
           {with_data(
                header(2, 0).append(tensor("t", {1}, f32, 0)).append(tensor("t", {1}, f32, 32))),
            "tensor \"t\" is there twice"},
           {with_data(
                header(2, 0).append(tensor("a", {9}, f32, 0)).append(tensor("b", {1}, f32, 32))),
            "tensors \"a\" and \"b\" overlap"}}) {
    INFO(expected);
    CHECK_THAT(gguf_complaint(file), Catch::Contains(expected));
  }
  CHECK(gguf_complaint(with_data(one_tensor(tensor("t", {16}, f32, 0)))) == "");
  CHECK(gguf_complaint(header(0, 0, 2)) == "");
}

TEST_CASE("gguf: an alignment that a file states is that of its tensors, read and written",
          "[lm][files]") {
  temporary_folder const folder;
  auto const path = folder / "aligned.gguf";
  lm::gguf_writer writer(path);
  writer.add("general.alignment", std::uint32_t{256});
  float const value = 5;
  for (auto const* const name : {"a", "b"}) writer.declare(name, tensor_type::f32, {1});
  for (int i = 0; i != 2; ++i) writer.write(std::as_bytes(std::span(&value, 1)));
  writer.commit();
  lm::gguf_file const file(path);
  CHECK(file.alignment() == 256);
  CHECK(file.find("a")->offset % 256 == 0);
  CHECK(file.find("b")->offset == file.find("a")->offset + 256);
}

TEST_CASE("gguf: the writer refuses what the format or llama.cpp has not", "[lm][files]") {
  temporary_folder const folder;
  auto const path = folder / "refused.gguf";
  lm::gguf_writer file(path);
  file.add("k", true);
  CHECK_THROWS_WITH(file.add("k", true), Catch::Contains("expected a key of its own"));
  CHECK_THROWS_WITH(file.add("general.alignment", std::uint32_t{48}),
                    Catch::Contains("no power of two"));
  CHECK_THROWS_WITH(file.declare(std::string(64, 'n'), tensor_type::f32, {1}),
                    Catch::Contains("a name of 64 bytes, expected less than 64"));
  CHECK_THROWS_WITH(file.declare("t", tensor_type::f32, {1, 1, 1, 1, 1}),
                    Catch::Contains("expected one to four dimensions"));
  CHECK_THROWS_WITH(file.declare("t", tensor_type::q8_0, {1, 40}),
                    Catch::Contains("expected a multiple of 32"));
  file.declare("t", tensor_type::f32, {2});
  CHECK_THROWS_WITH(file.declare("t", tensor_type::f32, {1}),
                    Catch::Contains("expected a name of its own"));
  CHECK_THROWS_WITH(file.commit(), Catch::Contains("has 0 bytes, expected 8"));
  CHECK_THROWS_WITH(file.write(std::vector<std::byte>(9)),
                    Catch::Contains("9 bytes more than the tensors have"));
  CHECK_FALSE(std::filesystem::exists(path));
}
