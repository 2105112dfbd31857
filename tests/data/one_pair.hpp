// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>

#include <prefer/data/preference.hpp>

#include "error_of.hpp"

/// The pair that a line is.
inline prefer::data::preference_pair pair_of(std::string_view line,
                                             prefer::data::reading const& how = {}) {
  return *prefer::data::pairs_in(line, "f", how).begin();
}

/// What is said about the line of a pair, without the place.
inline std::string pair_error(std::string_view line, prefer::data::reading const& how = {}) {
  std::string const error = error_in(prefer::data::pairs_in(line, "f", how));
  std::string const start = "data::pairs: f:1: ";
  return error.starts_with(start) ? error.substr(start.size()) : error;
}
