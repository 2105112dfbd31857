// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include <prefer/data/byte_tokenizer.hpp>

TEST_CASE("byte_tokenizer: every byte of a text is a token, and nothing is lost",
          "[data][byte_tokenizer]") {
  prefer::data::byte_tokenizer const tokenizer;
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte += static_cast<char>(i);
  std::vector<std::uint32_t> token = {7};
  tokenizer.encode(every_byte, token);
  REQUIRE(token.size() == 257);
  CHECK(token[0] == 7);  // appended
  for (std::uint32_t i = 0; i < 256; ++i) CHECK(token[i + 1] == i);
  CHECK(tokenizer.begin_token() < tokenizer.vocabulary());
  CHECK(tokenizer.end_token() < tokenizer.vocabulary());
  CHECK(tokenizer.begin_token() != tokenizer.end_token());
}
