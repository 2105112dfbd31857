// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstring>
#include <limits>
#include <span>

#include <prefer/scalar/lane.hpp>
#include <prefer/scalar/lane_math.hpp>
#include <prefer/scalar/math.hpp>

namespace prefer::inline v0_1 {

/// What turns one prompt's logits into log-probabilities.
///
///   log_prob_j = (logit_j - max) - log(sum_k exp(logit_k - max))
///
/// NaN and +infinity among the logits, and logits that are all -infinity, give NaN.
template <class T>
struct softmax_normaliser {
  T max = 0;
  T sum = 1;  ///< of exp(logit - max), so from 1 to the number of completions
  T log_sum = 0;

  [[nodiscard]] T log_prob(T logit) const { return (logit - max) - log_sum; }
};

namespace detail {

/// The first `count` < width numbers of a lane from memory, the rest `filler`.
template <class T, std::size_t W = lane<T>::width>
[[nodiscard]] inline lane<T, W> load_part(T const* from, std::size_t count, double filler) {
  lane<T, W> out = filler;
  std::memcpy(&out.v, from, count * sizeof(T));
  return out;
}

template <class T, std::size_t W>
inline void store_part(lane<T, W> values, T* to, std::size_t count) {
  std::memcpy(to, &values.v, count * sizeof(T));
}

/// The largest element, found by halves.
template <class T, std::size_t W>
[[nodiscard]] inline T largest(lane<T, W> a) {
  T part[W];
  a.store(part);
  for (std::size_t half = W / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) {
      part[i] = part[i] > part[i + half] ? part[i] : part[i + half];
    }
  }
  return part[0];
}

}  // namespace detail

/// The normaliser of a row of logits; the same bits wherever the row lies.
template <class T>
[[nodiscard]] softmax_normaliser<T> normalise(std::span<T const> logit) {
  using pack = lane<T>;
  constexpr std::size_t width = pack::width;
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::size_t const whole = logit.size() / width * width;
  std::size_t const rest = logit.size() - whole;
  // The rest of the last lane is -infinity, whose exponential is 0.
  pack const last = detail::load_part(logit.data() + whole, rest, -infinity);

  pack high = last;
  for (std::size_t j = 0; j != whole; j += width) high = max(pack::load(logit.data() + j), high);
  softmax_normaliser<T> out;
  out.max = detail::largest(high);

  pack const shift = out.max;
  pack total = 0.0;
  for (std::size_t j = 0; j != whole; j += width) {
    total += detail::exp_nonpositive(pack::load(logit.data() + j) - shift);
  }
  total += detail::exp_nonpositive(last - shift);
  out.sum = sum(total);
  out.log_sum = log(out.sum);
  return out;
}

/// Replaces each logit by exp(logit - max).
template <class T>
void exponentiate(std::span<T> logit, T max) {
  using pack = lane<T>;
  constexpr std::size_t width = pack::width;
  std::size_t const whole = logit.size() / width * width;
  std::size_t const rest = logit.size() - whole;
  pack const shift = max;
  for (std::size_t j = 0; j != whole; j += width) {
    detail::exp_nonpositive(pack::load(logit.data() + j) - shift).store(logit.data() + j);
  }
  if (rest != 0) {
    pack const last = detail::load_part(logit.data() + whole, rest, 0.0);
    detail::store_part(detail::exp_nonpositive(last - shift), logit.data() + whole, rest);
  }
}

/// to_j += weight * exp(logit_j - max): with weight = a / sum, a times the softmax.
template <class T>
void add_exponentials(std::span<T const> logit, T max, T weight, std::span<T> to) {
  using pack = lane<T>;
  constexpr std::size_t width = pack::width;
  std::size_t const whole = logit.size() / width * width;
  std::size_t const rest = logit.size() - whole;
  pack const shift = max;
  pack const scale = weight;
  auto const added = [&](pack values, pack logits) {
    return values + scale * detail::exp_nonpositive(logits - shift);
  };
  for (std::size_t j = 0; j != whole; j += width) {
    added(pack::load(to.data() + j), pack::load(logit.data() + j)).store(to.data() + j);
  }
  if (rest != 0) {
    detail::store_part(added(detail::load_part(to.data() + whole, rest, 0.0),
                             detail::load_part(logit.data() + whole, rest, 0.0)),
                       to.data() + whole, rest);
  }
}

}  // namespace prefer::inline v0_1
