// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::lm {

inline constexpr std::uint32_t no_token = UINT32_MAX;

/// Finds tokens by their bytes: an open table whose entries hold the first eight bytes, so that a short token is found
/// without another look into memory. The bytes themselves stay with whoever added them.
class token_index {
 public:
  explicit token_index(std::size_t most) : entry_(std::bit_ceil(2 * most + 2)) {}

  /// The first token of some bytes stays theirs.
  void add(std::string_view bytes, std::uint32_t id) {
    std::uint64_t const beginning = first_eight(bytes);
    std::size_t at = place_of(bytes, beginning);
    for (; entry_[at].id != no_token; at = next(at)) {
      if (same(entry_[at], bytes, beginning)) return;
    }
    entry_[at] = {beginning, bytes.data(), static_cast<std::uint32_t>(bytes.size()), id};
  }

  /// The token, or no_token.
  [[nodiscard]] std::uint32_t find(std::string_view bytes) const noexcept {
    std::uint64_t const beginning = first_eight(bytes);
    for (std::size_t at = place_of(bytes, beginning);; at = next(at)) {
      entry const& here = entry_[at];
      if (here.id == no_token || same(here, bytes, beginning)) return here.id;
    }
  }

 private:
  struct entry {
    std::uint64_t beginning = 0;
    char const* bytes = nullptr;
    std::uint32_t size = 0;
    std::uint32_t id = no_token;
  };

  // Overlapping loads, because a copy of a length known at run time alone is a call.
  static std::uint64_t first_eight(std::string_view bytes) noexcept {
    std::size_t const size = bytes.size();
    char const* const data = bytes.data();
    if (size >= 8) return load<std::uint64_t>(data);
    if (size >= 4) {
      return load<std::uint32_t>(data) | std::uint64_t{load<std::uint32_t>(data + size - 4)}
                                             << (8 * (size - 4));
    }
    if (size == 0) return 0;
    auto const byte = [&](std::size_t i) {
      return std::uint64_t{static_cast<unsigned char>(data[i])};
    };
    return byte(0) | byte(size / 2) << (8 * (size / 2)) | byte(size - 1) << (8 * (size - 1));
  }
  template <class T>
  static T load(char const* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }

  static bool same(entry const& here, std::string_view bytes, std::uint64_t beginning) noexcept {
    return here.beginning == beginning && here.size == bytes.size() &&
           (here.size <= 8 || std::memcmp(here.bytes + 8, bytes.data() + 8, here.size - 8) == 0);
  }
  [[nodiscard]] std::size_t place_of(std::string_view bytes,
                                     std::uint64_t beginning) const noexcept {
    std::uint64_t mixed = (beginning ^ bytes.size()) * 0x9E3779B97F4A7C15;
    if (bytes.size() > 8) {
      mixed ^= load<std::uint64_t>(bytes.data() + bytes.size() - 8) * 0xC2B2AE3D27D4EB4F;
    }
    mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93;
    return static_cast<std::size_t>(mixed >> 32) & (entry_.size() - 1);
  }
  [[nodiscard]] std::size_t next(std::size_t at) const noexcept {
    return (at + 1) & (entry_.size() - 1);
  }

  std::vector<entry> entry_;
};

}  // namespace prefer::inline v0_1::lm
