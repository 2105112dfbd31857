// expect: prefer: this loss takes no f-divergence
// SPDX-License-Identifier: MIT
// TRL ignores f_divergence_type for this loss.
#include <prefer/loss/apo.hpp>
#include <prefer/loss/f_divergence.hpp>

prefer::f_dpo<prefer::forward_kl, prefer::apo_zero> const loss;
