// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include <prefer/loss/catalogue.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/parallel/thread_pool.hpp>

#include "laws/problem.hpp"
#include "support/finite_difference.hpp"
#include "support/near.hpp"

// Theory that holds for every loss of the catalogue; where one is excepted, it is named with the reason.

namespace {

using namespace prefer::test;
using prefer::evaluate_options;
using prefer::reduction;

template <class Check>
void for_every_loss(Check const& check) {
  prefer::for_each_loss([&](auto const& loss, auto const&) {
    INFO("loss " << loss.name);
    check(loss);
  });
}

bool one_of(std::string const& name, std::set<std::string> const& names) {
  return names.count(name) > 0;
}

template <class T>
bool same(std::vector<T> const& a, std::vector<T> const& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), same_bits<T>);
}

TEST_CASE("laws: every loss header is in the catalogue, so that these laws hold for it",
          "[laws][loss]") {
  std::set<std::string> catalogued;
  prefer::for_each_loss([&](auto const& loss, auto const&) { catalogued.insert(loss.name); });
  std::string const marker = "static constexpr char const* name = \"";
  std::size_t found = 0;
  for (auto const& entry :
       std::filesystem::directory_iterator(PREFER_SOURCE_DIR "/include/prefer/loss")) {
    std::ifstream file(entry.path());
    std::string const text{std::istreambuf_iterator<char>(file), {}};
    for (auto at = text.find(marker); at != std::string::npos; at = text.find(marker, at + 1)) {
      auto const begin = at + marker.size();
      auto const name = text.substr(begin, text.find('"', begin) - begin);
      INFO(name << " in " << entry.path());
      CHECK(catalogued.count(name) == 1);
      ++found;
    }
  }
  CHECK(found == catalogued.size());
}

TEST_CASE("laws: a coefficient is the derivative of the loss", "[laws][loss]") {
  for_every_loss([](auto const& loss) {
    problem_for<decltype(loss), double> p(37);
    solve(loss, p);
    auto const state = state_of(loss, p);
    for (std::size_t i = 0; i < p.size(); ++i) {
      for (std::size_t which = 0; which < p.moves; ++which) {
        CAPTURE(i, which);
        auto const at = [&](long double by) {
          return p.template moved<long double>(loss, state, i, which, by);
        };
        double const expected = static_cast<double>(derivative(at, 0.0L));
        double const scale = std::fabs(static_cast<double>(at(0.0L)));
        // The difference is good to 7e-16 of the loss's size; the dual numbers to some units in the last
        // place of the terms that make up the coefficient.
        CHECK(std::fabs(p.coefficient_of(i, which) - expected) <=
              1e-14 * (1.0 + scale) + 1e-13 * std::fabs(expected));
      }
    }
  });
}

TEST_CASE("laws: reduction::mean divides the coefficients by the number of examples",
          "[laws][loss]") {
  for_every_loss([](auto const& loss) {
    problem_for<decltype(loss), double> each(32);
    auto mean = each;
    double const loss_each = solve(loss, each);
    double const loss_mean = solve(loss, mean, {.reduce = reduction::mean});
    CHECK(loss_each == loss_mean);
    CHECK(same(each.value, mean.value));
    for (std::size_t i = 0; i < each.size(); ++i) {
      for (std::size_t k = 0; k < each.moves; ++k) {
        CHECK(mean.coefficient_of(i, k) ==
              each.coefficient_of(i, k) / 32.0);  // a power of two: exact
      }
    }
    double sum = 0.0;
    for (double const v : each.value) sum += v;
    CHECK(near(loss_mean, sum / 32.0, 1e-14));
  });
}

TEST_CASE("laws: lanes compute what the formula computes on plain numbers", "[laws][loss]") {
  for_every_loss([](auto const& loss) {
    problem_for<decltype(loss), double> p(67);
    solve(loss, p);
    auto const state = state_of(loss, p);
    for (std::size_t i = 0; i < p.size(); ++i) {
      CAPTURE(i);
      // The same operations on the same numbers. The primitives differ by their few units in the last
      // place, and a compiler that fuses multiply and add rounds an exponent of up to 150 nats differently:
      // 150 * 2^-52 of the loss. The floor is for lists, whose analytic form adds up in another order.
      double const plain = p.template moved<double>(loss, state, i, 0, 0.0);
      CHECK(near(p.value[i], plain, 1e-13, loss.arity == prefer::dynamic_arity ? 1.0 : 0.0));
    }
  });
}

