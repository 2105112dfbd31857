// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "runs.hpp"

namespace reference_study {

/// Score, KL divergence and held-out accuracy against beta, a line for each reference; bars are standard errors.
void draw_betas(std::string const& path, found_runs const& found, std::vector<run> const& settings);

/// Score against the KL divergence that it took: the frontier of each reference.
void draw_frontier(std::string const& path, found_runs const& found,
                   std::vector<run> const& settings);

}  // namespace reference_study
