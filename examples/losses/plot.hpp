// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "named_loss.hpp"

/// Draws loss and coefficient of every loss against the margin, side by side.
///
/// `margins` is where the axis begins and ends, nats; without it, three reciprocals of the smallest beta to
/// both sides, which is where a logistic loss bends. Returns what a reader should know about the picture,
/// possibly nothing.
std::string plot_losses(std::vector<named_loss> const& losses, std::string const& path,
                        std::optional<std::pair<double, double>> margins);
