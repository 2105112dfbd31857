// SPDX-License-Identifier: MIT
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <prefer/batch/statistics.hpp>
#include <prefer/loss/bco.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/objective/evaluate.hpp>
#include <prefer/parallel/thread_pool.hpp>
#include <prefer/parallel/thread_processes.hpp>

#include "support/near.hpp"

namespace {

using Catch::Matchers::Contains;
using prefer::batch_statistics;
using prefer::pair_columns;
using prefer::unpaired_columns;
using prefer::test::near;
using numbers = std::vector<double>;

/// Multiples of 1/8 between -64 and 0, whose sums are exact in double and, over a block, in float.
template <class T>
std::vector<T> eighths(std::size_t n, std::size_t step) {
  std::vector<T> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = -static_cast<T>(i * step % 513) / T(8);
  return out;
}

constexpr auto two_sums = [](auto const& pair) {
  return std::array{pair.chosen.log_prob - pair.rejected.log_prob, pair.chosen.log_ratio()};
};

template <class T>
void sums_are_those_of_a_loop(std::size_t n) {
  auto const pc = eighths<T>(n, 7), pr = eighths<T>(n, 11), rc = eighths<T>(n, 13),
             rr = eighths<T>(n, 17);
  double margin = 0.0, log_ratio = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    margin += static_cast<double>(pc[i]) - static_cast<double>(pr[i]);
    log_ratio += static_cast<double>(pc[i]) - static_cast<double>(rc[i]);
  }
  batch_statistics const batch(pair_columns{.policy = {pc, pr}, .reference = {rc, rr}}, "test");
  auto const sums = batch.sums(two_sums);
  CHECK(sums[0] == margin);
  CHECK(sums[1] == log_ratio);
  auto const means = batch.means(two_sums);
  CHECK(means[0] == margin / static_cast<double>(n));
  CHECK(batch.count() == static_cast<double>(n));
}

TEST_CASE("statistics: sums of formulas are those of a loop, in whole blocks and parts of them",
          "[batch][statistics]") {
  for (std::size_t const n : {1u, 2u, 15u, 16u, 17u, 1023u, 1024u, 1025u, 5000u, 40000u}) {
    CAPTURE(n);
    sums_are_those_of_a_loop<double>(n);
    sums_are_those_of_a_loop<float>(n);
  }
}

TEST_CASE("statistics: threads do not change a bit", "[batch][statistics]") {
  std::size_t const n = 100'000;
  numbers policy(n), label(n);
  for (std::size_t i = 0; i < n; ++i) {
    policy[i] = -1.0 / static_cast<double>(i + 1);
    label[i] = i % 3 == 0 ? 1.0 : 0.0;
  }
  unpaired_columns const batch{.policy = policy, .label = label};
  auto const of_desirable = [](auto const& example) {
    auto const x = example.log_prob;
    return std::array{where(example.desirable, x), exp(x)};
  };
  prefer::thread_pool pool(3);
  std::array<prefer::mutable_column, 2> const nowhere = {};
  auto const serial = prefer::host{}.for_each_record(batch, of_desirable, nowhere);
  auto const parallel = prefer::host{pool.executor()}.for_each_record(batch, of_desirable, nowhere);
  CHECK(serial == parallel);
}

TEST_CASE("statistics: a formula with a second argument is given the weight, 1 without a column",
          "[batch][statistics]") {
  numbers const policy = {-1.0, -2.0}, weight = {4.0, 0.5};
  auto const weighted = [](auto const& example, auto const& w) { return w * example.log_prob; };
  CHECK(batch_statistics(unpaired_columns{.policy = policy, .weight = weight}, "test")
            .sums(weighted) == -5.0);
  CHECK(batch_statistics(unpaired_columns{.policy = policy}, "test").sums(weighted) == -3.0);
}

TEST_CASE("statistics: NaN shows in its sum, and not in the others", "[batch][statistics]") {
  numbers const policy = {-1.0, std::nan(""), -3.0}, reference = {-1.0, -1.0, -1.0};
  auto const sums =
      batch_statistics(unpaired_columns{.policy = policy, .reference = reference}, "test")
          .sums([](auto const& y) {
            return std::array{y.log_prob, y.reference_log_prob + 0.0};
          });
  CHECK(std::isnan(sums[0]));
  CHECK(sums[1] == -3.0);
}

