// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/adapters/cuda/kernels.cuh>

#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include <prefer/expects.hpp>
#include <prefer/scalar/half.hpp>

// From logits to log-probabilities of tokens and back: each row of the vocabulary is read once forward, and read and
// written once backward.

namespace prefer::inline v0_1::cuda {
inline namespace PREFER_CUDA_BUILD {

template <class T>
concept LogitElement = std::same_as<T, float> || std::same_as<T, half> || std::same_as<T, bfloat16>;

/// Scores of every token of the vocabulary, row after row, as a model's last layer writes them: row t scores token t of
/// the completions. A view of the caller's memory.
template <class T>
struct logit_rows {
  T* numbers;
  std::size_t rows;
  std::size_t vocabulary;
};

/// Where the numbers of tokens go; each may be absent.
struct token_results {
  mutable_column log_prob = {};  ///< log-probability of the token, nats [rows]
  mutable_column log_normalizer =
      {};                       ///< log(sum over v of exp(logit_v)), which backward reads [rows]
  mutable_column entropy = {};  ///< -sum over v of p_v log p_v, nats [rows]
  mutable_column sum_of_squares = {};  ///< sum over v of p_v^2 [rows]
};

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
/// Whether rows of T may be read 16 bytes at a time.
template <class T>
[[nodiscard]] bool is_packed(logit_rows<T> const& logits) {
  return reinterpret_cast<std::uintptr_t>(logits.numbers) % sizeof(quad) == 0 &&
         logits.vocabulary * sizeof(T) % sizeof(quad) == 0;
}

/// A softmax in the making: sums relative to the largest logit so far. All in float32.
struct online_softmax {
  float largest =
      std::numeric_limits<float>::lowest();  // not -infinity: -infinity - largest stays a number
  float sum = 0.0f;                          // of e = exp(x - largest)
  float weighted = 0.0f;                     // of e * (x - largest)
  float squares = 0.0f;                      // of e^2

  /// Makes the sums relative to a larger logit.
  __host__ __device__ void move_to(float to) {
    float const step = largest - to;
    float const factor = std::exp(step);
    weighted = sum == 0.0f ? 0.0f : factor * (weighted + sum * step);
    sum *= factor;
    squares *= factor * factor;
    largest = to;
  }
  template <std::size_t N, bool More>
  __host__ __device__ void add(float const (&x)[N]) {
    float top = largest;
    for (std::size_t k = 0; k < N; ++k) top = x[k] > top ? x[k] : top;
    if (top > largest) move_to(top);
    for (std::size_t k = 0; k < N; ++k) {
      float const e = std::exp(x[k] - largest);
      sum += e;
      if constexpr (More) {
        weighted += e == 0.0f ? 0.0f : e * (x[k] - largest);
        squares += e * e;
      }
    }
  }
  __host__ __device__ void add(online_softmax other) {
    if (other.largest > largest) {
      move_to(other.largest);
    } else {
      other.move_to(largest);
    }
    sum += other.sum;
    weighted += other.weighted;
    squares += other.squares;
  }
  [[nodiscard]] __host__ __device__ float log_normalizer() const { return largest + std::log(sum); }
  [[nodiscard]] __host__ __device__ float entropy() const { return std::log(sum) - weighted / sum; }
  [[nodiscard]] __host__ __device__ float sum_of_squares() const { return squares / (sum * sum); }
};

/// The softmaxes of a block's threads as one, in the first thread; in the same order always.
__device__ inline online_softmax combine_block(online_softmax mine) {
  constexpr unsigned warps = threads_of_block / 32;
  __shared__ float largest[warps], sum[warps], weighted[warps], squares[warps];
  for (unsigned by = 16; by > 0; by /= 2) {
    online_softmax other;
    other.largest = __shfl_down_sync(~0u, mine.largest, by);
    other.sum = __shfl_down_sync(~0u, mine.sum, by);
    other.weighted = __shfl_down_sync(~0u, mine.weighted, by);
    other.squares = __shfl_down_sync(~0u, mine.squares, by);
    mine.add(other);  // what the last lanes get is not used
  }
  unsigned const own = threadIdx.x / 32;
  if (threadIdx.x % 32 == 0) {
    largest[own] = mine.largest;
    sum[own] = mine.sum;
    weighted[own] = mine.weighted;
    squares[own] = mine.squares;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (unsigned w = 1; w < warps; ++w) {
      mine.add(online_softmax{largest[w], sum[w], weighted[w], squares[w]});
    }
  }
  return mine;
}

/// Where token_log_prob's kernel writes.
struct token_outputs {
  output log_prob, log_normalizer, entropy, sum_of_squares;
};

/// A block for each row. Packed: 16 bytes a load. More: entropy and squares too.
template <LogitElement T, bool Packed, bool More>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    token_log_prob_of_rows(T const* logits, std::int32_t const* tokens, std::size_t vocabulary,
                           token_outputs to) {
  std::size_t const row = blockIdx.x;
  std::int32_t const token = tokens[row];
  T const* const own = logits + row * vocabulary;
  online_softmax mine;
  if constexpr (Packed) {
    auto const* const packs = reinterpret_cast<quad const*>(own);
    for (std::size_t i = threadIdx.x; i < vocabulary / pack<T>::size; i += blockDim.x) {
      quad const loaded_bits = packs[i];
      auto const loaded = std::bit_cast<pack<T>>(loaded_bits);
      float x[pack<T>::size];
      for (std::size_t k = 0; k < pack<T>::size; ++k) x[k] = float_of(loaded.at[k]);
      mine.add<pack<T>::size, More>(x);
    }
  } else {
    for (std::size_t v = threadIdx.x; v < vocabulary; v += blockDim.x) {
      float const x[1] = {float_of(own[v])};
      mine.add<1, More>(x);
    }
  }
  online_softmax const all = combine_block(mine);
  if (threadIdx.x != 0) return;
  float const normalizer = all.log_normalizer();
  if (to.log_prob.data != nullptr) {
    to.log_prob.write(row, token < 0 ? 0.0f : float_of(own[token]) - normalizer);
  }
  if (to.log_normalizer.data != nullptr) to.log_normalizer.write(row, normalizer);
  if constexpr (More) {
    if (to.entropy.data != nullptr) to.entropy.write(row, all.entropy());
    if (to.sum_of_squares.data != nullptr) to.sum_of_squares.write(row, all.sum_of_squares());
  }
}

/// logit_v becomes coefficient * ((v is the token) - p_v); a block for each row.
template <LogitElement T, bool Packed>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    token_backward_of_rows(T* logits, std::int32_t const* tokens, std::size_t vocabulary,
                           input log_normalizer, input coefficient) {
  std::size_t const row = blockIdx.x;
  std::int32_t const token = tokens[row];
  float const c = token < 0 ? 0.0f : loads<float>::load(coefficient + row);
  float const normalizer = loads<float>::load(log_normalizer + row);
  T* const own = logits + row * vocabulary;
  auto const derivative = [&](std::size_t v, float x) {
    // Rows without a coefficient are 0, whatever their logits are.
    if (c == 0.0f) return 0.0f;
    float const hit = static_cast<std::int64_t>(v) == token ? 1.0f : 0.0f;
    return c * (hit - std::exp(x - normalizer));
  };
  if constexpr (Packed) {
    auto* const packs = reinterpret_cast<quad*>(own);
    for (std::size_t i = threadIdx.x; i < vocabulary / pack<T>::size; i += blockDim.x) {
      quad bits = packs[i];
      auto numbers = std::bit_cast<pack<T>>(bits);
      for (std::size_t k = 0; k < pack<T>::size; ++k) {
        numbers.at[k] = stored_as<T>(derivative(i * pack<T>::size + k, float_of(numbers.at[k])));
      }
      bits = std::bit_cast<quad>(numbers);
      packs[i] = bits;
    }
  } else {
    for (std::size_t v = threadIdx.x; v < vocabulary; v += blockDim.x) {
      T const stored = stored_as<T>(derivative(v, float_of(own[v])));
      own[v] = stored;
    }
  }
}

/// A warp for each completion: the sum of its tokens' numbers, 0 of an empty one; in the same order always.
template <class S>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    sum_of_tokens(input of_tokens, std::size_t const* offset, output of_completions,
                  std::size_t completions) {
  std::size_t const b = (std::size_t{blockIdx.x} * blockDim.x + threadIdx.x) / 32;
  if (b >= completions) return;  // a whole warp
  S sum = 0.0;
  for (std::size_t t = offset[b] + threadIdx.x % 32; t < offset[b + 1]; t += 32) {
    sum += loads<S>::load(of_tokens + t);
  }
  for (unsigned by = 16; by > 0; by /= 2) sum += __shfl_down_sync(~0u, sum, by);
  if (threadIdx.x % 32 == 0) of_completions.write(b, sum);
}
/// Each token has the number of its completion.
template <class S>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    number_of_completion(input of_completions, std::size_t const* offset, output of_tokens,
                         std::size_t completions) {
  std::size_t const b = (std::size_t{blockIdx.x} * blockDim.x + threadIdx.x) / 32;
  if (b >= completions) return;
  S const number = loads<S>::load(of_completions + b);
  for (std::size_t t = offset[b] + threadIdx.x % 32; t < offset[b + 1]; t += 32) {
    of_tokens.write(t, number);
  }
}

/// Token ids are 32-bit integers, one for each row.
inline std::int32_t const* expect_tokens(column const& tokens, std::size_t rows,
                                         char const* function) {
  expects_size(tokens.size(), rows, function, "tokens");
  if (tokens.stored_as() != storage::int32) {
    refuse(std::string(function) + ": tokens are ids, stored as 32-bit integers");
  }
  return static_cast<std::int32_t const*>(tokens.data());
}
inline output expect_rows(mutable_column const& to, std::size_t rows, char const* function,
                          char const* argument) {
  if (!to.present()) return {};
  expects_size(to.size(), rows, function, argument);
  return {to.data(), to.stored_as()};
}
inline input expect_numbers(column const& from, std::size_t rows, char const* function,
                            char const* argument) {
  expects_size(from.size(), rows, function, argument);
  return {from.data(), from.stored_as()};
}

/// Log-probabilities of tokens from logits, with what else is asked for, in one pass over the logits.
///
///   log_prob = logit_token - log(sum over v of exp(logit_v))
///
/// Logits   [rows, vocabulary] in float, half or bfloat16; sums in float32, online, so that nothing is written but results.
///          A logit of -infinity has probability 0
/// Tokens   [rows] 32-bit ids below the vocabulary's size. A negative id is a token that does not count: its log_prob is 0
/// Order    fixed: the same row gives the same bits in any batch
/// Stream   that of `tokens`; nobody waits
/// Errors   precondition_error for sizes that disagree and for ids of another type; backend_error where the runtime refuses
template <LogitElement T>
void token_log_prob(logit_rows<T const> const& logits, column const& tokens,
                    token_results const& to) {
  char const* const here = "token_log_prob";
  std::size_t const rows = logits.rows;
  std::int32_t const* const ids = expect_tokens(tokens, rows, here);
  token_outputs const out{expect_rows(to.log_prob, rows, here, "results.log_prob"),
                          expect_rows(to.log_normalizer, rows, here, "results.log_normalizer"),
                          expect_rows(to.entropy, rows, here, "results.entropy"),
                          expect_rows(to.sum_of_squares, rows, here, "results.sum_of_squares")};
  bool const more = to.entropy.present() || to.sum_of_squares.present();
  auto const kernel = is_packed(logits) ? (more ? &token_log_prob_of_rows<T, true, true>
                                                : &token_log_prob_of_rows<T, true, false>)
                                        : (more ? &token_log_prob_of_rows<T, false, true>
                                                : &token_log_prob_of_rows<T, false, false>);
  launch(tokens.stream(), rows, threads_of_block, here, kernel, logits.numbers, ids,
         logits.vocabulary, out);
}
template <LogitElement T>
void token_log_prob(logit_rows<T> const& logits, column const& tokens, token_results const& to) {
  token_log_prob(logit_rows<T const>{logits.numbers, logits.rows, logits.vocabulary}, tokens, to);
}

/// The derivative by the logits, in place of the logits.
///
///   logit_v becomes coefficient * ((v is the token) - exp(logit_v - log_normalizer))
///
/// `coefficient` is d loss / d log_prob of each token. Tokens that do not count, and those with coefficient 0, get zeros
/// Errors  as for token_log_prob
template <LogitElement T>
void token_backward(logit_rows<T> const& logits, column const& tokens, column const& log_normalizer,
                    column const& coefficient) {
  char const* const here = "token_backward";
  std::size_t const rows = logits.rows;
  std::int32_t const* const ids = expect_tokens(tokens, rows, here);
  launch(tokens.stream(), rows, threads_of_block, here,
         is_packed(logits) ? &token_backward_of_rows<T, true> : &token_backward_of_rows<T, false>,
         logits.numbers, ids, logits.vocabulary,
         expect_numbers(log_normalizer, rows, here, "log_normalizer"),
         expect_numbers(coefficient, rows, here, "coefficient"));
}

/// Offsets of completions among tokens, which may be empty: ascending, from 0 to the number of tokens.
inline void expect_completions(list_offsets const& offset, std::size_t tokens,
                               char const* function) {
  bool good = !offset.empty() && offset.front() == 0 && offset.back() == tokens;
  for (std::size_t b = 0; good && b + 1 < offset.size(); ++b) good = offset[b] <= offset[b + 1];
  if (!good) {
    refuse(std::string(function) + ": offset must ascend from 0 to the number of tokens, " +
           std::to_string(tokens));
  }
}

/// The numbers of tokens added up for each completion: log_prob of completions from those of their tokens. Those of
/// completion b are [offset[b], offset[b + 1]); the sum of an empty one is 0.
inline void sum_over_tokens(column const& of_tokens, list_offsets const& offset,
                            mutable_column const& of_completions) {
  char const* const here = "sum_over_tokens";
  expect_completions(offset, of_tokens.size(), here);
  std::size_t const completions = offset.size() - 1;
  launch(of_tokens.stream(), (completions * 32 + threads_of_block - 1) / threads_of_block,
         threads_of_block, here, &sum_of_tokens<double>,
         expect_numbers(of_tokens, of_tokens.size(), here, "of_tokens"),
         offset.on_device(of_tokens.stream()),
         expect_rows(of_completions, completions, here, "of_completions"), completions);
}
/// The transpose: every token gets the number of its completion, as coefficients go back.
inline void spread_over_tokens(column const& of_completions, list_offsets const& offset,
                               mutable_column const& of_tokens) {
  char const* const here = "spread_over_tokens";
  expect_completions(offset, of_tokens.size(), here);
  std::size_t const completions = offset.size() - 1;
  launch(of_completions.stream(), (completions * 32 + threads_of_block - 1) / threads_of_block,
         threads_of_block, here, &number_of_completion<double>,
         expect_numbers(of_completions, completions, here, "of_completions"),
         offset.on_device(of_completions.stream()),
         expect_rows(of_tokens, of_tokens.size(), here, "of_tokens"), completions);
}

}  // namespace PREFER_CUDA_BUILD
}  // namespace prefer::inline v0_1::cuda
