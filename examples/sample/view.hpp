// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/data/example.hpp>

namespace sample {

/// A text in lines of at most `width` terminal cells, broken between words; a longer word is broken within. Control
/// characters, which a terminal would obey, are spaces.
[[nodiscard]] std::vector<std::string> wrapped(std::string_view text, std::size_t width);

/// Two texts beside each other, below their headings.
[[nodiscard]] std::string side_by_side(std::string_view left_heading, std::string_view left,
                                       std::string_view right_heading, std::string_view right,
                                       std::size_t width);

/// What stands for a prompt on a terminal: the text, or the last message.
[[nodiscard]] std::string shown(prefer::data::turns const& prompt);

/// Columns of the terminal on standard output, from 40 to 120; 80 where there is none.
[[nodiscard]] std::size_t terminal_width();

}  // namespace sample
