// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include <prefer/loss/aot.hpp>
#include <prefer/loss/beta_dpo.hpp>
#include <prefer/loss/compose.hpp>
#include <prefer/loss/cpo.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/epsilon_dpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/loss/tpo.hpp>
#include <prefer/loss/wpo.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/objective/evaluate.hpp>

#include "loss/lists.hpp"
#include "loss/one_pair.hpp"
#include "support/archetypes.hpp"
#include "support/near.hpp"

namespace {

using namespace prefer;
using namespace prefer::test;

/// A wrapper as a user writes it: what it is made of, and its formula.
template <PairLoss L>
struct squared {
  static constexpr std::size_t arity = 2;
  L loss;
  static constexpr auto parts(auto& self, auto&& visit) { return visit(self.loss); }
  constexpr auto operator()(auto const& pair, auto const& part) const { return square(part(pair)); }
};

/// The same without its parts.
template <PairLoss L>
struct silent {
  static constexpr std::size_t arity = 2;
  L loss;
  constexpr auto operator()(auto const& pair) const { return square(loss(pair)); }
};

/// Two parts that are not added.
template <PairLoss A, PairLoss B>
struct product {
  static constexpr std::size_t arity = 2;
  A first;
  B second;
  static constexpr auto parts(auto& self, auto&& visit) { return visit(self.first, self.second); }
  constexpr auto operator()(auto const& pair, auto const& one, auto const& other) const {
    return one(pair) * other(pair);
  }
};

/// Three pairs whose order by policy margin is not that by reference margin.
struct three_pairs {
  std::vector<double> chosen = {-1.0, -4.0, -2.0}, rejected = {-2.0, -1.0, -5.0};
  std::vector<double> reference_chosen = {-6.0, -1.0, -3.0},
                      reference_rejected = {-1.0, -3.0, -3.5};
  std::vector<double> none = {0.0, 0.0, 0.0}, some = {-0.1, -0.7, -0.3};
  pair_columns columns = {.policy = {chosen, rejected},
                          .reference = {reference_chosen, reference_rejected},
                          .alignment = {some, none}};
};

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
  S const y = prefer::detail::apply(mixed, record, {});
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

TEST_CASE("losses: what is made of others has their states, and room for its own only",
          "[loss][parts]") {
  STATIC_REQUIRE(std::same_as<loss_state<decltype(0.5 * dpo{} + hinge{})>, nothing>);
  STATIC_REQUIRE(std::same_as<loss_state<decltype(0.5 * kto_pair{} + hinge{})>, kto_pair::state>);
  STATIC_REQUIRE(std::same_as<loss_state<squared<kto_pair>>, kto_pair::state>);
  STATIC_REQUIRE(std::same_as<loss_memory<wpo<beta_dpo<>>>, beta_dpo<>::memory>);
  STATIC_REQUIRE(sizeof(loss_state<decltype(1.0 * kto_pair{} + 2.0 * (kto_pair{} + dpo{}))>) ==
                 2 * sizeof(kto_pair::state));
  // Its own state and its part's, each with its own numbers.
  three_pairs const p;
  std::vector<double> const uniform = {0.5, 0.5, 0.5};
  auto batch = p.columns;
  batch.uniform = uniform;
  auto const around = beta_dpo<kto_pair>{.kept_share = 1.0};
  loss_memory<beta_dpo<kto_pair>> memory;
  auto const state = prepare(around, batch, memory);
  nothing none;
  auto const inner = prepare(kto_pair{}, batch, none);
  double baseline = -1.0;
  detail::for_each_part(around, [&]<std::size_t I, class P>(detail::place<I>, P const&) {
    baseline = detail::kept_at<I, loss_state<P>>(state).chosen_baseline;
  });
  CHECK(baseline == inner.chosen_baseline);
  CHECK(own_state_of(around, state).scale == 1.0);
}

TEST_CASE("losses: around a loss that matches rows, its rows are matched", "[loss][parts]") {
  three_pairs const p;
  auto const bare = evaluate(aot{.beta = 1.0}, p.columns);
  REQUIRE(bare.value != evaluate(dpo{.beta = 1.0}, p.columns).value);
  auto const weighted = evaluate(wpo<aot>{.loss = {.beta = 1.0}}, p.columns);
  auto const square_of = evaluate(squared<aot>{{.beta = 1.0}}, p.columns);
  for (std::size_t i = 0; i < 3; ++i) {
    double const weight = std::exp(p.some[i]);
    CHECK(near(weighted.value[i], weight * bare.value[i], 1e-15));
    CHECK(near(weighted.coefficient.chosen[i], weight * bare.coefficient.chosen[i], 1e-15));
    CHECK(near(weighted.coefficient.rejected[i], weight * bare.coefficient.rejected[i], 1e-15));
    CHECK(near(square_of.value[i], bare.value[i] * bare.value[i], 1e-15));
    CHECK(near(square_of.coefficient.rejected[i],
               2.0 * bare.value[i] * bare.coefficient.rejected[i], 1e-15));
  }
  // A sum inside a sum: each term on its own rows.
  auto const sum = evaluate(2.0 * (aot{.beta = 1.0} + 0.5 * squared<dpo>{}) + nll{}, p.columns);
  auto const other = evaluate(dpo{}, p.columns);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(near(sum.value[i], 2.0 * bare.value[i] + other.value[i] * other.value[i] - p.chosen[i],
               1e-14));
  }
}