TEST_CASE("statistics: sums, means and thresholds are those of all processes",
          "[batch][statistics]") {
  numbers const all = {-5.0, -1.0, -4.0, -2.0, -3.0, -8.0};
  auto const log_prob = [](auto const& y) { return y.log_prob; };
  for (std::size_t const processes : {1u, 2u, 3u}) {
    CAPTURE(processes);
    numbers sum(processes), mean(processes), threshold(processes), count(processes);
    prefer::thread_processes::run(processes, [&](auto const& process) {
      std::size_t const part = all.size() / processes;
      numbers const mine(all.begin() + static_cast<std::ptrdiff_t>(process.rank() * part),
                         all.begin() + static_cast<std::ptrdiff_t>((process.rank() + 1) * part));
      batch_statistics const batch(unpaired_columns{.policy = mine}, process);
      sum[process.rank()] = batch.sums(log_prob);
      mean[process.rank()] = batch.means(log_prob);
      auto const upper = batch.largest(log_prob, 0.5);
      threshold[process.rank()] = upper.threshold;
      count[process.rank()] = upper.count;
    });
    CHECK(sum == numbers(processes, -23.0));
    CHECK(mean == numbers(processes, -23.0 / 6.0));
    CHECK(threshold == numbers(processes, -3.5));  // -1, -2 and -3 are above, -4 is next
    CHECK(count == numbers(processes, 3.0));
  }
}

TEST_CASE("statistics: at least one is kept, and without others there is no threshold",
          "[batch][statistics]") {
  numbers const policy = {-2.0, -1.0};
  batch_statistics const batch(unpaired_columns{.policy = policy}, "test");
  auto const log_prob = [](auto const& y) { return y.log_prob; };
  CHECK(batch.largest(log_prob, 0.1).count == 1.0);
  CHECK(batch.largest(log_prob, 0.1).threshold == -1.5);
  CHECK(batch.largest(log_prob, 1.0).count == 2.0);
  CHECK(batch.largest(log_prob, 1.0).threshold == std::numeric_limits<double>::lowest());
}

TEST_CASE("statistics: rows of the same rank", "[batch][statistics]") {
  numbers const policy = {-9.0, -1.0, -5.0}, reference = {-0.5, -0.25, -0.75};
  batch_statistics const batch(unpaired_columns{.policy = policy, .reference = reference}, "test");
  auto const by_policy = [](auto const& y) { return y.log_prob; };
  auto const by_reference = [](auto const& y) { return y.reference_log_prob + 0.0; };
  CHECK(batch.ascending(by_policy) == std::vector<std::uint32_t>{0, 2, 1});
  // Ranks of the policy's: 0, 2, 1; the references of ranks 0, 1, 2 are in rows 2, 0, 1.
  CHECK(batch.same_rank(by_policy, by_reference) == std::vector<std::uint32_t>{2, 1, 0});
}

TEST_CASE("statistics: KL examples are examples of their own", "[batch][statistics]") {
  numbers const y = {-1.0}, policy = {-1.0, -2.0, -6.0};
  std::vector<float> const reference = {-2.0f, -2.5f, -3.0f};
  auto const log_ratio = [](auto const& example) { return example.log_ratio(); };
  batch_statistics const batch(unpaired_columns{.policy = y, .kl_examples = {policy, reference}},
                               "test");
  CHECK(batch.kl_examples().means(log_ratio) == -0.5);
  CHECK(batch.kl_examples().count() == 3.0);
  CHECK_THROWS_WITH(batch_statistics(unpaired_columns{.policy = y}, "test").kl_examples(),
                    Contains("give kl_examples.policy and kl_examples.reference"));
  CHECK_THROWS_WITH(
      batch_statistics(unpaired_columns{.policy = y, .kl_examples = {policy, y}}, "test"),
      "test: kl_examples.reference has 1 elements, expected 3");
}

