// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/scalar/probe.hpp>
#include <prefer/scalar/scalar.hpp>

namespace prefer {

namespace detail {

/// A column that may be absent. Whether it is does not vary within a batch.
template <class P>
struct optional_value {
  bool present = false;
  P value = P(0.0);

  [[nodiscard]] constexpr P value_or(double otherwise) const {
    return present ? value : P(otherwise);
  }
};

template <class P>
using mask_of = decltype(P(0.0) > P(0.0));

}  // namespace detail

/// One completion as a formula sees it. Only the policy's log_prob and divergence carry derivatives.
template <class S>
struct completion_record {
  using primal = primal_t<S>;

  S log_prob;                       // nats, summed over the completion
  primal reference_log_prob = 0.0;  // nats
  primal completion_length = 1.0;   // tokens
  primal score = 0.0;               // a reward, or a probability of winning

  // Of pairs only, and only from a policy over tokens.
  S divergence = S(0.0);   // sum over tokens of KL(reference || policy), nats
  primal alignment = 0.0;  // mean over tokens of log p(token) - log sum_v p(v)^2, nats
  primal perturbed_toward_log_prob = 0.0;  // of the policy moved towards the reference, nats
  primal perturbed_away_log_prob = 0.0;    // of the policy moved away from the reference, nats

  /// log_prob under the policy minus under the reference, nats.
  [[nodiscard]] constexpr S log_ratio() const { return log_prob - reference_log_prob; }
  /// log_prob per token, nats.
  [[nodiscard]] constexpr S mean_log_prob() const { return log_prob / completion_length; }
  /// log_ratio per token, nats.
  [[nodiscard]] constexpr S mean_log_ratio() const { return log_ratio() / completion_length; }
};

/// A preference pair as a formula sees it.
template <class S>
struct pair_record {
  using primal = primal_t<S>;

  completion_record<S> chosen;
  completion_record<S> rejected;
  detail::optional_value<primal> pair_beta = {};
  detail::optional_value<primal> pair_target_margin = {};
  detail::mask_of<primal> chosen_from_reference{};  // a condition for select
  primal uniform = 0.0;                             // a random number in [0, 1)

  /// log_ratio of chosen minus of rejected, nats: the reward margin before beta.
  [[nodiscard]] constexpr S log_ratio_margin() const {
    return (chosen.log_prob - rejected.log_prob) -
           (chosen.reference_log_prob - rejected.reference_log_prob);
  }
  /// log_prob of chosen minus of rejected, nats: the margin of a loss without a reference.
  [[nodiscard]] constexpr S log_prob_margin() const { return chosen.log_prob - rejected.log_prob; }

  /// This pair's own beta where the batch has such a column, else the loss's.
  [[nodiscard]] constexpr primal beta_or(double beta) const { return pair_beta.value_or(beta); }
  /// This pair's own target margin where the batch has such a column, else the loss's.
  [[nodiscard]] constexpr primal target_margin_or(double margin) const {
    return pair_target_margin.value_or(margin);
  }
};

/// A labelled completion as a formula sees it.
template <class S>
struct unpaired_record : completion_record<S> {
  using primal = primal_t<S>;

  detail::mask_of<primal> desirable{};  // a condition for select
  detail::optional_value<primal> example_beta = {};

  [[nodiscard]] constexpr primal beta_or(double beta) const { return example_beta.value_or(beta); }
};

/// The completions of one prompt as a formula sees them, in the order of the batch.
///
/// `at(i)` makes a completion_record on demand, so a list of any length needs no storage.
template <class S, class At>
class list_record {
 public:
  using scalar = S;
  using primal = primal_t<S>;

  constexpr list_record(std::size_t size, At at, detail::optional_value<primal> beta)
      : size_(size), at_(at), beta_(beta) {}

  [[nodiscard]] constexpr std::size_t size() const { return size_; }
  [[nodiscard]] constexpr completion_record<S> operator[](std::size_t i) const { return at_(i); }
  [[nodiscard]] constexpr primal beta_or(double beta) const { return beta_.value_or(beta); }

 private:
  std::size_t size_;
  At at_;
  detail::optional_value<primal> beta_;
};

namespace detail {

[[nodiscard]] constexpr completion_record<probe> probe_completion(probe log_prob) {
  return {.log_prob = log_prob,
          .reference_log_prob = probe::column(column_name::reference),
          .completion_length = probe::column(column_name::length),
          .score = probe::column(column_name::score),
          .divergence = probe::column(column_name::divergence),
          .alignment = probe::column(column_name::alignment),
          .perturbed_toward_log_prob = probe::column(column_name::perturbed),
          .perturbed_away_log_prob = probe::column(column_name::perturbed)};
}
[[nodiscard]] constexpr optional_value<probe> probe_optional(column_name name) {
  return {.present = true, .value = probe::column(name)};
}
[[nodiscard]] constexpr pair_record<probe> probe_pair() {
  return {.chosen = probe_completion(probe::chosen_log_prob()),
          .rejected = probe_completion(probe::rejected_log_prob()),
          .pair_beta = probe_optional(column_name::beta),
          .pair_target_margin = probe_optional(column_name::target_margin),
          .chosen_from_reference = probe::column(column_name::chosen_from_reference),
          .uniform = probe::column(column_name::uniform)};
}
[[nodiscard]] constexpr unpaired_record<probe> probe_unpaired() {
  unpaired_record<probe> record{probe_completion(probe::chosen_log_prob()), {}, {}};
  record.desirable = probe::column(column_name::label);
  record.example_beta = probe_optional(column_name::beta);
  return record;
}
struct probe_list_at {
  constexpr completion_record<probe> operator()(std::size_t) const {
    return probe_completion(probe::chosen_log_prob());
  }
};
[[nodiscard]] constexpr list_record<probe, probe_list_at> probe_list(std::size_t size) {
  return {size, probe_list_at{}, probe_optional(column_name::beta)};
}

}  // namespace detail

}  // namespace prefer
