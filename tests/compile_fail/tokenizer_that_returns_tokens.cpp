// expect: prefer: a tokenizer has encode(std::string_view text, std::vector<std::uint32_t>& into) const, which appends
// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <prefer/data/tokenizer.hpp>

struct words {
  std::vector<std::uint32_t> encode(std::string_view) const { return {}; }
  std::size_t vocabulary() const { return 3; }
};

static_assert(prefer::check::tokenizer<words>());
