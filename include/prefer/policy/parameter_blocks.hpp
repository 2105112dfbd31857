// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <prefer/policy/parameter.hpp>

namespace prefer::inline v0_1 {

/// Elements [begin, end) of one parameter out of a list.
struct parameter_block {
  std::size_t parameter = 0;
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// Lists blocks of at most `size` elements that cover every parameter that is not frozen, in order.
///
/// The cuts depend on the parameters alone, never on threads; `blocks` keeps its memory from call to call.
template <class T>
void list_blocks(std::span<parameter<T> const> parameters, std::size_t size,
                 std::vector<parameter_block>& blocks) {
  blocks.clear();
  for (std::size_t i = 0; i != parameters.size(); ++i) {
    if (parameters[i].frozen) continue;
    std::size_t const count = parameters[i].value.size();
    for (std::size_t begin = 0; begin != count;) {
      std::size_t const end = count - begin < size ? count : begin + size;
      blocks.push_back({i, begin, end});
      begin = end;
    }
  }
}

}  // namespace prefer::inline v0_1
