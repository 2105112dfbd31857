// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::lm {

/// Tokens that are looked for in a text before anything is split: the leftmost is found first, and of those that begin
/// at one place the longest.
class special_tokens {
 public:
  struct found {
    std::size_t at = 0;
    std::size_t size = 0;
    std::uint32_t id = 0;
  };

  void add(std::string text, std::uint32_t id) {
    if (text.empty()) return;
    auto& group = by_first_byte_[static_cast<unsigned char>(text.front())];
    auto const shorter = std::find_if(group.begin(), group.end(), [&](entry const& other) {
      return other.text.size() < text.size();
    });
    group.insert(shorter, {std::move(text), id});
    ++count_;
  }

  /// The next one in `text` from byte `from` on.
  [[nodiscard]] std::optional<found> next(std::string_view text, std::size_t from) const {
    if (count_ == 0) return std::nullopt;
    for (std::size_t at = from; at < text.size(); ++at) {
      for (entry const& each : by_first_byte_[static_cast<unsigned char>(text[at])]) {
        if (text.substr(at, each.text.size()) == each.text) {
          return found{at, each.text.size(), each.id};
        }
      }
    }
    return std::nullopt;
  }

 private:
  struct entry {
    std::string text;
    std::uint32_t id;
  };
  std::array<std::vector<entry>, 256> by_first_byte_;  // the longest first
  std::size_t count_ = 0;
};

}  // namespace prefer::inline v0_1::lm
