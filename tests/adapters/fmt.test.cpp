// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <prefer/adapters/fmt.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/nll.hpp>

namespace {

using namespace prefer;

TEST_CASE("fmt: a loss is written with its parameters", "[adapters][fmt]") {
  CHECK(fmt::format("{}", dpo{}) == "dpo{beta=0.1, label_smoothing=0}");
  CHECK(fmt::format("{}", kto{.beta = 0.5, .desirable_weight = 1.25}) ==
        "kto{beta=0.5, desirable_weight=1.25, undesirable_weight=1}");
  CHECK(fmt::format("{}", nll{}) == "nll{}");
}

TEST_CASE("fmt: parameters are written so that they read back as the same number",
          "[adapters][fmt]") {
  double const third = 1.0 / 3.0;
  auto const text = fmt::format("{}", hinge{.beta = third});
  CHECK(std::stod(text.substr(text.find('=') + 1)) == third);
}

TEST_CASE("fmt: sums and multiples of losses are written as formulas", "[adapters][fmt]") {
  CHECK(fmt::format("{}", 0.5 * nll{}) == "0.5 * nll{}");
  CHECK(fmt::format("{}", hinge{} + 0.5 * nll{}) == "hinge{beta=0.1} + 0.5 * nll{}");
  CHECK(fmt::format("{}", 2.0 * (hinge{} + nll{})) == "2 * (hinge{beta=0.1} + nll{})");
}

TEST_CASE("fmt: a lambda's loss is written without its formula", "[adapters][fmt]") {
  CHECK(fmt::format("{}", pair_loss([](auto const& p) { return -p.chosen.log_prob; })) ==
        "pair_loss{}");
  CHECK(fmt::format("{}", list_loss([](auto const& l) { return -l[0].log_prob; })) ==
        "list_loss{}");
}

TEST_CASE("fmt: sets of columns are written by name", "[adapters][fmt]") {
  CHECK(fmt::format("{}", needs<dpo>) == "{policy, reference}");
  CHECK(fmt::format("{}", column_set{}) == "{}");
  CHECK(fmt::format("{}", column_name::target_margin) == "target_margin");
}

TEST_CASE("fmt: an evaluation is written as its summary", "[adapters][fmt]") {
  pair_evaluation result;
  result.loss = 0.25;
  result.value = {0.0, 0.5};
  CHECK(fmt::format("{}", result) == "pair_evaluation{loss=0.25, pairs=2}");
  result.value = {0.0, std::numeric_limits<double>::infinity(), std::nan("")};
  CHECK(fmt::format("{}", result) == "pair_evaluation{loss=0.25, pairs=3, not_finite=2}");
  evaluation lists;
  lists.value = {1.0};
  CHECK(fmt::format("{}", lists) == "evaluation{loss=0, examples=1}");
}

TEST_CASE("fmt: width, fill and alignment are those of a string", "[adapters][fmt]") {
  CHECK(fmt::format("{:>8}", nll{}) == "   nll{}");
  CHECK(fmt::format("{:*<8}|", nll{}) == "nll{}***|");
  CHECK(fmt::format("{:>10}", column_name::beta) == "      beta");
}

}  // namespace
