// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/policy/parameter_blocks.hpp>

namespace prefer::inline v0_1 {

/// Working memory of gradient_norm and clip_gradient_norm; kept between steps, it saves their allocations.
struct gradient_norm_memory {
  std::vector<parameter_block> blocks;
  std::vector<double> sums;
};

/// What a gradient of this norm is multiplied by so that it has at most `max_norm`: 1 where it has, and for a norm that is
/// not finite.
///
///   max_norm / norm,  if norm > max_norm
[[nodiscard]] constexpr double clipping_scale(double norm, double max_norm) noexcept {
  bool const clips = norm > max_norm && norm <= std::numeric_limits<double>::max();
  return clips ? max_norm / norm : 1.0;
}

namespace detail {

inline constexpr std::size_t gradient_block = 4096;

// Element i goes to accumulator i mod 8, whatever the machine's vector width, so the order of additions is fixed.
template <class T>
[[nodiscard]] double sum_of_squares(T const* values, std::size_t count) noexcept {
  constexpr std::size_t lanes = 8;
  double sums[lanes] = {};
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (std::size_t lane = 0; lane != lanes; ++lane) {
      auto const value = static_cast<double>(values[i + lane]);
      sums[lane] += value * value;
    }
  }
  for (std::size_t lane = 0; i != count; ++i, ++lane) {
    auto const value = static_cast<double>(values[i]);
    sums[lane] += value * value;
  }
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

/// Of each block of the gradients, in memory.sums.
template <class T>
void sum_squares(std::span<parameter<T> const> parameters, gradient_norm_memory& memory,
                 executor const& threads) {
  for (auto const& each : parameters) {
    if (each.frozen) continue;
    expects_size(each.gradient.size(), each.value.size(), "gradient_norm", "gradient");
  }
  list_blocks(parameters, gradient_block, memory.blocks);
  memory.sums.resize(memory.blocks.size());
  threads.for_each_chunk(memory.blocks.size(), [&](std::size_t i) {
    auto const& block = memory.blocks[i];
    memory.sums[i] = sum_of_squares(parameters[block.parameter].gradient.data() + block.begin,
                                    block.end - block.begin);
  });
}

/// Of the whole vector, from the sums of squares of its blocks.
[[nodiscard]] inline double norm_of(std::span<double const> sums) {
  double sum = 0;
  for (double const each : sums) sum += each;
  return __builtin_sqrt(sum);
}

/// After `sum_squares`: shortens gradients that are part of a vector of this norm.
template <class T>
void shorten(std::span<parameter<T> const> parameters, double norm, double max_norm,
             gradient_norm_memory const& memory, executor const& threads) {
  double const by = clipping_scale(norm, max_norm);
  if (by == 1.0) return;
  auto const scale = static_cast<T>(by);
  threads.for_each_chunk(memory.blocks.size(), [&](std::size_t i) {
    auto const& block = memory.blocks[i];
    T* const gradient = parameters[block.parameter].gradient.data();
    for (std::size_t j = block.begin; j != block.end; ++j) gradient[j] *= scale;
  });
}

}  // namespace detail

/// Euclidean norm of the gradients of all parameters that are not frozen, as one vector.
///
///   norm = sqrt(sum over parameters and elements of gradient^2)
///
/// Sums in double over fixed blocks of 4096, so the bits do not depend on the executor. NaN or infinity when a gradient
/// is, and infinity above about 1e154, where squares leave the range of double.
///
/// Errors  a gradient whose size is not its value's throws precondition_error
template <class Parameters>
[[nodiscard]] double gradient_norm(Parameters const& parameters, gradient_norm_memory& memory,
                                   executor const& threads = {}) {
  std::span const list(parameters);
  using element = typename decltype(list)::value_type::element_type;
  detail::sum_squares<element>(list, memory, threads);
  return detail::norm_of(memory.sums);
}

template <class Parameters>
[[nodiscard]] double gradient_norm(Parameters const& parameters, executor const& threads = {}) {
  gradient_norm_memory memory;
  return gradient_norm(parameters, memory, threads);
}

/// Shortens the gradient to `max_norm` if it is longer, and returns the norm that it had before.
///
///   gradient *= max_norm / norm,  if norm > max_norm
///
/// A norm that is not finite is returned and changes no gradient: the caller refuses the step. An infinite `max_norm`
/// only measures. PyTorch divides by norm + 1e-6, which leaves the result that much shorter than asked for.
///
/// Errors  max_norm not greater than zero, or a gradient whose size is not its value's: precondition_error
/// Source  Pascanu, Mikolov, Bengio 2013, arXiv:1211.5063, section 3.2
template <class Parameters>
double clip_gradient_norm(Parameters const& parameters, double max_norm,
                          gradient_norm_memory& memory, executor const& threads = {}) {
  expects(max_norm > 0, "clip_gradient_norm: max_norm must be greater than zero");
  std::span const list(parameters);
  using element = typename decltype(list)::value_type::element_type;
  detail::sum_squares<element>(list, memory, threads);
  double const norm = detail::norm_of(memory.sums);
  detail::shorten<element>(list, norm, max_norm, memory, threads);
  return norm;
}

template <class Parameters>
double clip_gradient_norm(Parameters const& parameters, double max_norm,
                          executor const& threads = {}) {
  gradient_norm_memory memory;
  return clip_gradient_norm(parameters, max_norm, memory, threads);
}

}  // namespace prefer::inline v0_1
