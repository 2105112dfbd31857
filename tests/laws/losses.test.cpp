// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <prefer/parallel/thread_pool.hpp>

#include "laws/sensitivity.hpp"
#include "laws/subject.hpp"
#include "support/finite_difference.hpp"
#include "support/near.hpp"

// Theory that holds for every loss of the catalogue. Where one is excepted, it is named with the reason, and the law is
// seen to fail for it, so that no exception outlives its reason.

namespace {

using namespace prefer::test;
using prefer::evaluate_options;
using prefer::reduction;

using exceptions = std::map<std::string, std::string>;  // loss, reason

exceptions const takes_constants = {
    {"tdpo2", "the divergence of chosen is a constant in the paper"},
    {"nash_md", "a policy gradient: the log-ratio is part of the reward"}};

exceptions const depends_on_the_batch = {
    {"aot", "ranks in the batch"},
    {"aot_unpaired", "ranks in the batch"},
    {"kto_pair", "baselines are means over the batch"},
    {"nll_per_batch_token", "divides by the tokens of the batch"},
    {"beta_dpo", "mean and spread of the batch's margins"},
    {"bco", "the threshold is a mean over the batch"}};

exceptions const cannot_be_isolated = {{"aot", "a NaN has some rank, and moves others"},
                                       {"aot_unpaired", "a NaN has some rank, and moves others"}};
exceptions const is_refused = {{"kto_pair", "baselines are means of log-ratios"},
                               {"beta_dpo", "mean and spread of log-ratio margins"},
                               {"bco", "the threshold is a mean of rewards"}};

exceptions const shifts_without_saying_so = {
    {"epsilon_dpo", "log-probabilities are compared strictly, so it does not declare margin_only"}};

exceptions const compares_across_pairs = {
    {"aot_unpaired", "a shift of one pair changes ranks; one of all pairs does not"}};

exceptions const not_monotonic = {
    {"ipo", "squared: beyond its target the loss rises again"},
    {"ipo_sum", "squared: beyond its target the loss rises again"},
    {"gpo_squared", "squared: beyond its target the loss rises again"},
    {"sppo_hard", "squared: beyond its target the loss rises again"},
    {"sppo_soft", "squared: beyond its target the loss rises again"},
    {"cal_dpo", "squared: beyond its target the loss rises again"},
    {"rebel", "squared: beyond its target the loss rises again"},
    {"exo_pair", "a divergence from a smoothed label, least at a finite margin"},
    {"exo", "a divergence from the softmax of scores, least at finite margins"},
    {"info_nca", "cross-entropy to the softmax of scores, least at finite margins"},
    {"nca", "each completion has a finite best reward"},
    {"nca_pair", "the chosen reward is best at ln 2"},
    {"apo_down", "lowers chosen completions too"},
    {"discopop", "rises around the reference"},
    {"bradley_terry", "centering pulls the sum of both scores to 0"},
    {"nash_md", "has scores in place of labels, and a pull to the reference"},
    {"optimism", "lowers what the reference wrote, chosen or not"},
    {"xpo", "lowers what the reference wrote, where the margin is large already"}};

exceptions const overflows = {{"gpo_exponential", "exp(-z) of a margin of 1000 nats is infinite"}};

exceptions const* const all_exceptions[] = {
    &takes_constants,       &depends_on_the_batch, &cannot_be_isolated, &shifts_without_saying_so,
    &compares_across_pairs, &not_monotonic,        &overflows};

bool is_in(exceptions const& table, std::string const& name) { return table.count(name) > 0; }

template <class Check>
void for_every_loss(Check const& check) {
  for (law_subject const& loss : subjects()) {
    INFO("loss " << loss.name);
    check(loss);
  }
}

template <class T>
bool same(std::vector<T> const& a, std::vector<T> const& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), same_bits<T>);
}

/// d loss / d (number `which` of example i), by differences of the formula. With 2^-14 the h^4 term is below 1e-13 of
/// the coefficient for slopes of 15 per nat (dpop), and rounding is 3e-15 of the loss.
double difference_of(law_subject const& loss, problem<double> const& p,
                     law_subject::numbers const& state, std::size_t i, std::size_t which,
                     bool frozen) {
  auto const at = [&](long double x) {
    movement by{};
    by[which] = x;
    return loss.value(p, state, i, by, frozen);
  };
  return static_cast<double>(derivative(at, 0.0L, 0x1p-14L * p.shape.unit));
}

TEST_CASE("laws: every exception is about a loss of the catalogue", "[laws][loss]") {
  std::set<std::string> names;
  for (auto const& loss : subjects()) names.insert(loss.name);
  for (auto const* const table : all_exceptions) {
    for (auto const& [name, reason] : *table) {
      INFO(name << ": " << reason);
      CHECK(names.count(name) == 1);
    }
  }
}

