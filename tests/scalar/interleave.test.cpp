// SPDX-License-Identifier: MIT
#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <prefer/scalar/interleave.hpp>
#include <utility>

namespace {

using prefer::lane;

/// Lists of N numbers 0, 1, 2, ...: number i of list k is k * N + i.
template <std::size_t N, class T, std::size_t W>
void check() {
  INFO(N << " numbers, lanes of " << W);
  T memory[N * W];
  for (std::size_t k = 0; k < N * W; ++k) memory[k] = static_cast<T>(k);
  std::array<lane<T, W>, N> lists;
  for (std::size_t i = 0; i < N; ++i) lists[i] = lane<T, W>::load(memory + i * W);

  auto const apart = prefer::deinterleaved(lists);
  for (std::size_t i = 0; i < N; ++i) {
    for (std::size_t k = 0; k < W; ++k) CHECK(apart[i][k] == static_cast<T>(k * N + i));
  }
  auto const together = prefer::interleaved(apart);
  for (std::size_t i = 0; i < N; ++i) {
    for (std::size_t k = 0; k < W; ++k) CHECK(together[i][k] == static_cast<T>(i * W + k));
  }
}

template <class T, std::size_t W>
void check_lengths() {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (check<I + 1, T, W>(), ...);
  }(std::make_index_sequence<9>());
}

TEST_CASE("interleave: lanes have one number of every list, and lists come back as they were",
          "[scalar][interleave]") {
  check_lengths<double, 2>();
  check_lengths<double, lane<double>::width>();
  check_lengths<float, 4>();
  check_lengths<float, lane<float>::width>();
}

}  // namespace