TEST_CASE("laws: float columns give what double columns give, to float's rounding",
          "[laws][loss]") {
  for_every_loss([](auto const& loss) {
    problem_for<decltype(loss), double> in_double(67);
    problem_for<decltype(loss), float> in_float(67);
    solve(loss, in_double);
    solve(loss, in_float);
    auto const d = in_double.all();
    auto const f = in_float.all();
    REQUIRE(d.size() == f.size());
    for (std::size_t i = 0; i < d.size(); ++i) {
      CAPTURE(i, d[i], f[i]);
      // 2^-24 for every rounding, times up to 61 nats * beta where a rounded margin enters an exponential.
      CHECK(near(static_cast<double>(f[i]), d[i], 3e-5, 0x1p-20));
    }
  });
}

TEST_CASE("laws: an example's result does not depend on its place in the batch", "[laws][loss]") {
  auto const check = [](auto const& loss, auto whole) {
    solve(loss, whole);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      auto alone = whole.alone(i);
      solve(loss, alone);
      CAPTURE(i);
      CHECK(same(alone.all(), whole.all_of(i)));
    }
  };
  for_every_loss([&](auto const& loss) {
    check(loss, problem_for<decltype(loss), double>(3 * 16 + 5));
    check(loss, problem_for<decltype(loss), float>(3 * 16 + 5));
  });
}

TEST_CASE("laws: one thread and two give the same bits", "[laws][loss]") {
  prefer::thread_pool pool(2);
  for_every_loss([&](auto const& loss) {
    problem_for<decltype(loss), float> serial(20000);
    auto parallel = serial;
    double const one = solve(loss, serial, {.reduce = reduction::mean});
    double const two =
        solve(loss, parallel, {.reduce = reduction::mean, .threads = pool.executor()});
    CHECK(same_bits(one, two));
    CHECK(same(serial.all(), parallel.all()));
  });
}

TEST_CASE("laws: a weight multiplies an example's value and coefficients", "[laws][loss]") {
  for_every_loss([](auto const& loss) {
    problem_for<decltype(loss), double> plain(21);
    auto weighted = plain;
    for (std::size_t i = 0; i < weighted.size(); ++i) {
      weighted.weight.push_back(0.25 * static_cast<double>(i % 5));
    }
    solve(loss, plain);
    double const mean = solve(loss, weighted);
    double sum = 0.0;
    for (std::size_t i = 0; i < weighted.size(); ++i) {
      CAPTURE(i);
      CHECK(weighted.value[i] == weighted.weight[i] * plain.value[i]);  // one multiplication: exact
      for (std::size_t k = 0; k < plain.moves; ++k) {
        CHECK(weighted.coefficient_of(i, k) == weighted.weight[i] * plain.coefficient_of(i, k));
      }
      sum += weighted.value[i];
    }
    CHECK(near(mean, sum / 21.0, 1e-14));  // divided by B, not by the sum of weights
  });
}

TEST_CASE(
    "laws: a constant added to all log-probs of a pair or list changes nothing, for those that say "
    "so",
    "[laws][loss]") {
  for_every_loss([](auto const& loss) {
    using L = std::remove_cvref_t<decltype(loss)>;
    if constexpr (L::arity != 1) {
      problem_for<L, double> p(40);
      auto shifted = p;
      shifted.shift(0.5);  // exact, and at most -0.5 stays
      solve(loss, p);
      solve(loss, shifted);
      auto const a = p.all();
      auto const b = shifted.all();
      if (prefer::margin_only<L> && L::arity == 2) {
        CHECK(same(a, b));
      } else if (prefer::margin_only<
                     L>) {  // lists: analytic coefficients round each score on its own
        for (std::size_t i = 0; i < a.size(); ++i) CHECK(near(a[i], b[i], 1e-13, 1e-2));
      } else {
        CHECK(!std::equal(a.begin(), a.end(), b.begin(),
                          [](double x, double y) { return near(x, y, 1e-9); }));
      }
    }
  });
}

TEST_CASE("laws: a loss that sees only the margin has opposite coefficients", "[laws][loss]") {
  for_every_loss([](auto const& loss) {
    using L = std::remove_cvref_t<decltype(loss)>;
    if constexpr (L::arity == 2) {
      using S = prefer::dual<double, 2>;  // both partials, where evaluate would take one for both
      problem_for<L, double> p(40);
      auto const state = state_of(loss, p);
      bool opposite = true;
      for (std::size_t i = 0; i < p.size(); ++i) {
        prefer::pair_record<S> record;
        record.chosen = {S::variable(p.policy_chosen[i], 0), p.reference_chosen[i],
                         static_cast<double>(p.length_chosen[i])};
        record.rejected = {S::variable(p.policy_rejected[i], 1), p.reference_rejected[i],
                           static_cast<double>(p.length_rejected[i])};
        S const y = prefer::detail::apply(loss, record, state);
        opposite = opposite && near(y.partial[0], -y.partial[1], 1e-13, 1e-13);
      }
      CHECK(opposite == prefer::margin_only<L>);
    }
  });
}

