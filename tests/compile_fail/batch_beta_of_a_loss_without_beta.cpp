// expect: prefer: beta_dpo sets the beta of a loss, and this one has none
// SPDX-License-Identifier: MIT
#include <prefer/loss/beta_dpo.hpp>
#include <prefer/loss/nll.hpp>

prefer::beta_dpo<prefer::nll> const loss;
