// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/text/token_index.hpp>

namespace prefer::inline v0_1::lm {

/// Byte-pair encoding: of all neighbours that have a merge, those of the lowest rank are merged first, of equal ones the
/// leftmost, until none is left.
///
/// Up to 48 symbols the ranks of all neighbours are kept in a row and the least is looked for, which is quadratic and
/// fast; beyond that a heap has them, n log n, so that a page without a space takes no longer for each of its bytes.
///
/// Source  Sennrich et al. 2016, arXiv:1508.07909
class byte_pair_merges {
 public:
  explicit byte_pair_merges(std::size_t most) : entry_(std::bit_ceil(2 * most + 2)) {}

  /// `left` and `right` become `into`. Of two merges of one pair the later rank counts.
  void add(std::uint32_t left, std::uint32_t right, std::uint32_t rank, std::uint32_t into) {
    entry& here = entry_[place_of(key_of(left, right))];
    here = {key_of(left, right), rank, into};
  }

  /// Merges the symbols of `symbols` from `first` on, in place.
  void merge(std::vector<std::uint32_t>& symbols, std::size_t first) const {
    std::size_t const count = symbols.size() - first;
    std::uint32_t* const begin = symbols.data() + first;
    symbols.resize(first + (count <= few ? merge_few(begin, count) : merge_many(begin, count)));
  }

 private:
  static constexpr std::size_t few = 48;
  static constexpr std::uint32_t no_rank = UINT32_MAX;
  static constexpr std::uint64_t no_key = UINT64_MAX;  // no_token beside no_token

  struct entry {
    std::uint64_t key = no_key;
    std::uint32_t rank = no_rank;
    std::uint32_t into = no_token;
  };

  static std::uint64_t key_of(std::uint32_t left, std::uint32_t right) noexcept {
    return std::uint64_t{left} << 32 | right;
  }
  /// Where the pair is, or where it would be.
  [[nodiscard]] std::size_t place_of(std::uint64_t key) const noexcept {
    std::uint64_t mixed = key * 0x9E3779B97F4A7C15;
    mixed = (mixed ^ mixed >> 32) * 0xD6E8FEB86659FD93;
    std::size_t at = static_cast<std::size_t>(mixed >> 32) & (entry_.size() - 1);
    while (entry_[at].key != key && entry_[at].key != no_key) at = (at + 1) & (entry_.size() - 1);
    return at;
  }
  [[nodiscard]] entry const& of(std::uint32_t left, std::uint32_t right) const noexcept {
    return entry_[place_of(key_of(left, right))];
  }

  [[nodiscard]] std::size_t merge_few(std::uint32_t* symbol, std::size_t count) const {
    std::array<std::uint32_t, few> rank{};  // of symbol i and its right neighbour
    std::array<std::uint32_t, few> into{};
    auto const look = [&](std::size_t i) {
      entry const& pair = of(symbol[i], symbol[i + 1]);
      rank[i] = pair.rank;
      into[i] = pair.into;
    };
    for (std::size_t i = 0; i + 1 < count; ++i) look(i);
    while (count > 1) {
      std::size_t least = 0;
      for (std::size_t i = 1; i + 1 < count; ++i) {
        if (rank[i] < rank[least]) least = i;
      }
      if (rank[least] == no_rank) break;
      symbol[least] = into[least];
      --count;
      for (std::size_t i = least + 1; i < count; ++i) {
        symbol[i] = symbol[i + 1];
        rank[i] = rank[i + 1];
        into[i] = into[i + 1];
      }
      if (least > 0) look(least - 1);
      if (least + 1 < count) look(least);
    }
    return count;
  }

  [[nodiscard]] std::size_t merge_many(std::uint32_t* symbol, std::size_t count) const {
    expects(count < no_token, "lm::byte_pair_merges: a pre-token has less than 2^32 bytes");
    auto const end = static_cast<std::uint32_t>(count);
    std::vector<std::uint32_t> before(count), after(count);
    std::vector<std::uint32_t> rank(count, no_rank);  // of the pair that begins here, as it is now
    std::vector<std::uint64_t> heap;  // rank and place in one number: the least is merged first
    auto const look = [&](std::uint32_t left) {
      std::uint32_t const right = after[left];
      rank[left] = right == end ? no_rank : of(symbol[left], symbol[right]).rank;
      return rank[left] != no_rank;
    };
    auto const key = [&](std::uint32_t at) { return std::uint64_t{rank[at]} << 32 | at; };
    for (std::uint32_t i = 0; i < end; ++i) {
      before[i] = i - 1;
      after[i] = i + 1;
    }
    for (std::uint32_t i = 0; i < end; ++i) {
      if (look(i)) heap.push_back(key(i));
    }
    std::make_heap(heap.begin(), heap.end(), std::greater<>());
    auto const add = [&](std::uint32_t left) {
      if (!look(left)) return;
      heap.push_back(key(left));
      std::push_heap(heap.begin(), heap.end(), std::greater<>());
    };
    while (!heap.empty()) {
      std::pop_heap(heap.begin(), heap.end(), std::greater<>());
      std::uint64_t const best = heap.back();
      heap.pop_back();
      auto const at = static_cast<std::uint32_t>(best);
      // What was found before one of its symbols was merged is out of date.
      if (rank[at] != best >> 32) continue;
      std::uint32_t const right = after[at];
      symbol[at] = of(symbol[at], symbol[right]).into;
      symbol[right] = no_token;
      rank[right] = no_rank;
      after[at] = after[right];
      if (after[at] != end) before[after[at]] = at;
      if (at != 0) add(before[at]);
      add(at);
    }
    return static_cast<std::size_t>(std::remove(symbol, symbol + count, no_token) - symbol);
  }

  std::vector<entry> entry_;
};

}  // namespace prefer::inline v0_1::lm
