// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1 {

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

  /// From what is summed once the means are known: squared distances from them, and their products.
  [[nodiscard]] static correlation of(double count, double mean_x, double mean_y, double squares_x,
                                      double squares_y, double products) {
    correlation out;
    out.count_ = count;
    out.mean_x_ = mean_x;
    out.mean_y_ = mean_y;
    out.squares_x_ = squares_x;
    out.squares_y_ = squares_y;
    out.products_ = products;
    return out;
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

namespace detail {

/// Squared distances of a formula's two numbers from their means, and the product of the distances.
template <class F>
struct distances_from_means {
  F formula;
  double mean_x;
  double mean_y;

  constexpr auto operator()(auto const& record) const {
    auto const both = formula(record);
    auto const dx = both[0] - mean_x;
    auto const dy = both[1] - mean_y;
    using S = std::remove_const_t<decltype(dx)>;
    return std::array<S, 3>{dx * dx, dy * dy, dx * dy};
  }
};

}  // namespace detail

/// The correlation over a batch of the two numbers, as an array, that a formula gives for each example. Two passes: the
/// distances are from the means.
template <class Statistics, class F>
[[nodiscard]] correlation correlation_of(Statistics const& batch, F const& formula) {
  auto const means = batch.means(formula);
  double const x = means[0];
  double const y = means[1];
  auto const sums = batch.sums(detail::distances_from_means<F>{formula, x, y});
  return correlation::of(batch.count(), x, y, sums[0], sums[1], sums[2]);
}

}  // namespace prefer::inline v0_1