TEST_CASE("laws: a coefficient is the derivative of the loss", "[laws][loss]") {
  for (int const reach : {4, 48}) {  // near the reference, and far on both sides of it
    for_every_loss([&](law_subject const& loss) {
      problem<double> p(loss.shape, 41, {.seed = 7, .reach = reach});
      loss.solve(p);
      auto const state = loss.state(p);
      p = as_the_formula_sees(loss, p);
      bool const frozen = is_in(takes_constants, loss.name);
      bool constants_matter = false;
      for (std::size_t i = 0; i < p.size(); ++i) {
        double const scale = std::fabs(static_cast<double>(loss.value(p, state, i, {}, false)));
        for (std::size_t which = 0; which < p.moves(i); ++which) {
          CAPTURE(reach, i, which);
          double const expected = difference_of(loss, p, state, i, which, frozen);
          // The difference is good to 3e-15 of the loss's size per nat; the dual numbers to some units in the last
          // place of the terms that make up the coefficient.
          double const allowed = 1e-14 * (1.0 + scale) / p.shape.unit + 1e-13 * std::fabs(expected);
          CHECK(std::fabs(p.coefficient_of(i, which) - expected) <= allowed);
          if (frozen) {
            double const all = difference_of(loss, p, state, i, which, false);
            constants_matter = constants_matter || std::fabs(all - expected) > 1e-3;
          }
        }
      }
      CHECK(constants_matter == frozen);
    });
  }
}

TEST_CASE("laws: reduction::mean divides the coefficients by the number of examples",
          "[laws][loss]") {
  for_every_loss([](law_subject const& loss) {
    problem<double> each(loss.shape, 32);
    auto mean = each;
    double const loss_each = loss.solve(each);
    double const loss_mean = loss.solve(mean, {.reduce = reduction::mean});
    CHECK(loss_each == loss_mean);
    CHECK(same(each.value, mean.value));
    double sum = 0.0;
    double size = 0.0;
    for (std::size_t i = 0; i < each.size(); ++i) {
      for (std::size_t k = 0; k < each.moves(i); ++k) {
        CHECK(mean.coefficient_of(i, k) ==
              each.coefficient_of(i, k) / 32.0);  // a power of two: exact
      }
      sum += each.value[i];
      size += std::fabs(each.value[i]);
    }
    CHECK(std::fabs(loss_mean - sum / 32.0) <= 1e-14 * size / 32.0);
  });
}

TEST_CASE("laws: lanes compute what the formula computes on plain numbers", "[laws][loss]") {
  for_every_loss([](law_subject const& loss) {
    problem<double> p(loss.shape, 67);
    loss.solve(p);
    auto const state = loss.state(p);
    p = as_the_formula_sees(loss, p);
    for (std::size_t i = 0; i < p.size(); ++i) {
      CAPTURE(i);
      // The same operations on the same numbers. The primitives differ by their few units in the last place, a
      // compiler may fuse multiply and add, and analytic forms of lists add up in another order: some ten roundings.
      double const bound = 10 * 0x1p-52 * sensitivity_of(loss, p, state, i).value;
      CHECK(std::fabs(p.value[i] - loss.plain(p, state, i)) <= bound + 1e-300);
    }
  });
}

TEST_CASE("laws: float columns give what double columns give, to float's rounding",
          "[laws][loss]") {
  for_every_loss([](law_subject const& loss) {
    problem<double> in_double(loss.shape, 67);
    problem<float> in_float(loss.shape, 67);
    loss.solve(in_double);
    loss.solve(in_float);
    auto const state = loss.state(in_double);
    in_double = as_the_formula_sees(loss, in_double);
    in_float = as_the_formula_sees(loss, in_float);
    for (std::size_t i = 0; i < in_double.size(); ++i) {
      auto const exact = in_double.all_of(i);
      auto const rounded = in_float.all_of(i);
      REQUIRE(exact.size() == rounded.size());
      auto const by = sensitivity_of(loss, in_double, state, i);
      for (std::size_t k = 0; k < exact.size(); ++k) {
        CAPTURE(i, k, exact[k], rounded[k]);
        // Some ten roundings of 2^-24, as above; and what is below float's least number.
        double const bound = 10 * 0x1p-24 * (k == 0 ? by.value : by.coefficient[k - 1]);
        CHECK(std::fabs(double(rounded[k]) - exact[k]) <= bound + 1e-36);
      }
    }
  });
}

