// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <prefer/aggregation/aggregation.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// Every token counts 1: the log-probability of the completion, what a policy gives by itself.
///
/// Cache   a sequence-level cache of the reference means the same with and without it
struct sum_tokens {
  [[nodiscard]] std::uint64_t identity() const { return fingerprint().add("sum_tokens").value(); }

  template <class = on_demand>
  void weights(choice_batch const& batch, std::span<std::size_t const> token_offset,
               std::span<double> out) const {
    detail::expects_token_weights(batch, token_offset, out.size(), "sum_tokens");
    for (double& each : out) each = 1;
  }
};

}  // namespace prefer::inline v0_1
