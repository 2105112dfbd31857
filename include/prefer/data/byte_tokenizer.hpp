// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <prefer/data/tokenizer.hpp>

namespace prefer::inline v0_1::data {

/// The tokenizer without a vocabulary file: every byte is a token, 0 to 255, and two more stand for beginning and end.
/// It loses nothing, splits every text of any language, and makes long sequences.
struct byte_tokenizer {
  void encode(std::string_view text, std::vector<std::uint32_t>& into) const {
    for (char const c : text) into.push_back(static_cast<unsigned char>(c));
  }
  [[nodiscard]] std::size_t vocabulary() const { return 258; }
  [[nodiscard]] std::uint32_t begin_token() const { return 256; }
  [[nodiscard]] std::uint32_t end_token() const { return 257; }
};

static_assert(Tokenizer<byte_tokenizer>);

}  // namespace prefer::inline v0_1::data
