// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::lm {

/// Who is told something while a call goes on: two pointers to a function object that outlives it. By default nobody.
template <class... What>
class listener {
 public:
  listener() = default;
  /// tell(what...)
  template <class F>
    requires(!std::same_as<F, listener>)
  explicit listener(F const& tell)
      : who_(&tell),
        tell_([](void const* who, What... what) { (*static_cast<F const*>(who))(what...); }) {}

  void operator()(What... what) const {
    if (tell_ != nullptr) tell_(who_, what...);
  }

 private:
  void const* who_ = nullptr;
  void (*tell_)(void const*, What...) = nullptr;
};

}  // namespace prefer::inline v0_1::lm
