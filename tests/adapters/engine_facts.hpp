// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <prefer/loss/aot.hpp>
#include <prefer/loss/beta_dpo.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/parallel/thread_processes.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/trainer.hpp>

#include "train/course.hpp"

// What a communicator over any engine does: each process calls these, with one that adds by rank and one that adds as its
// engine does, and throws what is not so.

namespace prefer::test {

inline void show(bool holds, std::string const& what) {
  if (!holds) throw std::runtime_error("not so: " + what);
}

/// The parameters after training here are those of one process, and of threads that stand for as many processes to the
/// bit: both add up in order of rank.
template <class P, class L>
void show_same_course(P const& policy, L const& loss, choice_data const& data,
                      ShareCommunicator auto const& processes,
                      ShareCommunicator auto const& by_engine) {
  using T = typename P::value_type;
  auto const trained = [&](auto const& on) {
    return small::course_of(policy, loss, data, small::for_processes, on).parameters;
  };
  auto const one = trained(single_process{});
  std::vector<T> by_threads;
  thread_processes::run(processes.size(), [&](thread_processes::process const& process) {
    auto const mine = trained(process);
    if (process.rank() == 0) by_threads = mine;
  });
  auto const here = trained(processes);
  show(here == by_threads, "the bits of thread_processes");
  auto const fast = trained(by_engine);
  // Parameters are of the order of 1, and sums of a few dozen terms in eight steps are taken in another order.
  double const tolerance = sizeof(T) == sizeof(float) ? 1e-6 : 1e-12;
  for (std::size_t i = 0; i != one.size(); ++i) {
    auto const near = [&](T value) {
      return std::fabs(static_cast<double>(value) - static_cast<double>(one[i])) <= tolerance;
    };
    show(near(here[i]) && near(fast[i]), "parameter " + std::to_string(i) + " of one process");
  }
}

void show_training(ShareCommunicator auto const& processes,
                   ShareCommunicator auto const& by_engine) {
  auto const pairs = small::with_lengths(small::pairs(27));
  show_same_course(small::policy<tabular<double>>(), dpo{}, pairs, processes, by_engine);
  show_same_course(small::policy<tabular<float>>(), dpo{}, pairs, processes, by_engine);
  show_same_course(small::policy<matrix_factorization<float>>(), kto_pair{}, pairs, processes,
                   by_engine);
  show_same_course(small::policy<tabular<double>>(), aot{}, pairs, processes, by_engine);
  show_same_course(small::policy<tabular<double>>(), beta_dpo<>{}, pairs, processes, by_engine);
  show_same_course(small::policy<tabular<double>>(), kto{}, small::labelled(27), processes,
                   by_engine);
  // Parameters enough to be shared out between the processes.
  show_same_course(small::wide_policy(), dpo{}, pairs, processes, by_engine);
}

/// The number that process `rank` gives in place i: sums of these depend on the order in which they are taken.
template <class T>
T term(std::size_t rank, std::size_t i) {
  return static_cast<T>(std::pow(-3.0, static_cast<double>(rank)) /
                        static_cast<double>(i % 1009 + 1));
}

template <class T>
void show_sums(ShareCommunicator auto const& processes, std::size_t count) {
  std::vector<T> values(count);
  std::vector<T> expected(count, T{0});
  for (std::size_t i = 0; i != count; ++i) {
    values[i] = term<T>(processes.rank(), i);
    for (std::size_t rank = 0; rank != processes.size(); ++rank) expected[i] += term<T>(rank, i);
  }
  processes.all_sum(std::span<T>(values));
  show(values == expected, "sums of " + std::to_string(count) + " numbers in order of rank");
}

/// The two halves of a sum, over shares of other sizes for each process, one of them empty.
template <class T>
void show_shares(ShareCommunicator auto const& processes, std::size_t each) {
  std::vector<std::size_t> counts;
  for (std::size_t rank = 0; rank != processes.size(); ++rank) counts.push_back(rank * each);
  std::size_t const count = std::accumulate(counts.begin(), counts.end(), std::size_t{0});
  std::vector<T> values(count);
  std::vector<T> expected(count, T{0});
  for (std::size_t i = 0; i != count; ++i) {
    values[i] = term<T>(processes.rank(), i);
    for (std::size_t rank = 0; rank != processes.size(); ++rank) expected[i] += term<T>(rank, i);
  }
  processes.sum_shares(std::span<T>(values), counts);
  auto const own = std::accumulate(counts.begin(),
                                   counts.begin() + static_cast<std::ptrdiff_t>(processes.rank()),
                                   std::size_t{0});
  for (std::size_t i = 0; i != count; ++i) {
    bool const mine = i >= own && i < own + counts[processes.rank()];
    if (!mine) values[i] = T{-1};
    show(!mine || values[i] == expected[i], "the sum of a share in order of rank");
  }
  processes.gather_shares(std::span<T>(values), counts);
  show(values == expected, "shares of all processes");
}

void show_exchanges(ShareCommunicator auto const& processes,
                    ShareCommunicator auto const& by_engine) {
  // None, one, fewer than processes, a prime, where the way of summing changes, and past the first share.
  for (std::size_t const count : {0U, 1U, 3U, 1009U, 1024U, 1025U, 100003U}) {
    show_sums<float>(processes, count);
    show_sums<double>(processes, count);
    show_shares<float>(processes, count);
    show_shares<double>(processes, count);
  }
  std::vector<std::size_t> const counts(processes.size(), 2);
  std::vector<double> ones(2 * processes.size(), 1.0);
  by_engine.sum_shares(std::span<double>(ones), counts);
  show(ones[2 * processes.rank()] == static_cast<double>(processes.size()),
       "a share by the engine");
  for (std::size_t from = 0; from != processes.size(); ++from) {
    std::vector<std::byte> bytes(1000 + from, static_cast<std::byte>(processes.rank() + 1));
    processes.broadcast(bytes, from);
    show(bytes == std::vector<std::byte>(1000 + from, static_cast<std::byte>(from + 1)),
         "broadcast");
  }
  // Others give other numbers of numbers: none, few enough to travel with their count, and more.
  for (std::size_t const many : {1U, 3U, 20U}) {
    auto const of = [&](std::size_t rank) {
      std::vector<double> out(rank * many);
      std::iota(out.begin(), out.end(), 100.0 * static_cast<double>(rank));
      return out;
    };
    std::vector<double> expected;
    for (std::size_t rank = 0; rank != processes.size(); ++rank) {
      auto const part = of(rank);
      expected.insert(expected.end(), part.begin(), part.end());
    }
    show(processes.all_gather(of(processes.rank())) == expected, "all_gather");
  }
}

template <ShareCommunicator Processes>
void first_half(Processes const& processes, std::string const& path) {
  auto const data = small::pairs(27);
  auto policy = small::wide_policy();
  auto reference = frozen(small::wide_policy());
  trainer training(policy, dpo{}, reference, data, small::for_processes, {}, processes);
  while (training.steps_done() != 3) training.step();
  training.save(path);
}

/// Continues, and ends where one process ends that was never interrupted.
template <ShareCommunicator Processes>
void second_half(Processes const& processes, std::string const& path) {
  auto const data = small::pairs(27);
  auto const run = [&](auto const& on, bool resumes) {
    auto policy = small::wide_policy();
    auto reference = frozen(small::wide_policy());
    trainer training(policy, dpo{}, reference, data, small::for_processes, {}, on);
    if (resumes) training.resume(path);
    show(!resumes || training.steps_done() == 3, "a checkpoint of 3 steps");
    training.run();
    return small::state_of(policy);
  };
  auto const whole = run(single_process{}, false);
  auto const continued = run(processes, true);
  for (std::size_t i = 0; i != whole.size(); ++i) {
    show(std::fabs(continued[i] - whole[i]) <= 1e-6F,
         "parameter " + std::to_string(i) + " of one process");
  }
}

}  // namespace prefer::test
