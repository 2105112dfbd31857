// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include <prefer/data/ratings_form.hpp>

#include "interactions.hpp"

namespace recommend {

/// What the command line says of a file, in its words; what is empty is detected.
struct file_words {
  std::string separator;
  std::string header;
  std::vector<std::string> columns;
  std::string scale;
  std::string meaning;
  std::string encoding;
  std::string again;
};

/// How a file is read that is said to be so.
///
/// Errors  precondition_error for a scale that is not two numbers, the lower first
[[nodiscard]] prefer::data::ratings_reading reading_of(file_words const& words);

/// A rule with what the words say of items met again.
[[nodiscard]] split_rule rule_of(split_rule rule, file_words const& words);

}  // namespace recommend
