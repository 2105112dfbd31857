// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/loss/catalogue.hpp>

#include "laws/law_loss.hpp"
#include "laws/wrapper.hpp"

// A wrapper is described by `type<L>`, `of(loss)`, and `fits<L>`, whether it goes around L: included by wrappers_*.cpp only.

namespace prefer::test {

template <class W, Loss L>
[[nodiscard]] outcome outcome_in() {
  return outcome_of(W::of(law_loss<L>()), shape_of<L>());
}

/// Around every loss that `picks(loss)` admits.
template <class W, class Picks>
void wrap_each(wrapper& out, Picks) {
  for_each_loss([&]<Loss L>(L const&, loss_info const&) {
    if constexpr (Picks{}.template operator()<L>()) {
      if constexpr (W::template fits<L>) {
        out.around.push_back({L::name, &outcome_in<W, L>});
      } else {
        out.around.push_back({L::name, nullptr});
      }
    }
  });
}

struct any_loss {
  template <Loss L>
  constexpr bool operator()() const {
    return true;
  }
};
struct any_pair_loss {
  template <Loss L>
  constexpr bool operator()() const {
    return PairLoss<L>;
  }
};

struct scaled_by_one {
  template <class L>
  using type = scaled_loss<L>;
  template <class L>
  static constexpr bool fits = Loss<type<L>>;
  template <class L>
  static type<L> of(L const& loss) {
    return 1.0 * loss;
  }
};

struct sum_of_halves {
  template <class L>
  using type = sum_of_losses<scaled_loss<L>, scaled_loss<L>>;
  template <class L>
  static constexpr bool fits = Loss<type<L>>;
  template <class L>
  static type<L> of(L const& loss) {
    return 0.5 * loss + 0.5 * loss;
  }
};

/// A wrapper as a user writes it.
template <Loss L>
struct unchanged {
  static constexpr std::size_t arity = L::arity;
  L loss;
  static constexpr auto parts(auto& self, auto&& visit) { return visit(self.loss); }
  constexpr auto operator()(auto const& record, auto const& part) const { return part(record); }
};

struct left_as_it_is {
  template <class L>
  using type = unchanged<L>;
  template <class L>
  static constexpr bool fits = Loss<type<L>>;
  template <class L>
  static type<L> of(L const& loss) {
    return {loss};
  }
};

struct in_wpo {
  template <class L>
  using type = wpo<L>;
  template <class L>
  static constexpr bool fits = Loss<type<L>>;
  template <class L>
  static type<L> of(L const& loss) {
    return {.loss = loss};
  }
};

/// What a wrapper asks for by a static_assert cannot be asked of the wrapper itself.
template <class W, class L, bool Admitted>
inline constexpr bool fits_where = false;
template <class W, class L>
inline constexpr bool fits_where<W, L, true> = Loss<typename W::template type<L>>;

struct in_beta_dpo {
  template <class L>
  using type = beta_dpo<L>;
  template <class L>
  static constexpr bool fits = fits_where<in_beta_dpo, L, HasOneBeta<L>>;
  template <class L>
  static type<L> of(L const& loss) {
    return {.loss = loss, .sensitivity = 0.0, .kept_share = 1.0};
  }
};

struct in_epsilon_dpo {
  template <class L>
  using type = epsilon_dpo<L>;
  template <class L>
  static constexpr bool fits = fits_where<in_epsilon_dpo, L, HasOneBeta<L>>;
  template <class L>
  static type<L> of(L const& loss) {
    return {.loss = loss};
  }
};

struct in_f_dpo {
  template <class L>
  using type = f_dpo<alpha_divergence, L>;
  template <class L>
  static constexpr bool fits = fits_where<in_f_dpo, L, TakesScoreMap<L>>;
  template <class L>
  static type<L> of(L const& loss) {
    return {.loss = loss, .divergence = {.coefficient = 1.0}};  // reverse KL
  }
};

}  // namespace prefer::test
