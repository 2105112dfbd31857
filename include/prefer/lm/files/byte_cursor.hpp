// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <prefer/data/place.hpp>
#include <prefer/lm/files/dequantise.hpp>

namespace prefer::inline v0_1::lm::detail {

/// Reads a file's bytes from front to back. Every length is compared with what is left of the file, so that no sum or
/// product of what a file says can overflow.
class byte_cursor {
 public:
  byte_cursor(std::span<std::byte const> bytes, data::place const& at) : bytes_(bytes), at_(&at) {}

  [[nodiscard]] std::size_t offset() const noexcept { return offset_; }
  [[nodiscard]] std::size_t left() const noexcept { return bytes_.size() - offset_; }

  /// Remembers where it is, for `since_mark`.
  void mark() noexcept { marked_ = offset_; }
  [[nodiscard]] std::span<std::byte const> since_mark() const {
    return bytes_.subspan(marked_, offset_ - marked_);
  }

  std::span<std::byte const> bytes(std::uint64_t count, std::string_view what) {
    if (count > left()) {
      at_->refuse("is truncated or damaged: " + std::string(what) + " takes " +
                  std::to_string(count) + " bytes from byte " + std::to_string(offset_) +
                  " on, of a file of " + std::to_string(bytes_.size()));
    }
    auto const taken = bytes_.subspan(offset_, static_cast<std::size_t>(count));
    offset_ += taken.size();
    return taken;
  }

  template <class N>
  N number(std::string_view what) {
    return number_at<N>(bytes(sizeof(N), what).data());
  }

  /// A length of 64 bits, and as many bytes.
  std::string_view text(std::string_view what) {
    auto const length = number<std::uint64_t>(what);
    auto const taken = bytes(length, what);
    return {reinterpret_cast<char const*>(taken.data()), taken.size()};
  }

  /// How many there are of what takes at least `least` bytes each.
  std::size_t count(std::size_t least, std::string_view what) {
    auto const counted = number<std::uint64_t>(what);
    if (counted > left() / least) {
      at_->refuse("is truncated or damaged: it says that it has " + std::to_string(counted) + " " +
                  std::string(what) + ", and has " + std::to_string(left()) +
                  " bytes left for them");
    }
    return static_cast<std::size_t>(counted);
  }

 private:
  std::span<std::byte const> bytes_;
  data::place const* at_;
  std::size_t offset_ = 0;
  std::size_t marked_ = 0;
};

}  // namespace prefer::inline v0_1::lm::detail
