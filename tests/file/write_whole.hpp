// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/file/atomic_file.hpp>
#include <string>
#include <string_view>

inline void write_whole(std::string const& path, std::string_view content) {
  prefer::atomic_file file(path);
  file.write(content);
  file.commit();
}

/// What a backend_error says that `action` ends in; empty if it does not.
template <class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (prefer::backend_error const& error) {
    return error.what();
  }
  return "";
}
