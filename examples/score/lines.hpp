// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <prefer/policy/any_policy.hpp>
#include <prefer/reference/any_reference.hpp>

#include "../language/rows.hpp"
#include "../program/json.hpp"

namespace score {

/// What is said of rows besides log-probabilities, for losses that read it.
struct wanted_outputs {
  bool divergence = false;
  bool alignment = false;
  bool perturbed = false;
};

/// What policy and reference say of rows, one number per completion.
struct scored_rows {
  std::vector<float> policy;
  std::vector<float> reference;  ///< empty without one
  std::vector<float> divergence;
  std::vector<float> alignment;
  std::vector<float> perturbed_toward;
  std::vector<float> perturbed_away;
};

/// Asks both about all rows, in as few passes as it takes; `reference` is null where there is none.
///
/// Errors  program::stop where somebody asked for the end
[[nodiscard]] scored_rows score_rows(language::encoded_rows const& rows,
                                     prefer::any_policy<float>& policy,
                                     prefer::any_reference<float>* reference,
                                     wanted_outputs const& wanted);

/// A row as the program `losses` reads it, with the line that it stands in.
[[nodiscard]] program::json line_of(language::encoded_rows const& rows, scored_rows const& said,
                                    std::size_t row);

}  // namespace score
