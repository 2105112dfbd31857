// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "../language/model_options.hpp"

namespace score {

/// One part of a golden file: how many numbers were compared, and how far the worst is from its own, as a share of what
/// is allowed.
struct checked_part {
  std::string file;
  std::string part;
  std::size_t numbers = 0;
  double worst = 0.0;
  std::string where;
};

struct check_outcome {
  std::vector<checked_part> parts;
  std::vector<std::string> mismatches;  ///< a sentence each

  [[nodiscard]] bool good() const { return mismatches.empty(); }
};

/// Compares golden files with a model: log_probs.json, gradients.json (of rows of a log_probs.json, given or beside it), and
/// golden.json of a tiny model, with the adapter of the options or the one beside it.
///
/// Tolerances are those of the files' own pages. Of log_probs.json and gradients.json: 2e-3 nats a token, 1e-2 a sum, 1e-4 of
/// a loss, 1e-3 of a gradient's norm and of its entries in terms of that. Of golden.json: 2e-4 max(1, |number|) in float,
/// 1e-9 in double.
///
/// Errors  backend_error for a file that is none of these, precondition_error as the model's
template <class T>
[[nodiscard]] check_outcome check_files(language::model_options const& options,
                                        std::vector<std::string> const& files);

extern template check_outcome check_files<float>(language::model_options const&,
                                                 std::vector<std::string> const&);
extern template check_outcome check_files<double>(language::model_options const&,
                                                  std::vector<std::string> const&);

}  // namespace score
