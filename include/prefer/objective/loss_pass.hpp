// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <span>

#include <prefer/batch/columns.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/scalar/dual.hpp>
#include <prefer/scalar/scalar.hpp>

// The loss pass as formulas over records: value and derivatives of each example, for whatever backend runs them.

namespace prefer::inline v0_1::detail {

/// Whether the divergence of a pair's completions has partial derivatives in this loss's pass.
template <Loss L>
inline constexpr bool differentiates_divergence = needs<L>.contains(column_name::divergence);

/// The same of a single completion's value estimate.
template <Loss L>
inline constexpr bool differentiates_value = needs<L>.contains(column_name::value_estimate);

/// What partial derivatives are taken of where a loss reads it.
inline constexpr column_set variables =
    column_name::policy | column_name::divergence | column_name::value_estimate;

/// What the loss pass takes from a batch: what the formula reads, and what goes with every formula.
template <Loss L>
[[nodiscard]] constexpr column_set inputs_for(L const& loss) {
  return reads(loss) | column_name::policy | column_name::weight;
}

inline constexpr std::size_t pair_outputs = 5;  // value, coefficients of log_prob and of divergence
template <Loss L>
inline constexpr std::size_t unpaired_outputs =
    differentiates_value<L> ? 3 : 2;  // as of unpaired_pass

/// A record of one scalar's numbers as constants of another's.
template <class To, class From, class... Made>
[[nodiscard]] constexpr To as_constants(From const& from, Made const&... made) {
  To out{made...};
  To::describe(out, [&](auto is, auto& member) {
    From::describe(from, [&](auto of, auto const& number) {
      if constexpr (is.name == of.name) member = number;
    });
  });
  return out;
}

/// A pair loss as a formula over pairs, with what it gives for each: the value, d value / d log_prob of chosen and of
/// rejected, and the same by divergence (0 where it is not read). Weight and scale are in them, the scale not in the value.
template <PairLoss L>
struct pair_pass {
  L loss;
  loss_state<L> state;
  double scale;

  [[nodiscard]] constexpr column_set reads() const { return inputs_for(loss); }

  template <class S>
  [[nodiscard]] constexpr std::array<S, pair_outputs> operator()(pair_record<S> const& pair,
                                                                 S const& weight) const {
    constexpr bool diverges = differentiates_divergence<L>;
    using D = dual<S, diverges ? 4 : 2>;
    auto record = as_constants<pair_record<D>>(pair);
    record.chosen = as_constants<completion_record<D>>(pair.chosen);
    record.rejected = as_constants<completion_record<D>>(pair.rejected);
    record.chosen.log_prob = D::variable(pair.chosen.log_prob, 0);
    record.rejected.log_prob = D::variable(pair.rejected.log_prob, 1);
    if constexpr (diverges) {
      record.chosen.divergence = D::variable(pair.chosen.divergence, 2);
      record.rejected.divergence = D::variable(pair.rejected.divergence, 3);
    }
    D const y = weighted(weight, apply(loss, record, state));
    std::array<S, pair_outputs> out{y.value, S(0.0), S(0.0), S(0.0), S(0.0)};
    for (std::size_t p = 0; p < (diverges ? 4u : 2u); ++p) out[1 + p] = y.partial[p] * S(scale);
    return out;
  }
};

/// The same of a loss over labelled completions: its value, d value / d log_prob and, where it reads that, the same by
/// value_estimate.
template <UnpairedLoss L>
struct unpaired_pass {
  L loss;
  loss_state<L> state;
  double scale;

  [[nodiscard]] constexpr column_set reads() const { return inputs_for(loss); }

  template <class S>
  [[nodiscard]] constexpr std::array<S, unpaired_outputs<L>> operator()(
      unpaired_record<S> const& example, S const& weight) const {
    constexpr bool estimates = differentiates_value<L>;
    using D = dual<S, estimates ? 2 : 1>;
    auto record = as_constants<unpaired_record<D>>(example);
    record.log_prob = D::variable(example.log_prob, 0);
    if constexpr (estimates) record.value_estimate = D::variable(example.value_estimate, 1);
    D const y = weighted(weight, apply(loss, record, state));
    if constexpr (estimates) {
      return {y.value, y.partial[0] * S(scale), y.partial[1] * S(scale)};
    } else {
      return {y.value, y.partial[0] * S(scale)};
    }
  }
};

/// The loss's own rule for the coefficients of a list, in as much room for each completion as it asks for.
template <class L>
constexpr auto list_coefficients(L const& loss, auto const& list, auto out, auto room)
  requires requires { loss.coefficients(list, out); } ||
           requires { loss.coefficients(list, out, room); }
{
  if constexpr (requires { loss.coefficients(list, out, room); }) {
    return loss.coefficients(list, out, room);
  } else {
    return loss.coefficients(list, out);
  }
}

template <class L, class S>
concept has_list_coefficients =
    requires(L const& loss, list_record<S, completion_record<S> (*)(std::size_t)> const& list,
             std::span<S> out) {
      { list_coefficients(loss, list, out, out) } -> std::same_as<S>;
    };

template <class L>
concept has_coefficients_of_doubles = requires(
    L const& loss, list_record<double, completion_record<double> (*)(std::size_t)> const& list,
    std::span<double> out) { loss.coefficients(list, out); };

/// Completion i of a list with the partials [first, first + N) seeded.
template <class D, class List>
struct seeded_at {
  List const* list;
  std::size_t first;

