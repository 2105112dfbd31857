// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::lm {

/// Who is told the keys and values of every layer's rows, as attention reads them [rows, key_value_heads, head_size]: two
/// pointers to a function object that outlives the call. By default nobody.
template <class T>
class key_value_listener {
 public:
  key_value_listener() = default;
  /// tell(layer, keys, values)
  template <class F>
  explicit key_value_listener(F const& tell)
      : who_(&tell),
        tell_([](void const* who, std::size_t layer, std::span<T const> keys,
                 std::span<T const> values) {
          (*static_cast<F const*>(who))(layer, keys, values);
        }) {}

  void operator()(std::size_t layer, std::span<T const> keys, std::span<T const> values) const {
    if (tell_ != nullptr) tell_(who_, layer, keys, values);
  }

 private:
  void const* who_ = nullptr;
  void (*tell_)(void const*, std::size_t, std::span<T const>, std::span<T const>) = nullptr;
};

}  // namespace prefer::inline v0_1::lm
