// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <prefer/diagnosis/batch.hpp>
#include <prefer/loss/bradley_terry.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/objective/evaluate.hpp>

#include "laws/subject.hpp"
#include "support/near.hpp"

// A log-probability of minus infinity (a mask, half precision) gives the limit of value and coefficients where all of them
// have one, whatever way the log-probabilities go there; where some do not, something in the results is NaN.

namespace {

using namespace prefer::test;

constexpr double infinity = std::numeric_limits<double>::infinity();

/// One log-probability of an example: whose, and of which completion.
struct place {
  bool reference;
  std::size_t side;
  std::size_t row;
};
using places = std::vector<place>;

template <class T>
T& at(problem<T>& p, std::size_t i, place const& where) {
  auto& side = p.side[where.side];
  return (where.reference ? side.reference : side.policy)[p.offset[i] + where.row];
}

std::string written(places const& all) {
  std::string out;
  for (place const& one : all) {
    out += (one.reference ? " reference " : " policy ") + std::to_string(one.side) + "," +
           std::to_string(one.row);
  }
  return out;
}

using exceptions = std::map<std::string, std::string>;  // loss, reason

// Losses that are NaN although there is a limit: where several log-probabilities of an example are minus infinity, where
// one of the reference is, and where any is.
exceptions const lost_among_several = {
    {"bradley_terry", "beside the square of a sum stands the margin of two infinities"},
    {"cal_dpo", "beside the squares stands the margin of two infinities"},
    {"beta_dpo", "whether a pair is kept hangs on the margin of two infinities"},
    {"pro", "the logarithm of a sum of exponentials that are all 0 has no derivative"}};
exceptions const lost_by_the_reference = {
    {"exo", "a log-ratio of plus infinity takes all of a softmax"},
    {"info_nca", "a log-ratio of plus infinity takes all of a softmax"},
    {"lipo", "a log-ratio of plus infinity is no score to subtract"},
    {"plackett_luce", "a log-ratio of plus infinity takes all of a softmax"},
    {"softmax_dpo", "a log-ratio of plus infinity takes all of a softmax"}};
exceptions const lost_to_a_bonus = {
    {"xpo",
     "an infinite loss less an infinite optimism: which is steeper is up to alpha and beta"}};

bool may_be_lost(std::string const& loss, places const& where) {
  bool by_the_reference = false;
  for (place const& one : where) by_the_reference = by_the_reference || one.reference;
  return (where.size() > 1 && lost_among_several.count(loss) > 0) ||
         (by_the_reference && lost_by_the_reference.count(loss) > 0) ||
         lost_to_a_bonus.count(loss) > 0;
}

/// Every set of log-probabilities of a pair or a labelled completion; of a list each one, the first two, and all.
std::vector<places> sets_of(law_subject const& loss, problem<double> const& p, std::size_t i) {
  places single;
  bool const reads_reference = loss.needs.contains(prefer::column_name::reference);
  for (bool const reference : {false, true}) {
    if (reference && !reads_reference) continue;
    for (std::size_t side = 0; side < p.sides(); ++side) {
      for (std::size_t row = 0; row < p.offset[i + 1] - p.offset[i]; ++row) {
        single.push_back({reference, side, row});
      }
    }
  }
  std::vector<places> out;
  if (loss.shape.arity != prefer::dynamic_arity) {
    for (std::size_t bits = 1; bits < std::size_t{1} << single.size(); ++bits) {
      places some;
      for (std::size_t k = 0; k < single.size(); ++k) {
        if (bits >> k & 1) some.push_back(single[k]);
      }
      out.push_back(some);
    }
    return out;
  }
  for (place const& one : single) out.push_back({one});
  std::size_t const completions = p.offset[i + 1] - p.offset[i];
  if (completions > 2) out.push_back({single[0], single[1]});
  if (completions > 2) out.push_back({single[1], single[2]});
  if (completions > 1)
    out.push_back({single.begin(), single.begin() + std::ptrdiff_t(completions)});
  return out;
}

/// How fast each goes to minus infinity, and from where.
struct path {
  std::vector<double> rate;
  double lead = 0.0;  // of the first before the others, nats
};
/// All alike, one nats ahead, and each in turn far before the others and far behind them: further than lengths differ.
std::vector<path> paths_of(std::size_t count) {
  std::vector<double> const same(count, 1.0);
  std::vector<path> out{{same}};
  if (count == 1) return out;
  out.push_back({same, 3.0});
  for (std::size_t k = 0; k < count; ++k) {
    for (double const rate : {0x1p-10, 0x1p+10}) {
      out.push_back({same});
      out.back().rate[k] = rate;
    }
  }
  return out;
}

/// The limit of a sequence taken at 2^32, 2^33 and 2^34 nats: it stands still, or it grows in proportion at least.
/// Exponentials are long at rest there, or beyond all numbers, also at a 2^10th of that; what falls like 1 / x still moves
/// by 2^-24 at most.
std::optional<double> limit_of(long double before, long double then, long double now) {
  if (std::isinf(now)) return now > 0 ? infinity : -infinity;
  long double const size = std::fabs(now);
  if (std::fabs(now - then) <= 1e-6L * std::fmax(size, 1e-2L)) return static_cast<double>(now);
  if (size >= 1.5L * std::fabs(then) && std::fabs(then) >= 1.5L * std::fabs(before)) {
    return now > 0 ? infinity : -infinity;
  }
  return std::nullopt;
}

/// Whether a result is the limit, to what the sequence has still moved and some roundings of log-probabilities of 2^6 nats.
bool same_limit(double a, double b, double relative) {
  if (std::isinf(a) || std::isinf(b)) return a == b;
  return near(a, b, relative, 1e-2);
}

/// The limits of value and coefficients of example i, where all of them have one.
std::optional<std::vector<double>> limits_of(law_subject const& loss, problem<double> const& p,
                                             law_subject::numbers const& state, std::size_t i,
                                             parameter_edge const& edge, places const& where,
                                             bool as_float) {
  std::optional<std::vector<double>> all;
  for (path const& along : paths_of(where.size())) {
    exact_results sequence[3];
    for (int step = 0; step < 3; ++step) {
      auto moved = p;
      for (std::size_t k = 0; k < where.size(); ++k) {
        double const nats = along.rate[k] * std::ldexp(1.0, 32 + step) + (k == 0 ? along.lead : 0);
        at(moved, i, where[k]) -= nats;
      }
      sequence[step] = loss.exact(moved, state, i, edge, as_float);
    }
    std::vector<double> here;
    for (std::size_t k = 0; k < 1 + p.moves(i); ++k) {
      auto const limit = limit_of(sequence[0][k], sequence[1][k], sequence[2][k]);
      CAPTURE(sequence[0][k], sequence[1][k], sequence[2][k]);
      REQUIRE(limit.has_value());  // along a path each formula settles or grows
      here.push_back(*limit);
    }
    if (!all) all = here;
    for (std::size_t k = 0; k < here.size(); ++k) {
      if (!same_limit(here[k], (*all)[k], 1e-5)) return std::nullopt;
    }
  }
  return all;
}

template <class T>
std::string in_words(std::vector<T> const& numbers) {
  std::string out;
  for (T const each : numbers) out += " " + std::to_string(each);
  return out;
}

/// Whether the results of the only example are these limits; without limits, whether something of them is NaN.
template <class T>
bool are_limits(problem<T> const& solved, std::optional<std::vector<double>> const& expected,
                double relative) {
  auto const computed = solved.all_of(0);
  UNSCOPED_INFO("computed" << in_words(computed) << ", expected "
                           << (expected ? in_words(*expected) : "NaN"));
  bool all = true;
  bool some_nan = false;
  for (std::size_t k = 0; k < computed.size(); ++k) {
    all = all && expected && same_limit(double(computed[k]), (*expected)[k], relative);
    some_nan = some_nan || std::isnan(computed[k]);
  }
  return expected ? all : some_nan;
}

TEST_CASE("laws: a log-probability of minus infinity gives the limit of value and coefficients",
          "[laws][loss][limits]") {
  for (law_subject const& loss : subjects()) {
    INFO("loss " << loss.name);
    problem<double> const p(loss.shape, 4);
    problem<float> const in_float(loss.shape, 4);
    auto const state = loss.state(p);
    std::size_t with_limit = 0;
    bool lost = false;
    for (std::size_t i = 0; i < p.size(); ++i) {
      for (places const& where : sets_of(loss, p, i)) {
        auto never = p.alone(i);
        auto never_in_float = in_float.alone(i);
        for (place const& one : where) {
          at(never, 0, one) = -infinity;
          at(never_in_float, 0, one) = -std::numeric_limits<float>::infinity();
        }
        for (parameter_edge const& edge : loss.edges) {
          INFO("example " << i << ", " << edge.parameter << " " << edge.value
                          << ", minus infinity at" << written(where));
          bool const excepted = may_be_lost(loss.name, where);
          auto const check = [&](auto const& solved, auto const& expected, double relative) {
            bool const good = are_limits(solved, expected, relative);
            // An exception may be NaN in place of the limit, and nothing else.
            bool const nan = are_limits(solved, std::nullopt, relative);
            CHECK((good || (excepted && nan)));
            lost = lost || !good;
          };
          auto const expected = limits_of(loss, p, state, i, edge, where, false);
          with_limit += expected.has_value();
          loss.evaluate_from_double(never, state, edge);
          check(never, expected, 1e-6);
          if (loss.evaluate_formula_from != nullptr) {
            loss.evaluate_formula_from(never, state, edge);
            check(never, expected, 1e-6);
          }
          loss.evaluate_from_float(never_in_float, state, edge);
          check(never_in_float, limits_of(loss, p, state, i, edge, where, true), 1e-4);
        }
      }
    }
    CHECK(with_limit > 0);
    // No exception outlives its reason.
    CHECK(lost == (lost_among_several.count(loss.name) + lost_by_the_reference.count(loss.name) +
                       lost_to_a_bonus.count(loss.name) >
                   0));
  }
}

TEST_CASE("laws: an example of weight 0 counts 0, whatever its log-probabilities are",
          "[laws][loss][limits]") {
  for (law_subject const& loss : subjects()) {
    INFO("loss " << loss.name);
    problem<double> const p(loss.shape, 4);
    problem<float> const in_float(loss.shape, 4);
    auto const state = loss.state(p);
    auto const check = [](auto const& solved) {
      for (auto const result : solved.all_of(0)) CHECK(result == 0);
    };
    for (std::size_t i = 0; i < p.size(); ++i) {
      auto plain = p.alone(i);
      auto plain_in_float = in_float.alone(i);
      plain.weight = {0.0};
      plain_in_float.weight = {0.0f};
      for (places const& where : sets_of(loss, p, i)) {
        for (double const extreme : {-infinity, infinity, std::nan("")}) {
          INFO("example " << i << ", " << extreme << " at" << written(where));
          auto solved = plain;
          auto solved_in_float = plain_in_float;
          for (place const& one : where) {
            at(solved, 0, one) = extreme;
            at(solved_in_float, 0, one) = static_cast<float>(extreme);
          }
          loss.evaluate_from_double(solved, state, {});
          check(solved);
          loss.evaluate_from_float(solved_in_float, state, {});
          check(solved_in_float);
        }
      }
    }
  }
}

TEST_CASE("limits: a rejected completion that the policy never writes costs nothing",
          "[laws][loss][limits]") {
  std::vector<double> const chosen = {-1}, never = {-infinity}, reference = {-2}, one = {1};
  prefer::pair_columns const batch{.policy = {.chosen = chosen, .rejected = never},
                                   .reference = {.chosen = reference, .rejected = reference},
                                   .length = {.chosen = one, .rejected = one}};
  auto const check = [&](auto const& loss) {
    auto const result = prefer::evaluate(loss, batch);
    CHECK(result.loss == 0.0);
    CHECK(result.coefficient.chosen[0] == 0.0);
    CHECK(result.coefficient.rejected[0] == 0.0);
  };
  check(prefer::dpo{});
  check(prefer::simpo{});
  check(prefer::hinge{});
  check(prefer::bradley_terry{});
}

TEST_CASE(
    "limits: a pair of which the policy writes neither completion is NaN, and diagnose names it",
    "[laws][loss][limits]") {
  std::vector<double> const chosen = {-1, -infinity}, rejected = {-3, -infinity},
                            reference = {-2, -2};
  prefer::pair_columns const batch{.policy = {.chosen = chosen, .rejected = rejected},
                                   .reference = {.chosen = reference, .rejected = reference}};
  auto const result = prefer::evaluate(prefer::dpo{}, batch);
  CHECK(std::isnan(result.loss));
  auto const findings = prefer::diagnose(batch);
  REQUIRE(findings.size() == 2);
  CHECK(findings[0].column == "policy.chosen");
  CHECK(findings[0].row == 1);
  CHECK(findings[1].column == "policy.rejected");
  CHECK(findings[1].row == 1);
}

}  // namespace
