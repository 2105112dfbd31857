// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/parallel/executor.hpp>

namespace prefer::inline v0_1 {

/// The sizes of a tensor, outermost first: {rows, columns} of a matrix that is stored row by row. Empty: not said.
class tensor_shape {
 public:
  static constexpr std::size_t most_dimensions = 6;

  constexpr tensor_shape() noexcept {
  }  // g++ 12 dies on a defaulted one in a default member initialiser
  constexpr tensor_shape(std::initializer_list<std::size_t> sizes) {
    expects(sizes.size() <= most_dimensions, "tensor_shape: at most 6 dimensions");
    for (std::size_t const each : sizes) size_[dimensions_++] = each;
  }

  template <class = on_demand>
  [[nodiscard]] constexpr std::span<std::size_t const> sizes() const {
    return view_of(size_, dimensions_);
  }
  [[nodiscard]] constexpr bool empty() const { return dimensions_ == 0; }
  /// Of the tensor: the product of the sizes.
  [[nodiscard]] constexpr std::size_t elements() const {
    std::size_t product = 1;
    for (std::size_t d = 0; d < dimensions_; ++d) product *= size_[d];
    return product;
  }
  friend constexpr bool operator==(tensor_shape const&, tensor_shape const&) = default;

 private:
  std::size_t size_[most_dimensions] = {};
  std::size_t dimensions_ = 0;
};

/// One named tensor of a policy, seen by an optimizer: its values, and the gradient of the loss with respect to them.
///
/// Both spans are views of memory that the policy owns, element i of one belonging to element i of the other. A
/// frozen parameter is neither moved by an optimizer, nor counted in a gradient norm, nor written into a checkpoint;
/// its gradient may be empty. `decayed` says whether weight decay is for it, unless an optimizer is told otherwise: a bias or
/// a popularity is not pulled to 0. The name identifies the tensor in a checkpoint, so it is unique within a policy and
/// stable between runs. Where a shape is given, value has as many elements.
template <class T>
struct parameter {
  using element_type = T;

  std::string_view name;
  std::span<T> value;
  std::span<T> gradient;
  bool frozen = false;
  tensor_shape shape = {};
  bool decayed = true;
};

/// Whether every tensor has as many elements as its shape says.
///
/// Errors  precondition_error naming the tensor
template <class T>
void expects_shapes(std::span<parameter<T> const> parameters, char const* where) {
  for (auto const& each : parameters) {
    if (each.shape.empty() || each.shape.elements() == each.value.size()) continue;
    detail::broken(std::string(where) + ": parameter '" + std::string(each.name) + "' has " +
                   std::to_string(each.value.size()) + " elements, its shape has " +
                   std::to_string(each.shape.elements()));
  }
}

/// Sets the gradients of all parameters to 0.
template <class T>
void zero_gradients(std::span<parameter<T> const> parameters, executor const& threads = {}) {
  constexpr std::size_t block = 65536;
  for (auto const& each : parameters) {
    threads.for_each_block(each.gradient.size(), block, [&](std::size_t begin, std::size_t end) {
      for (T& g : each.gradient.subspan(begin, end - begin)) g = 0;
    });
  }
}

}  // namespace prefer::inline v0_1
