// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <prefer/aggregation/aggregation.hpp>
#include <prefer/bounded.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// Length-desensitized DPO: of the longer completion of a pair, the tokens beyond the length of the shorter count
/// alpha.
///
///   weight_t = 1 for t < min(|chosen|, |rejected|),  alpha after,  t counted from 0
///
/// alpha = 1 is DPO, alpha = 0 cuts both to the same length. Pairs only.
///
/// Errors  precondition_error for alpha outside [0, 1] and for a group that is no pair
/// Cache   depends on alpha and on the partner: a cache belongs to these pairs and this alpha, as its identity says
/// Source  Liu et al. 2024, arXiv:2409.06411
/// TRL     `ld_alpha`
struct ld_dpo_weights {
  fraction alpha = 0.5;

  /// The weight of token `t`, counted from 0, of either completion of a pair with these lengths.
  [[nodiscard]] constexpr double weight(std::size_t t, std::size_t chosen_length,
                                        std::size_t rejected_length) const {
    return t < detail::at_most(chosen_length, rejected_length) ? 1.0 : static_cast<double>(alpha);
  }

  [[nodiscard]] std::uint64_t identity() const {
    return fingerprint().add("ld_dpo_weights").add(double{alpha}).value();
  }

  template <class = on_demand>
  void weights(choice_batch const& batch, std::span<std::size_t const> token_offset,
               std::span<double> out) const {
    expects_in_range(alpha, "ld_dpo_weights", "alpha");
    detail::for_each_pair(
        batch, token_offset, out, "ld_dpo_weights",
        [this](std::size_t, std::span<double> chosen, std::span<double> rejected) {
          for (auto const own : {chosen, rejected}) {
            for (std::size_t t = 0; t != own.size(); ++t) {
              own[t] = weight(t, chosen.size(), rejected.size());
            }
          }
        });
  }
};

}  // namespace prefer::inline v0_1
