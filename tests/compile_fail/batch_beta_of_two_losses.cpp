// expect: prefer: beta_dpo sets one beta, and the parts of this loss have several
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

prefer::beta_dpo<prefer::sum_of_losses<prefer::dpo, prefer::hinge>> const bad;
