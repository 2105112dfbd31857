// SPDX-License-Identifier: MIT
#include <concepts>

#include "laws/make_wrapper.hpp"

namespace prefer::test {

namespace {

template <class Outer, class Inner>
struct around {
  template <class L>
  using type = typename Outer::template type<typename Inner::template type<L>>;
  template <class L>
  static constexpr bool fits = [] {
    if constexpr (Inner::template fits<L>) {
      return Outer::template fits<typename Inner::template type<L>>;
    } else {
      return false;
    }
  }();
  template <class L>
  static type<L> of(L const& loss) {
    return Outer::of(Inner::of(loss));
  }
};

/// A plain loss, and one for each thing that is forwarded: rows, a state, a memory, a reward rule, a list size, divergences.
struct one_of_each {
  template <Loss L>
  constexpr bool operator()() const {
    return std::same_as<L, dpo> || std::same_as<L, aot> || std::same_as<L, kto_pair> ||
           std::same_as<L, cpo> || std::same_as<L, beta_dpo<>> || std::same_as<L, tdpo1> ||
           std::same_as<L, bco> || std::same_as<L, tpo>;
  }
};
struct one_pair_loss_of_each {
  template <Loss L>
  constexpr bool operator()() const {
    return PairLoss<L> && one_of_each{}.operator()<L>();
  }
};

template <class Outer, class Inner, class Picks>
wrapper nest(wrapper out, Picks picks) {
  wrap_each<around<Outer, Inner>>(out, picks);
  return out;
}

}  // namespace

std::vector<wrapper> wrappers_of_wrappers() {
  return {
      nest<scaled_by_one, left_as_it_is>(
          {.name = "1.0 * a user's wrapper", .also_reads = {}, .own_names = {"weight"}},
          one_of_each{}),
      nest<left_as_it_is, sum_of_halves>({.name = "a user's wrapper of 0.5 * L + 0.5 * L",
                                          .also_reads = {},
                                          .own_names = {"weight"},
                                          .twice = true},
                                         one_of_each{}),
      nest<in_wpo, scaled_by_one>({.name = "wpo of 1.0 * L",
                                   .also_reads = column_name::alignment,
                                   .own_names = {"weight", "largest_weight"}},
                                  one_pair_loss_of_each{}),
      nest<in_beta_dpo, in_wpo>(
          {.name = "beta_dpo of wpo",
           .also_reads = column_name::policy | column_name::reference | column_name::uniform |
                         column_name::alignment,
           .own_names = {"largest_weight", "sensitivity", "kept_share", "rate"}},
          one_pair_loss_of_each{}),
  };
}

}  // namespace prefer::test
