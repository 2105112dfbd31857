// SPDX-License-Identifier: MIT
#pragma once

#if !defined(PREFER_SHOW_WARNINGS)
#pragma GCC system_header
#endif

#include <prefer/adapters/cuda/online_softmax.cuh>
#include <prefer/adapters/cuda/token_sums.cuh>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>

#include <prefer/expects.hpp>

// From logits to log-probabilities of tokens and back: each row of the vocabulary is read once forward, and read and
// written once backward. With a reference's logits beside them, also how far the two models are apart.

namespace prefer::inline v0_1::cuda {
inline namespace PREFER_CUDA_BUILD {

/// Scores of every token of the vocabulary, row after row, as a model's last layer writes them: row t scores token t of
/// the completions. A view of the caller's memory.
template <class T>
struct logit_rows {
  T* numbers;
  std::size_t rows;
  std::size_t vocabulary;
};

/// Where the numbers of tokens go; each may be absent. A token that does not count has 0 of all that is said of it, and
/// of its position as compared with the reference.
struct token_results {
  mutable_column log_prob = {};  ///< log-probability of the token, nats [rows]
  mutable_column log_normalizer =
      {};                       ///< log(sum over v of exp(logit_v)), which backward reads [rows]
  mutable_column entropy = {};  ///< -sum over v of p_v log p_v, nats [rows]
  mutable_column sum_of_squares = {};  ///< sum over v of p_v^2 [rows]
  // With a reference's logits.
  mutable_column divergence = {};                ///< KL(reference || policy), nats [rows]
  mutable_column reverse_divergence = {};        ///< KL(policy || reference), nats [rows]
  mutable_column reference_log_prob = {};        ///< of the token, nats [rows]
  mutable_column reference_log_normalizer = {};  ///< which backward reads [rows]
};

/// What backward reads of forward's results. What compares with the reference is read for the divergences' derivatives.
struct token_forward {
  column log_normalizer;                 ///< [rows]
  column reference_log_normalizer = {};  ///< [rows]
  column reverse_divergence = {};        ///< [rows], read where it has a coefficient
};
/// d loss / d of the numbers of tokens [rows]; what is absent is 0.
struct token_coefficients {
  column log_prob = {};
  column divergence = {};
  column reverse_divergence = {};
};

template <class T>
[[nodiscard]] logit_rows<T const> as_const(logit_rows<T> const& of) {
  return {of.numbers, of.rows, of.vocabulary};
}
/// Whether rows of T may be read 16 bytes at a time.
template <class T>
[[nodiscard]] bool is_packed(logit_rows<T const> const& logits) {
  return reinterpret_cast<std::uintptr_t>(logits.numbers) % sizeof(quad) == 0 &&
         logits.vocabulary * sizeof(T) % sizeof(quad) == 0;
}

/// Where kernels write the numbers of tokens.
struct token_outputs {
  output log_prob, log_normalizer, entropy, sum_of_squares;
  output divergence, reverse_divergence, reference_log_prob, reference_log_normalizer;

  /// What is said of a row whose token has this logit.
  __device__ void write(std::size_t row, bool counts, online_softmax const& all,
                        float token_logit) const {
    float const normalizer = all.log_normalizer();
    write(log_prob, row, counts ? token_logit - normalizer : 0.0f);
    write(log_normalizer, row, normalizer);
    write(entropy, row, all.entropy());
    write(sum_of_squares, row, all.sum_of_squares());
  }
  __device__ void write(std::size_t row, bool counts, softmax_pair const& all, float token_logit,
                        float reference_token_logit) const {
    write(row, counts, all.policy, token_logit);
    float const normalizer = all.reference.log_normalizer();
    write(divergence, row, counts ? all.divergence() : 0.0f);
    write(reverse_divergence, row, counts ? all.reverse_divergence() : 0.0f);
    write(reference_log_prob, row, counts ? reference_token_logit - normalizer : 0.0f);
    write(reference_log_normalizer, row, normalizer);
  }

 private:
  __device__ static void write(output const& to, std::size_t row, float number) {
    if (to.data != nullptr) to.write(row, number);
  }
};

/// The numbers of pack i of a row, as they lie in memory 16 bytes at a time, or one by one.
template <bool Packed, LogitElement T>
struct numbers_of_row {
  static constexpr std::size_t width = Packed ? pack<T>::size : 1;

  /// Reads the numbers from i * width on.
  __device__ static void load(T const* row, std::size_t i, float (&x)[width]) {
    if constexpr (Packed) {
      quad const bits = reinterpret_cast<quad const*>(row)[i];
      auto const numbers = std::bit_cast<pack<T>>(bits);
      for (std::size_t k = 0; k < width; ++k) x[k] = float_of(numbers.at[k]);
    } else {
      x[0] = float_of(row[i]);
    }
  }
  __device__ static void store(T* row, std::size_t i, float const (&x)[width]) {
    if constexpr (Packed) {
      pack<T> numbers;
      for (std::size_t k = 0; k < width; ++k) numbers.at[k] = stored_as<T>(x[k]);
      quad const bits = std::bit_cast<quad>(numbers);
      reinterpret_cast<quad*>(row)[i] = bits;
    } else {
      T const stored = stored_as<T>(x[0]);
      row[i] = stored;
    }
  }
};

/// A block for each row. Packed: 16 bytes a load. The reference's logits are read where divergence is asked for.
template <LogitElement T, bool Packed, asked What>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    token_log_prob_of_rows(T const* logits, T const* reference, std::int32_t const* tokens,
                           std::size_t vocabulary, token_outputs to) {
  using numbers = numbers_of_row<Packed, T>;
  constexpr std::size_t width = numbers::width;
  std::size_t const row = blockIdx.x;
  std::int32_t const token = tokens[row];
  T const* const own = logits + row * vocabulary;
  if constexpr (What == asked::divergence) {
    T const* const theirs = reference + row * vocabulary;
    softmax_pair mine;
    for (std::size_t i = threadIdx.x; i < vocabulary / width; i += blockDim.x) {
      float a[width], b[width];
      numbers::load(own, i, a);
      numbers::load(theirs, i, b);
      mine.add<What>(a, b);
    }
    softmax_pair const all = combine_block(mine);
    if (threadIdx.x != 0) return;
    bool const counts = token >= 0;
    to.write(row, counts, all, counts ? float_of(own[token]) : 0.0f,
             counts ? float_of(theirs[token]) : 0.0f);
  } else {
    online_softmax mine;
    for (std::size_t i = threadIdx.x; i < vocabulary / width; i += blockDim.x) {
      float x[width];
      numbers::load(own, i, x);
      mine.add<What>(x);
    }
    online_softmax const all = combine_block(mine);
    if (threadIdx.x != 0) return;
    to.write(row, token >= 0, all, token >= 0 ? float_of(own[token]) : 0.0f);
  }
}

/// What the kernels of backward read of forward's results and of coefficients; null where there is none.
struct derivative_inputs {
  input log_normalizer, reference_log_normalizer, kl;
  input log_prob, divergence, reverse_divergence;

  [[nodiscard]] __device__ row_derivative of(std::size_t row, std::int32_t token) const {
    row_derivative out{.token = token, .log_prob = 0.0f};
    if (token >= 0) {
      out.log_prob = number(log_prob, row);
      out.divergence = number(divergence, row);
      out.reverse_divergence = number(reverse_divergence, row);
    }
    out.normalizer = number(log_normalizer, row);
    out.reference_normalizer = number(reference_log_normalizer, row);
    out.kl = number(kl, row);
    return out;
  }

 private:
  [[nodiscard]] __device__ static float number(input const& from, std::size_t row) {
    return from.data == nullptr ? 0.0f : loads<float>::load(from + row);
  }
};

/// The logits become their derivative; a block for each row.
template <LogitElement T, bool Packed, bool Diverges>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    token_backward_of_rows(T* logits, T const* reference, std::int32_t const* tokens,
                           std::size_t vocabulary, derivative_inputs in) {
  using numbers = numbers_of_row<Packed, T>;
  constexpr std::size_t width = numbers::width;
  std::size_t const row = blockIdx.x;
  row_derivative const derivative = in.of(row, tokens[row]);
  T* const own = logits + row * vocabulary;
  for (std::size_t i = threadIdx.x; i < vocabulary / width; i += blockDim.x) {
    float x[width];
    numbers::load(own, i, x);
    if constexpr (Diverges) {
      float b[width];
      numbers::load(reference + row * vocabulary, i, b);
      for (std::size_t k = 0; k < width; ++k) x[k] = derivative.at(i * width + k, x[k], b[k]);
    } else {
      for (std::size_t k = 0; k < width; ++k) x[k] = derivative.at(i * width + k, x[k]);
    }
    numbers::store(own, i, x);
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
inline token_outputs expect_results(token_results const& to, std::size_t rows,
                                    char const* function) {
  return {
      expect_rows(to.log_prob, rows, function, "results.log_prob"),
      expect_rows(to.log_normalizer, rows, function, "results.log_normalizer"),
      expect_rows(to.entropy, rows, function, "results.entropy"),
      expect_rows(to.sum_of_squares, rows, function, "results.sum_of_squares"),
      expect_rows(to.divergence, rows, function, "results.divergence"),
      expect_rows(to.reverse_divergence, rows, function, "results.reverse_divergence"),
      expect_rows(to.reference_log_prob, rows, function, "results.reference_log_prob"),
      expect_rows(to.reference_log_normalizer, rows, function, "results.reference_log_normalizer")};
}
inline void expect_no_reference(token_results const& to, char const* function) {
  if (to.divergence.present() || to.reverse_divergence.present() ||
      to.reference_log_prob.present() || to.reference_log_normalizer.present()) {
    refuse(std::string(function) +
           ": results compare with a reference, and no reference is given; it comes after the "
           "policy");
  }
}
/// What backward reads; absent columns are null.
inline derivative_inputs expect_derivatives(token_forward const& kept,
                                            token_coefficients const& coefficient, bool diverges,
                                            std::size_t rows, char const* function) {
  auto const optional = [&](column const& from, char const* argument) {
    return from.present() ? expect_numbers(from, rows, function, argument) : input{};
  };
  derivative_inputs out{};
  out.log_normalizer = expect_numbers(kept.log_normalizer, rows, function, "log_normalizer");
  out.log_prob = optional(coefficient.log_prob, "coefficient.log_prob");
  if (!diverges) return out;
  out.reference_log_normalizer =
      expect_numbers(kept.reference_log_normalizer, rows, function, "reference_log_normalizer");
  out.divergence = optional(coefficient.divergence, "coefficient.divergence");
  out.reverse_divergence =
      optional(coefficient.reverse_divergence, "coefficient.reverse_divergence");
  if (coefficient.reverse_divergence.present()) {
    out.kl = expect_numbers(kept.reverse_divergence, rows, function, "reverse_divergence");
  }
  return out;
}
template <class T>
void expect_same_shape(logit_rows<T const> const& policy, logit_rows<T const> const& reference,
                       char const* function) {
  expects_size(reference.rows, policy.rows, function, "reference.rows");
  expects_size(reference.vocabulary, policy.vocabulary, function, "reference.vocabulary");
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
  std::int32_t const* const ids = expect_tokens(tokens, logits.rows, here);
  expect_no_reference(to, here);
  token_outputs const out = expect_results(to, logits.rows, here);
  bool const spread = to.entropy.present() || to.sum_of_squares.present();
  auto const kernel = is_packed(logits)
                          ? (spread ? &token_log_prob_of_rows<T, true, asked::spread>
                                    : &token_log_prob_of_rows<T, true, asked::log_prob>)
                          : (spread ? &token_log_prob_of_rows<T, false, asked::spread>
                                    : &token_log_prob_of_rows<T, false, asked::log_prob>);
  launch(tokens.stream(), logits.rows, threads_of_block, here, kernel, logits.numbers, nullptr, ids,
         logits.vocabulary, out);
}
template <LogitElement T>
void token_log_prob(logit_rows<T> const& logits, column const& tokens, token_results const& to) {
  token_log_prob(as_const(logits), tokens, to);
}

/// The same with a reference's logits beside the policy's, each read once: also the divergences of each position, and the
/// reference's log-probability of the token.
///
///   divergence         = sum over v of q_v (log q_v - log p_v)   KL(reference || policy), as losses read it
///   reverse_divergence = sum over v of p_v (log p_v - log q_v)   KL(policy || reference)
///
/// What a model never says adds nothing to the mean under it. Both are as exact as the models are alike: the error is that
/// of a mean of logits' differences in float32; none is below 0
/// Errors   as above, and for a reference of another shape
template <LogitElement T>
void token_log_prob(logit_rows<T const> const& policy, logit_rows<T const> const& reference,
                    column const& tokens, token_results const& to) {
  char const* const here = "token_log_prob";
  std::int32_t const* const ids = expect_tokens(tokens, policy.rows, here);
  expect_same_shape(policy, reference, here);
  token_outputs const out = expect_results(to, policy.rows, here);
  launch(tokens.stream(), policy.rows, threads_of_block, here,
         is_packed(policy) && is_packed(reference)
             ? &token_log_prob_of_rows<T, true, asked::divergence>
             : &token_log_prob_of_rows<T, false, asked::divergence>,
         policy.numbers, reference.numbers, ids, policy.vocabulary, out);
}
template <LogitElement T>
void token_log_prob(logit_rows<T> const& policy, logit_rows<T> const& reference,
                    column const& tokens, token_results const& to) {
  token_log_prob(as_const(policy), as_const(reference), tokens, to);
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
  std::int32_t const* const ids = expect_tokens(tokens, logits.rows, here);
  derivative_inputs const in =
      expect_derivatives({log_normalizer}, {coefficient}, false, logits.rows, here);
  launch(tokens.stream(), logits.rows, threads_of_block, here,
         is_packed(as_const(logits)) ? &token_backward_of_rows<T, true, false>
                                     : &token_backward_of_rows<T, false, false>,
         logits.numbers, nullptr, ids, logits.vocabulary, in);
}
/// The same with the derivatives of the divergences, in place of the policy's logits. The reference has none.
///
///   logit_v becomes c ((v is the token) - p_v) + d (p_v - q_v)
///                   + r p_v (log p_v - log q_v - reverse_divergence)
///
/// by the coefficients c of log_prob, d of divergence and r of reverse_divergence
template <LogitElement T>
void token_backward(logit_rows<T> const& policy, logit_rows<T const> const& reference,
                    column const& tokens, token_forward const& kept,
                    token_coefficients const& coefficient) {
  char const* const here = "token_backward";
  std::int32_t const* const ids = expect_tokens(tokens, policy.rows, here);
  expect_same_shape(as_const(policy), reference, here);
  derivative_inputs const in = expect_derivatives(kept, coefficient, true, policy.rows, here);
  launch(tokens.stream(), policy.rows, threads_of_block, here,
         is_packed(as_const(policy)) && is_packed(reference)
             ? &token_backward_of_rows<T, true, true>
             : &token_backward_of_rows<T, false, true>,
         policy.numbers, reference.numbers, ids, policy.vocabulary, in);
}
template <LogitElement T>
void token_backward(logit_rows<T> const& policy, logit_rows<T> const& reference,
                    column const& tokens, token_forward const& kept,
                    token_coefficients const& coefficient) {
  token_backward(policy, as_const(reference), tokens, kept, coefficient);
}

}  // namespace PREFER_CUDA_BUILD
}  // namespace prefer::inline v0_1::cuda
