// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/advantage/steps.hpp>
#include <prefer/batch/sum_and_count.hpp>
#include <prefer/expects.hpp>
#include <prefer/on_demand.hpp>
#include <prefer/parallel/communicator.hpp>

namespace prefer::inline v0_1 {

/// Where whitened numbers have their mean.
enum class whitened_mean : std::uint8_t {
  zero,  ///< of advantages
  kept   ///< of rewards, whose mean is what is looked for
};

namespace detail {

/// The mean of all numbers and their sample variance, over all processes.
struct mean_and_variance {
  double mean = 0.0;
  double variance = 0.0;  ///< sum of squared distances from the mean / (count - 1)
};
template <class = on_demand, Communicator Processes = single_process>
[[nodiscard]] mean_and_variance sample_statistics(std::span<double const> numbers,
                                                  Processes const& processes, char const* where) {
  sum_and_count of_numbers{0.0, static_cast<double>(numbers.size())};
  for (double const x : numbers) of_numbers.sum += x;
  of_numbers = over_processes(of_numbers, processes);
  if (of_numbers.count < 2.0) {
    broken(std::string(where) + ": " + std::to_string(static_cast<std::size_t>(of_numbers.count)) +
           " number has no sample variance; expected at least 2");
  }
  double const mean = of_numbers.mean();
  sum_and_count of_squares{0.0, 0.0};
  for (double const x : numbers) of_squares.sum += (x - mean) * (x - mean);
  of_squares = over_processes(of_squares, processes);
  return {mean, of_squares.sum / (of_numbers.count - 1.0)};
}

}  // namespace detail

/// Numbers of variance 1, those of all processes together.
///
///   (x - mean) / sqrt(variance + 1e-8)  [+ mean],  variance = sum (x - mean)^2 / (count - 1)
///
/// Errors  precondition_error for fewer than two numbers, and for one that is not finite
/// Source  Huang et al. 2024, arXiv:2403.17031
/// TRL     masked_whiten of PPOTrainer, which counts what one device has
template <class = on_demand, Communicator Processes = single_process>
[[nodiscard]] std::vector<double> whiten(std::span<double const> numbers,
                                         whitened_mean mean = whitened_mean::zero,
                                         Processes const& processes = {}) {
  detail::expects_finite(numbers, "whiten", "number");
  auto const of = detail::sample_statistics(numbers, processes, "whiten");
  double const scale = 1.0 / std::sqrt(of.variance + 1e-8);
  double const back = mean == whitened_mean::kept ? of.mean : 0.0;
  std::vector<double> out;
  out.reserve(numbers.size());
  for (double const x : numbers) out.push_back((x - of.mean) * scale + back);
  return out;
}

}  // namespace prefer::inline v0_1