TEST_CASE("laws: an example's result does not depend on its place in the batch", "[laws][loss]") {
  auto const independent = [](law_subject const& loss, auto whole) {
    loss.solve(whole);
    bool out = true;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      auto alone = whole.alone(i);
      loss.solve(alone);
      out = out && same(alone.all(), whole.all_of(i));
    }
    return out;
  };
  for_every_loss([&](law_subject const& loss) {
    bool const expected = !is_in(depends_on_the_batch, loss.name);
    CHECK(independent(loss, problem<double>(loss.shape, 3 * 16 + 5)) == expected);
    CHECK(independent(loss, problem<float>(loss.shape, 3 * 16 + 5)) == expected);
  });
}

TEST_CASE("laws: one thread and two give the same bits", "[laws][loss]") {
  prefer::thread_pool pool(2);
  problems_of_size<float> large(16384 + 5);  // from 16384 on, evaluate uses threads
  for_every_loss([&](law_subject const& loss) {
    auto serial = large(loss.shape);
    auto parallel = serial;
    double const one = loss.solve(serial, {.reduce = reduction::mean});
    double const two =
        loss.solve(parallel, {.reduce = reduction::mean, .threads = pool.executor()});
    CHECK(same_bits(one, two));
    CHECK(same(serial.all(), parallel.all()));
  });
}

TEST_CASE("laws: a weight multiplies an example's value and coefficients", "[laws][loss]") {
  for_every_loss([](law_subject const& loss) {
    problem<double> plain(loss.shape, 21);
    auto weighted = plain;
    for (std::size_t i = 0; i < weighted.size(); ++i) {
      weighted.weight.push_back(0.25 * static_cast<double>(i % 5));
    }
    loss.solve(plain);
    double const mean = loss.solve(weighted);
    // Where the rejected completion of another row is compared with chosen i, weight i is for that one.
    std::vector<double> rejected_weight = weighted.weight;
    if (loss.matches) {
      auto const order = loss.match(plain).rejected;
      for (std::size_t i = 0; i < order.size(); ++i) rejected_weight[order[i]] = weighted.weight[i];
    }
    double sum = 0.0;
    double size = 0.0;
    for (std::size_t i = 0; i < weighted.size(); ++i) {
      CAPTURE(i);
      CHECK(weighted.value[i] == weighted.weight[i] * plain.value[i]);  // one multiplication: exact
      for (std::size_t k = 0; k < plain.moves(i); ++k) {
        double const weight =
            loss.shape.arity == 2 && k == 1 ? rejected_weight[i] : weighted.weight[i];
        CHECK(weighted.coefficient_of(i, k) == weight * plain.coefficient_of(i, k));
      }
      sum += weighted.value[i];
      size += std::fabs(weighted.value[i]);
    }
    // Divided by B, not by the sum of weights.
    CHECK(std::fabs(mean - sum / 21.0) <= 1e-14 * size / 21.0);
  });
}

/// Adds to the log-probabilities of each example what is exact and leaves all of them below 0.
template <class By>
void shift(problem<double>& p, By const& by) {
  for (auto& side : p.side) {
    for (std::size_t i = 0; i < p.size() && !side.policy.empty(); ++i) {
      for (std::size_t row = p.offset[i]; row < p.offset[i + 1]; ++row) {
        side.policy[row] += by(i) * p.shape.unit;
      }
    }
  }
}

TEST_CASE("laws: a normaliser shared by the completions of a prompt cancels, for those that say so",
          "[laws][loss]") {
  for_every_loss([](law_subject const& loss) {
    if (loss.shape.arity == 1) return;
    problem<double> p(loss.shape, 40);
    auto shifted = p;
    shift(shifted, [](std::size_t i) { return 0.25 * static_cast<double>(i % 3); });
    loss.solve(p);
    loss.solve(shifted);
    auto const a = p.all();
    auto const b = shifted.all();
    bool const cancels = (loss.margin_only && !is_in(compares_across_pairs, loss.name)) ||
                         is_in(shifts_without_saying_so, loss.name);
    if (loss.shape.arity == 2) {
      CHECK(same(a, b) == cancels);
    } else if (cancels) {  // lists: analytic coefficients round each score on its own
      for (std::size_t i = 0; i < a.size(); ++i) CHECK(near(a[i], b[i], 1e-13, 1e-2));
    } else {
      CHECK(!std::equal(a.begin(), a.end(), b.begin(),
                        [](double x, double y) { return near(x, y, 1e-9); }));
    }
    if (!is_in(compares_across_pairs, loss.name)) return;
    auto moved_together = p;
    shift(moved_together, [](std::size_t) { return 0.5; });
    loss.solve(moved_together);
    CHECK(same(a, moved_together.all()));
  });
}

