// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

#include <prefer/target.hpp>

namespace prefer::inline v0_1 {

/// A rule that is visible without reading elements (a shape, a size, a range) was broken by the caller.
class precondition_error : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// The outside failed or handed us something unreadable: a file, a device call. Names the call, the
/// place (a path, or path:line) and the reason.
class backend_error : public std::runtime_error {
 public:
  backend_error(std::string const& call, std::string const& place, std::string const& reason)
      : std::runtime_error(call + ": " + place + ": " + reason), place_(place) {}
  [[nodiscard]] std::string const& place() const noexcept { return place_; }

 private:
  std::string place_;
};

namespace detail {

// The only place that knows about builds without exceptions.
template <class Error>
[[noreturn]] void fail(Error const& error) {
#if defined(__cpp_exceptions)
  throw error;
#else
  std::fprintf(stderr, "%s\n", error.what());
  std::abort();
#endif
}

[[noreturn]] inline void broken(std::string const& sentence) { fail(precondition_error(sentence)); }

/// Runs `action`; an exception leaves it as it is, after `on_error(what it says)`.
template <class Action, class OnError>
void on_failure(Action const& action, [[maybe_unused]] OnError const& on_error) {
#if defined(__cpp_exceptions)
  try {
    action();
  } catch (std::exception const& error) {
    on_error(error.what());
    throw;
  } catch (...) {
    on_error("an exception without a message");
    throw;
  }
#else
  action();
#endif
}

}  // namespace detail

/// Runs `action`; a backend_error ends it, and `on_error` is told. True if there was none.
template <class Action, class OnError>
bool attempt(Action const& action, [[maybe_unused]] OnError const& on_error) {
#if defined(__cpp_exceptions)
  try {
    action();
  } catch (backend_error const& error) {
    on_error(error);
    return false;
  }
#else
  action();
#endif
  return true;
}

/// Throws precondition_error: a caller asked for what cannot be done, and the sentence says what can.
[[noreturn]] inline void refuse(std::string const& sentence) { detail::broken(sentence); }
/// Throws what failed outside; both forms print and abort in builds without exceptions.
[[noreturn]] inline void refuse(backend_error const& failure) { detail::fail(failure); }

/// Runs `action`; a precondition_error leaves it with `context` in front of its sentence.
template <class Action>
void with_context([[maybe_unused]] std::string const& context, Action const& action) {
#if defined(__cpp_exceptions)
  try {
    action();
  } catch (precondition_error const& error) {
    throw precondition_error(context + error.what());
  }
#else
  action();
#endif
}

/// Throws precondition_error with `sentence` unless `holds`; in a constant expression, does not compile.
constexpr void expects(bool holds, char const* sentence) {
  if (!holds) detail::broken(sentence);
}

/// Two sizes that must agree; the message names function, argument and both numbers.
constexpr void expects_size(std::size_t actual, std::size_t expected, char const* where,
                            char const* argument) {
  if (actual != expected) {
    detail::broken(std::string(where) + ": " + argument + " has " + std::to_string(actual) +
                   " elements, expected " + std::to_string(expected));
  }
}

namespace detail {

/// The smaller of two sizes; <algorithm> would cost every user a tenth of a second.
[[nodiscard]] constexpr std::size_t at_most(std::size_t limit, std::size_t count) {
  return count < limit ? count : limit;
}
[[nodiscard]] constexpr std::size_t at_least(std::size_t limit, std::size_t count) {
  return count > limit ? count : limit;
}

}  // namespace detail

}  // namespace prefer::inline v0_1
