// expect: prefer: this loss takes no f-divergence
// SPDX-License-Identifier: MIT
// TRL sorts the log-ratios themselves, and ignores f_divergence_type.
#include <prefer/loss/aot.hpp>
#include <prefer/loss/f_divergence.hpp>

prefer::f_dpo<prefer::js_divergence, prefer::aot> const loss;
