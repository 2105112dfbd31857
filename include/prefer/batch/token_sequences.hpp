// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>

#include <prefer/batch/token_table.hpp>
#include <prefer/file/fingerprint.hpp>

namespace prefer {

/// The tokens behind the numbers of a choice_data: its prompts and its completions, each in a table of their own.
struct token_sequences {
  token_table prompts = {};
  token_table completions = {};
};

/// Identity of both tables, for caches of what depends on them: a data set has only numbers.
template <std::same_as<token_sequences> Sequences>
[[nodiscard]] std::uint64_t fingerprint_of(Sequences const& sequences) {
  fingerprint identity;
  identity.add(fingerprint_of(sequences.prompts)).add(fingerprint_of(sequences.completions));
  return identity.value();
}

}  // namespace prefer
