// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace files_test {

/// A file made by hand, byte by byte.
class bytes {
 public:
  template <class N>
  bytes& number(N n) {
    auto const* const from = reinterpret_cast<std::byte const*>(&n);
    all_.insert(all_.end(), from, from + sizeof n);
    return *this;
  }
  bytes& u32(std::uint64_t n) { return number(static_cast<std::uint32_t>(n)); }
  bytes& u64(std::uint64_t n) { return number(n); }
  bytes& letters(std::string_view text) {
    for (char const c : text) all_.push_back(static_cast<std::byte>(c));
    return *this;
  }
  /// As GGUF has them: the length before.
  bytes& text(std::string_view text) { return u64(text.size()).letters(text); }
  bytes& zeros(std::size_t count) {
    all_.resize(all_.size() + count);
    return *this;
  }
  bytes& pad(std::size_t alignment) {
    return zeros((alignment - all_.size() % alignment) % alignment);
  }
  bytes& append(bytes const& other) {
    all_.insert(all_.end(), other.all_.begin(), other.all_.end());
    return *this;
  }
  operator std::span<std::byte const>() const { return all_; }

 private:
  std::vector<std::byte> all_;
};

}  // namespace files_test
