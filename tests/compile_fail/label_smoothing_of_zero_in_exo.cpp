// expect: expected greater than 0 and less than 0.5
// SPDX-License-Identifier: MIT
// Without smoothing the divergence is infinite.
#include <prefer/loss/exo.hpp>

constexpr prefer::exo_pair bad{.beta = 0.1, .label_smoothing = 0.0};
