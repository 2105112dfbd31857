// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/files/dequantise.hpp>
#include <prefer/lm/files/tensor_type.hpp>

namespace prefer::inline v0_1::lm {

/// The type of plain numbers in memory.
template <std::floating_point T>
inline constexpr tensor_type type_of_values =
    std::is_same_v<T, float> ? tensor_type::f32 : tensor_type::f64;

/// A matrix of weights that do not change, [rows, columns], row after row: numbers of type T, or as a file holds them
/// (bfloat16, blocks of Q8_0), to be read in pieces. Its bytes are its own or lie in a mapped file that it keeps alive;
/// copies share them.
template <std::floating_point T>
class weight_matrix {
 public:
  weight_matrix() = default;

  weight_matrix(std::size_t rows, std::size_t columns, std::vector<T> values)
      : rows_(rows), columns_(columns) {
    expects_size(values.size(), rows * columns, "weight_matrix", "values");
    auto const kept = std::make_shared<std::vector<T> const>(std::move(values));
    bytes_ = reinterpret_cast<std::byte const*>(kept->data());
    keeps_ = kept;
  }
  weight_matrix(tensor_type type, std::size_t rows, std::size_t columns,
                std::vector<std::byte> bytes)
      : type_(type), rows_(rows), columns_(columns) {
    check_size(bytes.size());
    auto const kept = std::make_shared<std::vector<std::byte> const>(std::move(bytes));
    bytes_ = kept->data();
    keeps_ = kept;
  }
  /// Borrows bytes that live as long as what `keeps` points to.
  weight_matrix(tensor_type type, std::size_t rows, std::size_t columns,
                std::span<std::byte const> bytes, std::shared_ptr<void const> keeps)
      : type_(type),
        rows_(rows),
        columns_(columns),
        bytes_(bytes.data()),
        keeps_(std::move(keeps)) {
    check_size(bytes.size());
  }

  [[nodiscard]] std::size_t rows() const noexcept { return rows_; }
  [[nodiscard]] std::size_t columns() const noexcept { return columns_; }
  [[nodiscard]] tensor_type type() const noexcept { return type_; }

  /// True where the numbers lie in memory as T, so that `values` gives them.
  [[nodiscard]] bool has_values() const noexcept {
    return type_ == type_of_values<T> && reinterpret_cast<std::uintptr_t>(bytes_) % alignof(T) == 0;
  }
  [[nodiscard]] std::span<T const> values() const& {
    expects(has_values(), "weight_matrix::values: the numbers are not in memory as this type");
    return {reinterpret_cast<T const*>(bytes_), rows_ * columns_};
  }

  /// Rows as they are stored.
  [[nodiscard]] std::span<std::byte const> row_bytes(std::size_t first, std::size_t count) const& {
    check_rows(first, count, "weight_matrix::row_bytes: there are not that many rows");
    std::size_t const size = lm::row_bytes(type_, columns_);
    return {bytes_ + first * size, count * size};
  }

  // What leads into a matrix is not had of a temporary, which may be the last that keeps its numbers.
  void values() const&& = delete;
  void row_bytes(std::size_t, std::size_t) const&& = delete;

  /// Rows as numbers: row first + i to out + i * stride.
  void read_rows(std::size_t first, std::size_t count, T* out, std::size_t stride) const {
    check_rows(first, count, "weight_matrix::read_rows: there are not that many rows");
    for (std::size_t i = 0; i != count; ++i) {
      dequantise(type_, row_bytes(first + i, 1), std::span<T>(out + i * stride, columns_));
    }
  }

  /// Bytes that the numbers take, in memory or in the mapped file.
  [[nodiscard]] std::size_t bytes_held() const noexcept {
    return rows_ * lm::row_bytes(type_, columns_);
  }

 private:
  void check_size(std::size_t bytes) const {
    expects(columns_ % block_values(type_) == 0, "weight_matrix: a row is not of whole blocks");
    expects_size(bytes, bytes_held(), "weight_matrix", "bytes");
  }
  void check_rows(std::size_t first, std::size_t count, char const* sentence) const {
    expects(first <= rows_ && count <= rows_ - first, sentence);
  }

  tensor_type type_ = type_of_values<T>;
  std::size_t rows_ = 0;
  std::size_t columns_ = 0;
  std::byte const* bytes_ = nullptr;
  std::shared_ptr<void const> keeps_;
};

}  // namespace prefer::inline v0_1::lm
