// SPDX-License-Identifier: MIT
#include <ATen/core/Tensor.h>  // before Catch, whose CHECK it has too

#include <cstddef>
#include <string>

#include <catch2/catch.hpp>

#include "adapters/torch/golden/by_torch.hpp"
#include "golden/golden.hpp"

// Every golden row through tensors, in both ways, with the tolerance of two careful computations in double.

namespace {

/// How many rows were compared.
std::size_t check_all(golden::torch_way way, char const* file) {
  golden::way = way;
  std::size_t rows = 0;
  golden::checker checker;
  auto const read = golden::read(std::string(PREFER_GOLDEN_DIR) + "/" + file + ".json");
  for (auto const& row : golden::cases_of(read)) {
    // Rows of 60 digits, and some that are not finite, are those where torch's own double fails: the coefficients do not.
    if (way == golden::torch_way::autograd && (row.exact || !row.finite)) continue;
    auto const outcome = checker.check(row);
    INFO(row.id << " as " << outcome.meaning);
    CHECK(outcome.status != golden::status::not_covered);
    for (auto const& off : outcome.mismatches) {
      CAPTURE(off.field, off.index, off.expected, off.got);
      CHECK(outcome.status != golden::status::failed);
    }
    ++rows;
  }
  return rows;
}

constexpr char const* files[] = {"bco",        "cpo", "dpo",     "dpo_legacy",
                                 "dpo_tokens", "kto", "nash_md", "orpo",
                                 "online_dpo", "tpo", "xpo",     "exact_edges"};

}  // namespace

TEST_CASE("torch: golden rows by coefficients that enter the graph", "[torch][golden]") {
  std::size_t rows = 0;
  for (char const* file : files) rows += check_all(golden::torch_way::coefficients, file);
  CHECK(rows == 1838 + 211);
  CHECK(golden::evaluations[0] > rows);
}

TEST_CASE("torch: golden rows by torch's autograd through the formula", "[torch][golden]") {
  std::size_t rows = 0;
  for (char const* file : files) rows += check_all(golden::torch_way::autograd, file);
  CHECK(rows == 1838 - 94);  // TRL's, but those that are not finite
  CHECK(golden::evaluations[1] > rows);
}
