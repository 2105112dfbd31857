// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::lm {

/// Makes well-formed UTF-8 of bytes that come in pieces, as tokens do: a code point is given out when its last byte is
/// here.
///
///   prefer::lm::utf8_stream written;
///   for (std::uint32_t const token : tokens) std::cout << written.add(tokenizer.bytes(token));
///   std::cout << written.end();
///
/// What belongs to no code point becomes U+FFFD, one for each longest beginning of a code point or single byte.
///
/// Source  The Unicode Standard, section 3.9, "U+FFFD Substitution of Maximal Subparts"
class utf8_stream {
 public:
  /// The text that is complete with these bytes.
  [[nodiscard]] std::string add(std::string_view bytes) {
    waiting_ += bytes;
    return take(false);
  }
  /// What is left of the last code point, which nothing completes any more.
  [[nodiscard]] std::string end() { return take(true); }

 private:
  std::string take(bool all) {
    std::string out;
    std::size_t at = 0;
    while (at < waiting_.size()) {
      auto const next = text::decode(waiting_, at);
      if (next.bytes > 1 || next.value != 0xFFFD) {
        out.append(waiting_, at, next.bytes);
        at += next.bytes;
        continue;
      }
      std::size_t const beginning = subpart(std::string_view(waiting_).substr(at));
      if (!all && at + beginning == waiting_.size() && may_go_on(waiting_[at], beginning)) break;
      out += "\xEF\xBF\xBD";
      at += beginning;
    }
    waiting_.erase(0, at);
    return out;
  }

  static std::size_t length_of(char lead) noexcept {
    auto const byte = static_cast<unsigned char>(lead);
    return byte < 0xC2 || byte > 0xF4 ? 1 : byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
  }
  static bool may_go_on(char lead, std::size_t bytes) noexcept { return bytes < length_of(lead); }

  /// Bytes of the longest beginning of any code point that `bytes`, which begin with none, begin with; at least 1.
  static std::size_t subpart(std::string_view bytes) {
    std::size_t const whole = length_of(bytes.front());
    if (whole == 1 || bytes.size() < 2) return 1;
    // Of the second byte table 3-7 asks more than that it continues: no overlong form, no surrogate, none too large.
    auto const lead = static_cast<unsigned char>(bytes[0]);
    auto const second = static_cast<unsigned char>(bytes[1]);
    unsigned const low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned const high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (second < low || second > high) return 1;
    std::size_t size = 2;
    while (size < whole && size < bytes.size() && text::continues_code_point(bytes[size])) ++size;
    return size;
  }

  std::string waiting_;
};

}  // namespace prefer::inline v0_1::lm
