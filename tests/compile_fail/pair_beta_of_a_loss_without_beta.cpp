// expect: prefer: epsilon_dpo sets the beta of a loss, and this one has none
// SPDX-License-Identifier: MIT
#include <prefer/loss/epsilon_dpo.hpp>
#include <prefer/loss/rebel.hpp>

prefer::epsilon_dpo<prefer::rebel> const loss;
