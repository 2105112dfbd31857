// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include <prefer/policy/policy.hpp>

namespace prefer::inline v0_1 {

namespace detail {

template <class V, class B>
concept gives_values =
    requires(V& model, B const& batch, std::span<std::size_t const> step_offset,
             std::span<typename V::value_type> out) { model.values(batch, step_offset, out); };

template <class V, class B>
concept learns_values = requires(V& model, B const& batch, std::span<std::size_t const> step_offset,
                                 std::span<typename V::value_type> out) {
  model.learn_values(batch, step_offset, out);
};

template <class V, class B>
concept takes_value_coefficients =
    requires(V& model, B const& batch, std::span<std::size_t const> step_offset,
             std::span<typename V::value_type const> coefficient) {
      model.backward_values(batch, step_offset, coefficient);
    };

}  // namespace detail

/// What is to be expected of a completion's rewards from each of its steps on: a critic, beside a policy.
///
/// Asked for   `value_type`; `values(batch, step_offset, out)`, a number for each step, completion i of the batch having those
///             in [step_offset[i], step_offset[i + 1]); `backward_values(batch, step_offset, coefficient)`, which adds
///             sum_t coefficient_t * d value_t / d theta to its gradients; `parameters()`
/// Semantics   step t of a completion is the state in which its token t is written, given by the prompt and the tokens
///             before. Where there is a step more than there are tokens, the last is the state after the end. Otherwise
///             those of a Policy: backward_values follows values of the same batch, the same bits come for any batch that a
///             completion is part of, views of parameters stay valid. `finish_backward()` and `parameters_moved()` as there,
///             where it has them
/// Optional    `learn_values(batch, step_offset, out)`, where values keeps nothing: what backward_values follows in training
template <class V, class B>
concept ValueModel = detail::has_value_type<V> && detail::gives_values<V, B> &&
                     detail::takes_value_coefficients<V, B> && detail::has_parameters<V>;

namespace check {

/// For the first line of a "bring your own value model" file: static_assert(prefer::check::value_model<mine, batch>());
template <class V, class B>
consteval bool value_model() {
  static_assert(detail::has_value_type<V>,
                "prefer: a value model has a value_type, float or double");
  if constexpr (detail::has_value_type<V>) {
    static_assert(
        detail::gives_values<V, B>,
        "prefer: a value model has values(batch, std::span<std::size_t const> step_offset, "
        "std::span<value_type> out)");
    static_assert(detail::takes_value_coefficients<V, B>,
                  "prefer: a value model has backward_values(batch, std::span<std::size_t const> "
                  "step_offset, std::span<value_type const> coefficient)");
    static_assert(detail::has_parameters<V>,
                  "prefer: a value model has parameters(), a std::vector of "
                  "prefer::parameter<value_type>, or of its parameter_type");
  }
  return true;
}

}  // namespace check

}  // namespace prefer::inline v0_1
