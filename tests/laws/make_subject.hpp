// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/batch/load_record.hpp>
#include <prefer/loss/catalogue.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/objective/matched.hpp>

#include "laws/extended.hpp"
#include "laws/frozen_difference.hpp"
#include "laws/law_loss.hpp"
#include "laws/members.hpp"
#include "laws/record.hpp"
#include "laws/subject.hpp"

// The instantiations that the laws need, for the losses of one part of the catalogue: included by subjects_*.cpp only.

namespace prefer::test {

/// A loss without its own rule for the coefficients of lists, which are then those of the formula.
template <Loss L>
struct formula_only {
  static constexpr std::size_t arity = L::arity;

  L loss;

  static constexpr auto parts(auto& self, auto&& visit) { return visit(self.loss); }
  constexpr auto operator()(auto const& record, auto const& part) const { return part(record); }
};

template <Loss L>
struct subject_functions {
  static constexpr std::size_t arity = L::arity;
  using state_type = loss_state<L>;
  using numbers = law_subject::numbers;

  template <class Any, class T>
  static double evaluate(Any const& loss, problem<T>& p, evaluate_options const& options) {
    loss_memory<Any> memory{};
    auto const columns = p.template columns<arity>();
    return evaluate_into(loss, columns, p.template results<arity>(), prepare(loss, columns, memory),
                         options);
  }
  static double in_double(problem<double>& p, evaluate_options const& options) {
    return evaluate(law_loss<L>(), p, options);
  }
  static double in_float(problem<float>& p, evaluate_options const& options) {
    return evaluate(law_loss<L>(), p, options);
  }
  static double by_formula(problem<double>& p, evaluate_options const& options) {
    return evaluate(formula_only<L>{law_loss<L>()}, p, options);
  }
  static double at_beta(problem<double>& p, double beta) {
    L loss = law_loss<L>();
    set_beta(loss, beta);
    return evaluate(loss, p, {.reduce = reduction::none});
  }
  static numbers state(problem<double> const& p) {
    loss_memory<L> memory{};
    return members_of(prepare(law_loss<L>(), p.template columns<arity>(), memory));
  }
  /// The formula over example i with its numbers as `place(number, which)`.
  template <class S, class Place>
  static S formula(problem<double> const& p, numbers const& state, std::size_t i,
                   Place const& place) {
    return with_record<arity, S>(p, i, place, [&](auto const& record) {
      return S(prefer::detail::apply(law_loss<L>(), record, state_with<state_type>(state)));
    });
  }
  static long double value(problem<double> const& p, numbers const& state, std::size_t i,
                           movement const& by, bool frozen) {
    auto const y = formula<frozen_difference>(p, state, i, [&](double number, std::size_t which) {
      long double const moved = static_cast<long double>(number) + by[which];
      return frozen_difference(frozen ? static_cast<long double>(number) : moved, moved);
    });
    return y.moved;
  }
  static double plain(problem<double> const& p, numbers const& state, std::size_t i) {
    return formula<double>(p, state, i, [](double number, std::size_t) { return number; });
  }
  static constexpr std::size_t partials_of() {
    if (arity == 1) return 1;
    if (arity == dynamic_arity) return most_moves;
    return needs<L>.contains(column_name::divergence) ? 4 : 2;
  }
  static double on_record(problem<double> const& p, numbers const& state, std::size_t i) {
    auto const columns = p.template columns<arity>();
    auto const apply = [&](auto const& batch) {
      return prefer::detail::apply(law_loss<L>(), record_at(batch, i),
                                   state_with<state_type>(state));
    };
    if constexpr (prefer::detail::matches_rows<L>) {
      prefer::detail::matched_rows<> const matched(columns, match(p));
      return apply(matched.columns());
    } else {
      return apply(columns);
    }
  }
  static std::array<double, most_moves> derivatives(problem<double> const& p, numbers const& state,
                                                    std::size_t i, movement const& by) {
    constexpr std::size_t partials = partials_of();
    using S = dual<double, partials>;
    S const y = formula<S>(p, state, i, [&](double number, std::size_t which) {
      return which < partials ? S::variable(number + static_cast<double>(by[which]), which)
                              : S(number);
    });
    std::array<double, most_moves> out{};
    for (std::size_t k = 0; k < partials; ++k) out[k] = y.partial[k];
    return out;
  }
  /// The loss with a parameter at another value.
  static L at_edge(parameter_edge const& edge) {
    L loss = law_loss<L>();
    if (!edge.parameter.empty()) set_parameter(loss, edge.parameter, edge.value);
    return loss;
  }
  static std::vector<parameter_edge> edges() {
    std::vector<parameter_edge> out(1);
    L const loss = law_loss<L>();
    for_each_hyper_parameter(loss, [&](std::string const& name, auto const&) {
      for (double const value : {0.0, 0.25, 1.0}) {
        try {
          (void)at_edge({name, value});
          out.push_back({name, value});
        } catch (precondition_error const&) {  // a parameter that does not take this value
        }
      }
    });
    return out;
  }
  template <class Precision>
  static exact_results exact_as(problem<double> const& p, numbers const& state, std::size_t i,
                                L const& loss) {
    constexpr std::size_t partials = partials_of();
    using S = dual<extended<Precision>, partials>;
    auto const place = [](double number, std::size_t which) {
      return which < partials ? S::variable(number, which) : S(number);
    };
    S const y = with_record<arity, S>(p, i, place, [&](auto const& record) {
      return S(prefer::detail::apply(loss, record, state_with<state_type>(state)));
    });
    exact_results out{y.value.number};
    for (std::size_t k = 0; k < partials; ++k) out[1 + k] = y.partial[k].number;
    return out;
  }
  static exact_results exact(problem<double> const& p, numbers const& state, std::size_t i,
                             parameter_edge const& edge, bool as_float) {
    L const loss = at_edge(edge);
    return as_float ? exact_as<float>(p, state, i, loss) : exact_as<double>(p, state, i, loss);
  }
  template <class Any, class T>
  static void evaluate_from(Any const& loss, problem<T>& p, numbers const& state) {
    (void)evaluate_into(loss, p.template columns<arity>(), p.template results<arity>(),
                        state_with<loss_state<Any>>(state), {.reduce = reduction::none});
  }
  static void from_double(problem<double>& p, numbers const& state, parameter_edge const& edge) {
    evaluate_from(at_edge(edge), p, state);
  }
  static void from_float(problem<float>& p, numbers const& state, parameter_edge const& edge) {
    evaluate_from(at_edge(edge), p, state);
  }
  static void formula_from(problem<double>& p, numbers const& state, parameter_edge const& edge) {
    evaluate_from(formula_only<L>{at_edge(edge)}, p, state);
  }
  static pair_order match(problem<double> const& p)
    requires prefer::detail::matches_rows<L>
  {
    return prefer::detail::order_of(law_loss<L>(), p.template columns<2>());
  }
};

/// Whether a list loss's derivatives are written by hand.
template <Loss L>
inline constexpr bool has_coefficients =
    prefer::detail::has_list_coefficients<L, prefer::lane<double>>;

template <Loss L>
[[nodiscard]] law_subject make_subject() {
  using functions = subject_functions<L>;
  law_subject out{};
  out.name = L::name;
  out.shape = shape_of<L>();
  out.needs = needs<L>;
  out.margin_only = margin_only<L>;
  out.matches = prefer::detail::matches<L>;
  out.has_state = !std::is_same_v<loss_state<L>, nothing>;
  out.evaluate_double = &functions::in_double;
  out.evaluate_float = &functions::in_float;
  out.reads_beta = reads(L{}).contains(column_name::beta);
  if constexpr (prefer::HasBeta<L>) out.evaluate_at_beta = &functions::at_beta;
  out.state = &functions::state;
  out.value = &functions::value;
  out.plain = &functions::plain;
  out.on_record = &functions::on_record;
  out.derivatives = &functions::derivatives;
  out.exact = &functions::exact;
  out.evaluate_from_double = &functions::from_double;
  out.evaluate_from_float = &functions::from_float;
  out.edges = functions::edges();
  out.own_coefficients = has_coefficients<L>;
  if constexpr (has_coefficients<L>) {
    out.evaluate_formula = &functions::by_formula;
    out.evaluate_formula_from = &functions::formula_from;
  }
  if constexpr (prefer::detail::matches_rows<L>) out.match = &functions::match;
  return out;
}

/// Which translation unit compiles the loss of this name.
[[nodiscard]] constexpr std::uint32_t part_of(char const* name) {
  std::uint32_t hash = 2166136261u;  // FNV-1a
  for (; *name != '\0'; ++name) hash = (hash ^ static_cast<unsigned char>(*name)) * 16777619u;
  return (hash >> 16) % subject_parts;
}

template <std::uint32_t Part>
void add_subjects(std::vector<law_subject>& to) {
  for_each_loss([&]<Loss L>(L const&, loss_info const&) {
    if constexpr (part_of(L::name) == Part) to.push_back(make_subject<L>());
  });
}

}  // namespace prefer::test
