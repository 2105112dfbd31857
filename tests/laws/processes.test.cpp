// SPDX-License-Identifier: MIT
//
// A batch whose parts are with several processes: each gets the state of the whole batch, and so its own rows' part of
// what one process would compute.
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <vector>

#include <prefer/batch/gather.hpp>
#include <prefer/loss/aot.hpp>
#include <prefer/loss/bco.hpp>
#include <prefer/loss/beta_dpo.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/epsilon_dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/wpo.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/parallel/thread_processes.hpp>

#include "laws/members.hpp"
#include "laws/problem.hpp"
#include "support/near.hpp"

namespace {

using namespace prefer::test;
using numbers = std::vector<double>;

constexpr std::size_t rows = 29;
constexpr std::size_t most_processes = 3;

// Uneven parts: everything; 29 = 10 + 19; 29 = 10 + 1 + 18.
std::size_t begin_of(std::size_t part, std::size_t parts) {
  return part == 0 ? 0 : part == parts ? rows : 9 + part;
}

/// One process's rows of a problem, and its share of the KL examples.
problem<double> part_of(problem<double> const& whole, std::size_t part, std::size_t parts) {
  std::size_t const begin = begin_of(part, parts);
  std::size_t const end = begin_of(part + 1, parts);
  auto out = whole.part(begin, end);
  out.kl_policy.clear();
  out.mismatched_reference.clear();
  for (std::size_t i = part; i < whole.kl_policy.size(); i += parts) {
    out.kl_policy.push_back(whole.kl_policy[i]);
    out.mismatched_reference.push_back(whole.mismatched_reference[i]);
  }
  return out;
}

struct outcome {
  numbers state;
  numbers memory;
  numbers results;  // of the rows at hand
};

/// Two batches after another, so that what is remembered of the first matters in the second.
template <class L, class Processes>
outcome outcome_of(L const& loss, problem<double> first, problem<double> second,
                   Processes const& processes) {
  prefer::loss_memory<L> memory{};
  (void)prefer::prepare(loss, first.template columns<L::arity>(), memory, processes);
  auto const state = prefer::prepare(loss, second.template columns<L::arity>(), memory, processes);
  prefer::evaluate_into(loss, second.template columns<L::arity>(),
                        second.template results<L::arity>(), state,
                        {.reduce = prefer::reduction::none});
  return {members_of(state), members_of(memory), second.all()};
}

void check_near(numbers const& a, numbers const& b) {
  REQUIRE(a.size() == b.size());
  // Sums of 29 numbers in another order: 29 roundings of their size, which is up to some ten times the sum's, and
  // coefficients of up to beta * 1 per nat.
  for (std::size_t i = 0; i < a.size(); ++i) {
    CAPTURE(i, a[i], b[i]);
    CHECK(near(a[i], b[i], 300 * 0x1p-53, 0.1));
  }
}

template <class L>
void check_parts(char const* name, L const& loss) {
  batch_shape const shape{.arity = L::arity};
  problem<double> const first(shape, rows, {.seed = 3});
  problem<double> const second(shape, rows, {.seed = 4});
  auto const whole = outcome_of(loss, first, second, prefer::single_process{});
  for (std::size_t count = 1; count <= most_processes; ++count) {
    std::vector<outcome> of_rank(count);
    prefer::thread_processes::run(count, [&](auto const& process) {
      of_rank[process.rank()] = outcome_of(loss, part_of(first, process.rank(), count),
                                           part_of(second, process.rank(), count), process);
    });
    for (std::size_t rank = 0; rank < count; ++rank) {
      INFO(name << ", process " << rank << " of " << count);
      check_near(of_rank[rank].state, whole.state);
      check_near(of_rank[rank].memory, whole.memory);
      CHECK(of_rank[rank].state == of_rank[0].state);  // the same bits on every process
      CHECK(of_rank[rank].memory == of_rank[0].memory);
      problem<double> expected(shape, rows, {.seed = 4});
      prefer::evaluate_into(
          loss, expected.template columns<L::arity>(), expected.template results<L::arity>(),
          state_with<prefer::loss_state<L>>(whole.state), {.reduce = prefer::reduction::none});
      check_near(of_rank[rank].results,
                 expected.part(begin_of(rank, count), begin_of(rank + 1, count)).all());
    }
  }
}

TEST_CASE("processes: each gets the state of the whole batch", "[laws][processes]") {
  check_parts("kto", prefer::kto{});
  check_parts("kto_pair", prefer::kto_pair{});
  check_parts("bco", prefer::bco{});
  check_parts("nll_per_batch_token", prefer::nll_per_batch_token{});
  check_parts("beta_dpo", prefer::beta_dpo<>{});
  check_parts("epsilon_dpo", prefer::epsilon_dpo<>{});
  check_parts("0.5 * kto_pair", 0.5 * prefer::kto_pair{});
  check_parts("wpo<kto_pair>", prefer::wpo<prefer::kto_pair>{});
}

TEST_CASE("processes: part of a batch alone would have another state", "[laws][processes]") {
  // What the law above would miss if statistics were those of a part: the first of three processes by itself.
  auto const differs = [](auto const& loss) {
    using L = std::remove_cvref_t<decltype(loss)>;
    batch_shape const shape{.arity = L::arity};
    problem<double> const first(shape, rows, {.seed = 3});
    problem<double> const second(shape, rows, {.seed = 4});
    auto const whole = outcome_of(loss, first, second, prefer::single_process{});
    auto const part =
        outcome_of(loss, part_of(first, 0, 3), part_of(second, 0, 3), prefer::single_process{});
    return std::fabs(whole.state.at(0) - part.state.at(0)) > 1e-4;
  };
  CHECK(differs(prefer::kto{}));
  CHECK(differs(prefer::kto_pair{}));
  CHECK(differs(prefer::bco{}));
  CHECK(differs(prefer::nll_per_batch_token{}));
  CHECK(differs(prefer::beta_dpo<>{}));
  CHECK(differs(prefer::epsilon_dpo<>{}));
}

template <class L>
void check_gathered(char const* name, L const& loss) {
  problem<double> whole({}, rows);
  double const expected = prefer::evaluate_into(loss, whole.columns<2>(), whole.results<2>());
  for (std::size_t count = 1; count <= most_processes; ++count) {
    INFO(name << " on " << count << " processes");
    problem<double> parts({}, rows);
    numbers mean(count);
    prefer::thread_processes::run(count, [&](auto const& process) {
      auto const mine = part_of(whole, process.rank(), count);
      auto const all = prefer::gather_rows(mine.template columns<2>(), process);
      auto const result = prefer::evaluate(loss, all.columns());
      mean[process.rank()] = result.loss;
      for (std::size_t i = all.begin(); i < all.begin() + all.count(); ++i) {
        parts.value[i] = result.value[i];
        parts.side[0].coefficient[i] = result.coefficient.chosen[i];
        parts.side[1].coefficient[i] = result.coefficient.rejected[i];
      }
    });
    CHECK(mean == numbers(count, expected));
    CHECK(parts.all() == whole.all());
  }
}

TEST_CASE("processes: losses that rank a batch get its ranks from gathered pairs",
          "[laws][processes]") {
  check_gathered("aot", prefer::aot{});
  check_gathered("aot_unpaired", prefer::aot_unpaired{});
  check_gathered("dpo + 0.5 * aot", prefer::dpo{} + 0.5 * prefer::aot{});
}

TEST_CASE("processes: without gathering, ranks are those of a part", "[laws][processes]") {
  problem<double> whole({}, rows);
  (void)prefer::evaluate_into(prefer::aot{}, whole.columns<2>(), whole.results<2>(),
                              {.reduce = prefer::reduction::none});
  auto part = part_of(whole, 0, 3);
  auto const expected = part.all();
  (void)prefer::evaluate_into(prefer::aot{}, part.columns<2>(), part.results<2>(),
                              {.reduce = prefer::reduction::none});
  CHECK(part.all() != expected);
}

}  // namespace
