// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/batch/sum_and_count.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/binary_file.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/train/checkpoint.hpp>
#include <prefer/train/trained_numbers.hpp>

namespace prefer::inline v0_1 {

/// Replaces every gradient by its sum over processes, those of frozen parameters excepted.
///
/// The gradients are taken end to end and cut into buckets of `bucket` numbers, whatever tensors they belong to: few
/// calls for many small tensors, and a bounded copy for large ones. `room` is working memory, kept from call to call.
///
/// Bits    the same on every process and again. Not those of one process: the terms are added up in another order
template <std::floating_point T>
void sum_gradients(std::span<parameter<T> const> parameters, Communicator auto const& processes,
                   std::vector<T>& room, std::size_t bucket = std::size_t{1} << 20) {
  if (processes.size() == 1) return;
  expects(bucket > 0, "sum_gradients: a bucket has at least one number");
  trained_numbers<T> const numbers(parameters);
  for (std::size_t begin = 0; begin != numbers.size();) {
    std::size_t const count = detail::at_most(bucket, numbers.size() - begin);
    if (room.size() < count) room.resize(count);
    std::span<T> const sums = std::span<T>(room).first(count);
    numbers.read(&parameter<T>::gradient, begin, sums);
    processes.all_sum(sums);
    numbers.write(&parameter<T>::gradient, begin, sums);
    begin += count;
  }
}

namespace detail {

/// Throws on every process unless all begin with equal numbers: others would train different policies without a word.
template <class T>
void expect_equal_starts(checkpoint_identity const& identity,
                         std::span<parameter<T> const> parameters,
                         Communicator auto const& processes) {
  static constexpr char const* what[] = {"options, loss or names of parameters", "examples",
                                         "reference", "what is not trained",
                                         "values of parameters"};
  fingerprint values;
  for (auto const& each : parameters) values.add(std::span<T const>(each.value));
  std::vector<double> halves;  // a double holds 32 bits exactly
  for (std::uint64_t const mine :
       {identity.run, identity.data, identity.reference, identity.base, values.value()}) {
    halves.push_back(static_cast<double>(mine >> 32));
    halves.push_back(static_cast<double>(mine & 0xffffffff));
  }
  std::vector<double> const of_all = processes.all_gather(halves);
  for (std::size_t i = 0; i < of_all.size(); ++i) {
    if (of_all[i] == of_all[i % halves.size()]) continue;
    broken("trainer: process " + std::to_string(i / halves.size()) + " has other " +
           what[i % halves.size() / 2] + " than process 0");
  }
}

/// A number of a report that is a mean over examples: this process's part of it, and where the mean goes.
struct reported_mean {
  sum_and_count of_part;
  double* to = nullptr;
};

/// Writes the means over the examples of all processes; those of nothing stay what they are.
template <std::size_t N>
void report_means(reported_mean const (&means)[N], Communicator auto const& processes) {
  double sums[2 * N] = {};
  for (std::size_t i = 0; i != N; ++i) {
    sums[2 * i] = means[i].of_part.sum;
    sums[2 * i + 1] = means[i].of_part.count;
  }
  processes.all_sum(sums);
  for (std::size_t i = 0; i != N; ++i) {
    if (sums[2 * i + 1] > 0.0) *means[i].to = sums[2 * i] / sums[2 * i + 1];
  }
}

/// The bytes of a file of the first process, on every process.
[[nodiscard]] inline std::vector<unsigned char> read_for_all(std::string const& path,
                                                             Communicator auto const& processes) {
  std::vector<unsigned char> bytes;
  if (processes.rank() == 0) bytes = read_bytes(path);
  std::uint64_t size[] = {bytes.size()};
  broadcast(std::span(size), 0, processes);
  bytes.resize(static_cast<std::size_t>(size[0]));
  broadcast(std::span(bytes), 0, processes);
  return bytes;
}

}  // namespace detail

}  // namespace prefer::inline v0_1
