// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <prefer/batch/token_table.hpp>
#include <set>
#include <vector>

using prefer::token_table;
using tokens = std::vector<std::uint32_t>;

namespace {

tokens of(token_table const& table, std::uint32_t id) {
  auto const view = table.tokens(id);
  return {view.begin(), view.end()};
}

token_table three() {
  token_table table;
  table.add(tokens{5, 6});
  table.add(tokens{7});
  table.add(tokens{5, 6, 5});
  return table;
}

}  // namespace

TEST_CASE("token_table: gives completions back by number", "[batch][token_table]") {
  token_table table;
  CHECK(table.size() == 0);
  CHECK(table.add(tokens{5, 6}) == 0);
  CHECK(table.add(tokens{7}) == 1);
  CHECK(table.add(tokens{5, 6}) == 2);
  CHECK(table.size() == 3);
  CHECK(of(table, 0) == tokens{5, 6});
  CHECK(of(table, 1) == tokens{7});
  CHECK(of(table, 2) == tokens{5, 6});
  CHECK(table.length(0) == 2);
  CHECK(table.length(1) == 1);
}

TEST_CASE("token_table: lengths and offsets follow a batch, not the table",
          "[batch][token_table]") {
  auto const table = three();
  tokens const completion = {2, 1, 2};
  CHECK(table.lengths(completion) == std::vector<float>{3, 1, 3});
  std::vector<std::size_t> offset = {99};
  table.offsets(completion, offset);
  CHECK(offset == std::vector<std::size_t>{0, 3, 4, 7});
}

TEST_CASE("token_table: empty completions and unknown numbers are refused",
          "[batch][token_table]") {
  auto table = three();
  CHECK_THROWS_WITH(table.add(tokens{}), "token_table::add: a completion has at least one token");
  CHECK(table.size() == 3);
  CHECK_THROWS_WITH(table.tokens(3), "token_table::tokens: completion is 3, expected less than 3");
  CHECK_THROWS_WITH(table.length(4), "token_table::length: completion is 4, expected less than 3");
}

TEST_CASE("token_table: all sequences of a length are there once, in order",
          "[batch][token_table]") {
  auto const all = token_table::all_of_length(3, 4);
  REQUIRE(all.size() == 81);
  std::set<tokens> seen;
  tokens before;
  for (std::uint32_t id = 0; id != 81; ++id) {
    auto const here = of(all, id);
    CHECK(here.size() == 4);
    for (auto const each : here) CHECK(each < 3);
    CHECK(before < here);
    seen.insert(here);
    before = here;
  }
  CHECK(seen.size() == 81);
  CHECK(of(all, 0) == tokens{0, 0, 0, 0});
  CHECK(of(all, 1 * 27 + 2 * 9 + 0 * 3 + 2) == tokens{1, 2, 0, 2});
}

TEST_CASE("token_table: more sequences than memory has room for are refused",
          "[batch][token_table]") {
  CHECK_THROWS_WITH(token_table::all_of_length(10, 9),
                    "token_table::all_of_length: 10^9 sequences, expected at most 2^24");
  CHECK_THROWS_AS(token_table::all_of_length(0, 2), prefer::precondition_error);
  CHECK_THROWS_AS(token_table::all_of_length(2, 0), prefer::precondition_error);
}

TEST_CASE("token_table: its fingerprint is that of the tokens and of where they are cut",
          "[batch][token_table]") {
  auto const table = three();
  CHECK(fingerprint_of(table) == fingerprint_of(three()));
  token_table other;
  other.add(tokens{5});
  other.add(tokens{6, 7});
  other.add(tokens{5, 6, 5});
  REQUIRE(std::vector(other.token().begin(), other.token().end()) ==
          std::vector(table.token().begin(), table.token().end()));
  CHECK(fingerprint_of(other) != fingerprint_of(table));
  auto more = three();
  more.add(tokens{1});
  CHECK(fingerprint_of(more) != fingerprint_of(table));
}

TEST_CASE("token_table: the last token of each prompt, for a policy that remembers no more",
          "[batch][token_table]") {
  prefer::token_table table;
  table.add(std::vector<std::uint32_t>{3, 1, 2});
  table.add(std::vector<std::uint32_t>{5});
  CHECK(table.last_tokens(std::vector<std::uint32_t>{1, 0, 1}) ==
        std::vector<std::uint32_t>{5, 2, 5});
  CHECK_THROWS_AS(table.last_tokens(std::vector<std::uint32_t>{2}), prefer::precondition_error);
}
