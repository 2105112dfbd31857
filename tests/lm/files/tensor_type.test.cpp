// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/lm/files/tensor_type.hpp>

namespace lm = prefer::lm;
using lm::tensor_type;

TEST_CASE("tensor type: a row has the bytes that its bits per weight say", "[lm][files]") {
  // Bits per weight as llama.cpp states them: 32, 16, 16, 8.5, 4.5, 5.0, 4.5, 6.5625.
  struct stated {
    tensor_type type;
    double bits;
  };
  for (auto const& each :
       {stated{tensor_type::f64, 64}, stated{tensor_type::f32, 32}, stated{tensor_type::f16, 16},
        stated{tensor_type::bf16, 16}, stated{tensor_type::q8_0, 8.5},
        stated{tensor_type::q4_0, 4.5}, stated{tensor_type::q4_1, 5.0},
        stated{tensor_type::q4_k, 4.5}, stated{tensor_type::q6_k, 6.5625}}) {
    INFO(lm::spelling(each.type));
    CHECK(static_cast<double>(lm::row_bytes(each.type, 512)) * 8 / 512 == each.bits);
  }
}
