// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include <prefer/lm/files/llama_config.hpp>
#include <prefer/lm/model/linear_map.hpp>
#include <prefer/lm/model/row_layout.hpp>

namespace prefer::inline v0_1::lm {

/// Memory of which pieces are handed out until all is taken back at once. It grows to the most that was ever asked for
/// and is never given back before its end: fresh pages would cost a tenth of a step.
class arena {
 public:
  /// Takes everything back. What lay there is lost.
  void begin(std::size_t bytes) {
    used_ = 0;
    if (bytes <= size_) return;
    memory_.reset();
    size_ = 0;
    std::size_t const whole = (bytes + page - 1) / page * page;
    memory_.reset(static_cast<std::byte*>(std::aligned_alloc(page, whole)));
    if (!memory_) throw std::bad_alloc();
    size_ = whole;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    madvise(memory_.get(), size_, MADV_HUGEPAGE);  // a hint: slower where it is not heard
#endif
  }
  template <class T>
  [[nodiscard]] std::span<T> take(std::size_t count) {
    auto* const first = reinterpret_cast<T*>(memory_.get() + used_);
    used_ += bytes_of<T>(count);
    return {first, count};
  }
  /// What `take` uses of it.
  template <class T>
  [[nodiscard]] static constexpr std::size_t bytes_of(std::size_t count) {
    return (count * sizeof(T) + line - 1) / line * line;
  }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t page = std::size_t{1} << 21;
  static constexpr std::size_t line = 64;

  struct release {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, release> memory_;
  std::size_t size_ = 0;
  std::size_t used_ = 0;
};

/// Moves the rows of some ranges, in ascending order, to the front of all `rows`, and gives what they take.
template <class T>
[[nodiscard]] std::span<T> keep_rows(std::span<T> of, std::size_t rows,
                                     std::span<row_range const> kept) {
  if (rows == 0) return of;
  std::size_t const width = of.size() / rows;
  std::size_t to = 0;
  for (row_range const& each : kept) {
    std::size_t const count = each.end - each.begin;
    if (width != 0) {
      std::memmove(of.data() + to * width, of.data() + each.begin * width,
                   count * width * sizeof(T));
    }
    to += count;
  }
  return of.first(to * width);
}

/// What a forward pass leaves for a backward pass.
enum class kept { nothing, layer_inputs, everything };

/// The numbers of a layer that a forward pass computes and a backward pass reads, over all rows.
///
/// Where q and k are normalised, they lie here as they were before, and are normalised and turned again; else turned.
/// What costs little is computed again: normalised inputs, silu(gate) * up, probabilities.
template <std::floating_point T>
struct layer_memory {
  std::span<T> x;                             ///< what comes in [rows, width]
  std::span<T> input_scale;                   ///< 1 / rms of x [rows]
  std::span<T> query;                         ///< [rows, heads * head_size]
  std::span<T> key;                           ///< [rows, key_value_heads * head_size]
  std::span<T> value;                         ///< the same
  std::span<T> query_scale;                   ///< [rows, heads], where they are normalised
  std::span<T> key_scale;                     ///< [rows, key_value_heads]
  std::span<T> attended;                      ///< as query
  std::span<T> log_sum_exp;                   ///< [rows, heads]
  std::span<T> middle;                        ///< x with attention's part [rows, width]
  std::span<T> middle_scale;                  ///< [rows]
  std::span<T> gate;                          ///< [rows, feed_forward]
  std::span<T> up;                            ///< the same
  std::array<std::span<T>, linear_maps> low;  ///< of an adapter, [rows, rank]
};

/// What is needed only while a layer is computed.
template <std::floating_point T>
struct working_memory {
  std::span<T> last;    ///< what comes out of the last layer [rows, width]
  std::span<T> normed;  ///< [rows, width]
  std::span<T> hidden;  ///< silu(gate) * up [rows, feed_forward]
  std::span<T> query;   ///< normalised and turned, where the layer keeps them as they were
  std::span<T> key;     ///< likewise
  std::span<T> d_x;     ///< [rows, width], of a backward pass, as are those below
  std::span<T> d_normed;
  std::span<T> d_query;
  std::span<T> d_key;
  std::span<T> d_value;
  std::span<T> d_attended;
  std::span<T> d_low;  ///< [rows, rank]
  std::span<T> room;   ///< [rows, widest input of a map], where there is dropout
};

/// What decides how much memory a pass takes.
struct pass_size {
  std::size_t rows = 0;
  kept keeps = kept::nothing;
  std::array<std::size_t, linear_maps> ranks{};  ///< of an adapter's maps; 0: none
  bool dropout = false;
};

/// All of a pass, in one arena.
template <std::floating_point T>
class llama_memory {
 public:
  void lay_out(llama_config const& of, pass_size const& how) {
    std::size_t bytes = 0;
    // Counted by the same walk that hands out, so that the two cannot disagree.
    walk(of, how, [&](std::span<T>&, std::size_t count) { bytes += arena::bytes_of<T>(count); });
    arena_.begin(bytes);
    walk(of, how,
         [&](std::span<T>& to, std::size_t count) { to = arena_.template take<T>(count); });
  }
  /// Leaves of all rows, after a forward pass, those that a backward pass is for.
  void keep(std::size_t rows, kept keeps, std::span<row_range const> ranges) {
    std::size_t left = 0;
    for (row_range const& each : ranges) left += each.end - each.begin;
    auto const shorten = [&](std::span<T>& of) { of = of.first(of.size() / rows * left); };
    auto const move = [&](std::span<T>& of) { of = keep_rows(of, rows, ranges); };
    for (layer_memory<T>& m : layers_) {
      move(m.x);
      // What is computed again lies in the same memory for all layers.
      if (keeps == kept::everything) {
        for_each_but_x(m, move);
      } else {
        for_each_but_x(m, shorten);
      }
    }
    working_memory<T>& w = working_;
    for (auto* each : {&w.last, &w.normed, &w.hidden, &w.query, &w.key, &w.d_x, &w.d_normed,
                       &w.d_query, &w.d_key, &w.d_value, &w.d_attended, &w.d_low, &w.room}) {
      shorten(*each);
    }
  }
  [[nodiscard]] layer_memory<T>& layer(std::size_t l) { return layers_[l]; }
  [[nodiscard]] working_memory<T>& working() { return working_; }
  [[nodiscard]] std::size_t bytes() const { return arena_.size(); }

