// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/lanes.hpp>
#include <prefer/parallel/executor.hpp>

namespace prefer::inline v0_1::lm {

/// Rotary position embedding on halves: element i of a head and element i + head_size / 2 are a plane, which turns by
/// the position times the plane's frequency.
///
///   y_i = x_i cos - x_{i + half} sin,  y_{i + half} = x_{i + half} cos + x_i sin
///
/// Angles are products in double, and so are cosine and sine before they are rounded to T.
///
/// Source  Su et al. 2021, arXiv:2104.09864; halves instead of neighbours as in Hugging Face's order of rows
template <std::floating_point T>
class rope {
 public:
  /// `frequency` in radians per position, one for each plane.
  explicit rope(std::vector<double> frequency) : frequency_(std::move(frequency)) {}

  /// Tabulates cosine and sine of every position below `positions`. Not beside a call of rotate.
  void extend(std::size_t positions) {
    std::size_t const half = frequency_.size();
    for (std::size_t p = this->positions(); p < positions; ++p) {
      for (double const each : frequency_) {
        table_.push_back(static_cast<T>(std::cos(static_cast<double>(p) * each)));
      }
      for (std::size_t i = 0; i != half; ++i) {
        table_.push_back(static_cast<T>(std::sin(static_cast<double>(p) * frequency_[i])));
      }
      ++positions_;
    }
  }
  [[nodiscard]] std::size_t positions() const noexcept { return positions_; }
  [[nodiscard]] std::size_t head_size() const noexcept { return 2 * frequency_.size(); }

  /// Turns rows in place: x [rows, heads, head_size], row r by position[r].
  ///
  /// Errors  precondition_error for a position that `extend` did not reach
  void rotate(std::span<std::uint32_t const> position, std::size_t heads, std::span<T> x,
              executor threads) const {
    turn(position, heads, x, threads, T(1));
  }
  /// Turns them back, which is the transpose: gradients of what `rotate` gave become those of what it took.
  void rotate_back(std::span<std::uint32_t const> position, std::size_t heads, std::span<T> x,
                   executor threads) const {
    turn(position, heads, x, threads, T(-1));
  }

 private:
  void turn(std::span<std::uint32_t const> position, std::size_t heads, std::span<T> x,
            executor threads, T direction) const {
    std::size_t const half = frequency_.size();
    std::size_t const width = heads * 2 * half;
    expects_size(x.size(), position.size() * width, "rope", "x");
    for (std::uint32_t const each : position) {
      if (each < positions()) continue;
      refuse("rope: position " + std::to_string(each) + ", expected less than the " +
             std::to_string(positions()) + " that are tabulated");
    }
    threads.for_each_block(
        position.size(), detail::elementwise_block / (width + 1) + 1,
        [&](std::size_t begin, std::size_t end) {
          for (std::size_t r = begin; r != end; ++r) {
            T const* const cosine = table_.data() + position[r] * 2 * half;
            T const* const sine = cosine + half;
            for (std::size_t h = 0; h != heads; ++h) {
              T* const head = x.data() + r * width + h * 2 * half;
              detail::for_each_lane<T>(0, half, [&](std::size_t i, std::size_t count) {
                auto const c = detail::load_first(cosine + i, count);
                auto const s = detail::load_first(sine + i, count) * lane<T>(direction);
                auto const a = detail::load_first(head + i, count);
                auto const b = detail::load_first(head + half + i, count);
                detail::store_first(a * c - b * s, head + i, count);
                detail::store_first(b * c + a * s, head + half + i, count);
              });
            }
          }
        });
  }

  std::vector<double> frequency_;  // [half]
  std::vector<T> table_;           // [positions, 2, half]: cosines, then sines
  std::size_t positions_ = 0;
};

}  // namespace prefer::inline v0_1::lm
