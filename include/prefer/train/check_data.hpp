// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer {

namespace detail {

inline void expects_column(column_set read, std::vector<float> const& values, column_name name,
                           char const* text) {
  if (!read.contains(name) || !values.empty()) return;
  broken(std::string("trainer: this loss reads ") + text + ", which the data does not have");
}

}  // namespace detail

/// Whether examples have what a loss reads, and nothing that it would ignore.
///
/// Errors  precondition_error naming the row or the column
template <Loss L>
void check_examples(L const& loss, choice_data const& data) {
  std::string const row = "trainer: row ";
  for (std::size_t g = 0; g < data.size(); ++g) {
    std::size_t const count = data.offset[g + 1] - data.offset[g];
    if (L::arity != dynamic_arity ? count != L::arity : count == 0) {
      detail::broken(row + std::to_string(g) + " has " + std::to_string(count) +
                     " completions; this loss takes " +
                     (L::arity != dynamic_arity ? std::to_string(L::arity) : "at least 1"));
    }
  }
  if constexpr (detail::list_size_of<L>() != 0) {
    for (std::size_t g = 0; g < data.size(); ++g) {
      expects_size(data.offset[g + 1] - data.offset[g], detail::list_size_of<L>(), "trainer",
                   "a list of the data");
    }
  }
  column_set const read = reads(loss);
  if (read.contains(column_name::label)) {
    expects_size(data.label.size(), data.size(), "trainer", "label");
  }
  if (read.contains(column_name::length) && data.length.empty()) {
    detail::broken(
        "trainer: this loss reads completion lengths; fill length in the data, with 1 where a "
        "completion is one choice");
  }
  detail::expects_column(read, data.score, column_name::score, "score");
  detail::expects_column(read, data.chosen_from_reference, column_name::chosen_from_reference,
                         "chosen_from_reference");
  expects(data.target_margin.empty() || read.contains(column_name::target_margin),
          "trainer: the data has a column target_margin, which this loss does not read");
  expects(data.beta.empty() || read.contains(column_name::beta),
          "trainer: the data has a column beta, which this loss does not read");
  for (std::size_t g = 0; g < data.beta.size(); ++g) {
    if (data.beta[g] > 0.0f && std::isfinite(data.beta[g])) continue;
    detail::broken(row + std::to_string(g) + " has beta " + std::to_string(data.beta[g]) +
                   "; expected a finite number greater than zero");
  }
  for (std::size_t i = 0; i < data.length.size(); ++i) {
    if (data.length[i] > 0.0f && std::isfinite(data.length[i])) continue;
    detail::broken("trainer: completion " + std::to_string(i) + " of the data has length " +
                   std::to_string(data.length[i]) + "; expected a finite number greater than zero");
  }
}

/// The same of a data set, which has at least one row, and columns that fit together.
template <Loss L>
void check_data(L const& loss, choice_data const& data) {
  expects(data.size() > 0, "trainer: the data set is empty");
  data.expects_shapes("trainer");
  check_examples(loss, data);
}

}  // namespace prefer
