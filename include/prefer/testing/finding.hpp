// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::testing {

/// Something that a suite found wrong.
struct finding {
  std::string operation;  ///< the member, function or loss that does not do what it should
  std::string sentence;   ///< what it does in its place
};

/// `ascending: rows in ascending order ...: number 3 of 9 is 6 in place of 0`
[[nodiscard]] inline std::string to_string(finding const& found) {
  return found.operation + ": " + found.sentence;
}

struct suite_options {
  double relative =
      1e-11;  ///< how near results must be: a few roundings of what the backend computes in
};

namespace detail {

/// What a suite writes down.
class findings {
 public:
  using numbers = std::vector<double>;

  explicit findings(suite_options options) : options_(options) {}

  /// What `body` finds is about `operation`; so is what it throws.
  template <class Body>
  void attempt(std::string operation, Body const& body) {
    operation_ = std::move(operation);
    try {
      body();
    } catch (std::exception const& error) {
      say(std::string("throws: ") + error.what());
    }
  }
  void say(std::string const& sentence) {
    for (finding const& each : found_) {
      if (each.operation == operation_ && each.sentence == sentence) return;
    }
    found_.push_back({operation_, sentence});
  }
  void expect(bool holds, char const* sentence) {
    if (!holds) say(sentence);
  }
  /// To the options' relative tolerance; numbers smaller than `floor` to that of the floor.
  void expect_numbers(numbers const& got, numbers const& wanted, std::string const& what,
                      double floor = 1.0) {
    if (got.size() != wanted.size()) {
      say(what + ": " + std::to_string(got.size()) + " numbers in place of " +
          std::to_string(wanted.size()));
      return;
    }
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (is_near(got[i], wanted[i], floor)) continue;
      say(what + ": number " + std::to_string(i) + " of " + std::to_string(got.size()) + " is " +
          std::to_string(got[i]) + " in place of " + std::to_string(wanted[i]));
      return;
    }
  }
  [[nodiscard]] bool is_near(double a, double b, double floor = 1.0) const {
    if (a == b || (std::isnan(a) && std::isnan(b))) return true;
    double const size = std::fmax(floor, std::fmax(std::fabs(a), std::fabs(b)));
    return std::fabs(a - b) <= options_.relative * size;
  }
  [[nodiscard]] std::vector<finding> take() { return std::move(found_); }

 private:
  suite_options options_;
  std::string operation_;
  std::vector<finding> found_;
};

/// What a user's upload makes is a column, or has one.
template <class Column, class Owner>
[[nodiscard]] Column view_of_uploaded(Owner const& owner) {
  if constexpr (requires { owner.view(); }) {
    return owner.view();
  } else {
    return owner;
  }
}

}  // namespace detail

}  // namespace prefer::inline v0_1::testing
