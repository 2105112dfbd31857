// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "interactions.hpp"
#include "study.hpp"

namespace recommend {

/// What a study takes of one kind, and how many bytes of it at most.
struct memory_part {
  std::string what;
  double bytes = 0.0;
};

/// All that a study of these data takes, besides the data: models, optimizer, drawn preferences, judging.
[[nodiscard]] std::vector<memory_part> memory_of(interactions const& data,
                                                 study_options const& options,
                                                 std::size_t models = 2);

/// Bytes that this process may take: the machine's, or those of its control group if that has fewer.
[[nodiscard]] double available_memory();

/// Refuses in a sentence that names the sum and its parts, if there is less than a study takes.
///
/// Errors  precondition_error
void expect_memory(std::vector<memory_part> const& parts, double available);

}  // namespace recommend
