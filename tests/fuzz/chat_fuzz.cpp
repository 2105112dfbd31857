// SPDX-License-Identifier: MIT
//
// libFuzzer target: rows of messages made of the bytes, each of which must be kept whole or refused; see
// tests/data/any_row.hpp.
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude tests/fuzz/chat_fuzz.cpp
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "../data/any_row.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* bytes, std::size_t count) {
  any_row::choices from(std::string_view(reinterpret_cast<char const*>(bytes), count));
  any_row::follow(any_row::any(from));
  return 0;
}
