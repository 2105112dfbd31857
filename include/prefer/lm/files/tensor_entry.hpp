// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <prefer/data/place.hpp>
#include <prefer/lm/files/tensor_type.hpp>

namespace prefer::inline v0_1::lm {

/// Where a file holds a tensor. The shape is as PyTorch writes it: the last dimension is of neighbours in memory.
struct tensor_entry {
  std::string name;
  tensor_type type = tensor_type::f32;
  std::vector<std::size_t> shape;
  std::size_t offset = 0;  // of its first byte, from the first byte of the file
  std::size_t bytes = 0;
};

/// "[3, 4]"
[[nodiscard]] inline std::string shape_text(std::vector<std::size_t> const& shape) {
  std::string text = "[";
  for (std::size_t const each : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(each);
  }
  return text + "]";
}

namespace detail {

/// Bytes of a tensor; refuses a shape that does not fit any memory, or whose rows are not of whole blocks.
[[nodiscard]] inline std::size_t bytes_of_shape(data::place const& at, tensor_entry const& tensor) {
  std::size_t values = 1;
  for (std::size_t const each : tensor.shape) {
    if (each != 0 && values > PTRDIFF_MAX / block_bytes(tensor.type) / each) {
      at.refuse("tensor " + data::in_quotes(tensor.name) + " has the shape " +
                shape_text(tensor.shape) + ", which no memory holds");
    }
    values *= each;
  }
  std::size_t const columns = tensor.shape.empty() ? 1 : tensor.shape.back();
  if (columns % block_values(tensor.type) != 0) {
    at.refuse("tensor " + data::in_quotes(tensor.name) + " of type " +
              std::string(spelling(tensor.type)) + " has rows of " + std::to_string(columns) +
              " values, expected a multiple of " + std::to_string(block_values(tensor.type)));
  }
  return row_bytes(tensor.type, values);
}

}  // namespace detail

}  // namespace prefer::inline v0_1::lm
