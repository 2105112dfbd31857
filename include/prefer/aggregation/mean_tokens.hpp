// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <prefer/aggregation/aggregation.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// Every token counts 1 / |y|: the log-probability per token.
///
/// A loss that divides by completion_length itself (`simpo`, `ipo`) would divide twice: a trainer refuses it, unless the
/// data's lengths are those of aggregated::length, which are 1.
///
/// Cache   depends on the completion alone: a cache made with it is right with it
struct mean_tokens {
  static constexpr bool divides_by_length = true;

  [[nodiscard]] std::uint64_t identity() const { return fingerprint().add("mean_tokens").value(); }

  template <class = on_demand>
  void weights(choice_batch const& batch, std::span<std::size_t const> token_offset,
               std::span<double> out) const {
    detail::expects_token_weights(batch, token_offset, out.size(), "mean_tokens");
    for (std::size_t i = 0; i != batch.completions(); ++i) {
      auto const own = out.subspan(token_offset[i], token_offset[i + 1] - token_offset[i]);
      for (double& each : own) each = 1 / static_cast<double>(own.size());
    }
  }
};

}  // namespace prefer::inline v0_1
