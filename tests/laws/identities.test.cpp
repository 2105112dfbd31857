// SPDX-License-Identifier: MIT
//
// Losses that are the same where their papers, or their formulas, say so: value and both coefficients, over a batch.
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <prefer/loss/catalogue.hpp>
#include <prefer/scalar/dual.hpp>

#include "laws/record.hpp"
#include "laws/subject.hpp"
#include "support/near.hpp"

namespace {

using namespace prefer::test;
using namespace prefer;

using pairs = problem<double>;

struct outcome {
  double value;
  std::array<double, 2> slope;
};

/// A loss on example i; `which` of an unpaired example says which derivative is by its log_prob.
template <class L>
outcome outcome_of(L const& loss, pairs const& p, std::size_t i, loss_state<L> const& state = {},
                   std::size_t which = 0) {
  using S = dual<double, 2>;
  auto const place = [&](double number, std::size_t k) {
    return k < 2 ? S::variable(number, k + which) : S(number);
  };
  return with_record<L::arity, S>(p, i, place, [&](auto const& record) {
    S const y = prefer::detail::apply(loss, record, state);
    return outcome{y.value, {y.partial[0], y.partial[1]}};
  });
}

/// Equal to some ten roundings, of values or of terms that cancel in them: divergences of logarithms of about 1, and
/// slopes of about beta.
void check_near(outcome const& a, outcome const& b, double relative = 1e-14) {
  CHECK(near(a.value, b.value, relative, 1.0));
  CHECK(near(a.slope[0], b.slope[0], relative, 0.1));
  CHECK(near(a.slope[1], b.slope[1], relative, 0.1));
}

template <class A, class B>
void check_same(A const& a, B const& b, pairs const& p, double relative = 1e-14,
                loss_state<A> const& state_a = {}, loss_state<B> const& state_b = {}) {
  for (std::size_t i = 0; i < p.size(); ++i) {
    CAPTURE(i);
    check_near(outcome_of(a, p, i, state_a), outcome_of(b, p, i, state_b), relative);
  }
}

pairs some_pairs() { return {{}, 40}; }

pairs without_reference() {
  pairs p = some_pairs();
  for (auto& side : p.side) side.reference.assign(p.size(), 0.0);
  return p;
}
pairs with_lengths_of_one() {
  pairs p = some_pairs();
  for (auto& side : p.side) side.length.assign(p.size(), 1);
  return p;
}
pairs with_scores(double chosen, double rejected) {
  pairs p = some_pairs();
  p.side[0].score.assign(p.size(), chosen);
  p.side[1].score.assign(p.size(), rejected);
  return p;
}
/// Chosen and rejected exchanged.
pairs flipped(pairs p) {
  std::swap(p.side[0], p.side[1]);
  return p;
}

/// The same pairs as lists of two, best first.
problem<double> as_lists(pairs const& p) {
  problem<double> out({.arity = dynamic_arity, .list_size = 2}, p.size());
  for (std::size_t i = 0; i < p.size(); ++i) {
    for (std::size_t k = 0; k < 2; ++k) {
      out.side[0].policy[2 * i + k] = p.side[k].policy[i];
      out.side[0].reference[2 * i + k] = p.side[k].reference[i];
      out.side[0].length[2 * i + k] = p.side[k].length[i];
      out.side[0].score[2 * i + k] = p.side[k].score[i];
    }
  }
  return out;
}

template <class List, class Pair>
void check_same_on_two(List const& list_loss, Pair const& pair_loss, pairs const& p) {
  auto const lists = as_lists(p);
  for (std::size_t i = 0; i < p.size(); ++i) {
    CAPTURE(i);
    check_near(outcome_of(list_loss, lists, i), outcome_of(pair_loss, p, i));
  }
}

TEST_CASE("identities: for two completions a ranking is a pair", "[laws][identities]") {
  pairs const p = some_pairs();
  check_same_on_two(plackett_luce{.beta = 0.3}, dpo{.beta = 0.3}, p);
  check_same_on_two(softmax_dpo{.beta = 0.3}, dpo{.beta = 0.3}, p);
  // exp(-10^4) is 0: all weight is on the first.
  pairs const one_hot = with_scores(0.0, -1e4);
  check_same_on_two(info_nca{.beta = 0.3}, dpo{.beta = 0.3}, one_hot);
  check_same_on_two(nca{.beta = 0.3}, nca_pair{.beta = 0.3}, one_hot);
  // Ranks 1 and 2, in either order, and relevances 1 and 0.
  double const weight = 1.0 / std::log(2.0) - 1.0 / std::log(3.0);
  check_same_on_two(lipo{.beta = 0.3}, weight * dpo{.beta = 0.3}, with_scores(1.0, 0.0));
  // softmax of (log 3, 0) is (3/4, 1/4): a label that is smoothed by 1/4.
  check_same_on_two(exo{.beta = 0.3}, exo_pair{.beta = 0.3, .label_smoothing = 0.25},
                    with_scores(std::log(3.0), 0.0));
}

TEST_CASE("identities: dpo is what is left when a variant's addition is taken away",
          "[laws][identities]") {
  pairs const p = some_pairs();
  dpo const plain{.beta = 0.3};
  check_same(f_dpo<alpha_divergence>{.loss = plain, .divergence = {.coefficient = 1.0}}, plain, p);
  check_same(dpo_with_margin{.beta = 0.3, .gamma = 0.0}, plain, p);
  check_same(r_dpo{.beta = 0.3, .alpha = 0.0}, plain, p);
  check_same(dpop{.beta = 0.3, .penalty = 0.0}, plain, p);
  check_same(robust_dpo{.beta = 0.3, .label_smoothing = 0.0}, plain, p);
  check_same(tdpo2{.beta = 0.3, .alpha = 0.0}, plain, p);
  check_same(rpo{.beta = 0.3, .alpha = 0.0}, plain, p);
  check_same(xpo{.beta = 0.3, .alpha = 0.0}, plain, p);
  check_same(diffusion_dpo{.beta = 0.6}, plain, p);
  check_same(ln_dpo{.beta = 0.3}, plain, with_lengths_of_one());
  check_same(odpo{.beta = 0.3}, plain, with_scores(1.0, 0.0));  // log 1 = 0
  check_same(cpo{.beta = 0.3, .alpha = 0.0}, plain, without_reference());
  check_same(bradley_terry{}, dpo{.beta = 1.0}, without_reference());
  check_same(bradley_terry{.margin = 0.5}, dpo_with_margin{.beta = 1.0, .gamma = 0.5},
             without_reference());

  pairs same_divergence = p;
  same_divergence.side[1].divergence = p.side[0].divergence;
  check_same(tdpo1{.beta = 0.3}, plain, same_divergence);

  pairs on_policy = p;
  for (auto& side : on_policy.side) side.alignment.assign(p.size(), 0.0);
  check_same(wpo<>{.loss = plain}, plain, on_policy);

  pairs unperturbed = p;
  for (auto& side : unperturbed.side) side.perturbed_toward = side.perturbed_away = side.policy;
  check_same(epsilon_dpo<>{.loss = plain}, plain, unperturbed);

  beta_dpo<> const all_kept{.loss = plain, .sensitivity = 0.0, .kept_share = 1.0};
  beta_dpo<>::memory memory;
  check_same(all_kept, plain, p, 1e-14, prefer::prepare(all_kept, p.columns<2>(), memory));
}

TEST_CASE("identities: dpo of each pair is aot of a batch of one", "[laws][identities]") {
  auto const named = [](std::string const& name) {
    for (auto const& loss : subjects()) {
      if (loss.name == name) return loss;
    }
    throw std::runtime_error("no loss " + name);
  };
  pairs const p = some_pairs();
  for (std::size_t i = 0; i < p.size(); ++i) {
    auto by_dpo = p.alone(i);
    auto by_aot = by_dpo;
    auto by_aot_unpaired = by_dpo;
    named("dpo").solve(by_dpo);
    named("aot").solve(by_aot);
    named("aot_unpaired").solve(by_aot_unpaired);
    CHECK(by_aot.all() == by_dpo.all());
    CHECK(by_aot_unpaired.all() == by_dpo.all());
  }
}

TEST_CASE("identities: losses that are sums of others", "[laws][identities]") {
  pairs const p = some_pairs();
  check_same(mpo{}, 0.8 * dpo{} + 0.2 * bco_pair{} + 1.0 * nll_per_token{}, p);
  check_same(rpo{.alpha = 0.7}, dpo{} + 0.7 * nll_per_token{}, p);
  check_same(orpo{.beta = 0.3}, nll_per_token{} + odds_ratio{.beta = 0.3}, p);
  check_same(cpo{.alpha = 0.7}, dpo{} + 0.7 * nll_per_token{}, without_reference());
  check_same(cpo_simpo{.alpha = 0.7}, simpo{} + 0.7 * nll_per_token{}, p);
  check_same(xpo{.alpha = 0.7}, dpo{} + 0.7 * optimism{}, p);
  check_same(cal_dpo{.beta = 0.3}, dpo{.beta = 1.0} + 0.5 * sppo_hard{.beta = 0.3}, p);
  check_same(slic_hf{.lambda = 0.7}, hinge{.beta = 1.0} + 0.7 * nll_per_token{},
             without_reference());
}

TEST_CASE("identities: losses that are others on another scale", "[laws][identities]") {
  pairs const p = some_pairs();
  double const tau = 0.2;
  check_same(gpo_squared{.beta = 2 * tau}, 4 * tau * tau * ipo_sum{.beta = tau}, p);
  check_same(ipo{.beta = tau}, ipo_sum{.beta = tau}, with_lengths_of_one());
  check_same(sppo_soft{}, 0.5 * sppo_hard{}, with_scores(1.0, 0.0));
  // (m / eta - d)^2 = (m - eta d)^2 / eta^2, and eta d is ipo's 1 / (2 beta).
  check_same(rebel{.eta = 2.0}, 0.25 * ipo_sum{.beta = 0.5}, with_scores(0.75, 0.25));
  check_same(alphapo{.gamma = 0.5, .alpha = 0.0}, simpo{.gamma = 0.5}, p);
  check_same(kto_pair{}, 0.5 * apo_zero{}, p);  // a state of zero baselines
  pairs equally_long = p;
  for (auto& side : equally_long.side) side.length.assign(p.size(), 12);
  check_same(nll_per_batch_token{}, nll_per_token{}, equally_long, 1e-14,
             {.tokens_per_pair = 12.0});
}

TEST_CASE("identities: losses that others tend to", "[laws][identities]") {
  // s = a - alpha a^2 / 2 + ..., with |a| < 61 and beta 2.5 a change of z by less than 5e-5, and of slopes, whose
  // second derivatives are below beta^2 / 4, by less than 2e-4.
  pairs const p = some_pairs();
  for (std::size_t i = 0; i < p.size(); ++i) {
    auto const a = outcome_of(alphapo{.gamma = 0.5, .alpha = 1e-8}, p, i);
    auto const b = outcome_of(simpo{.gamma = 0.5}, p, i);
    CHECK(std::fabs(a.value - b.value) < 5e-5);
    CHECK(std::fabs(a.slope[0] - b.slope[0]) < 2e-4);
  }
  // phi(u) = exp(u) + u = 1 + 2 u + u^2 / 2 ...: dpo with twice the beta, to |u| <= 2^-18 in slopes of up to 0.2.
  pairs const near_reference({.unit = 0x1p-20}, 40);
  for (std::size_t i = 0; i < near_reference.size(); ++i) {
    auto const a = outcome_of(chi_po{}, near_reference, i);
    auto const b = outcome_of(dpo{.beta = 0.2}, near_reference, i);
    CHECK(std::fabs(a.value - b.value) < 0x1p-36);  // beta u^2 / 2 each
    CHECK(std::fabs(a.slope[0] - b.slope[0]) < 0.1 * 0x1p-18);
    CHECK(std::fabs(a.slope[1] - b.slope[1]) < 0.1 * 0x1p-18);
  }
}

TEST_CASE("identities: labelled halves of pairs are pairs", "[laws][identities]") {
  pairs const p = some_pairs();
  auto const half = [&](std::size_t side, double label) {
    problem<double> out({.arity = 1}, p.size());
    out.side[0] = p.side[side];
    out.label.assign(p.size(), label);
    return out;
  };
  auto const desirable = half(0, 1.0);
  auto const undesirable = half(1, 0.0);
  auto const sum = [&](auto const& loss, std::size_t i) {
    auto const a = outcome_of(loss, desirable, i, {}, 0);
    auto const b = outcome_of(loss, undesirable, i, {}, 1);
    return outcome{a.value + b.value, {a.slope[0], b.slope[1]}};
  };
  for (std::size_t i = 0; i < p.size(); ++i) {
    CAPTURE(i);
    check_near(sum(apo_zero_unpaired{}, i), outcome_of(apo_zero{}, p, i));
    check_near(sum(kto{}, i), outcome_of(apo_zero{}, p, i));  // a baseline of 0
    check_near(sum(bco{}, i), outcome_of(bco_pair{}, p, i));  // a threshold of 0
  }
}

TEST_CASE("identities: robust_dpo over flipped labels is dpo over clean ones, on average",
          "[laws][identities]") {
  double const e = 0.2;
  robust_dpo const robust{.beta = 0.3, .label_smoothing = e};
  dpo const smoothed{.beta = 0.3, .label_smoothing = e};
  dpo const plain{.beta = 0.3};
  pairs const clean = some_pairs();
  pairs const flip = flipped(clean);
  auto const mixture = [&](auto const& loss, std::size_t i) {
    auto const a = outcome_of(loss, clean, i);
    auto const b = outcome_of(loss, flip, i);
    return outcome{(1 - e) * a.value + e * b.value,
                   {(1 - e) * a.slope[0] + e * b.slope[1], (1 - e) * a.slope[1] + e * b.slope[0]}};
  };
  for (std::size_t i = 0; i < clean.size(); ++i) {
    CAPTURE(i);
    check_near(mixture(robust, i), outcome_of(plain, clean, i), 1e-13);
    check_near(mixture(plain, i), outcome_of(smoothed, clean, i), 1e-13);  // and dpo becomes cDPO
  }
}

}  // namespace
