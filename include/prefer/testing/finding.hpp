// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace prefer::testing {

/// Something that a suite found wrong.
struct finding {
  std::string operation;  ///< the member or function that does not do what it should
  std::string sentence;   ///< what it does in its place
};

/// `ascending: rows in ascending order ...: number 3 of 9 is 6 in place of 0`
[[nodiscard]] inline std::string to_string(finding const& found) {
  return found.operation + ": " + found.sentence;
}

}  // namespace prefer::testing
