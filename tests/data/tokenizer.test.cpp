// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <prefer/data/tokenizer.hpp>

namespace data = prefer::data;

namespace {

/// Exactly the members that are asked for, or one less.
enum class lacks { nothing, encode, vocabulary };

template <lacks L = lacks::nothing>
struct tokenizer_archetype {
  tokenizer_archetype(tokenizer_archetype const&) = delete;
  void encode(std::string_view, std::vector<std::uint32_t>&) const
    requires(L != lacks::encode);
  [[nodiscard]] std::size_t vocabulary() const
    requires(L != lacks::vocabulary);
};

struct chat_archetype : tokenizer_archetype<> {
  using tokenizer_archetype::encode;
  void encode(data::conversation const&, data::turn_part, std::vector<std::uint32_t>&) const;
};

}  // namespace

TEST_CASE("Tokenizer: asks for encode and vocabulary, and no more", "[data][tokenizer]") {
  STATIC_REQUIRE(data::Tokenizer<tokenizer_archetype<>>);
  STATIC_REQUIRE_FALSE(data::Tokenizer<tokenizer_archetype<lacks::encode>>);
  STATIC_REQUIRE_FALSE(data::Tokenizer<tokenizer_archetype<lacks::vocabulary>>);
}

TEST_CASE("ChatTokenizer: is a tokenizer that encodes messages too", "[data][tokenizer]") {
  STATIC_REQUIRE(data::ChatTokenizer<chat_archetype>);
  STATIC_REQUIRE_FALSE(data::ChatTokenizer<tokenizer_archetype<>>);
}
