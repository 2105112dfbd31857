// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

namespace scoring {

/// Words with a pleasant and with an unpleasant ring, apart by white space, in lower case. `joy*` stands for every word
/// that begins with joy.
extern std::string_view const pleasant_words;
extern std::string_view const unpleasant_words;

}  // namespace scoring
