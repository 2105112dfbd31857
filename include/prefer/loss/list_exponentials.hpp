// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>

#include <prefer/scalar/scalar.hpp>

// What the analytic coefficients of losses over lists share: softmaxes from one exponential of each completion, and
// logarithms of sums of exponentials.

namespace prefer::inline v0_1 {

/// The largest score of a list, and the sum of the exponentials of all scores less that one.
template <class S>
struct list_exponentials {
  S largest;
  S total;
};

/// exp(score(completion) - largest score) of every completion into `out`: divided by their sum, the softmax; its logarithm
/// is score - largest - log(total).
template <class S>
[[nodiscard]] constexpr list_exponentials<S> exponentials(auto const& list, auto const& score,
                                                          std::span<S> out) {
  S largest = score(list[0]);
  for (std::size_t i = 1; i < list.size(); ++i) {
    S const other = score(list[i]);
    largest = select(other > largest, other, largest);
  }
  S total = 0.0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    out[i] = exp(score(list[i]) - largest);
    total = total + out[i];
  }
  return {largest, total};
}

/// A sum of exponentials less the largest, with its logarithm and its inverse.
template <class S>
struct exponential_sum {
  S value;
  S logarithm;
  S inverse;
};

/// own + others, of which one is 1 or more: own where `ahead` holds. Then others may be small, and the logarithm keeps their
/// digits.
template <class S>
[[nodiscard]] constexpr exponential_sum<S> sum_with_own(S const& own, S const& others,
                                                        auto const& ahead) {
  S const value = own + others;
  S const inverse = S(1.0) / value;
  S const rounded_off = select(ahead, others - (value - own), S(0.0));
  return {value, log(value) + rounded_off * inverse, inverse};
}

}  // namespace prefer::inline v0_1
