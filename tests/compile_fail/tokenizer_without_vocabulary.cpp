// expect: prefer: a tokenizer has vocabulary() const, how many tokens there are
// SPDX-License-Identifier: MIT
#include <cstdint>
#include <string_view>
#include <vector>

#include <prefer/data/tokenizer.hpp>

struct words {
  void encode(std::string_view, std::vector<std::uint32_t>&) const {}
};

static_assert(prefer::check::tokenizer<words>());
