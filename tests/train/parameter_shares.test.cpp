// SPDX-License-Identifier: MIT
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/parallel/thread_processes.hpp>
#include <prefer/policy/parameter_blocks.hpp>
#include <prefer/train/parameter_shares.hpp>
#include <prefer/train/several_processes.hpp>

#include "support/plain_processes.hpp"
#include "train/course.hpp"

// Vectors are compared in double parentheses: Catch would print thousands of numbers.
//
// What several processes do each for a share of the parameters is what each would do for all of them, to the bit.

namespace {

using namespace prefer;
using process = thread_processes::process;

/// Tensors of these sizes, every third of them frozen, with numbers that differ between processes.
class tensors {
 public:
  explicit tensors(std::vector<std::size_t> const& sizes, std::size_t rank = 0) {
    for (std::size_t i = 0; i != sizes.size(); ++i) {
      values_.emplace_back(sizes[i]);
      gradients_.emplace_back(sizes[i]);
      names_.push_back("t" + std::to_string(i));
      for (std::size_t k = 0; k != sizes[i]; ++k) {
        auto const number = static_cast<double>(k * 37 % 101 + i);
        values_[i][k] = static_cast<float>(number / 64);
      }
    }
    renew_gradients(rank);
    for (std::size_t i = 0; i != sizes.size(); ++i) {
      list_.push_back({.name = names_[i],
                       .value = values_[i],
                       .gradient = gradients_[i],
                       .frozen = i % 3 == 2});
    }
  }
  tensors(tensors const&) = delete;

  void renew_gradients(std::size_t rank) {
    for (auto& gradient : gradients_) {
      for (std::size_t k = 0; k != gradient.size(); ++k) {
        // Sums depend on the order in which they are taken.
        gradient[k] = static_cast<float>(std::pow(-3.0, static_cast<double>(rank)) /
                                         static_cast<double>(k * 37 % 101 + 1));
      }
    }
  }
  [[nodiscard]] std::span<parameter<float> const> list() const { return list_; }
  [[nodiscard]] std::vector<std::vector<float>> const& values() const { return values_; }

 private:
  std::vector<std::vector<float>> values_, gradients_;
  std::vector<std::string> names_;
  std::vector<parameter<float>> list_;
};

// 4,096 numbers are a block: whole ones, parts, none, and smaller tensors than a share.
std::vector<std::vector<std::size_t>> const lists = {
    {20000, 1, 30000, 4096, 0, 9000, 12289, 3}, {5, 7, 11, 13}, {40960}, {}};

}  // namespace

TEST_CASE("parameter_shares: whole blocks, in order, as even as blocks are", "[train][processes]") {
  constexpr std::size_t block = 4;
  std::vector<std::size_t> const sizes = {9, 1, 6, 3, 3, 100, 0, 17};
  tensors const of(sizes);
  std::vector<parameter_block> blocks;
  list_blocks(of.list(), block, blocks);
  std::vector<std::size_t> ends = {0};
  for (auto const& each : blocks) ends.push_back(ends.back() + each.end - each.begin);
  REQUIRE(ends.back() == 9 + 1 + 3 + 3 + 17);  // of 8 tensors two are frozen, and one is empty

  for (std::size_t size = 1; size <= 12; ++size) {
    std::size_t before = 0;
    for (std::size_t rank = 0; rank != size; ++rank) {
      CAPTURE(size, rank);
      parameter_shares<float> const shares(of.list(), rank, size, block);
      CHECK(shares.begin_of(rank) == before);
      before = shares.end_of(rank);
      CHECK(std::find(ends.begin(), ends.end(), before) != ends.end());
      auto const even = static_cast<double>(ends.back() * (rank + 1)) / static_cast<double>(size);
      CHECK(std::fabs(static_cast<double>(before) - even) <= block / 2 + 1);
      std::size_t own = 0;
      for (auto const& each : shares.own()) own += each.frozen ? 0 : each.value.size();
      CHECK(own == shares.end_of(rank) - shares.begin_of(rank));
    }
    CHECK(before == ends.back());
  }
}

TEST_CASE("parameter_shares: sums, norm, step and values are those of whole parameters, to the bit",
          "[train][processes]") {
  for (auto const& sizes : lists) {
    for (std::size_t const size : {2U, 3U, 5U}) {
      for (std::size_t const bucket : {7000U, 1U << 20}) {
        std::vector<int> same(size);
        thread_processes::run(size, [&](process const& mine) {
          tensors whole(sizes, mine.rank());
          tensors shared(sizes, mine.rank());
          std::vector<float> room;
          gradient_norm_memory memory;
          adamw<float> all;
          adamw<float> own;
          parameter_shares<float> shares(shared.list(), mine.rank(), mine.size());
          bool equal = true;
          for (int step = 0; step != 2; ++step) {
            whole.renew_gradients(mine.rank());
            shared.renew_gradients(mine.rank());
            sum_gradients(whole.list(), mine, room, bucket);
            shares.sum_gradients(mine, room, bucket);
            double const norm = clip_gradient_norm(whole.list(), 0.5, memory);
            equal = equal && shares.clip(0.5, memory, mine) == norm;
            all.step(whole.list(), 0.1);
            own.step(shares.own(), 0.1);
            shares.gather_values(mine, room, bucket);
            equal = equal && whole.values() == shared.values();
          }
          same[mine.rank()] = equal ? 1 : 0;
        });
        CAPTURE(sizes, size, bucket);
        CHECK(same == std::vector<int>(size, 1));
      }
    }
  }
}

