// SPDX-License-Identifier: MIT
#pragma once

#if !defined(PREFER_SHOW_WARNINGS)
#pragma GCC system_header
#endif

#include <prefer/adapters/cuda/kernels.cuh>

#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <prefer/scalar/half.hpp>

// Softmaxes of rows of logits in the making, in float32: of one model, and of a policy beside its reference.

namespace prefer::inline v0_1::cuda {
inline namespace PREFER_CUDA_BUILD {

template <class T>
concept LogitElement = std::same_as<T, float> || std::same_as<T, half> || std::same_as<T, bfloat16>;

// What the device has an instruction for, where the core's functions for storage take ten.

[[nodiscard]] __host__ __device__ inline float float_of(float x) { return x; }
[[nodiscard]] __host__ __device__ inline float float_of(bfloat16 x) { return float{x}; }
[[nodiscard]] __host__ __device__ inline float float_of(half x) {
#if defined(__CUDA_ARCH__)
  float out;
  asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(x.bits));
  return out;
#else
  return float{x};
#endif
}
template <LogitElement T>
[[nodiscard]] __host__ __device__ inline T stored_as(float x) {
#if defined(__CUDA_ARCH__)
  if constexpr (!std::same_as<T, float>) {
    std::uint16_t bits;
    if constexpr (std::same_as<T, half>) {
      asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    } else {
      asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(x));
    }
    return T::from_bits(bits);
  } else {
    return x;
  }
#else
  return T(x);
#endif
}

/// 16 bytes, which a thread loads and stores at once.
struct alignas(16) quad {
  std::uint32_t word[4];
};
template <class T>
struct pack {
  static constexpr std::size_t size = sizeof(quad) / sizeof(T);
  T at[size];
};
/// What is asked of a row besides the log-probability of its token, each with all before it: a kernel for each.
enum class asked : unsigned char { log_prob, spread, divergence };

/// A softmax in the making: sums relative to the largest logit so far.
struct online_softmax {
  float largest =
      std::numeric_limits<float>::lowest();  // not -infinity: -infinity - largest stays a number
  float sum = 0.0f;                          // of e = exp(x - largest)
  float weighted = 0.0f;                     // of e * (x - largest)
  float squares = 0.0f;                      // of e^2

  /// Makes the sums relative to a larger logit, and says by what e shrank.
  __host__ __device__ float move_to(float to) {
    float const step = largest - to;
    float const factor = std::exp(step);
    // Where nothing is left, step may be so large that nothing times it is no number.
    weighted = factor == 0.0f ? 0.0f : factor * (weighted + sum * step);
    sum *= factor;
    squares *= factor * factor;
    largest = to;
    return factor;
  }
  /// Moves to the largest of `x`, if that is larger.
  template <std::size_t N>
  __host__ __device__ float make_room_for(float const (&x)[N]) {
    float top = largest;
    for (std::size_t k = 0; k < N; ++k) top = x[k] > top ? x[k] : top;
    return top > largest ? move_to(top) : 1.0f;
  }
  /// Adds what is not larger than the largest, and returns its e.
  template <bool Spread>
  __host__ __device__ float add_one(float x) {
    float const e = std::exp(x - largest);
    sum += e;
    if constexpr (Spread) {
      weighted += e == 0.0f ? 0.0f : e * (x - largest);
      squares += e * e;
    }
    return e;
  }
  template <asked What, std::size_t N>
  __host__ __device__ void add(float const (&x)[N]) {
    make_room_for(x);
    for (std::size_t k = 0; k < N; ++k) add_one<What != asked::log_prob>(x[k]);
  }
  __host__ __device__ void add(online_softmax other) {
    if (other.largest > largest) {
      move_to(other.largest);
    } else {
      other.move_to(largest);
    }
    add_sums(other);
  }
  /// Those of a softmax with the same largest.
  __host__ __device__ void add_sums(online_softmax const& other) {
    sum += other.sum;
    weighted += other.weighted;
    squares += other.squares;
  }
  [[nodiscard]] __host__ __device__ float log_normalizer() const { return largest + std::log(sum); }
  [[nodiscard]] __host__ __device__ float entropy() const { return std::log(sum) - weighted / sum; }
  [[nodiscard]] __host__ __device__ float sum_of_squares() const { return squares / (sum * sum); }
};

/// The softmaxes of a policy, a, and its reference, b, and how far they are apart. Sums of differences of logits, not of
/// log-probabilities: they need no normaliser yet, and are as exact as the models are alike.
struct softmax_pair {
  online_softmax policy, reference;
  float gap_by_policy = 0.0f;     // sum of exp(a - largest a) * (a - b)
  float gap_by_reference = 0.0f;  // sum of exp(b - largest b) * (b - a)

