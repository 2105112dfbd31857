// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include <prefer/lm/layers/listener.hpp>

namespace prefer::inline v0_1::lm {

/// Who is told the keys and values of every layer's rows, as attention reads them [rows, key_value_heads, head_size]:
/// (layer, keys, values).
template <class T>
using key_value_listener = listener<std::size_t, std::span<T const>, std::span<T const>>;

}  // namespace prefer::inline v0_1::lm
