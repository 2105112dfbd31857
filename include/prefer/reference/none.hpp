// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <span>

#include <prefer/file/fingerprint.hpp>

namespace prefer::inline v0_1 {

/// No reference: every log-probability is 0, so a log_ratio is the policy's log_prob.
///
/// The same as a uniform reference wherever only a margin is read. Nothing then holds the policy near its
/// start; watch the KL divergence to it.
template <std::floating_point T>
struct no_reference {
  using value_type = T;

  void log_prob(auto const& /*batch*/, std::span<T> out) const {
    for (T& each : out) each = 0;
  }
  void logit(auto const& batch, std::span<T> out) const { log_prob(batch, out); }

  [[nodiscard]] static std::uint64_t identity() {
    return fingerprint().add("no_reference").value();
  }
};

}  // namespace prefer::inline v0_1
