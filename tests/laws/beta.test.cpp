// SPDX-License-Identifier: MIT
//
// One beta per example: a column of equal numbers is the parameter.
#include <catch2/catch.hpp>
#include <set>
#include <vector>

#include "laws/subject.hpp"

namespace {

using namespace prefer::test;

TEST_CASE("laws: a beta column of equal numbers gives the bits of a loss with that beta",
          "[laws][beta]") {
  std::set<std::size_t> arities;
  for (auto const& subject : subjects()) {
    INFO("loss " << subject.name);
    CHECK(subject.reads_beta == (subject.evaluate_at_beta != nullptr));
    if (!subject.reads_beta) continue;
    arities.insert(subject.shape.arity);
    for (double const beta : {0.03, 0.5, 1.25}) {
      problem<double> by_column(subject.shape, 20);
      auto by_parameter = by_column;
      auto by_default = by_column;
      by_column.beta.assign(20, beta);
      subject.solve(by_column);
      subject.evaluate_at_beta(by_parameter, beta);
      subject.solve(by_default);
      CHECK(by_column.all() == by_parameter.all());
      CHECK(by_column.all() != by_default.all());
    }
  }
  // Pairs, labelled examples and lists were all among them.
  CHECK(arities == std::set<std::size_t>{1, 2, prefer::dynamic_arity});
}

}  // namespace
