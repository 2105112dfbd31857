// SPDX-License-Identifier: MIT
//
// libFuzzer target: any bytes, read as ratings in every form, must give rows that keep their promises or throw
// backend_error; see tests/data/read_anything.hpp.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/ratings_fuzz.cpp
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "../data/read_anything.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* bytes, std::size_t count) {
  anything::read_ratings(std::string_view(reinterpret_cast<char const*>(bytes), count));
  return 0;
}