  constexpr completion_record<D> operator()(std::size_t i) const {
    auto out = as_constants<completion_record<D>>((*list)[i]);
    // Both are arrays or numbers of one scalar, never pointers that stand for arrays. NOLINTNEXTLINE(bugprone-sizeof-expression)
    constexpr std::size_t partials = sizeof(out.log_prob.partial) / sizeof(out.log_prob.value);
    // One by one: an index known only at run time would keep a device's partials in memory.
    for (std::size_t p = 0; p < partials; ++p) {
      if (i - first == p) out.log_prob = D::variable(out.log_prob.value, p);
    }
    return out;
  }
};

template <class L, class S>
[[nodiscard]] constexpr bool has_list_rule();
template <class S, class... P>
[[nodiscard]] constexpr bool any_has_list_rule(part_list<P...>) {
  return (has_list_rule<P, S>() || ...);
}
/// Whether a loss, or a term of a sum of losses, has its own rule for the coefficients of a list.
template <class L, class S>
[[nodiscard]] constexpr bool has_list_rule() {
  if constexpr (is_weighted_sum<L>) {
    return any_has_list_rule<S>(parts_of_t<L>{});
  } else {
    return has_list_coefficients<L, S>;
  }
}

template <class L>
[[nodiscard]] constexpr std::size_t coefficient_room();
template <class... P>
[[nodiscard]] constexpr std::size_t coefficient_room_of_sum(part_list<P...>) {
  std::size_t most = 0;
  ((most = coefficient_room<P>() > most ? coefficient_room<P>() : most), ...);
  return most + (sizeof...(P) > 1 ? 1 : 0);  // for what is added to the first term's
}
/// Numbers of room that such a rule takes for each completion.
template <class L>
[[nodiscard]] constexpr std::size_t coefficient_room() {
  if constexpr (is_weighted_sum<L>) {
    return has_list_rule<L, double>() ? coefficient_room_of_sum(parts_of_t<L>{}) : 0;
  } else if constexpr (requires { L::coefficient_room; }) {
    return std::size_t{L::coefficient_room};
  } else {
    return 0;
  }
}

/// The value of a loss on a list, and d value / d log_prob of each completion to `out`: by the loss's own rule where it has
/// one, of a sum with such a term one term after the other, else by dual numbers, four partials a pass.
template <Loss L, class S, class At>
constexpr S differentiate_list(L const& loss, loss_state<L> const& state,
                               list_record<S, At> const& list, std::span<S> out,
                               std::span<S> room) {
  S value = 0.0;
  if constexpr (has_list_coefficients<L, S>) {
    value = list_coefficients(loss, list, out, room);
  } else if constexpr (has_list_rule<L, S>()) {
    for_each_part(loss, [&]<std::size_t Is, class P>(place<Is>, P const& part) {
      loss_state<P> const& its_state = kept_at<Is, loss_state<P>>(state);
      if constexpr (Is == 1) {
        value = differentiate_list(part, its_state, list, out, room);
      } else {
        std::span<S> const own = room.first(out.size());
        value = value + differentiate_list(part, its_state, list, own, room.subspan(out.size()));
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = out[i] + own[i];
      }
    });
    if constexpr (requires { loss.weight; }) {
      value = weighted(loss.weight, value);
      for (S& each : out) each = weighted(loss.weight, each);
    }
  } else {
    static_assert(!has_coefficients_of_doubles<L> || std::same_as<S, double>,
                  "prefer: coefficients of lists are computed on lanes: template <class S> S "
                  "coefficients(auto const& list, std::span<S> out) const");
    constexpr std::size_t partials = 4;
    using D = dual<S, partials>;
    using seeded = seeded_at<D, list_record<S, At>>;
    for (std::size_t first = 0; first < out.size(); first += partials) {
      auto record = as_constants<list_record<D, seeded>>(list, list.size(), seeded{&list, first});
      D const y = apply(loss, record, state);
      value = y.value;
      for (std::size_t p = 0; p < partials && first + p < out.size(); ++p) {
        out[first + p] = y.partial[p];
      }
    }
  }
  return value;
}

/// A loss over lists as a formula over lists: returns the value, and writes d value / d log_prob of each completion to
/// `out`. Weight and scale are in them, the scale not in the value.
template <ListLoss L>
struct list_pass {
  L loss;
  loss_state<L> state;
  double scale;

  static constexpr std::size_t room = coefficient_room<L>();
  static constexpr column_set needs = prefer::needs<L>;
  static constexpr column_set may_read = detail::may_read<L>;

  [[nodiscard]] constexpr column_set reads() const { return inputs_for(loss); }

  template <class S, class At>
  [[nodiscard]] constexpr S operator()(list_record<S, At> const& list, S const& weight,
                                       std::span<S> out, std::span<S> own_room) const {
    S const value = differentiate_list(loss, state, list, out, own_room);
    S const factor = weight * S(scale);
    for (S& each : out) each = weighted(factor, each);
    return weighted(weight, value);
  }
};

}  // namespace prefer::inline v0_1::detail
