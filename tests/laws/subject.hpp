// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/pair_order.hpp>
#include <prefer/objective/kernel.hpp>
#include <prefer/scalar/probe.hpp>

#include "laws/problem.hpp"

namespace prefer::test {

/// One parameter of a loss set to a value; without a name the defaults.
struct parameter_edge {
  std::string parameter;
  double value = 0.0;
};

/// What a formula yields: its value, then its derivatives.
using exact_results = std::array<long double, 1 + most_moves>;

/// A loss of the catalogue as the laws see it: what it says of itself, and functions that are compiled once per loss,
/// so that the laws are compiled once in all.
struct law_subject {
  std::string name;
  batch_shape shape;
  column_set needs;
  bool margin_only;
  bool matches;
  bool has_state;
  bool reads_beta;        // one per example, where the batch has such a column
  bool own_coefficients;  // of lists, written by hand

  using numbers = std::vector<double>;  // a state, as its members in order
  double (*evaluate_double)(problem<double>&, evaluate_options const&);
  double (*evaluate_float)(problem<float>&, evaluate_options const&);
  /// By dual numbers where there are coefficients written by hand; else null.
  double (*evaluate_formula)(problem<double>&, evaluate_options const&);
  /// With the parameter beta at another value; null for losses without one.
  double (*evaluate_at_beta)(problem<double>&, double beta);
  /// The state of a batch, from fresh memory.
  numbers (*state)(problem<double> const&);
  /// The formula on one example, its numbers moved. `frozen`: what carries no gradient stays unmoved.
  long double (*value)(problem<double> const&, numbers const& state, std::size_t example,
                       movement const& by, bool frozen);
  /// The formula on plain numbers of double.
  double (*plain)(problem<double> const&, numbers const& state, std::size_t example);
  /// The formula on record_at(the problem's columns, example).
  double (*on_record)(problem<double> const&, numbers const& state, std::size_t example);
  /// All derivatives on one example, its numbers moved, each for itself: of pairs both, where evaluate takes one.
  std::array<double, most_moves> (*derivatives)(problem<double> const&, numbers const& state,
                                                std::size_t example, movement const& by);
  /// Value and derivatives on one example in long double, for a loss with one of its parameters at an edge. Exponentials
  /// are cut where those of double are, or of float.
  exact_results (*exact)(problem<double> const&, numbers const& state, std::size_t example,
                         parameter_edge const& edge, bool as_float);
  /// Evaluates with a given state and one parameter at an edge.
  void (*evaluate_from_double)(problem<double>&, numbers const& state, parameter_edge const& edge);
  void (*evaluate_from_float)(problem<float>&, numbers const& state, parameter_edge const& edge);
  /// By dual numbers where there are coefficients written by hand; else null.
  void (*evaluate_formula_from)(problem<double>&, numbers const& state, parameter_edge const& edge);
  /// The defaults, and each parameter at 0, 1/4 and 1, where it takes that.
  std::vector<parameter_edge> edges;
  /// The rows that a loss puts together; null for most.
  pair_order (*match)(problem<double> const&);

  // Evaluates with the problem's own results; each example's own coefficients, not divided by their number.
  double solve(problem<double>& p,
               evaluate_options const& options = {.reduce = reduction::none}) const {
    return evaluate_double(p, options);
  }
  double solve(problem<float>& p,
               evaluate_options const& options = {.reduce = reduction::none}) const {
    return evaluate_float(p, options);
  }
};

/// Every loss of the catalogue, in alphabetical order of names.
std::vector<law_subject> const& subjects();

/// The subjects that one translation unit compiles (subjects_0.cpp, ...).
inline constexpr std::uint32_t subject_parts = 4;
template <std::uint32_t Part>
void add_subjects(std::vector<law_subject>& to);

}  // namespace prefer::test