TEST_CASE("statistics: columns whose sizes disagree are refused in the caller's name",
          "[batch][statistics]") {
  numbers const two = {-1.0, -2.0}, three = {-1.0, -2.0, -3.0};
  CHECK_THROWS_WITH(batch_statistics(pair_columns{.policy = {two, three}}, "metrics"),
                    "metrics: policy.rejected has 3 elements, expected 2");
}

TEST_CASE("statistics: what their formulas read is known without a batch", "[batch][statistics]") {
  constexpr prefer::column_set read = [] {
    prefer::column_set out;
    prefer::probed_statistics<pair_columns> const batch(out);
    auto const [margin, length] = batch.means([](auto const& pair) {
      return std::array{pair.chosen.log_ratio(),
                        pair.rejected.completion_length + 0.0 * pair.chosen.log_prob};
    });
    return margin == 0.0 && length == 0.0 ? out : prefer::column_set{};
  }();
  using name = prefer::column_name;
  STATIC_REQUIRE(read == (name::policy | name::reference | name::length));
}

struct without_lists : prefer::host {
  void for_each_list() const;  // hides that of host
};
struct without_room : prefer::host {
  void room() const;
};

TEST_CASE("statistics: the host is a backend", "[batch][backend]") {
  STATIC_REQUIRE(prefer::Backend<prefer::host>);
  STATIC_REQUIRE_FALSE(prefer::detail::maps_lists<without_lists>);
  STATIC_REQUIRE_FALSE(prefer::detail::has_room<without_room>);
  STATIC_REQUIRE(std::is_same_v<prefer::backend_of_t<prefer::column>, prefer::host>);
}

TEST_CASE("statistics: those that a loss prepares from are finite, or the row is named",
          "[batch][statistics]") {
  double const infinity = std::numeric_limits<double>::infinity();
  numbers const policy = {-1.0, -2.0, -infinity, -4.0}, reference = {-1.0, -1.0, -1.0, -1.0},
                label = {1, 0, 1, 0}, others = {-1.0, std::nan("")}, fine = {-1.0, -2.0},
                never = {-infinity, -1.0};
  unpaired_columns labelled{.policy = policy, .reference = reference, .label = label};
  prefer::loss_memory<prefer::bco> memory;
  CHECK_THROWS_WITH(prefer::evaluate(prefer::bco{}, labelled, memory),
                    "prepare: this loss takes a statistic of the batch, which example 2 makes "
                    "infinite or NaN, and with it the loss of every example; diagnose(batch) names "
                    "the column");
  // KTO's baseline is cut at 0, which it is for a KL example that the policy never writes.
  labelled.policy = reference;
  labelled.kl_examples = {.policy = never, .reference = fine};
  CHECK(prefer::evaluate(prefer::kto{}, labelled).loss == 0.5);
  labelled.kl_examples.policy = others;
  CHECK_THROWS_WITH(prefer::evaluate(prefer::kto{}, labelled),
                    "prepare: this loss takes a statistic of the batch, which KL example 1 makes "
                    "NaN, and with it the loss of every example; diagnose(batch) names the column");
  // A metric says what there is.
  CHECK(batch_statistics(unpaired_columns{.policy = policy}, "test").means([](auto const& y) {
    return y.log_prob;
  }) == -infinity);
}

TEST_CASE("statistics: a row that is not finite is refused by every process",
          "[batch][statistics]") {
  std::string messages[2];
  prefer::thread_processes::run(2, [&](auto const& processes) {
    numbers const own = {-1.0, processes.rank() == 0 ? -3.0 : std::nan("")};
    try {
      (void)batch_statistics(unpaired_columns{.policy = own}, processes).sums([](auto const& y) {
        return y.log_prob;
      });
    } catch (prefer::precondition_error const& error) {
      messages[processes.rank()] = error.what();
    }
  });
  CHECK_THAT(messages[0], Contains("which a row of another process makes infinite or NaN"));
  CHECK_THAT(messages[1], Contains("which example 1 makes infinite or NaN"));
}

}  // namespace
