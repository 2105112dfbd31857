// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <string>
#include <vector>

#include <prefer/batch/columns.hpp>

namespace prefer {

/// One element of a batch that makes its loss meaningless.
struct finding {
  std::string column;   ///< "policy.chosen", "length.rejected", ...
  std::size_t row = 0;  ///< counted from 0
  double value = 0.0;
  std::string sentence;  ///< what is wrong and what was expected
};

namespace detail {

template <class Good>
void find_first(column const& c, char const* name, Good const& good, char const* expected,
                std::vector<finding>& out) {
  for (std::size_t i = 0; i < c.size(); ++i) {
    if (good(c[i])) continue;
    out.push_back({name, i, c[i],
                   std::string(name) + "[" + std::to_string(i) + "] is " + std::to_string(c[i]) +
                       "; expected " + expected});
    return;
  }
}

inline void find_bad_log_prob(auto const& c, char const* name, std::vector<finding>& out) {
  find_first(
      c, name, [](double x) { return std::isfinite(x); }, "a finite log-probability", out);
}
inline void find_bad_length(auto const& c, char const* name, std::vector<finding>& out) {
  find_first(
      c, name, [](double x) { return x > 0.0 && std::isfinite(x); }, "at least one token", out);
}
inline void find_bad_number(auto const& c, char const* name, std::vector<finding>& out) {
  find_first(
      c, name, [](double x) { return std::isfinite(x); }, "a finite number", out);
}
inline void find_bad_beta(auto const& c, std::vector<finding>& out) {
  find_first(
      c, "beta", [](double x) { return x > 0.0 && std::isfinite(x); }, "a beta greater than zero",
      out);
}

}  // namespace detail

/// Looks through a batch for what evaluate lets flow through: the first bad element of every column. Empty
/// for a good batch. Reads every element, so ask when a report shows NaN, not in every step.
template <class Columns>
[[nodiscard]] std::vector<finding> diagnose(Columns const& batch) {
  std::vector<finding> out;
  if constexpr (std::same_as<Columns, pair_columns>) {
    detail::find_bad_log_prob(batch.policy.chosen, "policy.chosen", out);
    detail::find_bad_log_prob(batch.policy.rejected, "policy.rejected", out);
    detail::find_bad_log_prob(batch.reference.chosen, "reference.chosen", out);
    detail::find_bad_log_prob(batch.reference.rejected, "reference.rejected", out);
    detail::find_bad_length(batch.length.chosen, "length.chosen", out);
    detail::find_bad_length(batch.length.rejected, "length.rejected", out);
    detail::find_bad_number(batch.weight, "weight", out);
    detail::find_bad_beta(batch.beta, out);
    detail::find_bad_number(batch.target_margin, "target_margin", out);
    detail::find_bad_number(batch.score.chosen, "score.chosen", out);
    detail::find_bad_number(batch.score.rejected, "score.rejected", out);
    detail::find_bad_number(batch.divergence.chosen, "divergence.chosen", out);
    detail::find_bad_number(batch.divergence.rejected, "divergence.rejected", out);
    detail::find_bad_number(batch.alignment.chosen, "alignment.chosen", out);
    detail::find_bad_number(batch.alignment.rejected, "alignment.rejected", out);
    detail::find_bad_log_prob(batch.perturbed_toward.chosen, "perturbed_toward.chosen", out);
    detail::find_bad_log_prob(batch.perturbed_toward.rejected, "perturbed_toward.rejected", out);
    detail::find_bad_log_prob(batch.perturbed_away.chosen, "perturbed_away.chosen", out);
    detail::find_bad_log_prob(batch.perturbed_away.rejected, "perturbed_away.rejected", out);
    detail::find_bad_number(batch.chosen_from_reference, "chosen_from_reference", out);
    detail::find_bad_number(batch.uniform, "uniform", out);
  } else if constexpr (std::same_as<Columns, unpaired_columns>) {
    detail::find_bad_log_prob(batch.policy, "policy", out);
    detail::find_bad_log_prob(batch.reference, "reference", out);
    detail::find_bad_number(batch.label, "label", out);
    detail::find_bad_length(batch.length, "length", out);
    detail::find_bad_number(batch.score, "score", out);
    detail::find_bad_number(batch.weight, "weight", out);
    detail::find_bad_beta(batch.beta, out);
    detail::find_bad_log_prob(batch.kl_examples.policy, "kl_examples.policy", out);
    detail::find_bad_log_prob(batch.kl_examples.reference, "kl_examples.reference", out);
  } else {
    static_assert(std::same_as<Columns, list_columns>,
                  "prefer: diagnose looks through pair_columns, unpaired_columns or list_columns");
    detail::find_bad_log_prob(batch.policy, "policy", out);
    detail::find_bad_log_prob(batch.reference, "reference", out);
    detail::find_bad_length(batch.length, "length", out);
    detail::find_bad_number(batch.score, "score", out);
    detail::find_bad_number(batch.weight, "weight", out);
    detail::find_bad_beta(batch.beta, out);
  }
  return out;
}

}  // namespace prefer
