// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <span>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/lanes.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/scalar/lane_math.hpp>

namespace prefer::inline v0_1::lm {

/// What lies between the products of a SwiGLU layer.
///
///   out = silu(gate) * up,  silu(x) = x * sigmoid(x)
///
/// `out` may be `gate` or `up`.
///
/// Source  Shazeer 2020, "GLU variants improve Transformer", arXiv:2002.05202
template <std::floating_point T>
void silu_multiply(std::span<T const> gate, std::span<T const> up, std::span<T> out,
                   executor threads) {
  expects_size(up.size(), gate.size(), "silu_multiply", "up");
  expects_size(out.size(), gate.size(), "silu_multiply", "out");
  threads.for_each_block(
      gate.size(), detail::elementwise_block, [&](std::size_t begin, std::size_t end) {
        detail::for_each_lane<T>(begin, end, [&](std::size_t i, std::size_t count) {
          auto const g = detail::load_first(gate.data() + i, count);
          auto const u = detail::load_first(up.data() + i, count);
          detail::store_first(g * sigmoid(g) * u, out.data() + i, count);
        });
      });
}

/// Its transpose: from the gradient of `out` those of `gate` and `up`, which are overwritten.
///
///   d_up = d_out * silu(gate),  d_gate = d_out * up * (s + gate * s * (1 - s)),  s = sigmoid(gate)
///
/// `d_gate` and `d_up` may be any of the inputs.
template <std::floating_point T>
void silu_multiply_backward(std::span<T const> gate, std::span<T const> up,
                            std::span<T const> d_out, std::span<T> d_gate, std::span<T> d_up,
                            executor threads) {
  expects_size(up.size(), gate.size(), "silu_multiply_backward", "up");
  expects_size(d_out.size(), gate.size(), "silu_multiply_backward", "d_out");
  expects_size(d_gate.size(), gate.size(), "silu_multiply_backward", "d_gate");
  expects_size(d_up.size(), gate.size(), "silu_multiply_backward", "d_up");
  threads.for_each_block(
      gate.size(), detail::elementwise_block, [&](std::size_t begin, std::size_t end) {
        detail::for_each_lane<T>(begin, end, [&](std::size_t i, std::size_t count) {
          auto const g = detail::load_first(gate.data() + i, count);
          auto const u = detail::load_first(up.data() + i, count);
          auto const d = detail::load_first(d_out.data() + i, count);
          auto const s = sigmoid_with_derivative(g);
          detail::store_first(d * g * s.value, d_up.data() + i, count);
          detail::store_first(d * u * (s.value + g * s.derivative), d_gate.data() + i, count);
        });
      });
}

}  // namespace prefer::inline v0_1::lm
