// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/columns.hpp>
#include <prefer/loss/loss.hpp>

#include "laws/problem.hpp"

namespace prefer::test {

/// Calls `use(record)` with example i of a problem; `place(number, which)` makes the scalar number `which`.
template <std::size_t Arity, class S, class Place, class Use>
auto with_record(problem<double> const& p, std::size_t i, Place const& place, Use const& use) {
  using primal = primal_t<S>;
  auto const completion = [&](std::size_t side, std::size_t row, std::size_t which) {
    auto const& from = p.side[side];
    completion_record<S> out;
    out.log_prob = place(from.policy[row], which);
    out.reference_log_prob = primal(from.reference[row]);
    out.completion_length = primal(from.length[row]);
    out.score = primal(from.score[row]);
    return out;
  };
  if constexpr (Arity == 2) {
    pair_record<S> record;
    for (std::size_t side = 0; side < 2; ++side) {
      auto const& from = p.side[side];
      completion_record<S>& to = side == 0 ? record.chosen : record.rejected;
      to = completion(side, i, side);
      to.divergence = place(from.divergence[i], 2 + side);
      to.alignment = primal(from.alignment[i]);
      to.perturbed_toward_log_prob = primal(from.perturbed_toward[i]);
      to.perturbed_away_log_prob = primal(from.perturbed_away[i]);
    }
    record.chosen_from_reference = p.from_reference[i] > 0.0;
    record.uniform = primal(p.uniform[i]);
    return use(record);
  } else if constexpr (Arity == 1) {
    unpaired_record<S> record{completion(0, i, 0), p.label[i] > 0.0, {}};
    return use(record);
  } else {
    std::size_t const begin = p.offset[i];
    auto const at = [&](std::size_t k) { return completion(0, begin + k, k); };
    return use(list_record<S, decltype(at)>(p.offset[i + 1] - begin, at, {}));
  }
}

}  // namespace prefer::test
