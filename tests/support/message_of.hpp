// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <string>

namespace prefer::test {

/// What `action` throws, as text; empty if it throws nothing.
template <class Action>
[[nodiscard]] std::string message_of(Action&& action) {
  try {
    action();
  } catch (std::exception const& error) {
    return error.what();
  }
  return "";
}

}  // namespace prefer::test
