// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/policy/parameter_blocks.hpp>

namespace prefer::inline v0_1 {

/// The numbers of a list of parameters end to end, those of frozen ones left out: one vector, whatever tensors it is in.
///
/// The parameters are borrowed.
template <class T>
class trained_numbers {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit trained_numbers(std::span<parameter<T> const> parameters) : parameters_(parameters) {
    std::size_t end = 0;
    for (auto const& each : parameters) ends_.push_back(end += each.frozen ? 0 : each.value.size());
  }

  [[nodiscard]] std::size_t size() const { return ends_.empty() ? 0 : ends_.back(); }
  /// Where the numbers of a parameter begin, and where they end.
  [[nodiscard]] std::size_t begin_of(std::size_t parameter) const {
    return parameter == 0 ? 0 : ends_[parameter - 1];
  }
  [[nodiscard]] std::size_t end_of(std::size_t parameter) const { return ends_[parameter]; }

  /// Calls piece(parameter_block) for each parameter that has numbers in [begin, end), in order.
  template <class Piece>
  void for_each_piece(std::size_t begin, std::size_t end, Piece&& piece) const {
    for (std::size_t i = parameter_at(begin); begin < end; ++i) {
      std::size_t const stop = detail::at_most(end, ends_[i]);
      if (stop <= begin) continue;  // frozen, or empty
      piece(parameter_block{i, begin - begin_of(i), stop - begin_of(i)});
      begin = stop;
    }
  }

  /// Copies the numbers from `begin` on into `to`, of `&parameter<T>::value` or `&parameter<T>::gradient`.
  void read(std::span<T> parameter<T>::*of, std::size_t begin, std::span<T> to) const {
    for_each_piece(begin, begin + to.size(), [&](parameter_block const& piece) {
      copy(to.data(), piece_of(of, piece));
      to = to.subspan(piece.end - piece.begin);
    });
  }
  /// Copies `from` over the numbers from `begin` on.
  void write(std::span<T> parameter<T>::*of, std::size_t begin, std::span<T const> from) const {
    for_each_piece(begin, begin + from.size(), [&](parameter_block const& piece) {
      copy(piece_of(of, piece).data(), from.first(piece.end - piece.begin));
      from = from.subspan(piece.end - piece.begin);
    });
  }

 private:
  std::span<T> piece_of(std::span<T> parameter<T>::*of, parameter_block const& piece) const {
    return (parameters_[piece.parameter].*of).subspan(piece.begin, piece.end - piece.begin);
  }
  static void copy(T* to, std::span<T const> from) {
    std::memcpy(to, from.data(), from.size_bytes());
  }

  // The first parameter that ends behind a place.
  [[nodiscard]] std::size_t parameter_at(std::size_t place) const {
    std::size_t first = 0;
    std::size_t count = ends_.size();
    while (count != 0) {
      std::size_t const half = count / 2;
      if (ends_[first + half] <= place) {
        first += half + 1;
        count -= half + 1;
      } else {
        count = half;
      }
    }
    return first;
  }

  std::span<parameter<T> const> parameters_;
  std::vector<std::size_t> ends_;
};

}  // namespace prefer::inline v0_1
