// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/data/example.hpp>

namespace language {

/// Texts of a row as messages of a user and of an assistant; what are messages already stay as they are.
inline void as_chat(prefer::data::turns& part, char const* role) {
  if (part.is_text()) {
    part = prefer::data::conversation{{.role = role, .content = part.text()}};
  }
}
inline void as_chat(prefer::data::preference_pair& row) {
  as_chat(row.prompt, "user");
  as_chat(row.chosen, "assistant");
  as_chat(row.rejected, "assistant");
}
inline void as_chat(prefer::data::unpaired_example& row) {
  as_chat(row.prompt, "user");
  as_chat(row.completion, "assistant");
}
inline void as_chat(prefer::data::scored_completions& row) {
  as_chat(row.prompt, "user");
  for (auto& each : row.completions) as_chat(each, "assistant");
}

}  // namespace language
