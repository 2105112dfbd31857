// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include <prefer/expects.hpp>

/// The message of the backend_error that `act` throws; "no error" if it throws none.
template <class Act>
std::string error_of(Act act) {
  try {
    act();
  } catch (prefer::backend_error const& error) {
    return error.what();
  }
  return "no error";
}

/// The error met while reading every row of `rows`.
template <class Rows>
std::string error_in(Rows rows) {
  return error_of([&] {
    for (auto const& row : rows) static_cast<void>(row);
  });
}
