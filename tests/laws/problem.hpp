// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <prefer/loss/loss.hpp>
#include <prefer/objective/evaluate.hpp>

namespace prefer::test {

/// Numbers that float holds exactly (multiples of 2^-6 below 2^7 in size), so that the same problem can be
/// stored as float and as double, and so that sums and differences of log-probabilities do not round.
class dice {
 public:
  explicit dice(std::uint64_t seed) : state_(seed * 2 + 1) {}
  std::uint64_t below(std::uint64_t bound) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return (state_ >> 33) % bound;
  }
  double log_prob() {
    return -1.0 - static_cast<double>(below(60 * 64)) / 64.0;
  }                                 // nats, -61 ... -1
  double near_log_prob(double x) {  // a reference's: within 4 nats, and still below 0
    double const other = x + static_cast<double>(below(8 * 64)) / 64.0 - 4.0;
    return other < -0.5 ? other : -0.5;
  }

 private:
  std::uint64_t state_;
};

/// A batch in vectors of T for losses of an arity, with what the laws want to do to it.
template <std::size_t Arity, class T>
struct problem;

template <class T>
struct problem<2, T> {
  using results_type = pair_results;
  std::vector<T> policy_chosen, policy_rejected, reference_chosen, reference_rejected, weight;
  std::vector<std::int32_t> length_chosen, length_rejected;
  std::vector<T> value, chosen, rejected;

  explicit problem(std::size_t n, std::uint64_t seed = 7)
      : value(n, T(-1)), chosen(n, T(-1)), rejected(n, T(-1)) {
    dice d(seed);
    for (std::size_t i = 0; i < n; ++i) {
      double const c = d.log_prob();
      double const r = d.log_prob();
      policy_chosen.push_back(static_cast<T>(c));
      policy_rejected.push_back(static_cast<T>(r));
      reference_chosen.push_back(static_cast<T>(d.near_log_prob(c)));
      reference_rejected.push_back(static_cast<T>(d.near_log_prob(r)));
      length_chosen.push_back(static_cast<std::int32_t>(1 + d.below(50)));
      length_rejected.push_back(static_cast<std::int32_t>(1 + d.below(50)));
    }
  }
  [[nodiscard]] std::size_t size() const { return policy_chosen.size(); }
  [[nodiscard]] pair_columns columns() const {
    pair_columns out{.policy = {policy_chosen, policy_rejected},
                     .reference = {reference_chosen, reference_rejected},
                     .length = {length_chosen, length_rejected}};
    if (!weight.empty()) out.weight = weight;
    return out;
  }
  [[nodiscard]] results_type results() {
    return {.value = value, .chosen = chosen, .rejected = rejected};
  }
  /// All results in one vector: values, then coefficients.
  [[nodiscard]] std::vector<T> all() const {
    std::vector<T> out = value;
    out.insert(out.end(), chosen.begin(), chosen.end());
    out.insert(out.end(), rejected.begin(), rejected.end());
    return out;
  }
  /// Example i as a problem of its own.
  [[nodiscard]] problem alone(std::size_t i) const {
    problem out(1);
    out.policy_chosen[0] = policy_chosen[i];
    out.policy_rejected[0] = policy_rejected[i];
    out.reference_chosen[0] = reference_chosen[i];
    out.reference_rejected[0] = reference_rejected[i];
    out.length_chosen[0] = length_chosen[i];
    out.length_rejected[0] = length_rejected[i];
    return out;
  }
  [[nodiscard]] std::vector<T> all_of(std::size_t i) const {
    return {value[i], chosen[i], rejected[i]};
  }
  void shift(double by) {
    for (T& x : policy_chosen) x += static_cast<T>(by);
    for (T& x : policy_rejected) x += static_cast<T>(by);
  }
  /// The loss of example i as the formula on plain numbers of type F, its log-probabilities moved.
  template <class F, class L>
  [[nodiscard]] F formula(L const& loss, loss_state<L> const& state, std::size_t i, F chosen_by,
                          F rejected_by) const {
    pair_record<F> record;
    record.chosen = {F(policy_chosen[i]) + chosen_by, F(reference_chosen[i]), F(length_chosen[i])};
    record.rejected = {F(policy_rejected[i]) + rejected_by, F(reference_rejected[i]),
                       F(length_rejected[i])};
    return static_cast<F>(detail::apply(loss, record, state));
  }
  static constexpr std::size_t moves = 2;
  template <class F, class L>
  [[nodiscard]] F moved(L const& loss, loss_state<L> const& state, std::size_t i, std::size_t which,
                        F by) const {
    return formula<F>(loss, state, i, which == 0 ? by : F(0), which == 1 ? by : F(0));
  }
  [[nodiscard]] T coefficient_of(std::size_t i, std::size_t which) const {
    return which == 0 ? chosen[i] : rejected[i];
  }
};

template <class T>
struct problem<1, T> {
  using results_type = unpaired_results;
  std::vector<T> policy, reference, label, mismatched_policy, mismatched_reference, weight;
  std::vector<std::int32_t> length;
  std::vector<T> value, coefficient;

