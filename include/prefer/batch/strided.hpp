// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <prefer/scalar/half.hpp>

// Numbers in memory as they come: in six types, one after another or some steps apart.

namespace prefer::inline v0_1 {

/// What a column's elements are stored as.
enum class storage : std::uint8_t { float32, float64, boolean, int32, float16, bfloat16 };

/// How numbers of type T are stored, for the types that a column may have. Somebody's own type of 16 bits joins with
///
///   template <> struct prefer::element_traits<their_half> { static constexpr auto stored = prefer::storage::float16; };
template <class T>
struct element_traits {};
template <>
struct element_traits<float> {
  static constexpr storage stored = storage::float32;
};
template <>
struct element_traits<double> {
  static constexpr storage stored = storage::float64;
};
template <>
struct element_traits<bool> {
  static constexpr storage stored = storage::boolean;
};
template <>
struct element_traits<std::int32_t> {
  static constexpr storage stored = storage::int32;
};
template <>
struct element_traits<half> {
  static constexpr storage stored = storage::float16;
};
template <>
struct element_traits<bfloat16> {
  static constexpr storage stored = storage::bfloat16;
};
// std::float16_t and std::bfloat16_t are the compiler's own types; the first was there before C++23 gave it its name.
#if defined(__STDCPP_FLOAT16_T__) || defined(__FLT16_MANT_DIG__)
template <>
struct element_traits<_Float16> {
  static constexpr storage stored = storage::float16;
};
#endif
#if defined(__STDCPP_BFLOAT16_T__)
template <>
struct element_traits<decltype(0.0bf16)> {
  static constexpr storage stored = storage::bfloat16;
};
#endif

namespace detail {

template <class T>
inline constexpr bool is_element = requires { element_traits<T>::stored; };
template <class T>
inline constexpr storage element_of = element_traits<T>::stored;
/// Results are no labels and no lengths.
[[nodiscard]] constexpr bool holds_results(storage element) {
  return element != storage::boolean && element != storage::int32;
}
/// What float keeps without loss, and what is computed in float.
[[nodiscard]] constexpr bool within_float(storage element) {
  return element == storage::float32 || element == storage::float16 || element == storage::bfloat16;
}

/// Calls `what` with a value of the type that elements are stored as.
template <class What>
constexpr auto with_element(storage element, What const& what) {
  switch (element) {
    case storage::float32:
      return what(float{});
    case storage::boolean:
      return what(bool{});
    case storage::int32:
      return what(std::int32_t{});
    case storage::float16:
      return what(half{});
    case storage::bfloat16:
      return what(bfloat16{});
    case storage::float64:
      break;
  }
  return what(double{});
}

// By bytes, because memory of somebody's own type of 16 bits holds no `half`. Steps of 1, and of 2 as the sides of pairs have,
// have loops of their own, which compilers make lanes of.
template <class E>
[[nodiscard]] E load_element(void const* memory, std::ptrdiff_t at) {
  E out;
  std::memcpy(&out, static_cast<char const*>(memory) + at * std::ptrdiff_t{sizeof(E)}, sizeof(E));
  return out;
}
template <class E, class T>
void load_elements(void const* memory, std::ptrdiff_t begin, std::ptrdiff_t stride,
                   std::ptrdiff_t count, T* to) {
  if (stride == 1) {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      to[i] = static_cast<T>(load_element<E>(memory, begin + i));
    }
  } else if (stride == 2) {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      to[i] = static_cast<T>(load_element<E>(memory, (begin + i) * 2));
    }
  } else {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      to[i] = static_cast<T>(load_element<E>(memory, (begin + i) * stride));
    }
  }
}
template <class E, class T>
void store_elements(void* memory, std::ptrdiff_t begin, std::ptrdiff_t stride, std::ptrdiff_t count,
                    T const* from) {
  auto const store = [&](std::ptrdiff_t at, T const& number) {
    E const element = static_cast<E>(number);
    std::memcpy(static_cast<char*>(memory) + at * std::ptrdiff_t{sizeof(E)}, &element, sizeof(E));
  };
  if (stride == 1) {
    for (std::ptrdiff_t i = 0; i < count; ++i) store(begin + i, from[i]);
  } else if (stride == 2) {
    for (std::ptrdiff_t i = 0; i < count; ++i) store((begin + i) * 2, from[i]);
  } else {
    for (std::ptrdiff_t i = 0; i < count; ++i) store((begin + i) * stride, from[i]);
  }
}

}  // namespace detail

/// Numbers in memory, `stride` elements apart: a row of a matrix that lies column by column, every second of an array,
/// all of it backwards. A view, which is a column and, where T is not const, takes results.
///
///   evaluate(nll{}, pair_columns{.policy = {.chosen = strided(p, n, 2), .rejected = strided(p + 1, n, 2)}});
template <class T>
class strided {
 public:
  static_assert(
      detail::is_element<std::remove_const_t<T>>,
      "prefer: a column's numbers are float, double or of 16 bits (labels: bool, lengths: int)");
  using element_type = T;

  constexpr strided(T* first, std::size_t count, std::ptrdiff_t stride = 1)
      : first_(first), count_(count), stride_(stride) {}

  [[nodiscard]] constexpr T* data() const { return first_; }
  [[nodiscard]] constexpr std::size_t size() const { return count_; }
  [[nodiscard]] constexpr std::ptrdiff_t stride() const { return stride_; }

 private:
  T* first_;
  std::size_t count_;
  std::ptrdiff_t stride_;
};

/// Numbers of 16 bits in memory of another type of that size (std::uint16_t, what a library has), as `half` or `bfloat16`:
///
///   column const chosen = bits_as<bfloat16>(pointer, n);
template <class T, class Theirs>
[[nodiscard]] auto bits_as(Theirs* first, std::size_t count, std::ptrdiff_t stride = 1) {
  static_assert(std::same_as<T, half> || std::same_as<T, bfloat16>,
                "prefer: bits_as reads half or bfloat16");
  static_assert(sizeof(Theirs) == 2 && std::is_trivially_copyable_v<Theirs>,
                "prefer: bits_as reads memory of plain numbers of 16 bits");
  if constexpr (std::is_const_v<Theirs>) {
    return strided<T const>(reinterpret_cast<T const*>(first), count, stride);
  } else {
    return strided<T>(reinterpret_cast<T*>(first), count, stride);
  }
}

namespace detail {

template <class X>
inline constexpr bool is_strided = false;
template <class T>
inline constexpr bool is_strided<strided<T>> = true;

/// What std::mdspan says of itself, and views that were made like it: where it begins, how long it is, and its steps.
template <class X>
concept mdspan_like = requires(X const& view) {
  typename X::element_type;
  { X::rank() } -> std::convertible_to<std::size_t>;
  { view.data_handle() } -> std::convertible_to<void const*>;
  { view.extent(0) } -> std::convertible_to<std::size_t>;
  { view.stride(0) } -> std::convertible_to<std::ptrdiff_t>;
};

template <class X>
concept mdspan_column =
    mdspan_like<X> && X::rank() == 1 && is_element<std::remove_const_t<typename X::element_type>>;

}  // namespace detail

}  // namespace prefer::inline v0_1
