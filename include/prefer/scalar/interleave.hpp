// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include <prefer/scalar/lane.hpp>

// Short lists of numbers, one after another in memory, from and to lanes that have one list in each element.

namespace prefer::inline v0_1 {

namespace detail {

/// Where a number comes from: the element of a lane.
struct lane_element {
  std::size_t lane;
  std::size_t element;
};

/// Of lists of N numbers: element k of lane i is number i of list k, which is number k * N + i in memory.
template <std::size_t N, std::size_t W>
struct before_deinterleaving {
  static constexpr lane_element of(std::size_t i, std::size_t k) {
    return {(k * N + i) / W, (k * N + i) % W};
  }
};
template <std::size_t N, std::size_t W>
struct before_interleaving {
  static constexpr lane_element of(std::size_t i, std::size_t k) {
    return {(i * W + k) % N, (i * W + k) / N};
  }
};

/// Element K of what becomes of `made`, the elements that lanes before L have for lane I, and lane L.
template <class From, std::size_t W, std::size_t L>
[[nodiscard]] consteval std::size_t pick(std::size_t i, std::size_t k) {
  lane_element const from = From::of(i, k);
  return from.lane == L ? W + from.element : from.lane == 0 && L == 1 ? from.element : k;
}
template <class From, std::size_t Is, std::size_t L, class T, std::size_t W, std::size_t... K>
[[nodiscard]] inline vector<T, W> with_those_of(lane<T, W> const& next, vector<T, W> made,
                                                std::index_sequence<K...>) {
  return picked<T, W>(made, next.v, std::index_sequence<pick<From, W, L>(Is, K)...>());
}
/// The lane whose elements are taken from any of the others, one lane after the other.
template <class From, std::size_t Is, class T, std::size_t W, std::size_t N, std::size_t... L>
[[nodiscard]] inline lane<T, W> taken_from(std::array<lane<T, W>, N> const& lanes,
                                           std::index_sequence<L...>) {
  vector<T, W> made = lanes[0].v;
  ((made = with_those_of<From, Is, L + 1>(lanes[L + 1], made, std::make_index_sequence<W>())), ...);
  return lane<T, W>(made);
}
template <class From, class T, std::size_t W, std::size_t N, std::size_t... Is>
[[nodiscard]] inline std::array<lane<T, W>, N> taken_from_all(
    std::array<lane<T, W>, N> const& lanes, std::index_sequence<Is...>) {
  return {taken_from<From, Is>(lanes, std::make_index_sequence<N - 1>())...};
}

/// The elements First, First + Step, ... of two lanes in a row.
template <std::size_t First, std::size_t Step, class T, std::size_t W>
[[nodiscard]] inline lane<T, W> every(lane<T, W> const& a, lane<T, W> const& b) {
  return [&]<std::size_t... K>(std::index_sequence<K...>) {
    return lane<T, W>(picked<T, W>(a.v, b.v, std::index_sequence<(First + Step * K)...>()));
  }(std::make_index_sequence<W>());
}
/// The elements of two lanes in turn: those of their first halves, or with First = W / 2 of their second ones.
template <std::size_t First, class T, std::size_t W>
[[nodiscard]] inline lane<T, W> in_turn(lane<T, W> const& a, lane<T, W> const& b) {
  return [&]<std::size_t... K>(std::index_sequence<K...>) {
    return lane<T, W>(
        picked<T, W>(a.v, b.v, std::index_sequence<(First + K / 2 + K % 2 * W)...>()));
  }(std::make_index_sequence<W>());
}

}  // namespace detail

/// W lists of N numbers as they lie in memory: lane i of what is returned has number i of every list.
///
/// Time    N log2(N) shuffles of two registers where N is a power of two, N (N - 1) where it is odd
template <std::size_t N, class T, std::size_t W>
[[nodiscard]] inline std::array<lane<T, W>, N> deinterleaved(
    std::array<lane<T, W>, N> const& lanes) {
  if constexpr (N == 1) {
    return lanes;
  } else if constexpr (N % 2 != 0 || W == 1) {
    return detail::taken_from_all<detail::before_deinterleaving<N, W>>(
        lanes, std::make_index_sequence<N>());
  } else {
    std::array<lane<T, W>, N / 2> even, odd;
    for (std::size_t i = 0; i < N / 2; ++i) {
      even[i] = detail::every<0, 2>(lanes[2 * i], lanes[2 * i + 1]);
      odd[i] = detail::every<1, 2>(lanes[2 * i], lanes[2 * i + 1]);
    }
    even = deinterleaved(even);
    odd = deinterleaved(odd);
    std::array<lane<T, W>, N> out;
    for (std::size_t i = 0; i < N / 2; ++i) {
      out[2 * i] = even[i];
      out[2 * i + 1] = odd[i];
    }
    return out;
  }
}

/// The way back: from lanes that have number i of W lists each to those lists as they lie in memory.
template <std::size_t N, class T, std::size_t W>
[[nodiscard]] inline std::array<lane<T, W>, N> interleaved(std::array<lane<T, W>, N> const& lanes) {
  if constexpr (N == 1) {
    return lanes;
  } else if constexpr (N % 2 != 0 || W == 1) {
    return detail::taken_from_all<detail::before_interleaving<N, W>>(lanes,
                                                                     std::make_index_sequence<N>());
  } else {
    std::array<lane<T, W>, N / 2> even, odd;
    for (std::size_t i = 0; i < N / 2; ++i) {
      even[i] = lanes[2 * i];
      odd[i] = lanes[2 * i + 1];
    }
    even = interleaved(even);
    odd = interleaved(odd);
    std::array<lane<T, W>, N> out;
    for (std::size_t i = 0; i < N / 2; ++i) {
      out[2 * i] = detail::in_turn<0>(even[i], odd[i]);
      out[2 * i + 1] = detail::in_turn<W / 2>(even[i], odd[i]);
    }
    return out;
  }
}

}  // namespace prefer::inline v0_1
