// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstdint>
#include <prefer/batch/token_sequences.hpp>
#include <vector>

using tokens = std::vector<std::uint32_t>;

TEST_CASE("token_sequences: the fingerprint is of both tables, and of which is which",
          "[batch][token_sequences]") {
  auto const identity = [](tokens const& prompt, tokens const& completion) {
    prefer::token_sequences of;
    of.prompts.add(prompt);
    of.completions.add(completion);
    return fingerprint_of(of);
  };
  CHECK(identity({1, 2}, {3}) == identity({1, 2}, {3}));
  CHECK(identity({1, 2}, {3}) != identity({3}, {1, 2}));
  CHECK(identity({1, 2}, {3}) != identity({1}, {2, 3}));
  CHECK(identity({1, 2}, {3}) != identity({1, 2}, {4}));
}
