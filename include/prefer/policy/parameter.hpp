// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <string_view>

namespace prefer {

/// One named tensor of a policy, seen by an optimizer: its values, and the gradient of the loss with respect to them.
///
/// Both spans are views of memory that the policy owns, element i of one belonging to element i of the other. A frozen
/// parameter is neither moved by an optimizer nor counted in a gradient norm; its gradient may be empty. The name
/// identifies the tensor in a checkpoint, so it is unique within a policy and stable between runs.
template <class T>
struct parameter {
  using element_type = T;

  std::string_view name;
  std::span<T> value;
  std::span<T> gradient;
  bool frozen = false;
};

}  // namespace prefer
