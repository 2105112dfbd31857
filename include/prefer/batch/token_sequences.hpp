// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>

#include <prefer/batch/token_table.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// The tokens behind the numbers of a choice_data: its prompts and its completions, each in a table of their own.
template <class = on_demand>
struct basic_token_sequences {
  token_table prompts = {};
  token_table completions = {};
};
using token_sequences = basic_token_sequences<>;

/// Identity of both tables, for caches of what depends on them: a data set has only numbers.
template <std::same_as<token_sequences> Sequences>
[[nodiscard]] std::uint64_t fingerprint_of(Sequences const& sequences) {
  fingerprint identity;
  identity.add(fingerprint_of(sequences.prompts)).add(fingerprint_of(sequences.completions));
  return identity.value();
}

}  // namespace prefer::inline v0_1