TEST_CASE("parameter_shares: the optimizer's state is saved whole, and read by any number",
          "[train][processes]") {
  auto const& sizes = lists[0];
  tensors const whole(sizes);
  adamw<float> one;
  one.step(whole.list(), 0.1);
  one.step(whole.list(), 0.1);
  archive_writer expected;
  one.save(expected, "optimizer/");
  auto const file = archive::parse(expected.bytes(), "memory");

  for (std::size_t const size : {1U, 2U, 3U, 5U}) {
    std::vector<std::vector<unsigned char>> written(size);
    std::vector<std::size_t> held(size);
    thread_processes::run(size, [&](process const& mine) {
      tensors const shared(sizes);
      parameter_shares<float> const shares(shared.list(), mine.rank(), mine.size());
      adamw<float> own;
      shares.load(own, file, "optimizer/");
      for (std::size_t i = 0; i != shares.own().size(); ++i) {
        held[mine.rank()] += own.moments_of(i).square.size();
      }
      archive_writer out;
      shares.save(own, mine.rank() == 0 ? &out : nullptr, "optimizer/", mine);
      if (mine.rank() == 0) written[0] = out.bytes();
    });
    CAPTURE(size);
    CHECK((written[0] == expected.bytes()));
    // Each holds its share of the state and no more: half a block of 4,096 beside an even one at either end.
    for (std::size_t const each : held) CHECK(each <= 45385 / size + 4096);
  }
}

TEST_CASE("trainer: processes that share the parameters out take the course of those that do not",
          "[train][processes]") {
  auto const data = small::pairs(small::rows);
  auto how = small::for_processes;
  // With state that matters from step to step, and a group of its own for a tensor that some processes have nothing of.
  how.optimizer = {.weight_decay = 0.01, .groups = {{.parameters = "user", .rate_factor = 0.5}}};
  how.rate = 0.01;
  for (std::size_t const size : {2U, 3U, 4U}) {
    std::vector<small::course<float>> shared(size), plain(size);
    thread_processes::run(size, [&](process const& mine) {
      auto const policy = small::wide_policy();
      shared[mine.rank()] = small::course_of(policy, dpo{}, data, how, mine);
      plain[mine.rank()] =
          small::course_of(policy, dpo{}, data, how, test::plain_processes<process>(mine));
    });
    for (std::size_t rank = 0; rank != size; ++rank) {
      CAPTURE(size, rank);
      CHECK((shared[rank].parameters == plain[rank].parameters));
      CHECK((shared[rank].parameters == shared[0].parameters));
      REQUIRE(shared[rank].reports.size() == plain[rank].reports.size());
      for (std::size_t step = 0; step != plain[rank].reports.size(); ++step) {
        CHECK(shared[rank].reports[step].gradient_norm == plain[rank].reports[step].gradient_norm);
      }
    }
  }
}

TEST_CASE("trainer: a checkpoint of shares is the file of those that share nothing, for any number",
          "[train][processes]") {
  auto const data = small::pairs(small::rows);
  auto how = small::for_processes;
  how.optimizer = {};
  how.rate = 0.01;
  auto const path = [](std::string const& name) {
    return (std::filesystem::temp_directory_path() / ("prefer_shares_" + name)).string();
  };
  // Steps so far and parameters after `steps` more, from a checkpoint if one is named, into another if one is.
  auto const run = [&](auto const& on, std::string const& from, std::uint64_t steps,
                       std::string const& to) {
    auto policy = small::wide_policy();
    auto reference = frozen(small::half_of(policy));
    trainer training(policy, dpo{}, reference, data, how, {}, on);
    if (!from.empty()) training.resume(path(from));
    while (steps-- != 0) training.step();
    if (!to.empty()) training.save(path(to));
    return small::state_of(policy);
  };
  auto const on = [&](std::size_t size, auto const& body) {
    std::vector<std::vector<float>> out(size);
    thread_processes::run(size, [&](process const& mine) { out[mine.rank()] = body(mine); });
    for (auto const& each : out) REQUIRE((each == out[0]));
    return out[0];
  };
  using plain = test::plain_processes<process>;
  on(2, [&](process const& mine) { return run(mine, "", 3, "shared"); });
  on(2, [&](process const& mine) { return run(plain(mine), "", 3, "plain"); });
  CHECK((read_bytes(path("shared")) == read_bytes(path("plain"))));

  // Two continue to the bits of two that were never interrupted; four, to those of four that hold the whole state each.
  auto const through = on(2, [&](process const& mine) { return run(mine, "", 6, ""); });
  CHECK((on(2, [&](process const& mine) { return run(mine, "shared", 3, ""); }) == through));
  for (std::size_t const size : {3U, 4U}) {
    CHECK((on(size, [&](process const& mine) { return run(mine, "shared", 3, ""); }) ==
           on(size, [&](process const& mine) { return run(plain(mine), "shared", 3, ""); })));
  }
  // One process writes what it has read, whoever had it.
  run(single_process{}, "shared", 0, "one");
  CHECK((read_bytes(path("one")) == read_bytes(path("shared"))));
  for (auto const* name : {"shared", "plain", "one"}) std::filesystem::remove(path(name));
}
