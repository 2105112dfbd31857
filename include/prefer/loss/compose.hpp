// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>

#include <prefer/loss/loss.hpp>

// Losses that are made of something: of a callable, of a multiple, of a sum.

namespace prefer::inline v0_1 {

namespace detail {

/// A callable as a loss over the records that it takes.
template <class F, std::size_t Arity>
struct loss_of_formula {
  static constexpr std::size_t arity = Arity;
  F formula;

  constexpr loss_of_formula()
    requires std::default_initializable<F>
  = default;  // not written out: of a lambda in a function g++ 12 then takes no constant
  constexpr explicit loss_of_formula(F f) : formula(f) {}
  constexpr auto operator()(auto const& record) const { return formula(record); }
};

}  // namespace detail

/// A generic callable as a loss over pairs:
///
///   auto const mine = prefer::pair_loss([](auto const& p) { return softplus(-0.1 * p.log_ratio_margin()); });
template <class F>
struct pair_loss : detail::loss_of_formula<F, 2> {
  using detail::loss_of_formula<F, 2>::loss_of_formula;
};
template <class F>
pair_loss(F) -> pair_loss<F>;

/// A generic callable as a loss over labelled completions.
template <class F>
struct unpaired_loss : detail::loss_of_formula<F, 1> {
  using detail::loss_of_formula<F, 1>::loss_of_formula;
};
template <class F>
unpaired_loss(F) -> unpaired_loss<F>;

/// A generic callable as a loss over lists.
template <class F>
struct list_loss : detail::loss_of_formula<F, dynamic_arity> {
  using detail::loss_of_formula<F, dynamic_arity>::loss_of_formula;
};
template <class F>
list_loss(F) -> list_loss<F>;

/// weight * loss.
template <Loss L>
struct scaled_loss {
  static constexpr std::size_t arity = L::arity;

  double weight = 1.0;
  L loss;

  static constexpr auto parts(auto& self, auto&& visit) { return visit(self.loss); }
  constexpr auto operator()(auto const& record, auto const& part) const {
    return weighted(weight, part(record));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) { visit("weight", self.weight); }
};

/// first + second, on the same records.
template <Loss A, Loss B>
struct sum_of_losses {
  static_assert(A::arity == B::arity,
                "prefer: losses that are added must have the same arity (pairs with pairs, ...)");
  static_assert(is_over_tokens<A> == is_over_tokens<B>,
                "prefer: losses that are added must have the same examples (tokens with tokens)");
  static constexpr std::size_t arity = A::arity;

  A first;
  B second;

  static constexpr auto parts(auto& self, auto&& visit) { return visit(self.first, self.second); }
  constexpr auto operator()(auto const& record, auto const& one, auto const& other) const {
    return one(record) + other(record);
  }
};

namespace detail {

template <class L>
inline constexpr bool is_weighted_sum<scaled_loss<L>> = true;
template <class A, class B>
inline constexpr bool is_weighted_sum<sum_of_losses<A, B>> = true;

}  // namespace detail

template <Loss L>
[[nodiscard]] constexpr scaled_loss<L> operator*(double weight, L const& loss) {
  return {weight, loss};
}
template <Loss A, Loss B>
[[nodiscard]] constexpr sum_of_losses<A, B> operator+(A const& a, B const& b) {
  return {a, b};
}

}  // namespace prefer::inline v0_1
