// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// Tokens [begin, end) of a completion.
struct token_range {
  std::size_t begin = 0;
  std::size_t end = 0;

  friend constexpr bool operator==(token_range const&, token_range const&) = default;
};

/// The tokens that numbered completions consist of: one flat array with offsets.
///
///   prefer::token_table table;
///   std::uint32_t const id = table.add(tokens);  // what a choice_data calls this completion
///   table.tokens(id);
///
/// Ids count from 0 in the order of `add`; equal tokens added twice have two ids. A view from tokens() is
/// valid until the next add or keep_first.
///
/// Errors  precondition_error for a completion without tokens, and for an id that was not added
template <class = on_demand>
class basic_token_table {
 public:
  /// The id of a new completion.
  std::uint32_t add(std::span<std::uint32_t const> completion) {
    expects(!completion.empty(), "token_table::add: a completion has at least one token");
    expects(size() <= std::numeric_limits<std::uint32_t>::max(),
            "token_table::add: the table has as many completions as there are ids");
    auto const id = static_cast<std::uint32_t>(size());
    append(token_, completion);
    offset_.push_back(token_.size());
    return id;
  }

  /// Forgets the completions from `count` on, so that their ids are given anew; does nothing where there are no more.
  void keep_first(std::size_t count) {
    if (count >= size()) return;
    token_.resize(offset_[count]);
    offset_.resize(count + 1);
  }

  /// All vocabulary^length sequences of one length, in lexicographic order: the digits of id to the base
  /// `vocabulary`. For sums over everything that a small policy can say.
  ///
  /// Errors  precondition_error for no tokens, or for more than 2^24 sequences
  [[nodiscard]] static basic_token_table all_of_length(std::size_t vocabulary, std::size_t length) {
    expects(vocabulary > 0, "token_table::all_of_length: vocabulary must be greater than zero");
    expects(length > 0, "token_table::all_of_length: length must be greater than zero");
    constexpr std::size_t most = std::size_t{1} << 24;
    std::size_t count = 1;
    for (std::size_t t = 0; t != length; ++t) {
      if (count > most / vocabulary) {
        detail::broken("token_table::all_of_length: " + std::to_string(vocabulary) + "^" +
                       std::to_string(length) + " sequences, expected at most 2^24");
      }
      count *= vocabulary;
    }
    basic_token_table out;
    std::vector<std::uint32_t> sequence(length);
    for (std::size_t id = 0; id != count; ++id) {
      std::size_t rest = id;
      for (std::size_t t = length; t-- != 0; rest /= vocabulary) {
        sequence[t] = static_cast<std::uint32_t>(rest % vocabulary);
      }
      out.add(view_of(sequence));
    }
    return out;
  }

  [[nodiscard]] std::size_t size() const { return offset_.size() - 1; }

  [[nodiscard]] std::span<std::uint32_t const> tokens(std::uint32_t id) const {
    expects_id(id, "token_table::tokens");
    return view_of(token_, offset_[id], offset_[id + 1] - offset_[id]);
  }
  [[nodiscard]] std::size_t length(std::uint32_t id) const {
    expects_id(id, "token_table::length");
    return offset_[id + 1] - offset_[id];
  }

  /// Whether two completions have the same tokens.
  [[nodiscard]] bool equal(std::uint32_t a, std::uint32_t b) const {
    auto const one = tokens(a);
    auto const other = tokens(b);
    if (one.size() != other.size()) return false;
    for (std::size_t t = 0; t < one.size(); ++t) {
      if (one[t] != other[t]) return false;
    }
    return true;
  }

  /// One length per completion, for `choice_data::length`: data.length = table.lengths(data.completion).
  [[nodiscard]] std::vector<float> lengths(std::span<std::uint32_t const> completion) const {
    std::vector<float> out;
    out.reserve(completion.size());
    for (std::uint32_t const id : completion) out.push_back(static_cast<float>(length(id)));
    return out;
  }

  /// One last token per prompt, for policies that remember no more of a prompt, such as `bigram`:
  /// data.prompt = sequences.prompts.last_tokens(data.prompt).
  [[nodiscard]] std::vector<std::uint32_t> last_tokens(
      std::span<std::uint32_t const> prompt) const {
    std::vector<std::uint32_t> out;
    out.reserve(prompt.size());
    for (std::uint32_t const id : prompt) out.push_back(tokens(id).back());
    return out;
  }

  /// Where each completion's tokens begin if those of all are laid end to end, and the end [N + 1].
  void offsets(std::span<std::uint32_t const> completion, std::vector<std::size_t>& out) const {
    out.assign(1, 0);
    for (std::uint32_t const id : completion) out.push_back(out.back() + length(id));
  }

  /// All tokens, end to end, and where each completion's begin [size() + 1].
  [[nodiscard]] std::span<std::uint32_t const> token() const { return view_of(token_); }
  [[nodiscard]] std::span<std::size_t const> offset() const { return view_of(offset_); }

 private:
  void expects_id(std::uint32_t id, char const* where) const {
    if (id < size()) return;
    detail::broken(std::string(where) + ": completion is " + std::to_string(id) +
                   ", expected less than " + std::to_string(size()));
  }

  std::vector<std::uint32_t> token_;
  std::vector<std::size_t> offset_ = {0};
};
using token_table = basic_token_table<>;

/// Identity of a table, for caches of what depends on it: a data set has only the numbers of completions.
template <std::same_as<token_table> Table>
[[nodiscard]] std::uint64_t fingerprint_of(Table const& table) {
  fingerprint identity;
  identity.add(table.token());
  for (std::size_t const o : table.offset()) identity.add(static_cast<std::uint64_t>(o));
  return identity.value();
}

}  // namespace prefer::inline v0_1
