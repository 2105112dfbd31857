// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <limits>

namespace prefer {

/// Means, standard deviations and correlation of two numbers per example, added up without cancellation.
///
/// Parts can be added: a + b is what all their examples together would have given, up to rounding.
/// Source  Chan, Golub, LeVeque 1983, "Algorithms for computing the sample variance", eq. 1.5
class correlation {
 public:
  void add(double x, double y) {
    count_ += 1.0;
    double const dx = x - mean_x_;
    double const dy = y - mean_y_;
    mean_x_ += dx / count_;
    mean_y_ += dy / count_;
    squares_x_ += dx * (x - mean_x_);
    squares_y_ += dy * (y - mean_y_);
    products_ += dx * (y - mean_y_);
  }

  friend correlation operator+(correlation const& a, correlation const& b) {
    if (a.count_ == 0.0) return b;
    if (b.count_ == 0.0) return a;
    correlation out;
    out.count_ = a.count_ + b.count_;
    double const dx = b.mean_x_ - a.mean_x_;
    double const dy = b.mean_y_ - a.mean_y_;
    double const share = b.count_ / out.count_;
    out.mean_x_ = a.mean_x_ + dx * share;
    out.mean_y_ = a.mean_y_ + dy * share;
    out.squares_x_ = a.squares_x_ + b.squares_x_ + dx * dx * a.count_ * share;
    out.squares_y_ = a.squares_y_ + b.squares_y_ + dy * dy * a.count_ * share;
    out.products_ = a.products_ + b.products_ + dx * dy * a.count_ * share;
    return out;
  }

  [[nodiscard]] double count() const { return count_; }
  /// 0 without examples.
  [[nodiscard]] double mean_x() const { return mean_x_; }
  [[nodiscard]] double mean_y() const { return mean_y_; }
  /// Of the examples themselves: the mean square is over n, not n - 1.
  [[nodiscard]] double deviation_x() const { return deviation(squares_x_); }
  [[nodiscard]] double deviation_y() const { return deviation(squares_y_); }
  /// Pearson's, in [-1, 1]; NaN where one of the two does not vary.
  [[nodiscard]] double value() const {
    if (squares_x_ == 0.0 || squares_y_ == 0.0) return std::numeric_limits<double>::quiet_NaN();
    double const r = products_ / (std::sqrt(squares_x_) * std::sqrt(squares_y_));
    return r > 1.0 ? 1.0 : r < -1.0 ? -1.0 : r;
  }

 private:
  [[nodiscard]] double deviation(double squares) const {
    return count_ > 0.0 ? std::sqrt(squares / count_) : 0.0;
  }

  double count_ = 0.0;
  double mean_x_ = 0.0;
  double mean_y_ = 0.0;
  double squares_x_ = 0.0;  // sum of squared distances from the mean
  double squares_y_ = 0.0;
  double products_ = 0.0;
};

}  // namespace prefer
