// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

#include <prefer/expects.hpp>
#include <prefer/scalar/lane.hpp>

namespace prefer::inline v0_1::lm::detail {

using prefer::detail::at_least;
using prefer::detail::at_most;

// Numbers of an elementwise operation that are worth a thread's attention.
inline constexpr std::size_t elementwise_block = 16384;

/// A lane of which only the first `count` elements are in memory; the others are `rest`.
template <class T>
[[nodiscard]] inline lane<T> load_first_or(T const* from, std::size_t count, double rest) {
  if (count >= lane<T>::width) return lane<T>::load(from);
  lane<T> out = rest;
  std::memcpy(&out.v, from, count * sizeof(T));
  return out;
}
template <class T>
[[nodiscard]] inline lane<T> load_first(T const* from, std::size_t count) {
  return load_first_or(from, count, 0.0);
}
template <class T>
inline void store_first(lane<T> const& from, T* to, std::size_t count) {
  if (count >= lane<T>::width) return from.store(to);
  std::memcpy(to, &from.v, count * sizeof(T));
}

/// f(first element, elements) for each lane of [begin, end); the last one may be shorter.
template <class T, class F>
inline void for_each_lane(std::size_t begin, std::size_t end, F&& f) {
  for (std::size_t i = begin; i < end; i += lane<T>::width) {
    f(i, at_most(lane<T>::width, end - i));
  }
}

/// The largest element.
template <class T, std::size_t W>
[[nodiscard]] inline T largest(lane<T, W> a) {
  if constexpr (W == 1) {
    return a[0];
  } else {
    using narrower = lane<T, W / 2>;
    return [a]<std::size_t... Is>(std::index_sequence<Is...>) {
      using prefer::detail::picked;
      return largest(max(narrower(picked<T, W>(a.v, a.v, std::index_sequence<Is...>())),
                         narrower(picked<T, W>(a.v, a.v, std::index_sequence<(W / 2 + Is)...>()))));
    }(std::make_index_sequence<W / 2>());
  }
}

/// The next multiple of a lane's width.
template <class T>
[[nodiscard]] constexpr std::size_t whole_lanes(std::size_t count) {
  return (count + lane<T>::width - 1) / lane<T>::width * lane<T>::width;
}

/// Memory for the intermediate values of one chunk, cache-line aligned; zeros are not written where nobody reads them.
template <class T>
class scratch {
 public:
  explicit scratch(std::size_t count)
      : values_(static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(64)))) {}
  [[nodiscard]] T* data() const noexcept { return values_.get(); }

 private:
  struct release {
    void operator()(T* values) const { ::operator delete(values, std::align_val_t(64)); }
  };
  std::unique_ptr<T, release> values_;
};

}  // namespace prefer::inline v0_1::lm::detail