TEST_CASE("losses: rows in two orders at once are no loss", "[loss][parts]") {
  STATIC_REQUIRE(Loss<decltype(1.0 * aot{} + nll{})>);
  STATIC_REQUIRE(Loss<wpo<aot>>);
  STATIC_REQUIRE(Loss<wpo<decltype(0.5 * aot{})>>);
  STATIC_REQUIRE(!Loss<wpo<decltype(aot{} + nll{})>>);
  STATIC_REQUIRE(!Loss<product<aot, nll>>);
  STATIC_REQUIRE(!Loss<product<nll, aot_unpaired>>);
  STATIC_REQUIRE(Loss<product<nll, dpo>>);
  // Their statistics are of the batch's own pairs.
  STATIC_REQUIRE(!Loss<beta_dpo<aot>>);
  STATIC_REQUIRE(!Loss<epsilon_dpo<aot_unpaired>>);
}

TEST_CASE("losses: without a name of its own, a loss of one part is called as that",
          "[loss][parts]") {
  CHECK(std::string(name_of<decltype(2.0 * (1.0 * cpo{}))>()) == "cpo");
  CHECK(std::string(name_of<squared<wpo<cpo>>>()) == "wpo");
  CHECK(std::string(name_of<decltype(dpo{} + hinge{})>()) == "this loss");
}

TEST_CASE("losses: a template over losses that does not name its parts is no loss",
          "[loss][parts]") {
  STATIC_REQUIRE(!Loss<silent<dpo>>);
  STATIC_REQUIRE(!Loss<pair_loss<aot>>);
  STATIC_REQUIRE(Loss<squared<squared<dpo>>>);
}

TEST_CASE("losses: the size of lists is that of the parts", "[loss][parts][list]") {
  std::vector<double> const four = {-1.0, -2.0, -3.0, -4.0};
  std::vector<std::size_t> const pairs = {0, 2, 4};
  auto const batch = list_columns{.policy = four, .length = four, .offset = pairs};
  CHECK_THROWS_WITH(evaluate(1.0 * tpo{}, batch),
                    Catch::Contains("list 0 has 2 completions; this loss takes 3"));
  CHECK_THROWS_WITH(evaluate(nll_of_best{} + 0.5 * tpo{}, batch), Catch::Contains("takes 3"));
  STATIC_REQUIRE(list_size_of<decltype(nll_of_best{} + tpo_l{})>() == 3);
  STATIC_REQUIRE(list_size_of<decltype(2.0 * nll_of_best{})>() == 0);
}

TEST_CASE("losses: rewards are those of the first part that has a beta", "[loss][parts][metrics]") {
  CHECK_FALSE(reward_rule_of(1.0 * cpo{}).per_token);
  CHECK_FALSE(reward_rule_of(cpo{} + 0.1 * nll{}).per_token);
  CHECK_FALSE(reward_rule_of(nll_per_token{} + cpo{}).per_token);
  CHECK_FALSE(reward_rule_of(wpo<cpo>{}).per_token);
  CHECK_FALSE(reward_rule_of(1.0 * nll_per_batch_token{}).per_token);
  CHECK(reward_rule_of(1.0 * nll_per_token{}).per_token);
  CHECK(reward_rule_of(nll{} + simpo{.beta = 3.0}).per_token);
  CHECK(reward_rule_of(nll{} + simpo{.beta = 3.0}).beta == 3.0);
  CHECK(reward_rule_of(squared<simpo>{}).per_token);
}

TEST_CASE("losses: hyper-parameters are visited by name, of every part", "[loss][parameters]") {
  auto const names_of = [](auto loss) {
    std::string names;
    for_each_hyper_parameter(loss,
                             [&](char const* name, auto&) { names += std::string(name) + " "; });
    return names;
  };
  CHECK(names_of(simpo{}) == "beta gamma label_smoothing ");
  CHECK(names_of(0.5 * dpo{} + hinge{}) == "beta label_smoothing weight beta ");
  auto loss = dpo{};
  dpo::hyper_parameters(loss, [](char const*, auto& value) { value = 0.25; });
  CHECK(loss.beta == 0.25);
  CHECK(loss.label_smoothing == 0.25);
}

}  // namespace
