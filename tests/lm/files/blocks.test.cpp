// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <prefer/lm/files/dequantise.hpp>
#include <prefer/lm/files/json_file.hpp>
#include <prefer/lm/files/quantise.hpp>
#include <prefer/lm/files/weight_matrix.hpp>

namespace lm = prefer::lm;
using lm::tensor_type;

namespace {

// Golden blocks, see tests/golden/README.md.
lm::json const& golden() {
  static auto const file =
      lm::read_json_object("golden", std::string(PREFER_GOLDEN_DIR) + "/llm/gguf_blocks.json");
  return file.fields;
}

std::vector<std::byte> bytes_of_hex(std::string const& hex) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

tensor_type type_named(std::string const& name) {
  for (auto const type : {tensor_type::q8_0, tensor_type::q4_0, tensor_type::q4_1,
                          tensor_type::q4_k, tensor_type::q6_k}) {
    if (lm::spelling(type) == name) return type;
  }
  throw std::runtime_error("no type " + name);
}

}  // namespace

TEST_CASE("blocks: every type of GGUF's reads as the Python package gguf reads it", "[lm][files]") {
  std::size_t looked_at = 0;
  for (auto const& block : golden().at("read")) {
    auto const type = type_named(block.at("type"));
    INFO(lm::spelling(type));
    auto const expected = block.at("values").get<std::vector<double>>();
    auto const bytes = bytes_of_hex(block.at("bytes"));
    std::vector<double> in_double(expected.size());
    std::vector<float> in_float(expected.size());
    lm::dequantise<double>(type, bytes, in_double);
    lm::dequantise<float>(type, bytes, in_float);
    CHECK(in_double == expected);
    CHECK(in_double == std::vector<double>(in_float.begin(), in_float.end()));
    ++looked_at;
  }
  CHECK(looked_at == 10);
}

TEST_CASE("blocks: Q8_0 is written as the Python package gguf writes it", "[lm][files]") {
  for (auto const& block : golden().at("q8_0")) {
    auto const values = block.at("values").get<std::vector<float>>();
    std::vector<std::byte> bytes(34);
    lm::quantise<float>(tensor_type::q8_0, values, bytes);
    CHECK(bytes == bytes_of_hex(block.at("bytes")));
  }
}

TEST_CASE("blocks: what is written in a type is read with that type's rounding", "[lm][files]") {
  struct rounding {
    tensor_type type;
    double relative;  // to the number; for Q8_0 to the largest of its block
  };
  std::vector<double> values;
  for (int i = 0; i != 64; ++i) values.push_back(std::sin(i) * std::exp(-i / 9.0));
  // Half of the last of 53, 24, 11 and 8 significant bits. Q8_0: half a step of 1/127, and a scale of 11 bits.
  for (auto const& [type, relative] :
       {rounding{tensor_type::f64, 0}, rounding{tensor_type::f32, 0x1p-24},
        rounding{tensor_type::f16, 0x1p-11}, rounding{tensor_type::bf16, 0x1p-8},
        rounding{tensor_type::q8_0, 0.5 / 127 + 0x1p-11}}) {
    INFO(lm::spelling(type));
    std::vector<std::byte> bytes(lm::row_bytes(type, values.size()));
    lm::quantise<double>(type, values, bytes);
    std::vector<double> read(values.size());
    lm::dequantise<double>(type, bytes, read);
    for (std::size_t i = 0; i != values.size(); ++i) {
      double largest = std::abs(values[i]);
      if (type == tensor_type::q8_0) {
        std::size_t const begin = i / 32 * 32;
        for (std::size_t k = begin; k != begin + 32; ++k) {
          largest = std::fmax(largest, std::abs(values[k]));
        }
      }
      // Halves below 2^-14 have fewer bits: their step is 2^-24.
      double const step = type == tensor_type::f16 ? 0x1p-25 : 0;
      REQUIRE(std::abs(read[i] - values[i]) <= largest * relative + step);
    }
  }
}

TEST_CASE("blocks: a number that is not finite stays one that is not", "[lm][files]") {
  for (double const odd : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    std::vector<double> values(32, 1.0);
    values[7] = odd;
    for (auto const type :
         {tensor_type::f32, tensor_type::f16, tensor_type::bf16, tensor_type::q8_0}) {
      std::vector<std::byte> bytes(lm::row_bytes(type, 32));
      lm::quantise<double>(type, values, bytes);
      std::vector<double> read(32);
      lm::dequantise<double>(type, bytes, read);
      INFO(lm::spelling(type));
      CHECK_FALSE(std::isfinite(read[7]));
    }
  }
}

TEST_CASE("blocks: what is no whole block, or is only read, is refused", "[lm][files]") {
  std::vector<float> values(33);
  std::vector<std::byte> bytes(34);
  CHECK_THROWS_WITH(lm::dequantise<float>(tensor_type::q8_0, bytes, values),
                    Catch::Contains("not of whole blocks"));
  values.resize(64);
  CHECK_THROWS_WITH(lm::dequantise<float>(tensor_type::q8_0, bytes, values),
                    Catch::Contains("row has 34 elements, expected 68"));
  CHECK_THROWS_WITH(lm::quantise<float>(tensor_type::q4_0, values, bytes),
                    Catch::Contains("other types are only read"));
  CHECK_THROWS_WITH(lm::weight_matrix<float>(tensor_type::q8_0, 2, 32, bytes),
                    Catch::Contains("34 elements, expected 68"));
}

TEST_CASE("blocks: a matrix gives the rows that it was given, held in any form", "[lm][files]") {
  std::vector<float> values(3 * 64);
  for (std::size_t i = 0; i != values.size(); ++i) values[i] = static_cast<float>(i) / 8;
  lm::weight_matrix<float> const plain(3, 64, values);
  CHECK(plain.has_values());
  for (auto const type : {tensor_type::f32, tensor_type::bf16, tensor_type::q8_0}) {
    std::vector<std::byte> bytes(3 * lm::row_bytes(type, 64));
    lm::quantise<float>(type, values, bytes);
    lm::weight_matrix<float> const held(type, 3, 64, bytes);
    CHECK(held.has_values() == (type == tensor_type::f32));
    CHECK(held.bytes_held() == bytes.size());
    std::vector<float> whole(values.size());
    lm::dequantise<float>(type, bytes, whole);
    std::vector<float> rows(2 * 70, -1);
    held.read_rows(1, 2, rows.data(), 70);
    for (std::size_t r = 0; r != 2; ++r) {
      for (std::size_t i = 0; i != 64; ++i) REQUIRE(rows[r * 70 + i] == whole[(r + 1) * 64 + i]);
      CHECK(rows[r * 70 + 64] == -1);  // what lies between rows is not touched
    }
    CHECK_THROWS_WITH(held.read_rows(2, 2, rows.data(), 70), Catch::Contains("not that many rows"));
  }
}
