// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/text/byte_alphabet.hpp>
#include <prefer/lm/text/byte_pair_merges.hpp>
#include <prefer/lm/text/token_index.hpp>
#include <prefer/lm/text/tokenizer_data.hpp>

namespace prefer::inline v0_1::lm {

/// The tokens of a byte-level vocabulary by number and by bytes, and the merges that make them of a pre-token.
///
/// Most pre-tokens are a token of their own. Which tokens the merges leave whole is found out once, so that such a
/// pre-token costs one look into a table and merging is for the others; nothing is remembered between calls.
///
/// Errors  backend_error with the file: more than one kind per token, a merge of what are no tokens; with the byte, where
///         a pre-token has one without a token
class byte_vocabulary {
 public:
  /// `whole` is "a pre-token that is in the vocabulary is taken whole, whatever merges say".
  byte_vocabulary(tokenizer_data const& data, bool whole)
      : kind_(data.kinds), whole_(data.tokens.size()), merges_(data.merges.size()) {
    if (kind_.empty()) kind_.assign(data.tokens.size(), token_kind::normal);
    if (kind_.size() != data.tokens.size()) {
      refuse(backend_error("lm::tokenizer", data.place,
                           "has " + std::to_string(data.tokens.size()) + " tokens and " +
                               std::to_string(kind_.size()) + " kinds; expected as many"));
    }
    spell(data);
    token_index all(data.tokens.size());
    for (std::uint32_t id = 0; id < size(); ++id) {
      if (is_text(id)) all.add(bytes(id), id);
    }
    byte_.fill(no_token);
    for (std::size_t b = 0; b < byte_.size(); ++b) {
      char const one = static_cast<char>(b);
      byte_[b] = all.find(std::string_view(&one, 1));
    }
    read_merges(data, all);
    std::vector<std::uint32_t> pieces;
    for (std::uint32_t id = 0; id < size(); ++id) {
      if (!is_text(id) || bytes(id).empty()) continue;
      pieces.clear();
      bool const is_whole =
          whole || (merge(bytes(id), pieces) && pieces.size() == 1 && pieces.front() == id);
      if (is_whole) whole_.add(bytes(id), id);
    }
  }
  byte_vocabulary(byte_vocabulary&&) = default;
  byte_vocabulary& operator=(byte_vocabulary&&) = default;
  byte_vocabulary(byte_vocabulary const&) = delete;
  byte_vocabulary& operator=(byte_vocabulary const&) = delete;

  [[nodiscard]] std::size_t size() const { return kind_.size(); }
  [[nodiscard]] token_kind kind(std::uint32_t id) const { return kind_[id]; }
  [[nodiscard]] std::string_view bytes(std::uint32_t id) const {
    return {spelling_.data() + offset_[id], offset_[id + 1] - offset_[id]};
  }

  /// Appends the tokens of one pre-token.
  void encode(std::string_view piece, std::vector<std::uint32_t>& into) const {
    std::uint32_t const whole = whole_.find(piece);
    if (whole != no_token) {
      into.push_back(whole);
    } else if (!merge(piece, into)) {
      refuse_byte(piece);
    }
  }

 private:
  [[nodiscard]] bool is_text(std::uint32_t id) const {
    return kind_[id] == token_kind::normal || kind_[id] == token_kind::user_defined;
  }

  void spell(tokenizer_data const& data) {
    offset_.push_back(0);
    for (std::uint32_t id = 0; id < size(); ++id) {
      std::string const& written = data.tokens[id];
      auto const spelled = kind_[id] == token_kind::normal ? bytes_of_letters(written)
                                                           : std::optional<std::string>(written);
      std::string const& bytes = spelled ? *spelled : written;
      spelling_.insert(spelling_.end(), bytes.begin(), bytes.end());
      offset_.push_back(spelling_.size());
    }
  }

  void read_merges(tokenizer_data const& data, token_index const& all) {
    auto const token = [&](std::string const& letters) {
      auto const bytes = bytes_of_letters(letters);
      return bytes ? all.find(*bytes) : no_token;
    };
    std::uint32_t rank = 0;
    for (auto const& [left, right] : data.merges) {
      std::uint32_t const a = token(left);
      std::uint32_t const b = token(right);
      std::uint32_t const both = token(left + right);
      if (a == no_token || b == no_token || both == no_token) {
        refuse(backend_error("lm::tokenizer", data.place,
                             "merge " + std::to_string(rank + 1) + ": \"" + left + "\" and \"" +
                                 right + "\" are to become \"" + left + right +
                                 "\", and not all three are tokens"));
      }
      merges_.add(a, b, rank++, both);
    }
  }

  /// Appends what merging leaves of these bytes; false, and nothing is appended, if one of them has no token.
  bool merge(std::string_view bytes, std::vector<std::uint32_t>& into) const {
    std::size_t const first = into.size();
    for (char const each : bytes) {
      std::uint32_t const id = byte_[static_cast<unsigned char>(each)];
      if (id == no_token) {
        into.resize(first);
        return false;
      }
      into.push_back(id);
    }
    merges_.merge(into, first);
    return true;
  }

  [[noreturn]] void refuse_byte(std::string_view piece) const {
    for (char const each : piece) {
      auto const byte = static_cast<unsigned char>(each);
      if (byte_[byte] != no_token) continue;
      refuse(backend_error("lm::tokenizer", "\"" + std::string(piece) + "\"",
                           "the vocabulary has no token for byte " + std::to_string(byte)));
    }
    ::prefer::detail::broken("lm::byte_vocabulary: every byte has a token");
  }

  std::vector<token_kind> kind_;
  std::vector<char> spelling_;  // all tokens' bytes, end to end; entries of whole_ point into it
  std::vector<std::size_t> offset_;
  std::array<std::uint32_t, 256> byte_{};
  token_index whole_;
  byte_pair_merges merges_;
};

}  // namespace prefer::inline v0_1::lm