  // What one of them never says adds nothing to its sum, whatever the other thinks of it.
  [[nodiscard]] __host__ __device__ static float shrunk(float gap, float factor) {
    return factor == 0.0f ? 0.0f : gap * factor;
  }
  template <asked What, std::size_t N>
  __host__ __device__ void add(float const (&a)[N], float const (&b)[N]) {
    gap_by_policy = shrunk(gap_by_policy, policy.make_room_for(a));
    gap_by_reference = shrunk(gap_by_reference, reference.make_room_for(b));
    for (std::size_t k = 0; k < N; ++k) {
      float const of_policy = policy.add_one<true>(a[k]);
      float const of_reference = reference.add_one<false>(b[k]);
      gap_by_policy += of_policy == 0.0f ? 0.0f : of_policy * (a[k] - b[k]);
      gap_by_reference += of_reference == 0.0f ? 0.0f : of_reference * (b[k] - a[k]);
    }
  }
  __host__ __device__ void add(softmax_pair other) {
    if (other.policy.largest > policy.largest) {
      gap_by_policy = shrunk(gap_by_policy, policy.move_to(other.policy.largest));
    } else {
      other.gap_by_policy = shrunk(other.gap_by_policy, other.policy.move_to(policy.largest));
    }
    if (other.reference.largest > reference.largest) {
      gap_by_reference = shrunk(gap_by_reference, reference.move_to(other.reference.largest));
    } else {
      other.gap_by_reference =
          shrunk(other.gap_by_reference, other.reference.move_to(reference.largest));
    }
    policy.add_sums(other.policy);
    reference.add_sums(other.reference);
    gap_by_policy += other.gap_by_policy;
    gap_by_reference += other.gap_by_reference;
  }
  /// log normalizer of the policy less that of the reference.
  [[nodiscard]] __host__ __device__ float normalizer_gap() const {
    return (policy.largest - reference.largest) + std::log(policy.sum / reference.sum);
  }
  /// KL(reference || policy), nats; rounding leaves none below 0.
  [[nodiscard]] __host__ __device__ float divergence() const {
    float const kl = gap_by_reference / reference.sum + normalizer_gap();
    return kl < 0.0f ? 0.0f : kl;
  }
  /// KL(policy || reference), nats.
  [[nodiscard]] __host__ __device__ float reverse_divergence() const {
    float const kl = gap_by_policy / policy.sum - normalizer_gap();
    return kl < 0.0f ? 0.0f : kl;
  }
};

/// The sums of a block's threads as one, in the first thread; in the same order always. State holds floats, and adds.
template <class State>
__device__ State combine_block(State mine) {
  constexpr unsigned warps = threads_of_block / 32;
  constexpr std::size_t count = sizeof(State) / sizeof(float);
  struct floats {
    float at[count];
  };
  __shared__ float of_warp[warps][count];
  for (unsigned by = 16; by > 0; by /= 2) {
    auto other = std::bit_cast<floats>(mine);
    for (std::size_t n = 0; n < count; ++n) {
      float const theirs = __shfl_down_sync(~0u, other.at[n], by);
      other.at[n] = theirs;
    }
    mine.add(std::bit_cast<State>(other));  // what the last lanes get is not used
  }
  if (threadIdx.x % 32 == 0) {
    auto const own = std::bit_cast<floats>(mine);
    for (std::size_t n = 0; n < count; ++n) of_warp[threadIdx.x / 32][n] = own.at[n];
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (unsigned w = 1; w < warps; ++w) {
      floats other;
      for (std::size_t n = 0; n < count; ++n) other.at[n] = of_warp[w][n];
      mine.add(std::bit_cast<State>(other));
    }
  }
  return mine;
}

/// The derivative of what is said of a row by its logits. Zeros where nothing is asked of it, whatever its logits are.
///
///   c * ((v is the token) - p_v) + d * (p_v - q_v) + r * p_v * (log p_v - log q_v - KL(policy || reference))
///
/// by log_prob, KL(reference || policy) and KL(policy || reference); p is the policy, q the reference.
struct row_derivative {
  std::int64_t token;
  float log_prob, divergence = 0.0f, reverse_divergence = 0.0f;  // derivatives by those: c, d and r
  float normalizer = 0.0f, reference_normalizer = 0.0f;
  float kl = 0.0f;  // KL(policy || reference)

  [[nodiscard]] __host__ __device__ bool is_zero() const {
    return log_prob == 0.0f && divergence == 0.0f && reverse_divergence == 0.0f;
  }
  [[nodiscard]] __host__ __device__ float at(std::size_t v, float a) const {
    if (log_prob == 0.0f) return 0.0f;
    float const hit = static_cast<std::int64_t>(v) == token ? 1.0f : 0.0f;
    return log_prob * (hit - std::exp(a - normalizer));
  }
  [[nodiscard]] __host__ __device__ float at(std::size_t v, float a, float b) const {
    if (is_zero()) return 0.0f;
    float const hit = static_cast<std::int64_t>(v) == token ? 1.0f : 0.0f;
    float const log_p = a - normalizer, log_q = b - reference_normalizer;
    float const p = std::exp(log_p);
    float sum = log_prob * (hit - p) + divergence * (p - std::exp(log_q));
    if (reverse_divergence != 0.0f && p != 0.0f) {
      sum += reverse_divergence * p * (log_p - log_q - kl);
    }
    return sum;
  }
};

}  // namespace PREFER_CUDA_BUILD
}  // namespace prefer::inline v0_1::cuda
