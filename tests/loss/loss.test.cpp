// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/loss/dpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/loss/softmax_dpo.hpp>

#include "loss/lists.hpp"
#include "loss/one_pair.hpp"
#include "support/archetypes.hpp"
#include "support/near.hpp"

namespace {

using namespace prefer;
using namespace prefer::test;

TEST_CASE("Loss: asks for what its archetype has, and for each of it", "[loss][concept]") {
  STATIC_REQUIRE(UnpairedLoss<loss_archetype<1>>);
  STATIC_REQUIRE(PairLoss<loss_archetype<2>>);
  STATIC_REQUIRE(ListLoss<loss_archetype<dynamic_arity>>);
  STATIC_REQUIRE(PairLoss<remembering_archetype>);
  STATIC_REQUIRE(!Loss<loss_archetype<2, loss_lacks::arity>>);
  STATIC_REQUIRE(!Loss<loss_archetype<2, loss_lacks::formula>>);
  STATIC_REQUIRE(!Loss<loss_archetype<2, loss_lacks::const_formula>>);
  STATIC_REQUIRE(!Loss<loss_archetype<2, loss_lacks::trivial_copies>>);
  STATIC_REQUIRE(!Loss<double>);
}

TEST_CASE("Loss: arities are kept apart", "[loss][concept]") {
  STATIC_REQUIRE(PairLoss<dpo>);
  STATIC_REQUIRE(!UnpairedLoss<dpo>);
  STATIC_REQUIRE(!ListLoss<dpo>);
  STATIC_REQUIRE(UnpairedLoss<kto>);
  STATIC_REQUIRE(ListLoss<softmax_dpo>);
  STATIC_REQUIRE(check::loss<dpo>());
}

TEST_CASE("Loss: what each reads follows from its formula", "[loss][needs]") {
  auto const policy = column_set(column_name::policy);
  auto const both = policy | column_name::reference;
  CHECK(needs<dpo> == both);
  CHECK(needs<hinge> == both);
  CHECK(needs<ipo_sum> == both);
  CHECK(needs<ipo> == (both | column_name::length));
  CHECK(needs<simpo> == (policy | column_name::length));
  CHECK(needs<nll> == policy);
  CHECK(needs<nll_per_token> == (policy | column_name::length));
  CHECK(needs<kto> == (both | column_name::label));
  CHECK(needs<softmax_dpo> == both);
  CHECK(reads(simpo{}) == (needs<simpo> | column_name::beta | column_name::target_margin));
  CHECK(needs<decltype(dpo{} + 0.1 * nll_per_token{})> == (both | column_name::length));
}

TEST_CASE("Loss: which see only the margin follows from their formulas", "[loss][needs]") {
  CHECK(margin_only<dpo>);
  CHECK(margin_only<hinge>);
  CHECK(margin_only<ipo_sum>);
  CHECK(!margin_only<ipo>);  // each side has its own length
  CHECK(!margin_only<simpo>);
  CHECK(!margin_only<nll>);
  CHECK(margin_only<decltype(0.5 * dpo{} + 2.0 * hinge{})>);
  CHECK(!margin_only<decltype(dpo{} + 0.1 * nll{})>);
}

TEST_CASE("losses: a weighted sum has the weighted sum of values and slopes", "[loss][sum]") {
  auto const pair = pair_with_margin(1.5);
  auto const d = at(dpo{}, pair);
  auto const h = at(hinge{}, pair);
  auto const n = at(nll{}, pair);
  auto const mixed = 0.8 * dpo{} + 0.2 * hinge{} + 1.5 * nll{};
  using S = dual<double, 2>;
  pair_record<S> record;
  record.chosen = {S::variable(pair.chosen.log_prob, 0), pair.chosen.reference_log_prob, 1.0};
  record.rejected = {S::variable(pair.rejected.log_prob, 1), pair.rejected.reference_log_prob, 1.0};
  S const y = mixed(record, {});
  CHECK(near(y.value, 0.8 * d.value + 0.2 * h.value + 1.5 * n.value, 1e-15));
  CHECK(near(y.partial[0], 0.8 * d.chosen + 0.2 * h.chosen + 1.5 * n.chosen, 1e-15));
  CHECK(near(y.partial[1], 0.8 * d.rejected + 0.2 * h.rejected + 1.5 * n.rejected, 1e-15));
}

TEST_CASE("losses: a sum prepares each of its losses", "[loss][sum]") {
  std::vector<double> const policy = {-1.0}, reference = {-3.0}, one = {1.0};
  std::vector<double> const kl_policy = {-1.0}, mismatched_reference = {-5.0};
  auto const batch = unpaired_columns{.policy = policy,
                                      .reference = reference,
                                      .label = one,
                                      .kl_examples = {kl_policy, mismatched_reference}};
  double const strong = evaluate(kto{.beta = 1.0}, batch).loss;
  double const weak = evaluate(kto{.beta = 0.1}, batch).loss;
  CHECK(near(evaluate(kto{.beta = 1.0} + 2.0 * kto{.beta = 0.1}, batch).loss, strong + 2.0 * weak,
             1e-15));
}

TEST_CASE("losses: a sum keeps the memory of each that remembers", "[loss][sum]") {
  std::vector<double> const c = {-1.0}, r = {-3.0};
  auto const loss = remembering_archetype(0) + 10.0 * remembering_archetype(0);
  loss_memory<decltype(loss + nll{})> memory;
  auto const batch = pair_columns{.policy = {c, r}};
  CHECK(evaluate(loss + nll{}, batch, memory).loss == -2.0 - 20.0 + 1.0);
  CHECK(evaluate(loss + nll{}, batch, memory).loss == -4.0 - 40.0 + 1.0);
}

TEST_CASE("losses: a lambda is a loss, with or without captures", "[loss][lambda]") {
  std::vector<double> const c = {-1.0, -4.0}, r = {-3.0, -2.0};
  auto const batch = pair_columns{.policy = {c, r}, .reference = {r, c}};
  auto const expected = evaluate(dpo{.beta = 0.3}, batch);
  double const beta = 0.3;
  auto const plain = evaluate(
      pair_loss([](auto const& p) { return softplus(-0.3 * p.log_ratio_margin()); }), batch);
  auto const captured = evaluate(
      pair_loss([beta](auto const& p) { return softplus(-beta * p.log_ratio_margin()); }), batch);
  CHECK(plain.value == expected.value);
  CHECK(captured.value == expected.value);
  CHECK(captured.coefficient.chosen == expected.coefficient.chosen);
  CHECK(captured.coefficient.rejected == expected.coefficient.rejected);
  auto const sum =
      evaluate(0.5 * pair_loss([beta](auto const& p) { return beta * p.chosen.log_prob; }) + nll{},
               pair_columns{.policy = {c, r}});
  CHECK(near(sum.value[0], 0.5 * 0.3 * -1.0 + 1.0, 1e-15));
}

TEST_CASE("losses: a lambda over lists or labelled completions is a loss", "[loss][lambda]") {
  auto const worst = list_loss(
      [](auto const& l) { return softplus(l[l.size() - 1].log_ratio() - l[0].log_ratio()); });
  auto const y = on_list(worst, {2.0, 9.0, 2.0});
  CHECK(near(y.loss, std::log(2.0), 1e-15));
  CHECK(y.coefficient == std::vector<double>{-0.5, 0.0, 0.5});
  std::vector<double> const p = {-1.0, -2.0}, label = {1.0, 0.0};
  auto const signed_loss =
      unpaired_loss([](auto const& e) { return select(e.desirable, -1.0, 1.0) * e.log_prob; });
  CHECK(evaluate(signed_loss, unpaired_columns{.policy = p, .label = label}).value ==
        std::vector<double>{1.0, -2.0});
}

TEST_CASE("log_sum_exp: sums from the given rank on without overflow", "[loss][list]") {
  auto const from = [](std::size_t first, std::vector<double> const& log_prob) {
    auto const at = [&](std::size_t i) {
      return completion_record<double>{.log_prob = log_prob[i]};
    };
    list_record<double, decltype(at)> const list(log_prob.size(), at, {});
    return log_sum_exp(list, first, [](auto const& c) { return c.log_prob; });
  };
  CHECK(near(from(0, {std::log(1.0), std::log(2.0), std::log(3.0)}), std::log(6.0), 1e-15));
  CHECK(near(from(1, {std::log(1.0), std::log(2.0), std::log(3.0)}), std::log(5.0), 1e-15));
  CHECK(near(from(0, {1000.0, 1000.0}), 1000.0 + std::log(2.0), 1e-15));
  CHECK(near(from(0, {-1000.0, -1000.0}), -1000.0 + std::log(2.0), 1e-15));
}

TEST_CASE("losses: parameters are visited by name, of every part", "[loss][parameters]") {
  auto const names_of = [](auto loss) {
    std::string names;
    decltype(loss)::parameters(loss,
                               [&](char const* name, auto&) { names += std::string(name) + " "; });
    return names;
  };
  CHECK(names_of(simpo{}) == "beta gamma label_smoothing ");
  CHECK(names_of(0.5 * dpo{} + hinge{}) == "weight beta label_smoothing beta ");
  auto loss = dpo{};
  dpo::parameters(loss, [](char const*, auto& value) { value = 0.25; });
  CHECK(loss.beta == 0.25);
  CHECK(loss.label_smoothing == 0.25);
}

TEST_CASE("parameter types: a value out of range does not enter", "[loss][parameters]") {
  double const nan = std::numeric_limits<double>::quiet_NaN();
  double const infinity = std::numeric_limits<double>::infinity();
  CHECK_THROWS_AS(positive(0.0), precondition_error);
  CHECK_THROWS_AS(positive(nan), precondition_error);
  CHECK_THROWS_AS(positive(infinity), precondition_error);
  CHECK(positive(0.25) == 0.25);
  CHECK_THROWS_AS(non_negative(-1e-9), precondition_error);
  CHECK_THROWS_AS(non_negative(nan), precondition_error);
  CHECK(non_negative(0.0) == 0.0);
  CHECK_THROWS_AS(flip_probability(0.5), precondition_error);
  CHECK_THROWS_AS(flip_probability(nan), precondition_error);
  CHECK(flip_probability(0.0) == 0.0);
  CHECK_THROWS_AS(smoothing(0.0), precondition_error);
  CHECK_THROWS_AS(smoothing(0.5), precondition_error);
  CHECK_THROWS_AS(smoothing(nan), precondition_error);
  CHECK(smoothing(1e-3) == 1e-3);
  CHECK_THROWS_AS(share(0.0), precondition_error);
  CHECK_THROWS_AS(share(1.0 + 1e-9), precondition_error);
  CHECK_THROWS_AS(share(nan), precondition_error);
  CHECK(share(1.0) == 1.0);
}

}  // namespace
