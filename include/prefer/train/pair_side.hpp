// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <vector>

namespace prefer::detail {

/// What a policy and a reference say of one side of a minibatch's pairs, and what a loss makes of it.
template <class T, class OfReference>
struct pair_side {
  struct optional_parts {
    bool divergence, alignment, perturbed;
  };

  std::vector<T> policy;
  std::vector<OfReference> reference;
  std::vector<T> divergence;
  std::vector<T> alignment;
  std::vector<T> perturbed_toward;
  std::vector<T> perturbed_away;
  std::vector<T> coefficient;
  std::vector<T> divergence_coefficient;

  void resize(std::size_t pairs, optional_parts const& there) {
    policy.resize(pairs);
    reference.resize(pairs);
    coefficient.resize(pairs);
    divergence.resize(there.divergence ? pairs : 0);
    divergence_coefficient.resize(there.divergence ? pairs : 0);
    alignment.resize(there.alignment ? pairs : 0);
    perturbed_toward.resize(there.perturbed ? pairs : 0);
    perturbed_away.resize(there.perturbed ? pairs : 0);
  }
};

}  // namespace prefer::detail
