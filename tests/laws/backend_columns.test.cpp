// SPDX-License-Identifier: MIT
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/loss/aot.hpp>
#include <prefer/loss/compose.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/metrics/kl_divergence.hpp>
#include <prefer/reference/mixture.hpp>

#include "laws/on_backends.hpp"
#include "support/toy_backend.hpp"

// What the law over all losses does not reach: columns that no loss of the catalogue reads, sums of losses whose terms
// match rows, and what references and metrics compute of their own.

namespace {

using namespace prefer::test;
using prefer::column_name;
using prefer::column_side;
using prefer::select;
using prefer::softplus;
using numbers = std::vector<double>;

template <std::size_t Arity>
struct kind_of;
template <>
struct kind_of<1> {
  using columns = prefer::unpaired_columns;
  using results = prefer::basic_unpaired_results<toy_column>;
};
template <>
struct kind_of<2> {
  using columns = prefer::pair_columns;
  using results = prefer::basic_pair_results<toy_column>;
};
template <>
struct kind_of<prefer::dynamic_arity> {
  using columns = prefer::list_columns;
  using results = prefer::basic_list_results<toy_column>;
};

/// Adds up what a record has of a kind's columns, each with a factor and through a function of its own slope, so that
/// every number is in the value and every derivative is another one.
template <class Columns, class Record, class S>
constexpr void add_members(Record const& record, S& sum) {
  using P = prefer::primal_t<S>;
  Record::describe(record, [&](auto is, auto const& member) {
    if constexpr (prefer::detail::names_of<Columns>().contains(is.name)) {
      double const factor = 0.25 + 0.125 * static_cast<double>(static_cast<unsigned>(is.name) % 7);
      if constexpr (is.rule == prefer::column_rule::truth) {
        sum = sum + factor * select(member, P(1.0), P(0.0));
      } else if constexpr (requires { member.value_or(1.0); }) {
        sum = sum + softplus(factor * member.value_or(1.0));
      } else {
        sum = sum + softplus(factor * member);
      }
    }
  });
}

/// A loss that reads every column of its examples, those that a batch may do without and those of other completions too.
template <std::size_t Arity>
struct every_column {
  static constexpr std::size_t arity = Arity;
  static constexpr char const* name = "every_column";
  using columns = typename kind_of<Arity>::columns;

