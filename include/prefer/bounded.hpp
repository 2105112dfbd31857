// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/expects.hpp>

namespace prefer {

// Hyper-parameters check themselves, once, where they enter. A constant out of range does not compile.

/// A number greater than zero: beta, tau, a temperature.
class positive {
 public:
  constexpr positive(double value) : value_(value) {  // NOLINT(google-explicit-constructor)
    expects(value > 0.0 && value < 1e300, "must be a finite number greater than zero");
  }
  constexpr operator double() const noexcept {
    return value_;
  }  // NOLINT(google-explicit-constructor)

 private:
  double value_;
};

/// A number that is zero or greater: a weight, a coefficient of a penalty.
class non_negative {
 public:
  constexpr non_negative(double value) : value_(value) {  // NOLINT(google-explicit-constructor)
    expects(value >= 0.0 && value < 1e300, "must be a finite number, zero or greater");
  }
  constexpr operator double() const noexcept {
    return value_;
  }  // NOLINT(google-explicit-constructor)

 private:
  double value_;
};

/// The assumed probability that a preference label is flipped, in [0, 1/2).
class flip_probability {
 public:
  constexpr flip_probability(double value) : value_(value) {  // NOLINT(google-explicit-constructor)
    expects(value >= 0.0 && value < 0.5, "must be at least 0 and less than 0.5");
  }
  constexpr operator double() const noexcept {
    return value_;
  }  // NOLINT(google-explicit-constructor)

 private:
  double value_;
};

/// The same where zero would make the loss infinite: in (0, 1/2).
class smoothing {
 public:
  constexpr smoothing(double value) : value_(value) {  // NOLINT(google-explicit-constructor)
    expects(value > 0.0 && value < 0.5, "must be greater than 0 and less than 0.5");
  }
  constexpr operator double() const noexcept {
    return value_;
  }  // NOLINT(google-explicit-constructor)

 private:
  double value_;
};

/// A share, in (0, 1].
class share {
 public:
  constexpr share(double value) : value_(value) {  // NOLINT(google-explicit-constructor)
    expects(value > 0.0 && value <= 1.0, "must be greater than 0 and at most 1");
  }
  constexpr operator double() const noexcept {
    return value_;
  }  // NOLINT(google-explicit-constructor)

 private:
  double value_;
};

}  // namespace prefer
