// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <type_traits>
#include <vector>

#include <prefer/loss/bco.hpp>
#include <prefer/loss/beta_dpo.hpp>
#include <prefer/loss/epsilon_dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/parallel/communicator.hpp>

#include "support/near.hpp"
#include "support/processes.hpp"

namespace {

using namespace prefer;
using test::near;
using test::replayed_processes;

struct without_gather {
  static std::size_t rank() { return 0; }
  static std::size_t size() { return 1; }
  static void all_sum(std::span<double>) {}
};

TEST_CASE("Communicator: asks for rank, size, sums and gathering", "[parallel][communicator]") {
  STATIC_REQUIRE(Communicator<single_process>);
  STATIC_REQUIRE(Communicator<replayed_processes::end>);
  STATIC_REQUIRE(!Communicator<without_gather>);
  STATIC_REQUIRE(!Communicator<int>);
}

TEST_CASE("single_process: it is the first of one, and what it gives is all there is",
          "[parallel][communicator]") {
  single_process const one;
  STATIC_REQUIRE(single_process::rank() == 0);
  STATIC_REQUIRE(single_process::size() == 1);
  std::vector<double> values = {1.5, -2.0};
  one.all_sum(values);
  CHECK(values == std::vector<double>{1.5, -2.0});
  CHECK(one.all_gather(values) == values);
  CHECK(one.all_gather({}).empty());
}

TEST_CASE("over_processes: sums and counts are added up before the mean is taken",
          "[parallel][communicator]") {
  replayed_processes processes(3);
  sum_and_count const parts[] = {{6.0, 1.0}, {0.0, 0.0}, {2.0, 3.0}};
  std::vector<double> means(3);
  processes.run(
      [&](auto const& end) { means[end.rank()] = over_processes(parts[end.rank()], end).mean(); });
  CHECK(means == std::vector<double>(3, 2.0));  // 8 / 4, and not the mean of 6, 0 and 2/3
}

// Two processes with 3 and 5 rows of a batch of 8.
constexpr std::size_t cut[] = {0, 3, 8};
std::vector<double> const a = {-1.0, -4.5, -0.25, -7.0, -2.0, -3.5, -1.25, -6.0};
std::vector<double> const b = {-2.0, -3.0, -1.5, -5.0, -6.5, -0.5, -2.25, -4.0};
std::vector<double> const c = {-1.5, -3.25, -1.75, -6.0, -3.0, -2.5, -2.0, -3.0};
std::vector<double> const u = {0.5, 0.125, 0.75, 0.0625, 0.875, 0.25, 0.625, 0.3125};

column rows(std::vector<double> const& numbers, std::size_t begin, std::size_t end) {
  return std::span(numbers).subspan(begin, end - begin);
}
pair_columns pairs(std::size_t begin, std::size_t end) {
  auto const some = [&](auto const& numbers) { return rows(numbers, begin, end); };
  return {.policy = {some(a), some(b)},
          .reference = {some(b), some(c)},
          .length = {some(u), some(u)},
          .nearer = {some(b), some(b)},
          .farther = {some(a), some(c)},
          .uniform = some(u)};
}
unpaired_columns examples(std::size_t begin, std::size_t end) {
  auto const some = [&](auto const& numbers) { return rows(numbers, begin, end); };
  return {
      .policy = some(a), .reference = some(b), .label = some(u), .mismatched = {some(b), some(c)}};
}

// Both processes have the state, and the memory, that one process has of the whole batch; then of a second one.
template <class L, class Columns, class Same>
void one_state_for_all(L const& loss, Columns const& columns, Same const& same) {
  loss_memory<L> alone;
  auto const first = prepare(loss, columns(0, 8), alone);
  auto const second = prepare(loss, columns(0, 8), alone);
  replayed_processes processes(2);
  int compared = 0;
  processes.run([&](auto const& end) {
    loss_memory<L> memory;
    auto const part = columns(cut[end.rank()], cut[end.rank() + 1]);
    auto const its_first = prepare(loss, part, memory, end);
    auto const its_second = prepare(loss, part, memory, end);
    if (++compared <= 14) return;  // the last round of eight
    same(its_first, first);
    same(its_second, second);
  });
}

bool close(double x, double y) { return near(x, y, 1e-14, 1.0); }

TEST_CASE("processes: every loss's statistic of a batch in parts is that of the whole",
          "[parallel][communicator]") {
  one_state_for_all(bco{}, examples,
                    [](auto const& x, auto const& y) { CHECK(close(x.threshold, y.threshold)); });
  one_state_for_all(kto{}, examples,
                    [](auto const& x, auto const& y) { CHECK(close(x.baseline, y.baseline)); });
  one_state_for_all(kto_pair{}, pairs, [](auto const& x, auto const& y) {
    CHECK(close(x.chosen_baseline, y.chosen_baseline));
    CHECK(close(x.rejected_baseline, y.rejected_baseline));
  });
  one_state_for_all(nll_per_batch_token{}, pairs, [](auto const& x, auto const& y) {
    CHECK(close(x.tokens_per_pair, y.tokens_per_pair));
  });
  one_state_for_all(epsilon_dpo<>{.perturbation = 0.25}, pairs,
                    [](auto const& x, auto const& y) { CHECK(close(x.factor, y.factor)); });
  one_state_for_all(beta_dpo<>{.kept_share = 0.5}, pairs, [](auto const& x, auto const& y) {
    CHECK(close(x.factor, y.factor));
    CHECK(close(x.mean, y.mean));
    CHECK(near(x.precision, y.precision, 1e-12));
    CHECK(near(x.threshold, y.threshold, 1e-12));
    CHECK(x.scale == 2.0);
  });
}

TEST_CASE("processes: what a loss remembers is of all processes", "[parallel][communicator]") {
  bco::memory alone;
  (void)prepare(bco{}, examples(0, 8), alone);
  replayed_processes processes(2);
  bco::memory memory;
  processes.run([&](auto const& end) {
    memory = {};
    (void)prepare(bco{}, examples(cut[end.rank()], cut[end.rank() + 1]), memory, end);
  });
  CHECK(memory.count == 8.0);
  CHECK(close(memory.mean, alone.mean));
  CHECK(close(memory.standard_deviation(), alone.standard_deviation()));
}

// Knows of one process only.
struct of_one_process {
  static constexpr std::size_t arity = 2;
  struct state {
    double rows = 0.0;
  };
  static state prepare(pair_columns const& batch, nothing&) {
    return {static_cast<double>(batch.size())};
  }
  constexpr auto operator()(auto const& pair, state const& batch) const {
    return batch.rows * pair.chosen.log_prob;
  }
};

TEST_CASE("processes: a statistic that knows of one process is refused with several",
          "[parallel][communicator]") {
  nothing memory;
  CHECK(prepare(of_one_process{}, pairs(0, 8), memory).rows == 8.0);
  replayed_processes two(2);
  CHECK_THROWS_WITH(
      prepare(of_one_process{}, pairs(0, 3), memory, replayed_processes::end(&two, 0)),
      Catch::Contains("give its prepare a third argument, the communicator"));
}

}  // namespace
