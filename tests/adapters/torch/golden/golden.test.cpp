// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <string>

#include <catch2/catch.hpp>

#include "adapters/torch/golden/by_torch.hpp"
#include "golden/golden.hpp"

// Every golden row through tensors, in both ways, with the tolerance of two careful computations in double.

namespace {

struct tally {
  std::size_t rows = 0, numbers = 0;
};

tally check_all(golden::torch_way way, char const* file) {
  golden::way = way;
  tally out;
  golden::checker checker;
  auto const read = golden::read(std::string(PREFER_GOLDEN_DIR) + "/" + file + ".json");
  for (auto const& row : golden::cases_of(read)) {
    // Autograd multiplies 0 by the infinite derivative of the branch that is not taken; the coefficients do not.
    if (way == golden::torch_way::autograd && !row.finite) continue;
    auto const outcome = checker.check(row);
    INFO(row.id << " as " << outcome.meaning);
    CHECK(outcome.status != golden::status::not_covered);
    for (auto const& off : outcome.mismatches) {
      CAPTURE(off.field, off.index, off.expected, off.got);
      CHECK(outcome.status != golden::status::failed);
    }
    ++out.rows;
    out.numbers += outcome.numbers;
  }
  return out;
}

constexpr char const* files[] = {"bco",        "cpo", "dpo",     "dpo_legacy",
                                 "dpo_tokens", "kto", "nash_md", "orpo",
                                 "online_dpo", "tpo", "xpo",     "exact_edges"};

}  // namespace

TEST_CASE("torch: golden rows by coefficients that enter the graph", "[torch][golden]") {
  tally all;
  for (char const* file : files) all.rows += check_all(golden::torch_way::coefficients, file).rows;
  CHECK(all.rows == 1838 + 211);
  CHECK(golden::evaluations[0] > all.rows);
}

TEST_CASE("torch: golden rows by torch's autograd through the formula", "[torch][golden]") {
  tally all;
  for (char const* file : files) all.rows += check_all(golden::torch_way::autograd, file).rows;
  CHECK(all.rows > 1800);
  CHECK(golden::evaluations[1] > all.rows);
}