 private:
  static void for_each_but_x(layer_memory<T>& m, auto const& f) {
    for (auto* each : {&m.input_scale, &m.query, &m.key, &m.value, &m.query_scale, &m.key_scale,
                       &m.attended, &m.log_sum_exp, &m.middle, &m.middle_scale, &m.gate, &m.up}) {
      f(*each);
    }
    for (std::span<T>& each : m.low) f(each);
  }

  template <class Take>
  void walk(llama_config const& of, pass_size const& how, Take const& take) {
    std::size_t const n = how.rows;
    std::size_t const queries = n * of.heads * of.head_size;
    std::size_t const keys = n * of.key_value_heads * of.head_size;
    auto const take_rest = [&](layer_memory<T>& m) {
      take(m.input_scale, n);
      take(m.query, queries);
      take(m.key, keys);
      take(m.value, keys);
      take(m.query_scale, of.query_key_norm ? n * of.heads : 0);
      take(m.key_scale, of.query_key_norm ? n * of.key_value_heads : 0);
      take(m.attended, queries);
      take(m.log_sum_exp, n * of.heads);
      take(m.middle, n * of.width);
      take(m.middle_scale, n);
      take(m.gate, n * of.feed_forward);
      take(m.up, n * of.feed_forward);
      for (std::size_t map = 0; map != linear_maps; ++map) take(m.low[map], n * how.ranks[map]);
    };
    layers_.resize(of.layers);
    for (std::size_t l = 0; l != of.layers; ++l) {
      layer_memory<T>& m = layers_[l];
      bool const first = l == 0;
      if (first || how.keeps != kept::nothing) {
        take(m.x, n * of.width);
      } else {
        m.x = layers_[0].x;
      }
      if (first || how.keeps == kept::everything) {
        take_rest(m);
      } else {
        std::span<T> const x = m.x;
        m = layers_[0];
        m.x = x;
      }
    }
    working_memory<T>& w = working_;
    bool const backward = how.keeps != kept::nothing;
    take(w.last, n * of.width);
    take(w.normed, n * of.width);
    take(w.hidden, n * of.feed_forward);
    take(w.query, of.query_key_norm ? queries : 0);
    take(w.key, of.query_key_norm ? keys : 0);
    take(w.d_x, backward ? n * of.width : 0);
    take(w.d_normed, backward ? n * of.width : 0);
    take(w.d_query, backward ? queries : 0);
    take(w.d_key, backward ? keys : 0);
    take(w.d_value, backward ? keys : 0);
    take(w.d_attended, backward ? queries : 0);
    std::size_t rank = 0;
    for (std::size_t const each : how.ranks) rank = each > rank ? each : rank;
    take(w.d_low, backward ? n * rank : 0);
    std::size_t widest = of.feed_forward > of.width ? of.feed_forward : of.width;
    if (of.heads * of.head_size > widest) widest = of.heads * of.head_size;
    take(w.room, how.dropout ? n * widest : 0);
  }

  arena arena_;
  std::vector<layer_memory<T>> layers_;
  working_memory<T> working_;
};

}  // namespace prefer::inline v0_1::lm
