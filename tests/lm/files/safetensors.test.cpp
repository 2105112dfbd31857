// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include <prefer/lm/files/safetensors.hpp>
#include <prefer/lm/files/safetensors_writer.hpp>
#include <support/message_of.hpp>
#include <support/temporary_folder.hpp>

#include "bytes.hpp"

namespace lm = prefer::lm;
using files_test::bytes;
using lm::tensor_type;
using prefer::test::message_of;

namespace {

bytes with_header(std::string const& header, std::size_t data = 0) {
  return bytes().text(header).zeros(data);
}
std::string safetensors_complaint(bytes const& file) {
  return message_of([&] { lm::safetensors_file(file, "hostile.safetensors"); });
}

std::string written_safetensors(temporary_folder const& folder) {
  auto path = folder / "small.safetensors";
  lm::safetensors_writer file(path);
  file.add("from", "a test");
  file.declare("matrix", tensor_type::f32, {2, 3});
  file.declare("nothing", tensor_type::f16, {0, 4});
  file.declare("number", tensor_type::f64, {});
  std::vector<float> const values = {1, 2, 3, 4, 5, 6};
  double const number = 0.1;
  file.write(std::as_bytes(std::span(values)));
  file.write(std::as_bytes(std::span(&number, 1)));
  file.commit();
  return path;
}

}  // namespace

TEST_CASE("safetensors: what was written is read", "[lm][files]") {
  temporary_folder const folder;
  lm::safetensors_file const file(written_safetensors(folder));
  CHECK(file.metadata().at("from") == "a test");
  CHECK(file.metadata().at("format") == "pt");  // without which PyTorch's loaders refuse a file
  REQUIRE(file.tensors().size() == 3);
  auto const& matrix = *file.find("matrix");
  CHECK(matrix.shape == std::vector<std::size_t>{2, 3});
  CHECK(matrix.offset % 8 == 0);
  CHECK(lm::detail::number_at<float>(file.bytes(matrix).data() + 16) == 5);
  CHECK(file.find("nothing")->bytes == 0);
  CHECK(lm::detail::number_at<double>(file.bytes(*file.find("number")).data()) == 0.1);
  CHECK(file.find("other") == nullptr);
}

TEST_CASE("safetensors: a file that ends anywhere too early or too late is refused",
          "[lm][files]") {
  temporary_folder const folder;
  auto const whole = content_of(written_safetensors(folder));
  for (std::size_t size = 0; size != whole.size(); ++size) {
    auto const said = safetensors_complaint(bytes().letters(whole.substr(0, size)));
    INFO(size << ": " << said);
    CHECK(said.rfind("safetensors: hostile.safetensors: ", 0) == 0);
  }
  CHECK_THAT(safetensors_complaint(bytes().letters(whole + "!")),
             Catch::Contains("its tensors end at byte 32 of the data, which have 33"));
}

TEST_CASE("safetensors: every length, type, shape and offset is checked before it is used",
          "[lm][files]") {
  struct hostile {
    bytes file;
    std::string complaint;
  };
  std::string const f32 = R"("dtype":"F32","shape":[1])";
  auto const one = [&](std::string const& members) {
    return with_header("{\"t\":{" + members + "}}", 4);
  };
  for (auto const& [file, expected] : std::vector<hostile>{
           {bytes().u64(~std::uint64_t{0}), "its header would have 18446744073709551615 bytes"},
           {bytes().u64(99), "the header takes 99 bytes"},
           {with_header("{"), "is no JSON"},
           {with_header("[]"), "expected an object"},
           {with_header("{\"\xFF\":{}}"), "is no JSON"},
           {with_header("{\"t\":{},\"t\":{}}"), "field \"t\" is there twice"},
           {with_header("{\"__metadata__\":{\"a\":1}}"), "expected an object of texts"},
           {with_header("{\"t\":3}"), "expected an object with dtype, shape and data_offsets"},
           {one(f32), "expected an object with dtype"},
           {one(R"("dtype":"I64","shape":[1],"data_offsets":[0,4])"),
            "is of type \"I64\", which is not read here; expected F64, F32, F16 or BF16"},
           {one(R"("dtype":7,"shape":[1],"data_offsets":[0,4])"), "which is not read here"},
           {one(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), "none negative"},
           {one(R"("dtype":"F32","shape":[1.5],"data_offsets":[0,4])"), "none negative"},
           {one(R"("dtype":"F32","shape":1,"data_offsets":[0,4])"), "none negative"},
           {one(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4])"),
            "which no memory holds"},
           {one(R"("dtype":"F32","shape":[4294967296,2147483648,0],"data_offsets":[0,0])"),
            "which no memory holds"},
           {one(f32 + R"(,"data_offsets":[0])"), "expected two numbers"},
           {one(f32 + R"(,"data_offsets":[4,0])"), "the second not the smaller"},
           {one(f32 + R"(,"data_offsets":[0,8])"), "has 8 bytes, expected 4"},
           {one(f32 + R"(,"data_offsets":[4,8])"), "go past the end of the file"},
           {one(f32 + R"(,"data_offsets":[18446744073709551611,18446744073709551615])"),
            "go past the end of the file"},
           {with_header("{\"a\":{" + f32 + ",\"data_offsets\":[0,4]},\"b\":{" + f32 +
                            ",\"data_offsets\":[0,4]}}",
                        4),
            "tensor \"b\" begins at byte 0 of the data, expected 4"},
           {with_header("{\"a\":{" + f32 + ",\"data_offsets\":[0,4]},\"b\":{" + f32 +
                            ",\"data_offsets\":[8,12]}}",
                        12),
            "tensor \"b\" begins at byte 8 of the data, expected 4"}}) {
    INFO(expected);
    CHECK_THAT(safetensors_complaint(file), Catch::Contains(expected));
  }
  CHECK(safetensors_complaint(one(f32 + R"(,"data_offsets":[0,4])")) == "");
}

TEST_CASE("safetensors: the writer refuses what the format has not", "[lm][files]") {
  temporary_folder const folder;
  lm::safetensors_writer file(folder / "refused.safetensors");
  CHECK_THROWS_WITH(file.declare("t", tensor_type::q8_0, {1, 32}),
                    Catch::Contains("no blocks of GGUF"));
  CHECK_THROWS_WITH(file.declare("__metadata__", tensor_type::f32, {1}),
                    Catch::Contains("names no tensor"));
  file.declare("t", tensor_type::f32, {1});
  CHECK_THROWS_WITH(file.declare("t", tensor_type::f32, {1}),
                    Catch::Contains("expected a name of its own"));
}