TEST_CASE("laws: raising chosen or lowering rejected never raises the loss", "[laws][loss]") {
  // Regressions to a target margin: beyond the target the loss rises again.
  std::set<std::string> const squared = {"ipo", "ipo_sum"};
  for_every_loss([&](auto const& loss) {
    using L = std::remove_cvref_t<decltype(loss)>;
    problem_for<L, double> p(400);
    if constexpr (L::arity == 2) {  // log-ratios far on both sides of any target
      problem_for<L, double> const other(400, 11);
      p.reference_chosen = other.policy_chosen;
      p.reference_rejected = other.policy_rejected;
    }
    solve(loss, p);
    bool falls = true;
    for (std::size_t i = 0; i < p.size(); ++i) {
      if constexpr (L::arity == 2) {
        falls = falls && p.chosen[i] <= 0.0 && p.rejected[i] >= 0.0;
      } else if constexpr (L::arity == 1) {
        falls = falls && (p.label[i] > 0.0 ? p.coefficient[i] <= 0.0 : p.coefficient[i] >= 0.0);
      } else if (p.offset[i + 1] - p.offset[i] > 1) {  // first is best, last is worst
        falls =
            falls && p.coefficient[p.offset[i]] <= 0.0 && p.coefficient[p.offset[i + 1] - 1] >= 0.0;
      }
    }
    CHECK(falls != one_of(loss.name, squared));
  });
}

TEST_CASE("laws: log-probabilities of ten thousand nats give finite losses and coefficients",
          "[laws][loss]") {
  auto const check = [](auto const& loss, auto p) {
    using P = decltype(p);
    std::size_t i = 0;
    auto const extreme = [&](auto& x) {
      for (auto& v : x)
        v = static_cast<std::remove_reference_t<decltype(v)>>((i++ / 2) % 2 == 0 ? -1e4 : -1.0);
    };
    if constexpr (requires(P & q) { q.policy_chosen; }) {
      extreme(p.policy_chosen);
      i = 2;
      extreme(p.policy_rejected);
    } else {
      extreme(p.policy);
    }
    double const mean = solve(loss, p);
    CHECK(std::isfinite(mean));
    for (auto const x : p.all()) CHECK(std::isfinite(x));
  };
  for_every_loss([&](auto const& loss) {
    check(loss, problem_for<decltype(loss), double>(24));
    check(loss, problem_for<decltype(loss), float>(24));
  });
}

TEST_CASE("laws: a list loss's own coefficients are those of its formula", "[laws][loss]") {
  for_every_loss([](auto const& loss) {
    using L = std::remove_cvref_t<decltype(loss)>;
    if constexpr (L::arity == prefer::dynamic_arity) {
      problem_for<L, double> own(60);
      auto by_formula = own;
      double const a = solve(loss, own);
      double const b =
          solve(1.0 * loss, by_formula);  // a scaled loss has no coefficients of its own
      CHECK(near(a, b, 1e-13));
      for (std::size_t i = 0; i < own.value.size(); ++i) {
        CHECK(near(own.value[i], by_formula.value[i], 1e-13, 1e-2));
      }
      for (std::size_t i = 0; i < own.coefficient.size(); ++i) {
        CAPTURE(i);
        CHECK(near(own.coefficient[i], by_formula.coefficient[i], 1e-12, 1e-2));
      }
    }
  });
}

TEST_CASE("laws: NaN in one example reaches its value and coefficients and no other's",
          "[laws][loss]") {
  for_every_loss([](auto const& loss) {
    using L = std::remove_cvref_t<decltype(loss)>;
    problem_for<L, double> clean(11);
    auto dirty = clean;
    std::size_t const at = 4;
    double const nan = std::numeric_limits<double>::quiet_NaN();
    if constexpr (L::arity == 2) {
      dirty.policy_chosen[at] = nan;
    } else if constexpr (L::arity == 1) {
      dirty.policy[at] = nan;
    } else {
      dirty.policy[dirty.offset[at]] = nan;
    }
    solve(loss, clean);
    double const mean = solve(loss, dirty);
    CHECK(std::isnan(mean));
    for (std::size_t i = 0; i < clean.size(); ++i) {
      CAPTURE(i);
      if (i == at) {
        CHECK(std::isnan(dirty.value[i]));
      } else {
        CHECK(same(dirty.all_of(i), clean.all_of(i)));
      }
    }
  });
}

}  // namespace
