// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1 {

static_assert(std::endian::native == std::endian::little,
              "prefer: files and fingerprints are defined on little-endian machines");

/// What a fingerprint takes: numbers and enumerations, each with one representation per value.
template <class T>
concept FingerprintNumber = (std::integral<T> || std::is_enum_v<T> || std::same_as<T, float> ||
                             std::same_as<T, double>)&&sizeof(T) <= 8;

/// A 64-bit hash of a sequence of values, built up one by one: says whether a data set, a model or a file is the same.
///
///   fingerprint identity;
///   identity.add(rows).add("tokenizer").add(std::span(tokens));
///   identity.value();
///
/// Sensitive to order, to type (1, 1U, 1.0 and "1" all differ, and so do float and double) and, because lengths are
/// part of it, to where one string or array ends and the next begins. Floating-point values count by their bits: 0.0
/// and -0.0 differ, equal NaNs agree. Any change within eight consecutive bytes changes the value; other changes go
/// unnoticed with probability about 2^-64. Not for secrets: whoever wants a collision can build one.
class fingerprint {
 public:
  template <FingerprintNumber T>
  constexpr fingerprint& add(T number) noexcept {
    mix(tag<T>(), 1);
    mix_number(number);
    return *this;
  }

  fingerprint& add(std::string_view text) noexcept {
    mix(text_tag, text.size());
    mix_bytes(text.data(), text.size());
    return *this;
  }
  fingerprint& add(char const* text) noexcept { return add(std::string_view(text)); }

  template <FingerprintNumber T, std::size_t N>
  fingerprint& add(std::span<T const, N> numbers) noexcept {
    mix(tag<T>() | array_tag, numbers.size());
    mix_bytes(numbers.data(), numbers.size_bytes());
    return *this;
  }
  template <FingerprintNumber T, std::size_t N>
  fingerprint& add(std::span<T, N> numbers) noexcept {
    return add(std::span<T const>(numbers));
  }

  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return spread(state_); }

  friend constexpr bool operator==(fingerprint const&, fingerprint const&) = default;

 private:
  static constexpr std::uint64_t text_tag = 0x100;
  static constexpr std::uint64_t array_tag = 0x200;

  // Kind and width. char and bool have kinds of their own, as does every enumeration taken together.
  template <class T>
  static constexpr std::uint64_t tag() noexcept {
    constexpr std::uint64_t kind = std::is_same_v<T, bool>       ? 1
                                   : std::is_same_v<T, char>     ? 2
                                   : std::is_enum_v<T>           ? 3
                                   : std::is_floating_point_v<T> ? 4
                                   : std::is_signed_v<T>         ? 5
                                                                 : 6;
    return kind * 16 + sizeof(T);
  }

  template <class T>
  constexpr void mix_number(T number) noexcept {
    if constexpr (std::is_same_v<T, double>) {
      mix(std::bit_cast<std::uint64_t>(number));
    } else if constexpr (std::is_same_v<T, float>) {
      mix(std::bit_cast<std::uint32_t>(number));
    } else {
      mix(static_cast<std::uint64_t>(number));
    }
  }

  void mix_bytes(void const* data, std::size_t count) noexcept {
    auto const* bytes = static_cast<unsigned char const*>(data);
    for (; count >= 8; count -= 8, bytes += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes, 8);
      mix(word);
    }
    if (count != 0) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes, count);
      mix(word);
    }
  }

  // Both steps are bijections of the state for a given word and of the word for a given state: one changed word always
  // shows. Odd multipliers: the fractional parts of the golden ratio and of sqrt(2).
  constexpr void mix(std::uint64_t word) noexcept {
    word *= 0x9E3779B97F4A7C15;
    state_ ^= word ^ word >> 32;
    state_ = std::rotl(state_, 29) * 0x6A09E667F3BCC909;
  }
  constexpr void mix(std::uint64_t kind, std::uint64_t count) noexcept {
    mix(kind);
    mix(count);
  }

  static constexpr std::uint64_t spread(std::uint64_t word) noexcept {
    word = (word ^ word >> 32) * 0x9E3779B97F4A7C15;
    word = (word ^ word >> 29) * 0x6A09E667F3BCC909;
    return word ^ word >> 32;
  }

  std::uint64_t state_ = 0x243F6A8885A308D3;  // pi, so that nothing is the fingerprint of nothing
};

}  // namespace prefer::inline v0_1
