// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include <prefer/target.hpp>

// Lanes use the vector types that g++ and clang share. Elsewhere, or when PREFER_PORTABLE_LANES is
// defined, a plain array with loops takes their place; the tests run both.
#if defined(__GNUC__) && !defined(PREFER_PORTABLE_LANES)
#define PREFER_VECTOR_LANES 1
#else
#define PREFER_VECTOR_LANES 0
#endif

namespace prefer::inline v0_1 {

namespace detail {

#if defined(__AVX512F__)
inline constexpr std::size_t register_bytes = 64;
#elif defined(__AVX__)
inline constexpr std::size_t register_bytes = 32;
#else
inline constexpr std::size_t register_bytes = 16;
#endif

template <class T>
using bits_of = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;

#if PREFER_VECTOR_LANES
template <class T, std::size_t W>
struct vector_type {
  using type [[gnu::vector_size(sizeof(T) * W)]] = T;
};
template <class T, std::size_t W>
using vector = typename vector_type<T, W>::type;

template <class V>
[[nodiscard]] inline V choose(auto const& mask, V a, V b) {
  return mask ? a : b;
}
/// The elements numbered I, those of b after those of a.
template <class T, std::size_t W, std::size_t... Is>
[[nodiscard]] inline vector<T, sizeof...(Is)> picked(vector<T, W> a, vector<T, W> b,
                                                     std::index_sequence<Is...>) {
#if defined(__CUDACC__)  // whose front end expands no pack there
  return vector<T, sizeof...(Is)>{(Is < W ? a[Is % W] : b[Is % W])...};
#else
  return __builtin_shufflevector(a, b, static_cast<int>(Is)...);
#endif
}
#else
template <class T, std::size_t W>
struct vector {
  T element[W];

  constexpr T& operator[](std::size_t i) { return element[i]; }
  constexpr T const& operator[](std::size_t i) const { return element[i]; }

  template <class R = T>
  static vector<R, W> map(vector const& a, vector const& b, auto f) {
    vector<R, W> out;
    for (std::size_t i = 0; i < W; ++i)
      out.element[i] = static_cast<R>(f(a.element[i], b.element[i]));
    return out;
  }
  using mask = vector<bits_of<T>, W>;
  // Integers wrap around, as those in registers do.
  static auto wrapping(T x) {
    if constexpr (std::is_integral_v<T>) {
      return static_cast<std::make_unsigned_t<T>>(x);
    } else {
      return x;
    }
  }
  friend vector operator+(vector a, vector b) {
    return map(a, b, [](T x, T y) { return wrapping(x) + wrapping(y); });
  }
  friend vector operator-(vector a, vector b) {
    return map(a, b, [](T x, T y) { return wrapping(x) - wrapping(y); });
  }
  friend vector operator*(vector a, vector b) {
    return map(a, b, [](T x, T y) { return x * y; });
  }
  friend vector operator/(vector a, vector b) {
    return map(a, b, [](T x, T y) { return x / y; });
  }
  friend vector operator-(vector a) {
    return map(a, a, [](T x, T) { return -x; });
  }
  friend vector operator&(vector a, vector b) {
    return map(a, b, [](T x, T y) { return x & y; });
  }
  friend vector operator|(vector a, vector b) {
    return map(a, b, [](T x, T y) { return x | y; });
  }
  friend vector operator~(vector a) {
    return map(a, a, [](T x, T) { return ~x; });
  }
  friend vector operator<<(vector a, int n) {
    return map(a, a, [n](T x, T) { return wrapping(x) << n; });
  }
  friend vector operator>>(vector a, int n) {
    return map(a, a, [n](T x, T) { return x >> n; });
  }
  friend mask operator>(vector a, vector b) {
    return map<bits_of<T>>(a, b, [](T x, T y) { return x > y ? -1 : 0; });
  }
  friend mask operator<(vector a, vector b) { return b > a; }
};

template <class T, std::size_t W>
[[nodiscard]] inline vector<T, W> choose(vector<bits_of<T>, W> const& mask, vector<T, W> a,
                                         vector<T, W> b) {
  for (std::size_t i = 0; i < W; ++i) a[i] = mask[i] != 0 ? a[i] : b[i];
  return a;
}
template <class T, std::size_t W, std::size_t... Is>
[[nodiscard]] inline vector<T, sizeof...(Is)> picked(vector<T, W> a, vector<T, W> b,
                                                     std::index_sequence<Is...>) {
  return {{(Is < W ? a[Is] : b[Is - W])...}};
}
#endif

}  // namespace detail

/// The outcome of comparing two lanes, elementwise.
template <class T, std::size_t W>
struct lane_mask {
  detail::vector<detail::bits_of<T>, W> bits;

