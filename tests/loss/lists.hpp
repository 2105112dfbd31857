// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <vector>

#include <prefer/objective/evaluate.hpp>

namespace prefer::test {

/// A loss on one list of completions with these log-ratios (the reference gives 0 to each).
template <class L>
[[nodiscard]] evaluation on_list(L const& loss, std::vector<double> const& log_ratio) {
  std::vector<double> const reference(log_ratio.size(), 0.0);
  std::vector<std::size_t> const offset = {0, log_ratio.size()};
  return evaluate(loss,
                  list_columns{.policy = log_ratio, .reference = reference, .offset = offset});
}

/// The same log-ratios as a pair.
template <class L>
[[nodiscard]] pair_evaluation on_pair(L const& loss, double chosen, double rejected) {
  std::vector<double> const c = {chosen}, r = {rejected}, zero = {0.0};
  return evaluate(loss, pair_columns{.policy = {c, r}, .reference = {zero, zero}});
}

}  // namespace prefer::test
