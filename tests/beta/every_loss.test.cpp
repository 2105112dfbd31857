// SPDX-License-Identifier: MIT
//
// One beta per example: a column of equal numbers is the parameter.
#include <catch2/catch.hpp>
#include <laws/problem.hpp>
#include <prefer/beta/schedule.hpp>
#include <prefer/loss/catalogue.hpp>
#include <set>
#include <string>
#include <vector>

namespace {

// One translation unit evaluates every loss once, in double: the two sides differ at run time alone.
template <class L>
std::vector<double> results(L const& loss, std::vector<double> const& beta) {
  prefer::test::problem_for<L, double> p(20);
  auto columns = p.columns();
  if (!beta.empty()) columns.beta = beta;
  prefer::loss_memory<L> memory{};
  prefer::evaluate_into(loss, columns, p.results(), prefer::prepare(loss, columns, memory),
                        {.reduce = prefer::reduction::none});
  return p.all();
}

}  // namespace

TEST_CASE("beta: a column of equal numbers gives the bits of a loss with that beta, for every loss",
          "[beta][laws]") {
  std::set<std::size_t> arities;
  prefer::for_each_loss([&]<class L>(L loss, prefer::loss_info const&) {
    if (!prefer::has_parameter(loss, "beta")) {
      CHECK_FALSE(prefer::reads(loss).contains(prefer::column_name::beta));
      return;
    }
    INFO("loss " << L::name);
    REQUIRE(prefer::reads(loss).contains(prefer::column_name::beta));
    arities.insert(L::arity);
    auto const with_default = results(loss, {});
    for (double const beta : {0.03, 0.5, 1.25}) {
      auto const by_column = results(loss, std::vector<double>(20, beta));
      L other = loss;
      CHECK(prefer::set_beta(other, beta) == 1);
      auto const by_parameter = results(other, {});
      CHECK(by_column == by_parameter);
      CHECK(by_column != with_default);
    }
  });
  // Pairs, labelled examples and lists were all among them.
  CHECK(arities == std::set<std::size_t>{1, 2, prefer::dynamic_arity});
}
