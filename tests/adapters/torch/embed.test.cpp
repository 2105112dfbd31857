// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstdio>
#include <string>

#include <catch2/catch.hpp>

#include "examples/workplace.hpp"

// examples/embed_torch: the trainer and a loop of one's own with torch's AdamW take the same steps.

#ifdef PREFER_EXAMPLE_EMBED_TORCH
TEST_CASE("torch: embed_torch prefers what it was told to, by both ways alike", "[torch]") {
  prefer::test::workplace const here("embed_torch", PREFER_EXAMPLE_EMBED_TORCH);
  auto const result = here.run("");
  INFO(result.err << result.out);
  REQUIRE(result.code == 0);
  double before = 0, by_trainer = 0, by_loop = 0;
  REQUIRE(std::sscanf(result.out.c_str(),
                      "after likelihood the preferred text is exp(%lf) times as likely "
                      "trainer, 40 steps the preferred text is exp(%lf) times as likely "
                      "own loop, 40 steps the preferred text is exp(%lf)",
                      &before, &by_trainer, &by_loop) == 3);
  CHECK(std::fabs(before) < 2);  // both were seen equally often
  CHECK(by_trainer > before + 10);
  CHECK(std::fabs(by_trainer - by_loop) < 0.1);
}
#endif
