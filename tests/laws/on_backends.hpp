// SPDX-License-Identifier: MIT
#pragma once

#include <catch2/catch.hpp>
#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/testing/backend_losses.hpp>

#include "support/near.hpp"

// What a backend owes, of a place where columns can be:
//
//   on()              the backend
//   upload(numbers)   a column there, or what has one as view()
//   waits()           how often the host has waited for its numbers
//   columns()         how often those were one for each record
//
// Where nobody counts, a place has neither of the last two.
//
// Functors have names, because nvcc takes no generic lambda around what runs on a device.

namespace prefer::test {

template <class Place>
struct uploads_to {
  Place* place;

  auto operator()(std::vector<double> const& from) const { return place->upload(from); }
};

template <class Place>
using column_of = typename std::remove_cvref_t<decltype(std::declval<Place&>().on())>::column;

template <class Place, template <class> class Kind>
using twice = testing::sample_columns<Kind, column_of<Place>, uploads_to<Place>>;

inline constexpr std::size_t examples = 30;

/// A loss that has a state waits for sums of the batch, and for nothing else but keys that it sorts; the loss pass of none
/// waits for anything.
template <class Place, class Batch, Loss L, class Results>
void check_waits(Place& place, L const& loss, Batch const& batch, Results const& results) {
  if constexpr (requires { place.waits(); }) {
    loss_memory<L> memory{};
    std::size_t const before = place.waits();
    auto const state = prepare(loss, batch, memory);
    CHECK((place.waits() > before) == !std::is_same_v<loss_state<L>, nothing>);
    std::size_t const prepared = place.waits();
    (void)evaluate_into(loss, batch, results, state);
    CHECK(place.waits() == prepared);
  }
  if constexpr (requires { place.columns(); }) {
    loss_memory<L> memory{};
    std::size_t const before = place.columns();
    (void)prepare(loss, batch, memory);
    bool const sorts_keys = std::string(name_of<L>()) == "beta_dpo";
    CHECK(place.columns() - before == (sorts_keys ? 1u : 0u));
  }
}

/// Its statistics, values, coefficients and metrics are those of the host, and nobody waits for more than it takes.
template <class Place, Loss L>
void same_as_host(Place& place, L const& loss) {
  uploads_to<Place> const upload{&place};
  auto const on = place.on();
  std::string said;
  for (auto const& each : testing::check_loss(on, upload, loss)) said += to_string(each) + "\n";
  CHECK(said == "");
  using result = typename std::remove_const_t<decltype(on)>::result;
  if constexpr (L::arity == 1) {
    twice<Place, basic_unpaired_columns> const batch(upload, reads(loss) | column_name::label);
    check_waits(place, loss, batch.there, basic_unpaired_results<result>{});
  } else if constexpr (L::arity == 2) {
    twice<Place, basic_pair_columns> const batch(upload, reads(loss));
    check_waits(place, loss, batch.there, basic_pair_results<result>{});
  } else {
    twice<Place, basic_list_columns> const batch(upload, reads(loss), list_size_of<L>());
    check_waits(place, loss, batch.there, basic_list_results<result>{});
  }
}

template <class Place, std::size_t... Arity>
struct each_is_the_same {
  Place* place;
  std::size_t* losses;

  template <Loss L>
  void operator()(L const& loss, loss_info const&) const {
    if constexpr (((L::arity == Arity) || ...)) {
      INFO("loss " << L::name);
      ++*losses;
      same_as_host(*place, loss);
    }
  }
};

/// The law for every loss of these arities; at least `at_least` of them.
template <std::size_t... Arity, class Place>
void every_loss_is_the_same(Place& place, std::size_t at_least) {
  std::size_t losses = 0;
  for_each_loss(each_is_the_same<Place, Arity...>{&place, &losses});
  CHECK(losses >= at_least);
}

}  // namespace prefer::test