TEST_CASE("laws: a loss that sees only the margin has opposite coefficients", "[laws][loss]") {
  for_every_loss([](law_subject const& loss) {
    if (loss.shape.arity != 2) return;
    problem<double> p(loss.shape, 40);
    auto const state = loss.state(p);
    bool opposite = true;
    for (std::size_t i = 0; i < p.size(); ++i) {
      // Both partials, where evaluate would take one for both.
      auto const partial = loss.derivatives(p, state, i, {});
      opposite = opposite && near(partial[0], -partial[1], 1e-13, 1e-13);
    }
    CHECK(opposite == (loss.margin_only || is_in(shifts_without_saying_so, loss.name)));
  });
}

TEST_CASE("laws: raising chosen or lowering rejected never raises the loss", "[laws][loss]") {
  for_every_loss([](law_subject const& loss) {
    bool falls = true;
    for (int const reach : {4, 48}) {  // log-ratios far on both sides of any target
      problem<double> p(loss.shape, 400, {.seed = 7, .reach = reach});
      loss.solve(p);
      for (std::size_t i = 0; i < p.size(); ++i) {
        std::size_t const last = p.moves(i) - 1;
        if (loss.shape.arity == 2) {
          falls = falls && p.coefficient_of(i, 0) <= 0.0 && p.coefficient_of(i, 1) >= 0.0;
        } else if (loss.shape.arity == 1) {
          double const c = p.coefficient_of(i, 0);
          falls = falls && (p.label[i] > 0.0 ? c <= 0.0 : c >= 0.0);
        } else if (last > 0) {  // first is best, last is worst
          falls = falls && p.coefficient_of(i, 0) <= 0.0 && p.coefficient_of(i, last) >= 0.0;
        }
      }
    }
    CHECK(falls != is_in(not_monotonic, loss.name));
  });
}

TEST_CASE("laws: log-probabilities of ten thousand nats give finite losses and coefficients",
          "[laws][loss]") {
  auto const finite = [](law_subject const& loss, auto p) {
    for (std::size_t side = 0; side < p.sides(); ++side) {
      std::size_t i = 2 * side;
      for (auto& x : p.side[side].policy) x = i++ / 2 % 2 == 0 ? -10000 : -1;
    }
    bool out = std::isfinite(loss.solve(p));
    for (auto const x : p.all()) out = out && std::isfinite(x);
    return out;
  };
  for_every_loss([&](law_subject const& loss) {
    bool const expected = !is_in(overflows, loss.name);
    CHECK(finite(loss, problem<double>(loss.shape, 24)) == expected);
    CHECK(finite(loss, problem<float>(loss.shape, 24)) == expected);
  });
}

TEST_CASE("laws: a list loss's own coefficients are those of its formula", "[laws][loss]") {
  std::size_t found = 0;
  for_every_loss([&](law_subject const& loss) {
    if (!loss.own_coefficients) return;
    ++found;
    problem<double> own(loss.shape, 60);
    auto by_formula = own;
    double const a = loss.solve(own);
    double const b = loss.evaluate_formula(by_formula, {.reduce = reduction::none});
    CHECK(near(a, b, 1e-13));
    for (std::size_t i = 0; i < own.size(); ++i) {
      CAPTURE(i);
      CHECK(near(own.value[i], by_formula.value[i], 1e-13, 1e-2));
      for (std::size_t k = 0; k < own.moves(i); ++k) {
        CAPTURE(k);
        CHECK(near(own.coefficient_of(i, k), by_formula.coefficient_of(i, k), 1e-12, 1e-2));
      }
    }
  });
  CHECK(found == 8);  // all of lists but nll_of_best, tpo and tpo_l
}

TEST_CASE(
    "laws: NaN in one example reaches its value and coefficients and no other's, or is refused by "
    "row",
    "[laws][loss]") {
  for_every_loss([](law_subject const& loss) {
    problem<double> clean(loss.shape, 11);
    auto dirty = clean;
    std::size_t const at = 4;  // where the reference wrote chosen, so that optimism reads it
    dirty.side[0].policy[dirty.offset[at]] = std::numeric_limits<double>::quiet_NaN();
    loss.solve(clean);
    if (is_in(is_refused, loss.name)) {
      CHECK_THROWS_WITH(loss.solve(dirty), Catch::Matchers::Contains("which example 4 makes"));
      return;
    }
    CHECK(std::isnan(loss.solve(dirty)));
    bool isolated = true;
    for (std::size_t i = 0; i < clean.size(); ++i) {
      if (i == at) {
        CHECK(std::isnan(dirty.value[i]));
      } else {
        isolated = isolated && same(dirty.all_of(i), clean.all_of(i));
      }
    }
    CHECK(isolated == !is_in(cannot_be_isolated, loss.name));
  });
}

}  // namespace