  struct state {
    double kl = 0.0;
  };
  constexpr state prepare(auto const& batch, auto&) const {
    if constexpr (Arity == 1) {
      return {batch.kl_examples().means([](auto const& other) { return other.log_ratio(); })};
    } else {
      return {batch.means([](auto const& one) {
        if constexpr (Arity == 2) {
          return one.chosen.log_ratio();
        } else {
          return one.log_ratio();
        }
      })};
    }
  }
  constexpr auto operator()(auto const& record, state const& of_batch) const {
    if constexpr (Arity == 2) {
      auto sum = record.chosen.log_prob * of_batch.kl;
      add_members<columns>(record.chosen, sum);
      sum = sum - 0.5 * record.rejected.log_prob;
      add_members<columns>(record.rejected, sum);
      add_members<columns>(record, sum);
      return sum;
    } else if constexpr (Arity == 1) {
      auto sum = record.log_prob * of_batch.kl;
      add_members<columns>(record, sum);
      return sum;
    } else {
      auto sum = record[0].log_prob * of_batch.kl;
      for (std::size_t i = 0; i < record.size(); ++i) add_members<columns>(record[i], sum);
      add_members<columns>(record, sum);
      return sum;
    }
  }
};

template <template <class> class Kind>
using toy_batch = twice<toy_place, Kind>;

/// Whether each column of a kind crosses into the values that a backend computes: with other numbers in it they are others.
template <template <class> class Kind, std::size_t Arity>
void every_column_counts() {
  every_column<Arity> const loss;
  toy_place place;
  uploads_to<toy_place> const upload{&place};
  prefer::column_set const read = prefer::reads(loss);
  std::size_t count = 0;
  auto const values_with = [&](std::size_t moved) {
    toy_batch<Kind> const batch(upload, read, 0, moved);
    toy_column const values = place.upload(numbers(examples));
    prefer::nothing memory;
    typename kind_of<Arity>::results const to{.value = values};
    (void)prefer::evaluate_into(loss, batch.there, to, prefer::prepare(loss, batch.there, memory));
    return values.look();
  };
  numbers const usual = values_with(toy_batch<Kind>::none);
  toy_batch<Kind> const described(upload, read);
  prefer::detail::for_each_column(
      described.there, [&](auto is, prefer::per, column_side side, toy_column const& one) {
        INFO(prefer::detail::label_of(is.spelling, side));
        CHECK(one.present());
        CHECK(values_with(count) != usual);
        ++count;
      });
  CHECK(count > 5);
}

TEST_CASE("laws: every column of every record crosses to a backend, and its derivative comes back",
          "[laws][backend]") {
  toy_place place;
  same_as_host(place, every_column<1>{});
  same_as_host(place, every_column<2>{});
  same_as_host(place, every_column<prefer::dynamic_arity>{});
  every_column_counts<prefer::basic_unpaired_columns, 1>();
  every_column_counts<prefer::basic_pair_columns, 2>();
  every_column_counts<prefer::basic_list_columns, prefer::dynamic_arity>();
}

TEST_CASE("laws: a sum with terms that match rows is the same on every backend",
          "[laws][backend]") {
  toy_place place;
  same_as_host(place, prefer::aot{} + 0.5 * prefer::hinge{});
  same_as_host(place, 0.25 * (prefer::aot_unpaired{.beta = 0.3} + prefer::dpo{}) + prefer::aot{});
  same_as_host(place, prefer::ipo{} + prefer::aot_unpaired{});
}

TEST_CASE("laws: KL divergence is computed where the columns are, and crosses as two sums",
          "[laws][backend]") {
  toy_place place;
  std::vector<std::size_t> const offset = {0, 2, 5};
  numbers const policy = {std::log(0.75), std::log(0.25), std::log(0.5), std::log(0.5), -INFINITY};
  numbers const uniform = {std::log(0.5), std::log(0.5), -std::log(3.0), -std::log(3.0),
                           -std::log(3.0)};
  prefer::basic_list_columns<toy_column> batch{
      .policy = place.upload(policy), .reference = place.upload(uniform), .offset = offset};
  double const expected =
      0.5 * (0.75 * std::log(1.5) + 0.25 * std::log(0.5) + std::log(1.5));  // the mean of two
  CHECK(near(prefer::kl_divergence(batch), expected, 1e-14));
  CHECK(place.crossings.sums == 1);
  CHECK(place.crossings.columns == 0);

  batch.policy = place.upload({std::log(0.75), std::log(0.25), std::log(0.5), -5.0, -INFINITY});
  CHECK_THROWS_WITH(prefer::kl_divergence(batch),
                    "kl_divergence: the probabilities of list 1 sum to 0.506738, expected 1; the "
                    "batch lists every completion of a prompt once");
  batch.reference = {};
  CHECK_THROWS_WITH(prefer::kl_divergence(batch),
                    "kl_divergence: it is measured from a reference; give one");
}

TEST_CASE("laws: mixtures are computed where the columns are, and nothing crosses",
          "[laws][backend]") {
  toy_place place;
  numbers const none(2);
  std::array const said = {place.upload({std::log(0.5), -INFINITY}),
                           place.upload({std::log(0.1), -INFINITY}),
                           place.upload({std::log(0.2), -2.0})};
  std::array const weight = {0.25, 0.5, 0.25};
  auto const out = place.upload(none);
  prefer::mix_probabilities<toy_column>(weight, said, out);
  CHECK(near(out.look()[0], std::log(0.25 * 0.5 + 0.5 * 0.1 + 0.25 * 0.2), 1e-14));
  CHECK(near(out.look()[1], std::log(0.25) - 2.0, 1e-14));
  prefer::mix_log_probabilities<toy_column>(weight, said, out);
  CHECK(near(out.look()[0], 0.25 * std::log(0.5) + 0.5 * std::log(0.1) + 0.25 * std::log(0.2),
             1e-14));
  CHECK(out.look()[1] == -INFINITY);
  CHECK(place.crossings.sums == 0);
  CHECK(place.crossings.columns == 0);
  CHECK_THROWS_WITH(prefer::mix_probabilities<toy_column>(std::span(weight).first(2), said, out),
                    Catch::Matchers::Contains("mix_probabilities: the columns of log_prob"));
}

}  // namespace
