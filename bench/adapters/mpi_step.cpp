// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/adapters/mpi.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/model/matrix_factorization.hpp>
#include <prefer/random/distributions.hpp>
#include <prefer/random/philox.hpp>
#include <prefer/reference/frozen.hpp>
#include <prefer/train/trainer.hpp>

// Steps of the trainer on a recommender of the size of MovieLens-100K, with batches of 1,024 pairs in all and of 1,024 for each
// process, and sums of as many numbers as it has parameters, over as many processes as mpirun starts: one line of JSON with
// the median seconds of each.
namespace {

constexpr std::size_t users = 943;
constexpr std::size_t items = 1682;
constexpr std::size_t factors = 64;
constexpr std::size_t pairs = 1024;
constexpr int repetitions = 41;

prefer::choice_data random_pairs(std::size_t count) {
  prefer::choice_data data;
  prefer::random_stream numbers({.seed = 2});
  while (data.size() != count) {
    auto const user = static_cast<std::uint32_t>(prefer::below(numbers, users));
    auto const chosen = static_cast<std::uint32_t>(prefer::below(numbers, items));
    auto const rejected = static_cast<std::uint32_t>(prefer::below(numbers, items));
    if (chosen == rejected) continue;
    data.add_pair(user, chosen, rejected);
    data.length.insert(data.length.end(), 2, 1.0F);
  }
  return data;
}

template <class Action>
double median_seconds(Action&& action) {
  std::vector<double> seconds;
  for (int i = 0; i != repetitions; ++i) {
    auto const begin = std::chrono::steady_clock::now();
    action();
    seconds.push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  std::nth_element(seconds.begin(), seconds.begin() + repetitions / 2, seconds.end());
  return seconds[repetitions / 2];
}

template <class L>
double step_seconds(L const& loss, std::size_t batch_size,
                    prefer::mpi::communicator const& processes) {
  auto const data = random_pairs(batch_size * repetitions);
  prefer::matrix_factorization<float> policy(users, items, factors);
  auto reference = prefer::frozen(policy);
  prefer::trainer training(policy, loss, reference, data, {.batch_size = batch_size, .rate = 1e-3},
                           {}, processes);
  return median_seconds([&] { training.step(); });
}

double sum_seconds(prefer::mpi::communicator const& processes) {
  std::vector<float> values((users + items) * factors, 1e-6F);
  return median_seconds([&] { processes.all_sum(std::span<float>(values)); });
}

}  // namespace

int main() {
  return prefer::mpi::run([](prefer::mpi::communicator const& processes) {
    prefer::mpi::communicator const by_engine(MPI_COMM_WORLD,
                                              {.order = prefer::sum_order::by_engine});
    std::size_t const for_each = pairs * processes.size();
    std::vector<std::pair<std::string, double>> const seconds = {
        {"full_softmax", step_seconds(prefer::simpo{}, pairs, processes)},
        {"full_softmax_for_each", step_seconds(prefer::simpo{}, for_each, processes)},
        {"cancelled", step_seconds(prefer::dpo{}, pairs, processes)},
        {"cancelled_for_each", step_seconds(prefer::dpo{}, for_each, processes)},
        {"sum_by_rank", sum_seconds(processes)},
        {"sum_by_engine", sum_seconds(by_engine)}};
    if (processes.rank() != 0) return;
    std::printf("{\"processes\": %zu", processes.size());
    for (auto const& [name, value] : seconds) std::printf(", \"%s\": %.4e", name.c_str(), value);
    std::printf("}\n");
  });
}
