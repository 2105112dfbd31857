// SPDX-License-Identifier: MIT
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <prefer/loss/catalogue.hpp>

#include "laws/wrapper.hpp"
#include "support/near.hpp"

// A loss made of a loss is that loss where its settings change nothing, in everything that it says, or it does not compile.

namespace {

using namespace prefer::test;

/// Every outcome is needed once for each wrapper.
outcome const& bare(std::string const& loss) {
  static std::map<std::string, outcome> known;
  auto const at = known.find(loss);
  return at != known.end() ? at->second : known.emplace(loss, bare_outcome(loss)).first->second;
}

std::vector<wrapper> const& all_wrappers() {
  static std::vector<wrapper> const all = [] {
    std::vector<wrapper> out = {once(),
                                in_halves(),
                                as_it_is(),
                                weighted_by_alignment(),
                                with_beta_of_the_batch(),
                                with_beta_of_the_pair(),
                                with_reverse_kl()};
    for (auto& nested : wrappers_of_wrappers()) out.push_back(nested);
    return out;
  }();
  return all;
}

template <class Check>
void for_every_wrapped_loss(Check const& check) {
  for (wrapper const& each : all_wrappers()) {
    for (auto const& one : each.around) {
      if (one.result == nullptr) continue;
      INFO(each.name << " around " << one.loss);
      check(each, bare(one.loss), one.result());
    }
  }
}

template <class T>
std::vector<T> two_times(std::vector<T> const& once_in_a_row) {
  std::vector<T> out = once_in_a_row;
  out.insert(out.end(), once_in_a_row.begin(), once_in_a_row.end());
  return out;
}

// beta_dpo's beta is off by two roundings; derivatives of lists are by hand in one and by dual numbers in the other.
constexpr double tolerance = 1e-12;

TEST_CASE("laws: a wrapper at rest gives the numbers of its loss", "[laws][wrapper]") {
  for_every_wrapped_loss([](wrapper const&, outcome const& loss, outcome const& wrapped) {
    REQUIRE(wrapped.numbers.size() == loss.numbers.size());
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < loss.numbers.size(); ++i) {
      wrong += near(wrapped.numbers[i], loss.numbers[i], tolerance, 1.0) ? 0 : 1;
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("laws: a wrapper reports the rewards and the metrics of its loss", "[laws][wrapper]") {
  for_every_wrapped_loss([](wrapper const& around, outcome const& loss, outcome const& wrapped) {
    CHECK(wrapped.rewards.beta == loss.rewards.beta);
    CHECK(wrapped.rewards.per_token == loss.rewards.per_token);
    auto expected = around.twice ? two_times(loss.metrics) : loss.metrics;
    auto found = wrapped.metrics;
    std::sort(expected.begin(), expected.end());
    std::sort(found.begin(), found.end());
    CHECK(found == expected);
  });
}

TEST_CASE("laws: a wrapper has its loss's columns, list size, memory and rows", "[laws][wrapper]") {
  for_every_wrapped_loss([](wrapper const& around, outcome const& loss, outcome const& wrapped) {
    CHECK(wrapped.reads == (loss.reads | around.also_reads));
    CHECK(wrapped.needs == (loss.needs | around.also_reads));
    CHECK(wrapped.list_size == loss.list_size);
    CHECK(wrapped.matches == loss.matches);
    if (loss.remembers) CHECK(wrapped.remembers);
  });
}

TEST_CASE("laws: a wrapper without a name is called as its loss", "[laws][wrapper]") {
  for_every_wrapped_loss([](wrapper const& around, outcome const& loss, outcome const& wrapped) {
    if (around.name == "1.0 * L" || around.name == "a user's wrapper") {
      CHECK(wrapped.name == loss.name);
    } else {
      CHECK(!wrapped.name.empty());
    }
  });
}

TEST_CASE("laws: a wrapper names the parameters of its loss, then its own", "[laws][wrapper]") {
  for_every_wrapped_loss([](wrapper const& around, outcome const& loss, outcome const& wrapped) {
    std::vector<std::string> expected, found;
    for (std::size_t times = 0; times < (around.twice ? 2 : 1); ++times) {
      for (auto const& parameter : loss.parameters) expected.push_back(parameter.first);
      expected.insert(expected.end(), around.own_names.begin(), around.own_names.end());
    }
    for (auto const& parameter : wrapped.parameters) found.push_back(parameter.first);
    CHECK(found == expected);
  });
}

TEST_CASE("laws: a wrapper refuses the batches that its loss refuses, in its words",
          "[laws][wrapper]") {
  for_every_wrapped_loss([](wrapper const& around, outcome const& loss, outcome const& wrapped) {
    REQUIRE(wrapped.errors.size() == loss.errors.size());
    for (std::size_t i = 0; i < loss.errors.size(); ++i) {
      INFO("wrong batch " << i << ": " << loss.errors[i]);
      // A wrapper that reads more says so in its sentence, and misses what its loss can do without.
      if ((loss.needs | around.also_reads) == loss.needs) {
        CHECK(wrapped.errors[i] == loss.errors[i]);
      } else if (!loss.errors[i].empty()) {
        CHECK(!wrapped.errors[i].empty());
      }
    }
  });
}

TEST_CASE("laws: a wrapper goes around every loss but those that it cannot follow",
          "[laws][wrapper]") {
  using names = std::set<std::string>;
  names const without_one_beta = {"bradley_terry", "nll",      "nll_per_batch_token",
                                  "nll_per_token", "optimism", "rebel",
                                  "slic_hf"};
  names const matches_rows = {"aot", "aot_unpaired"};
  names no_rule_for_beta = without_one_beta;
  no_rule_for_beta.insert(matches_rows.begin(), matches_rows.end());
  // Of f_dpo the few that it goes around: losses of the difference of log-ratios.
  names const of_differences = {
      "dpo",        "robust_dpo", "ipo",         "ipo_sum",         "hinge",
      "exo_pair",   "discopop",   "gpo_squared", "gpo_exponential", "gpo_truncated_quadratic",
      "gpo_savage", "ln_dpo"};
  std::map<std::string, names> const refused = {
      {"beta_dpo<L>", no_rule_for_beta},
      {"epsilon_dpo<L>", no_rule_for_beta},
      {"a user's wrapper of 0.5 * L + 0.5 * L", {"aot"}},  // whose two terms might match otherwise
      {"beta_dpo of wpo", {"aot"}}};
  for (wrapper const& each : all_wrappers()) {
    INFO(each.name);
    names taken, left_out;
    for (auto const& one : each.around) {
      (one.result == nullptr ? left_out : taken).insert(one.loss);
    }
    CHECK(!taken.empty());
    auto const expected = refused.find(each.name);
    if (each.name == "f_dpo<alpha_divergence, L>") {
      CHECK(taken == of_differences);
    } else {
      CHECK(left_out == (expected == refused.end() ? names{} : expected->second));
    }
  }
}

TEST_CASE("laws: every loss of the catalogue stands in each wrapper of its kind",
          "[laws][wrapper]") {
  std::size_t all = 0, pairs = 0;
  prefer::for_each_loss([&]<prefer::Loss L>(L const&, prefer::loss_info const&) {
    ++all;
    pairs += prefer::PairLoss<L> ? 1 : 0;
  });
  for (wrapper const& each : {once(), in_halves(), as_it_is()}) CHECK(each.around.size() == all);
  for (wrapper const& each : {weighted_by_alignment(), with_beta_of_the_batch(),
                              with_beta_of_the_pair(), with_reverse_kl()}) {
    CHECK(each.around.size() == pairs);
  }
}

}  // namespace
