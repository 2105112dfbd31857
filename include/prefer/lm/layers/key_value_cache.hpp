// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/layers/attention.hpp>

namespace prefer::inline v0_1::lm {

/// The keys and values of a sequence in all layers, in pages of 64 positions.
///
/// Copies share the pages that are full, and the last one until one of them goes on: what several completions of a prompt
/// see of it is in memory once.
template <std::floating_point T>
class key_value_cache {
 public:
  key_value_cache(std::size_t layers, attention_heads const& how) : layers_(layers), how_(how) {
    detail::expects_heads(how, "key_value_cache");
  }

  /// Positions that are complete.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] attention_heads const& heads() const noexcept { return how_; }

  /// Room for `count` more positions. Then `write` each in every layer, in any order and on any thread, then `grow`.
  void make_room(std::size_t count) {
    if (size_ % page_rows != 0 && pages_.back().use_count() != 1) {
      auto const mine = new_page();
      std::memcpy(mine.get(), pages_.back().get(), page_size() * sizeof(T));
      pages_.back() = mine;
    }
    while (pages_.size() * page_rows < size_ + count) pages_.push_back(new_page());
  }
  /// Key and value of position size() + ahead, each [key_value_heads, head_size].
  void write(std::size_t layer, std::size_t ahead, T const* key, T const* value) {
    std::size_t const row = (size_ + ahead) % page_rows;
    std::size_t const size = how_.head_size;
    for (std::size_t head = 0; head != how_.key_value_heads; ++head) {
      T* const keys = place(layer, (size_ + ahead) / page_rows, head);
      for (std::size_t i = 0; i != size; ++i) keys[i * page_rows + row] = key[head * size + i];
      std::memcpy(keys + size * page_rows + row * padded(), value + head * size, size * sizeof(T));
    }
  }
  void grow(std::size_t count) { size_ += count; }

  /// Keys of a page, transposed [head_size, 64], for one head of one layer; they may be read up to 64 positions.
  [[nodiscard]] T* keys(std::size_t layer, std::size_t page, std::size_t head) const {
    return place(layer, page, head);
  }
  /// Values of a page [64, head_size], rows of whole lanes.
  [[nodiscard]] T* values(std::size_t layer, std::size_t page, std::size_t head) const {
    return place(layer, page, head) + how_.head_size * page_rows;
  }

 private:
  static constexpr std::size_t page_rows = detail::attention_block;
  using page_memory = std::shared_ptr<T[]>;

  [[nodiscard]] std::size_t padded() const { return detail::whole_lanes<T>(how_.head_size); }
  [[nodiscard]] std::size_t head_part() const { return (how_.head_size + padded()) * page_rows; }
  [[nodiscard]] std::size_t page_size() const {
    return layers_ * how_.key_value_heads * head_part();
  }
  [[nodiscard]] page_memory new_page() const { return page_memory(new T[page_size()]()); }
  [[nodiscard]] T* place(std::size_t layer, std::size_t number, std::size_t head) const {
    return pages_[number].get() + (layer * how_.key_value_heads + head) * head_part();
  }

  std::size_t layers_;
  attention_heads how_;
  std::vector<page_memory> pages_;  // each [layers, key_value_heads, keys and values]
  std::size_t size_ = 0;
};

/// Attention of one more row of each sequence, whose own key and value are written to its cache already, as position
/// size().
///
/// Shapes  q and out [sequences, heads, head_size]
/// Bits    those of `attention` over the whole sequence
template <std::floating_point T>
void attend_to_cache(std::span<key_value_cache<T> const* const> sequences, std::size_t layer,
                     std::span<T const> q, std::span<T> out, executor threads) {
  if (sequences.empty()) return;
  attention_heads const how = sequences.front()->heads();
  std::size_t const size = how.head_size;
  expects_size(q.size(), sequences.size() * how.heads * size, "attend_to_cache", "q");
  expects_size(out.size(), q.size(), "attend_to_cache", "out");
  std::size_t const padded = detail::whole_lanes<T>(size);
  std::size_t const group = how.group();
  using detail::attention_block;
  threads.for_each_chunk(sequences.size() * how.key_value_heads, [&](std::size_t chunk) {
    auto const& cache = *sequences[chunk / how.key_value_heads];
    std::size_t const shared = chunk % how.key_value_heads;
    std::size_t const first =
        chunk / how.key_value_heads * how.heads * size + shared * group * size;
    std::size_t const at = cache.size();
    detail::scratch<T> const memory(group * (attention_block + padded) + attention_block);
    T* const score = memory.data();                   // [group, block]
    T* const sums = score + group * attention_block;  // [group, padded]
    T* const zeros = sums + group * padded;           // [block]
    std::memset(sums, 0, (group * padded + attention_block) * sizeof(T));
    std::vector<detail::running_softmax<T>> running(group);
    detail::for_each_key_block(at, 1, how.window, [&](std::size_t begin, std::size_t columns) {
      std::size_t const page = begin / attention_block;
      // Whole lanes: what is beyond the last position is not seen, and a head's numbers are padded.
      std::size_t const lanes = detail::whole_lanes<T>(columns);
      add_product<T>({.rows = group,
                      .columns = lanes,
                      .depth = size,
                      .right = cache.keys(layer, page, shared),
                      .right_stride = attention_block,
                      .from = zeros,
                      .from_stride = 0,
                      .to = score,
                      .to_stride = attention_block},
                     [&](std::size_t g) { return q.data() + first + g * size; });
      auto const seen = detail::visible_at(at, begin, columns, how.window);
      for (std::size_t g = 0; g != group; ++g) {
        T const shrink = detail::soften(score + g * attention_block, lanes, seen,
                                        static_cast<T>(how.scale()), running[g]);
        detail::scale_lanes(sums + g * padded, padded, shrink);
      }
      add_product<T>({.rows = group,
                      .columns = padded,
                      .depth = columns,
                      .right = cache.values(layer, page, shared),
                      .right_stride = padded,
                      .from = sums,
                      .from_stride = padded,
                      .to = sums,
                      .to_stride = padded},
                     [&](std::size_t g) { return score + g * attention_block; });
    });
    for (std::size_t g = 0; g != group; ++g) {
      detail::divide(sums + g * padded, size, running[g].total, out.data() + first + g * size);
    }
  });
}

}  // namespace prefer::inline v0_1::lm
