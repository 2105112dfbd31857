// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

#include "any_row.hpp"

TEST_CASE("rows: of any messages each is kept whole or refused, and read again as it was written",
          "[data][any_row]") {
  std::uint64_t state = 1;
  std::size_t kept = 0;
  std::size_t refused = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string bytes;
    while (bytes.size() < 160) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      bytes += static_cast<char>(state >> 56);
    }
    any_row::choices from(bytes);
    auto const row = any_row::any(from);
    CAPTURE(i, row.dump());
    REQUIRE_NOTHROW(any_row::follow(row) == any_row::fate::kept ? ++kept : ++refused);
  }
  // If all were refused, or none, nothing would be tested.
  CHECK(kept > 300);
  CHECK(refused > 300);
}
