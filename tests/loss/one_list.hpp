// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <prefer/batch/columns.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/objective/loss_pass.hpp>
#include <prefer/scalar/dual.hpp>

namespace prefer::test {

/// The completions of one prompt; the reference gives -10 to each.
struct list_point {
  std::vector<double> log_prob;
  std::vector<double> length;
  std::vector<double> score;
  static constexpr double reference = -10.0;

  /// Lengths 1, 2, 4, 8, 1, ...
  [[nodiscard]] static list_point of(std::vector<double> log_ratio, std::vector<double> score) {
    list_point out{log_ratio, {}, score};
    for (std::size_t i = 0; i < log_ratio.size(); ++i) {
      out.log_prob[i] += reference;
      out.length.push_back(std::exp2(static_cast<double>(i % 4)));
    }
    return out;
  }
  [[nodiscard]] std::vector<double> log_ratios() const {
    std::vector<double> out = log_prob;
    for (double& r : out) r -= reference;
    return out;
  }
};

[[nodiscard]] inline std::vector<long double> scaled(std::vector<double> const& x, double by) {
  std::vector<long double> out;
  for (double const each : x) out.push_back(static_cast<long double>(each) * by);
  return out;
}
[[nodiscard]] inline std::vector<long double> softmax(std::vector<long double> s) {
  long double total = 0;
  for (long double& each : s) total += each = std::exp(each);
  for (long double& each : s) each /= total;
  return s;
}

struct list_value {
  double value = 0.0;
  std::vector<double> slope;
};

template <class S>
struct list_point_at {
  list_point const* from;
  completion_record<S> operator()(std::size_t i) const {
    completion_record<S> out{.log_prob = S(from->log_prob[i]),
                             .reference_log_prob = list_point::reference,
                             .completion_length = from->length[i],
                             .score = from->score[i]};
    if constexpr (requires { S::variable(0.0, i); }) {
      out.log_prob = S::variable(from->log_prob[i], i);
    }
    return out;
  }
};
template <class S>
[[nodiscard]] list_record<S, list_point_at<S>> record_of(list_point const& list) {
  return {list.log_prob.size(), list_point_at<S>{&list}, {}};
}

/// A list loss's formula: its value, and its derivatives by the log-probabilities of at most 8 completions.
template <class L>
[[nodiscard]] list_value at_list(L const& loss, list_point const& list) {
  using S = dual<double, 8>;
  S const y = loss(record_of<S>(list));
  return {y.value, {y.partial, y.partial + list.log_prob.size()}};
}

/// The same by the loss's own rule for coefficients.
template <class L>
[[nodiscard]] list_value at_list_by_rule(L const& loss, list_point const& list) {
  list_value out{0.0, std::vector<double>(list.log_prob.size())};
  std::vector<double> room(prefer::detail::coefficient_room<L>() * list.log_prob.size());
  out.value = prefer::detail::list_coefficients(
      loss, record_of<double>(list), std::span<double>(out.slope), std::span<double>(room));
  return out;
}

}  // namespace prefer::test