  friend lane_mask operator&(lane_mask a, lane_mask b) { return {a.bits & b.bits}; }
  friend lane_mask operator|(lane_mask a, lane_mask b) { return {a.bits | b.bits}; }
  friend lane_mask operator!(lane_mask a) { return {~a.bits}; }
};

/// W numbers that travel together through a formula: one SIMD register of the machine compiled for.
///
/// A lane is a Scalar. Its arithmetic is elementwise, its constants are broadcast from double, and its
/// primitives (lane_math.hpp) are branch-free.
template <std::floating_point T, std::size_t W = detail::register_bytes / sizeof(T)>
struct lane {
  static_assert(std::has_single_bit(W), "prefer: a lane's width is a power of two");
  using value_type = T;
  using mask = lane_mask<T, W>;
  static constexpr std::size_t width = W;

  detail::vector<T, W> v;

  lane() = default;
  /// A constant in every element: a number, or a parameter type that converts to one.
  template <std::convertible_to<double> C>
  lane(C const& broadcast) : v{} {  // NOLINT(google-explicit-constructor): formulas mix both
    auto const c = static_cast<T>(static_cast<double>(broadcast));
#if PREFER_VECTOR_LANES
    v = c - detail::vector<T, W>{};
#else
    for (std::size_t i = 0; i < W; ++i) v[i] = c;
#endif
  }
  explicit lane(detail::vector<T, W> raw) : v(raw) {}

  [[nodiscard]] static lane load(T const* from) {
    lane out;
    std::memcpy(&out.v, from, sizeof out.v);
    return out;
  }
  void store(T* to) const { std::memcpy(to, &v, sizeof v); }
  [[nodiscard]] T operator[](std::size_t i) const { return v[i]; }

  friend lane operator+(lane a, lane b) { return lane(a.v + b.v); }
  friend lane operator-(lane a, lane b) { return lane(a.v - b.v); }
  friend lane operator*(lane a, lane b) { return lane(a.v * b.v); }
  friend lane operator/(lane a, lane b) { return lane(a.v / b.v); }
  friend lane operator-(lane a) { return lane(-a.v); }
  lane& operator+=(lane b) { return *this = *this + b; }
  friend mask operator>(lane a, lane b) { return {a.v > b.v}; }
  friend mask operator<(lane a, lane b) { return {a.v < b.v}; }

  /// Elementwise a where the mask holds, else b.
  friend lane select(mask m, lane a, lane b) { return lane(detail::choose(m.bits, a.v, b.v)); }
  friend lane value_of(lane a) { return a; }
};

/// The same between two constants: select(example.desirable, 1.0, -1.0).
template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> select(lane_mask<T, W> m, double a, double b) {
  return select(m, lane<T, W>(a), lane<T, W>(b));
}

/// The elements added up in a fixed order: halves onto halves.
template <class T, std::size_t W>
[[nodiscard]] inline T sum(lane<T, W> a) {
  if constexpr (W == 1) {
    return a[0];
  } else if constexpr (W == 2) {
    return a[0] + a[1];
  } else {
    using narrower = lane<T, W / 2>;
    return [a]<std::size_t... Is>(std::index_sequence<Is...>) {
      return sum(narrower(detail::picked<T, W>(a.v, a.v, std::index_sequence<Is...>())) +
                 narrower(detail::picked<T, W>(a.v, a.v, std::index_sequence<(W / 2 + Is)...>())));
    }(std::make_index_sequence<W / 2>());
  }
}

/// The larger of two, elementwise; the second where they compare unordered.
template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> max(lane<T, W> a, lane<T, W> b) {
  return select(a > b, a, b);
}

namespace detail {

template <class T, std::size_t W>
[[nodiscard]] inline vector<bits_of<T>, W> as_bits(lane<T, W> a) {
  return std::bit_cast<vector<bits_of<T>, W>>(a.v);
}
template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> from_bits(vector<bits_of<T>, W> bits) {
  return lane<T, W>(std::bit_cast<vector<T, W>>(bits));
}
template <class T, std::size_t W>
[[nodiscard]] inline vector<bits_of<T>, W> same_bits(bits_of<T> value) {
#if PREFER_VECTOR_LANES
  return value - vector<bits_of<T>, W>{};
#else
  vector<bits_of<T>, W> out;
  for (std::size_t i = 0; i < W; ++i) out[i] = value;
  return out;
#endif
}

}  // namespace detail

template <class T, std::size_t W>
[[nodiscard]] inline lane<T, W> abs(lane<T, W> a) {
  using bits = detail::bits_of<T>;
  constexpr bits all_but_sign = static_cast<bits>(~(bits{1} << (sizeof(T) * 8 - 2) << 1));
  return detail::from_bits<T, W>(detail::as_bits(a) & detail::same_bits<T, W>(all_but_sign));
}

}  // namespace prefer::inline v0_1
