// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <prefer/data/truncation.hpp>

using prefer::data::encode_report;

TEST_CASE("encode_report: a sentence says what was cut and what was dropped",
          "[data][truncation]") {
  CHECK(to_sentence(encode_report{.rows = 2, .kept = 2}) ==
        "2 rows, no prompt cut, no completion cut, no row dropped");
  CHECK(to_sentence(encode_report{.rows = 1,
                                  .kept = 1,
                                  .prompts_cut = 1,
                                  .completions_cut = 2,
                                  .prompt_tokens_cut = 1,
                                  .completion_tokens_cut = 30}) ==
        "1 row, 1 prompt cut by 1 token, 2 completions cut by 30 tokens, no row dropped");
  CHECK(to_sentence(encode_report{.rows = 9, .kept = 8, .dropped_empty = 1, .first_dropped = 4}) ==
        "9 rows, no prompt cut, no completion cut, 1 row dropped (1 without tokens in a part; the "
        "first in line 4)");
  CHECK(to_sentence(encode_report{
            .rows = 9, .kept = 4, .dropped_empty = 2, .dropped_equal = 3, .first_dropped = 1}) ==
        "9 rows, no prompt cut, no completion cut, 5 rows dropped (2 without tokens in a part, 3 "
        "with equal completions; the first in line 1)");
}
