// SPDX-License-Identifier: MIT
#pragma once

#include <cstdio>
#include <limits>
#include <string>
#include <type_traits>

#include <prefer/expects.hpp>

namespace prefer::inline v0_1 {

/// A number with a range. A constant out of range does not compile; a number that is out of range at run time is none:
/// it converts to NaN, and whoever it was given to refuses it by name, which the number itself cannot know.
///
/// In memory a number in range stands once, with a 0 behind it: g++ 12 with AVX-512 makes {x, x, x, x} of a constant {x, x, 0, 0},
/// which a loss of two such numbers would be otherwise.
///
/// Rule    `range(number, say)` calls say(whether it is in range, what a sentence says of the range); NaN is not
template <class Rule>
class bounded {
 public:
  constexpr bounded(double value)  // NOLINT(google-explicit-constructor)
      : value_(holds(value) ? value : std::numeric_limits<double>::quiet_NaN()),
        refused_(holds(value) ? 0.0 : value) {
    if (std::is_constant_evaluated()) Rule::range(value, expects);
  }
  constexpr operator double() const noexcept {
    return value_;
  }  // NOLINT(google-explicit-constructor)

  [[nodiscard]] constexpr bool in_range() const noexcept { return holds(value_); }
  /// What it was made from, in range or not.
  [[nodiscard]] constexpr double given() const noexcept { return in_range() ? value_ : refused_; }
  [[nodiscard]] static constexpr char const* expected() noexcept {
    char const* out = "";
    Rule::range(0.0, [&](bool, char const* words) { out = words; });
    return out;
  }

 private:
  static constexpr bool holds(double x) noexcept {
    bool out = false;
    Rule::range(x, [&](bool in, char const*) { out = in; });
    return out;
  }

  double value_;    // NaN: out of range
  double refused_;  // what was given then
};

namespace detail {

struct greater_than_zero {
  static constexpr void range(double x, auto const& say) {
    say(x > 0.0 && x < 1e300, "expected a finite number greater than zero");
  }
};
struct zero_or_greater {
  static constexpr void range(double x, auto const& say) {
    say(x >= 0.0 && x < 1e300, "expected a finite number, zero or greater");
  }
};
struct from_0_to_below_half {
  static constexpr void range(double x, auto const& say) {
    say(x >= 0.0 && x < 0.5, "expected at least 0 and less than 0.5");
  }
};
struct above_0_to_below_half {
  static constexpr void range(double x, auto const& say) {
    say(x > 0.0 && x < 0.5, "expected greater than 0 and less than 0.5");
  }
};
struct above_0_to_1 {
  static constexpr void range(double x, auto const& say) {
    say(x > 0.0 && x <= 1.0, "expected greater than 0 and at most 1");
  }
};
struct from_0_to_1 {
  static constexpr void range(double x, auto const& say) {
    say(x >= 0.0 && x <= 1.0, "expected at least 0 and at most 1");
  }
};

}  // namespace detail

// Types of their own and no aliases: a local variable called `share` shadows an alias, of which compilers warn.

/// A number greater than zero: beta, tau, a temperature.
struct positive : bounded<detail::greater_than_zero> {
  using bounded::bounded;
};
/// A number that is zero or greater: a weight, a coefficient of a penalty.
struct non_negative : bounded<detail::zero_or_greater> {
  using bounded::bounded;
};
/// The assumed probability that a preference label is flipped, in [0, 1/2).
struct flip_probability : bounded<detail::from_0_to_below_half> {
  using bounded::bounded;
};
/// The same where zero would make the loss infinite: in (0, 1/2).
struct smoothing : bounded<detail::above_0_to_below_half> {
  using bounded::bounded;
};
/// A share of something, in (0, 1]; the weight of the newest in an average.
struct share : bounded<detail::above_0_to_1> {
  using bounded::bounded;
};
/// A part that may be nothing or all, in [0, 1].
struct fraction : bounded<detail::from_0_to_1> {
  using bounded::bounded;
};

namespace detail {

[[noreturn]] inline void out_of_range(std::string const& owner, char const* name, double given,
                                      char const* expected) {
  char number[32];
  std::snprintf(number, sizeof number, "%.9g", given);
  broken(owner + ": " + name + " is " + number + ", " + expected);
}

}  // namespace detail

/// Throws precondition_error unless `number` is in its range. That of a plain number is all that are finite: with a target
/// margin of minus infinity each pair is won beyond doubt, and nothing is learned.
///
///   expects_in_range(beta, "dpo", "beta");   // dpo: beta is -1, expected a finite number greater than zero
template <class Number>
constexpr void expects_in_range(Number const& number, char const* owner, char const* name) {
  if constexpr (requires { number.in_range(); }) {
    if (!number.in_range()) detail::out_of_range(owner, name, number.given(), Number::expected());
  } else if constexpr (std::is_floating_point_v<Number>) {
    bool const finite = number > -std::numeric_limits<Number>::infinity() &&
                        number < std::numeric_limits<Number>::infinity();
    if (!finite) {
      detail::out_of_range(owner, name, static_cast<double>(number), "expected a finite number");
    }
  }
}

}  // namespace prefer::inline v0_1
