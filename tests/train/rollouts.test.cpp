// SPDX-License-Identifier: MIT
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <prefer/parallel/thread_pool.hpp>
#include <prefer/parallel/thread_processes.hpp>

#include "train/rollout_problem.hpp"

// Training by policy gradients has what every training has: threads, micro-batches, processes, checkpoints.

namespace {

using namespace prefer;
using numbers = std::vector<double>;

constexpr std::size_t steps = 20;  // three rollouts of six steps, and two of a fourth
train_options const plain = {.steps = steps, .rate = 0.05, .max_gradient_norm = 0.5};

auto const to_the_end = [](auto& run, auto&) { run.run(); };

}  // namespace

TEMPLATE_TEST_CASE("rollouts: the same bits on threads, in any micro-batches and after any resume",
                   "[train][rollouts]", small::by_ppo, small::by_reinforce, small::by_grpo) {
  auto const path = std::filesystem::temp_directory_path() / "prefer_rollouts.ckpt";
  auto const file = [&](std::size_t step) { return path.string() + std::to_string(step); };
  auto const whole = small::train<TestType>(
      plain,
      [&](auto& run, auto&) {
        for (std::size_t step = 0; step != steps; ++step) {
          run.save(file(step));
          run.step();
        }
      },
      single_process{});
  auto in_pieces = plain;
  in_pieces.micro_batch_tokens = 3;
  thread_pool pool(3);
  in_pieces.threads = pool.executor();
  CHECK(small::train<TestType>(in_pieces, to_the_end, single_process{}) == whole);
  for (std::size_t step = 0; step != steps; ++step) {
    CAPTURE(step);
    CHECK(small::train<TestType>(
              plain,
              [&](auto& run, auto&) {
                run.resume(file(step));
                run.run();
              },
              single_process{}) == whole);
    std::filesystem::remove(file(step));
  }
}

TEMPLATE_TEST_CASE("rollouts: processes that share them reach what one reaches, and equal bits",
                   "[train][rollouts]", small::by_ppo, small::by_reinforce, small::by_grpo) {
  auto const whole = small::train<TestType>(plain, to_the_end, single_process{});
  for (std::size_t const count : {2U, 5U}) {
    std::vector<numbers> of(count);
    thread_processes::run(count, [&](auto const& mine) {
      of[mine.rank()] = small::train<TestType>(plain, to_the_end, mine);
    });
    for (auto const& each : of) CHECK(each == of[0]);
    double furthest = 0.0;
    for (std::size_t i = 0; i != whole.size(); ++i) {
      furthest = std::fmax(furthest, std::fabs(of[0][i] - whole[i]));
    }
    // Sums in another order: 20 steps of Adam, whose first ones divide a gradient by its own size.
    CHECK(furthest < 1e-9);
  }
}
