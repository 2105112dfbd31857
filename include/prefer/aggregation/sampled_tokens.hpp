// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <prefer/aggregation/aggregation.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/random/order.hpp>
#include <prefer/random/philox.hpp>

namespace prefer::inline v0_1 {

/// SamPO, down-sampled DPO: of the longer completion of a pair as many tokens count as the shorter has, drawn
/// without replacement, each 1; the others 0.
///
///   E[log_prob(y)] = min(|chosen|, |rejected|) / |y| * sum_t token_log_prob_t
///
/// The draw is addressed by (seed, batch.draw, row), so policy and reference, log_prob and backward see the same
/// tokens, and each step others. Policy and reference must have the same seed. (The authors' program draws in
/// each forward pass, so for policy and reference apart.)
///
/// Errors  precondition_error for a group that is no pair, or a batch without row numbers
/// Cache   none: the draw changes with the step, and `cached` refuses it
/// Source  Lu et al. 2024, arXiv:2406.10957
struct sampled_tokens {
  static constexpr bool depends_on_draw = true;

  std::uint64_t seed = 1;

  [[nodiscard]] std::uint64_t identity() const {
    return fingerprint().add("sampled_tokens").add(seed).value();
  }

  template <class = on_demand>
  void weights(choice_batch const& batch, std::span<std::size_t const> token_offset,
               std::span<double> out) const {
    if (batch.row.size() != batch.size()) {
      detail::broken("sampled_tokens: the batch has " + std::to_string(batch.row.size()) +
                     " row numbers for " + std::to_string(batch.size()) +
                     " groups; they address the draw");
    }
    detail::for_each_pair(
        batch, token_offset, out, "sampled_tokens",
        [&](std::size_t g, std::span<double> chosen, std::span<double> rejected) {
          std::size_t const count = detail::at_most(chosen.size(), rejected.size());
          for (auto const own : {chosen, rejected}) {
            for (double& each : own) each = own.size() == count ? 1 : 0;
          }
          if (chosen.size() == rejected.size()) return;
          auto const longer = chosen.size() > rejected.size() ? chosen : rejected;
          random_stream numbers({.seed = seed,
                                 .purpose = random_purpose::subset,
                                 .step = batch.draw,
                                 .index = batch.row[g]});
          for (std::uint64_t const t : sample_without_replacement(longer.size(), count, numbers)) {
            longer[static_cast<std::size_t>(t)] = 1;
          }
        });
  }
};

}  // namespace prefer::inline v0_1
