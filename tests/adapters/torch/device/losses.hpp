// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/loss/aot.hpp>
#include <prefer/loss/bco.hpp>
#include <prefer/loss/beta_dpo.hpp>
#include <prefer/loss/compose.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/lipo.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/orpo.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/loss/tdpo.hpp>

// Losses of every kind, whose kernels are in kernels.cu.

namespace prefer::test {

/// A user's own, with a derivative by what a value head says.
struct squared_value_error {
  static constexpr std::size_t arity = 1;
  static constexpr char const* name = "squared_value_error";

  constexpr auto operator()(auto const& one) const {
    return square(one.score - one.value_estimate - 0.1 * one.log_ratio());
  }
};

using dpo_and_nll = decltype(dpo{} + 0.2 * nll{});

}  // namespace prefer::test
