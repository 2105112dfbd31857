// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>

#include "laws/sensitivity.hpp"
#include "laws/subject.hpp"

// A record is what evaluate computes from: no column that a formula reads is left out of it, over every kind of columns.

using namespace prefer::test;

TEST_CASE("laws: the formula on record_at(batch, i) is evaluate's value i", "[laws][records]") {
  std::size_t kinds[3] = {};
  for (law_subject const& loss : subjects()) {
    INFO("loss " << loss.name);
    problem<double> p(loss.shape, 67);
    if (loss.reads_beta) {
      for (std::size_t i = 0; i < p.size(); ++i) p.beta.push_back(0.0625 * double(i % 7 + 1));
    }
    loss.solve(p);
    auto const state = loss.state(p);
    auto const seen = as_the_formula_sees(loss, p);
    for (std::size_t i = 0; i < p.size(); ++i) {
      CAPTURE(i);
      // As for lanes against plain numbers: some ten roundings. The bound is taken with the loss's own beta, which the
      // examples' exceed up to fourfold; a log-probability's share of the value grows no faster than its square.
      double const beta = loss.reads_beta ? 16.0 : 1.0;
      double const bound = beta * 10 * 0x1p-52 * sensitivity_of(loss, seen, state, i).value;
      CHECK(std::fabs(p.value[i] - loss.on_record(p, state, i)) <= bound + 1e-300);
    }
    ++kinds[loss.shape.arity];
  }
  CHECK(kinds[0] > 0);
  CHECK(kinds[1] > 0);
  CHECK(kinds[2] > 0);
}
