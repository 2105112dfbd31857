// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <type_traits>
#include <utility>

#include <prefer/lm/model/llama_pass.hpp>

namespace prefer::inline v0_1::lm {

template <std::floating_point T>
class llama;

namespace detail {

template <class R>
concept leaves_an_adapter_out = requires(R const& reference) { reference.policy_with_adapter(); };
template <class R>
concept wraps_a_policy = requires(R const& reference) { reference.policy(); };

template <class R, class T>
[[nodiscard]] consteval bool has_llama_inside() {
  using type = std::remove_cvref_t<R>;
  if constexpr (std::same_as<type, llama<T>>) {
    return true;
  } else if constexpr (leaves_an_adapter_out<type>) {
    return has_llama_inside<decltype(std::declval<type const&>().policy_with_adapter()), T>();
  } else if constexpr (wraps_a_policy<type>) {
    return has_llama_inside<decltype(std::declval<type const&>().policy()), T>();
  } else {
    return false;
  }
}

}  // namespace detail

/// A llama<T>, something whose `policy()` gives one, however deep, or a policy without its adapter. Such a reference can be
/// asked for whole distributions.
template <class R, class T>
concept LlamaReference = detail::has_llama_inside<R, T>();

/// What the llama<T> inside of a reference computes with.
template <class T, LlamaReference<T> R>
[[nodiscard]] llama_view<T> llama_of(R const& reference) {
  if constexpr (std::same_as<R, llama<T>>) {
    return reference.view();
  } else if constexpr (detail::leaves_an_adapter_out<R>) {
    llama_view<T> out = llama_of<T>(reference.policy_with_adapter());
    out.adapter = nullptr;
    return out;
  } else {
    return llama_of<T>(reference.policy());
  }
}

}  // namespace prefer::inline v0_1::lm
