// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <limits>
#include <numbers>

#include <prefer/expects.hpp>

namespace prefer::inline v0_1 {

/// How long a learning rate rises before it stays or falls: a number of steps, or a ratio of all steps (rounded up).
struct warm_up {
  std::uint64_t steps = 0;
  double ratio = 0;
};

/// The learning rate of each step, a value: constant, or rising and then constant, falling linearly, or along a cosine.
///
///   learning_rate(5e-7)                                                       the same at every step
///   learning_rate::constant({.peak = 5e-7, .warm_up = {.steps = 150}})        rises, then stays
///   learning_rate::linear({.peak = 5e-7, .steps = 2000})                      falls to `floor`, 0 by default
///   learning_rate::cosine({.peak = 5e-7, .steps = 2000, .warm_up = {.ratio = 0.1}, .floor = 5e-8})
///
/// With step counted from 0 and W steps of warm-up out of `steps`:
///
///   step < W             peak * (step + 1) / W
///   W <= step < steps    linear  floor + (peak - floor) * (1 - t)                 with t = (step - W) / (steps - W)
///                        cosine  floor + (peak - floor) * (1 + cos(pi t)) / 2
///   step >= steps        linear and cosine  floor
///
/// Step W - 1 and step W both have the peak. The schedules of the Transformers library start from 0 instead, which
/// makes the first step do nothing: their step s + 1 of a warm-up is our step s.
///
/// Errors  precondition_error: peak not positive and finite; floor not in [0, peak]; a schedule that falls over zero
///         steps; a ratio not in [0, 1] or without `steps`; both warm-up steps and ratio; more warm-up than steps
/// Source  cosine: Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5, without restarts
class learning_rate {
 public:
  struct schedule {
    double peak = 0;
    std::uint64_t steps = 0;
    prefer::warm_up warm_up = {};
    double floor = 0;
  };

  constexpr learning_rate(double peak) : learning_rate(shape::constant, {.peak = peak}) {}

  /// Rises, then stays at the peak for ever; `steps` only serves to resolve a ratio.
  [[nodiscard]] static constexpr learning_rate constant(schedule const& parameters) {
    return {shape::constant, parameters};
  }
  [[nodiscard]] static constexpr learning_rate linear(schedule const& parameters) {
    return {shape::linear, parameters};
  }
  [[nodiscard]] static constexpr learning_rate cosine(schedule const& parameters) {
    return {shape::cosine, parameters};
  }

  /// The learning rate of this step, counted from 0.
  [[nodiscard]] constexpr double operator()(std::uint64_t step) const noexcept {
    if (step < warm_up_steps_) {
      return peak_ * (static_cast<double>(step + 1) / static_cast<double>(warm_up_steps_));
    }
    if (shape_ == shape::constant) return peak_;
    if (step >= steps_) return floor_;
    double const t =
        static_cast<double>(step - warm_up_steps_) / static_cast<double>(steps_ - warm_up_steps_);
    double const height =
        shape_ == shape::linear ? 1 - t : (1 + __builtin_cos(std::numbers::pi * t)) / 2;
    return floor_ + (peak_ - floor_) * height;
  }

  [[nodiscard]] constexpr double peak() const noexcept { return peak_; }
  [[nodiscard]] constexpr std::uint64_t warm_up_steps() const noexcept { return warm_up_steps_; }

  friend constexpr bool operator==(learning_rate const&, learning_rate const&) = default;

 private:
  enum class shape : std::uint8_t { constant, linear, cosine };

  constexpr learning_rate(shape form, schedule const& parameters)
      : peak_(parameters.peak),
        floor_(parameters.floor),
        steps_(parameters.steps),
        warm_up_steps_(parameters.warm_up.steps),
        shape_(form) {
    double const ratio = parameters.warm_up.ratio;
    expects(peak_ > 0 && peak_ <= std::numeric_limits<double>::max(),
            "learning_rate: peak must be greater than zero and finite");
    expects(floor_ >= 0 && floor_ <= peak_, "learning_rate: floor must be between zero and peak");
    expects(form != shape::constant || floor_ == 0,
            "learning_rate: a constant rate has no floor to fall to");
    expects(form == shape::constant || steps_ > 0,
            "learning_rate: steps must be greater than zero for a rate that falls");
    expects(ratio >= 0 && ratio <= 1, "learning_rate: warm_up.ratio must be between 0 and 1");
    expects(ratio == 0 || warm_up_steps_ == 0,
            "learning_rate: give warm_up as steps or as a ratio, not both");
    if (ratio > 0) {
      expects(steps_ > 0,
              "learning_rate: warm_up.ratio needs the number of steps it is a ratio of");
      warm_up_steps_ = round_up(ratio * static_cast<double>(steps_));
    }
    expects(steps_ == 0 || warm_up_steps_ <= steps_,
            "learning_rate: warm_up must not be longer than steps");
  }

  static constexpr std::uint64_t round_up(double count) {
    auto const whole = static_cast<std::uint64_t>(count);
    return whole + (static_cast<double>(whole) < count ? 1 : 0);
  }

  double peak_;
  double floor_;
  std::uint64_t steps_;
  std::uint64_t warm_up_steps_;
  shape shape_;
};

}  // namespace prefer::inline v0_1
