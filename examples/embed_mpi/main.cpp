// SPDX-License-Identifier: MIT
//
// Data-parallel training over MPI: every process holds the policy and the data, scores its part of each batch, and ends
// with the same bits.
//
//   mpirun -n 2 embed_mpi [checkpoint]
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>

#include <prefer/adapters/mpi.hpp>
#include <prefer/model/matrix_factorization.hpp>
#include <prefer/prefer.hpp>

namespace {

constexpr std::size_t users = 200;
constexpr std::size_t items = 50;

/// What your program would read: which of two items each user took.
prefer::choice_data choices_of_users() {
  prefer::choice_data data;
  for (std::uint32_t user = 0; user != users; ++user) {
    for (std::uint32_t k = 0; k != 20; ++k) {
      std::uint32_t const liked = (user + 5 * k) % items / 2 * 2;  // even items
      data.add_pair(user, liked, (liked + 2 * k + 1) % items);
    }
  }
  return data;
}

void train(prefer::mpi::communicator const& processes, std::string const& checkpoint) {
  auto const data = choices_of_users();
  prefer::matrix_factorization<float> policy(
      users, items, 8);  // the same seed, so the same start on every process
  auto reference = prefer::frozen(policy);
  prefer::trainer training(policy, prefer::dpo{.beta = 0.1}, reference, data,
                           {.batch_size = 256, .epochs = 20, .rate = 0.02}, {}, processes);
  if (std::filesystem::exists(checkpoint)) training.resume(checkpoint);

  training.run([&](prefer::step_report const& report) {
    if (report.step % 64 != 0) return true;
    if (processes.rank() == 0) {
      std::printf("step %4u  loss %.4f  accuracy %.3f\n", unsigned(report.step), report.loss,
                  report.accuracy);
    }
    if (!checkpoint.empty()) training.save(checkpoint);  // the process of rank 0 writes
    return true;
  });
}

}  // namespace

int main(int argc, char** argv) {
  return prefer::mpi::run([&](prefer::mpi::communicator const& processes) {
    if (processes.rank() == 0) std::printf("%zu processes\n", processes.size());
    train(processes, argc > 1 ? argv[1] : "");
  });
}
