// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>

namespace prefer::inline v0_1::data {

/// Numbers for texts, from 0 in the order in which they were first seen: people and items of a recommender, or the
/// prompts and completions of a table.
///
///   prefer::data::numbering items;
///   items.add("casablanca");  // 0
///   items.add("alien");       // 1
///   items.add("casablanca");  // 0 again
///   items.text(1);            // "alien"
///
/// Errors  precondition_error for a number that no text has
class numbering {
 public:
  /// The number of a text, a new one if it has none yet.
  std::uint32_t add(std::string_view text) {
    expects(text_.size() <= std::numeric_limits<std::uint32_t>::max(),
            "numbering::add: there are as many texts as numbers");
    auto const [known, is_new] =
        number_.try_emplace(std::string(text), static_cast<std::uint32_t>(text_.size()));
    if (is_new) text_.push_back(known->first);
    return known->second;
  }

  /// The number of a text, if it has one.
  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view text) const {
    auto const known = number_.find(std::string(text));
    if (known == number_.end()) return std::nullopt;
    return known->second;
  }

  [[nodiscard]] std::string const& text(std::uint32_t number) const {
    if (number >= text_.size()) {
      ::prefer::detail::broken("numbering::text: number is " + std::to_string(number) +
                               ", expected less than " + std::to_string(text_.size()));
    }
    return text_[number];
  }

  [[nodiscard]] std::size_t size() const { return text_.size(); }

 private:
  std::unordered_map<std::string, std::uint32_t> number_;
  std::vector<std::string> text_;
};

/// Identity of a numbering: which number every text has.
template <std::same_as<numbering> Numbering>
[[nodiscard]] std::uint64_t fingerprint_of(Numbering const& numbers) {
  fingerprint identity;
  for (std::uint32_t i = 0; i < numbers.size(); ++i) {
    identity.add(std::string_view(numbers.text(i)));
  }
  return identity.value();
}

}  // namespace prefer::inline v0_1::data