  explicit problem(std::size_t n, std::uint64_t seed = 7) : value(n, T(-1)), coefficient(n, T(-1)) {
    dice d(seed);
    for (std::size_t i = 0; i < n; ++i) {
      double const y = d.log_prob();
      policy.push_back(static_cast<T>(y));
      reference.push_back(static_cast<T>(d.near_log_prob(y)));
      label.push_back(static_cast<T>(d.below(2)));
      length.push_back(static_cast<std::int32_t>(1 + d.below(50)));
      if (i < 8) {
        mismatched_policy.push_back(static_cast<T>(d.log_prob()));
        mismatched_reference.push_back(mismatched_policy.back() - static_cast<T>(d.below(64)) / 64);
      }
    }
  }
  [[nodiscard]] std::size_t size() const { return policy.size(); }
  [[nodiscard]] unpaired_columns columns() const {
    unpaired_columns out{.policy = policy,
                         .reference = reference,
                         .label = label,
                         .length = length,
                         .mismatched = {mismatched_policy, mismatched_reference}};
    if (!weight.empty()) out.weight = weight;
    return out;
  }
  [[nodiscard]] results_type results() { return {.value = value, .coefficient = coefficient}; }
  [[nodiscard]] std::vector<T> all() const {
    std::vector<T> out = value;
    out.insert(out.end(), coefficient.begin(), coefficient.end());
    return out;
  }
  [[nodiscard]] problem alone(std::size_t i) const {  // with the batch statistics of the whole
    problem out(1);
    out.policy[0] = policy[i];
    out.reference[0] = reference[i];
    out.label[0] = label[i];
    out.length[0] = length[i];
    out.mismatched_policy = mismatched_policy;
    out.mismatched_reference = mismatched_reference;
    return out;
  }
  [[nodiscard]] std::vector<T> all_of(std::size_t i) const { return {value[i], coefficient[i]}; }
  static constexpr std::size_t moves = 1;
  template <class F, class L>
  [[nodiscard]] F moved(L const& loss, loss_state<L> const& state, std::size_t i, std::size_t,
                        F by) const {
    unpaired_record<F> record;
    record.log_prob = F(policy[i]) + by;
    record.reference_log_prob = F(reference[i]);
    record.completion_length = F(length[i]);
    record.desirable = label[i] > 0;
    return static_cast<F>(detail::apply(loss, record, state));
  }
  [[nodiscard]] T coefficient_of(std::size_t i, std::size_t) const { return coefficient[i]; }
};

/// Lists of 1, 2, 3, 4, 5, 1, 2, ... completions.
template <class T>
struct problem<dynamic_arity, T> {
  using results_type = list_results;
  std::vector<T> policy, reference, weight;
  std::vector<std::int32_t> length;
  std::vector<std::size_t> offset = {0};
  std::vector<T> value, coefficient;

  explicit problem(std::size_t n, std::uint64_t seed = 7) : value(n, T(-1)) {
    dice d(seed);
    for (std::size_t g = 0; g < n; ++g) {
      for (std::size_t k = 0; k <= g % 5; ++k) {
        double const y = d.log_prob();
        policy.push_back(static_cast<T>(y));
        reference.push_back(static_cast<T>(d.near_log_prob(y)));
        length.push_back(static_cast<std::int32_t>(1 + d.below(50)));
      }
      offset.push_back(policy.size());
    }
    coefficient.assign(policy.size(), T(-1));
  }
  [[nodiscard]] std::size_t size() const { return offset.size() - 1; }
  [[nodiscard]] list_columns columns() const {
    list_columns out{.policy = policy, .reference = reference, .length = length, .offset = offset};
    if (!weight.empty()) out.weight = weight;
    return out;
  }
  [[nodiscard]] results_type results() { return {.value = value, .coefficient = coefficient}; }
  [[nodiscard]] std::vector<T> all() const {
    std::vector<T> out = value;
    out.insert(out.end(), coefficient.begin(), coefficient.end());
    return out;
  }
  [[nodiscard]] problem alone(std::size_t g) const {
    problem out(0);
    auto const cut = [&](auto const& from) {
      return std::vector(from.begin() + static_cast<std::ptrdiff_t>(offset[g]),
                         from.begin() + static_cast<std::ptrdiff_t>(offset[g + 1]));
    };
    out.policy = cut(policy);
    out.reference = cut(reference);
    out.length = cut(length);
    out.offset = {0, out.policy.size()};
    out.value.assign(1, T(-1));
    out.coefficient.assign(out.policy.size(), T(-1));
    return out;
  }
  [[nodiscard]] std::vector<T> all_of(std::size_t g) const {
    std::vector<T> out{value[g]};
    for (std::size_t i = offset[g]; i < offset[g + 1]; ++i) out.push_back(coefficient[i]);
    return out;
  }
  void shift(double by) {
    for (T& x : policy) x += static_cast<T>(by);
  }
  static constexpr std::size_t moves = 5;  // those beyond the list's end move nothing
  template <class F, class L>
  [[nodiscard]] F moved(L const& loss, loss_state<L> const& state, std::size_t g, std::size_t which,
                        F by) const {
    std::size_t const begin = offset[g];
    auto const at = [&](std::size_t k) {
      return completion_record<F>{F(policy[begin + k]) + (k == which ? by : F(0)),
                                  F(reference[begin + k]), F(length[begin + k])};
    };
    list_record<F, decltype(at)> const record(offset[g + 1] - begin, at, {});
    return static_cast<F>(detail::apply(loss, record, state));
  }
  [[nodiscard]] T coefficient_of(std::size_t g, std::size_t which) const {
    return offset[g] + which < offset[g + 1] ? coefficient[offset[g] + which] : T(0);
  }
};

template <class L, class T>
using problem_for = problem<std::remove_cvref_t<L>::arity, T>;

/// Evaluates with the problem's own results; each example's own coefficients, not divided by their number.
template <class L, class Problem>
double solve(L const& loss, Problem& p, evaluate_options options = {.reduce = reduction::none}) {
  loss_memory<L> memory{};
  auto const columns = p.columns();
  return evaluate_into(loss, columns, p.results(), prepare(loss, columns, memory), options);
}

template <class L, class Problem>
[[nodiscard]] loss_state<L> state_of(L const& loss, Problem const& p) {
  loss_memory<L> memory{};
  return prepare(loss, p.columns(), memory);
}

}  // namespace prefer::test
