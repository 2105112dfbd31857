// SPDX-License-Identifier: MIT
#pragma once

#if !defined(PREFER_SHOW_WARNINGS)
#pragma GCC system_header
#endif

#include <prefer/adapters/cuda/matrix_product.cuh>
#include <prefer/adapters/cuda/token_log_prob.cuh>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

// From hidden states to log-probabilities of tokens without all logits: the vocabulary in blocks, an online softmax between
// them. Memory grows with rows x block, never with rows x vocabulary.

namespace prefer::inline v0_1::cuda {
inline namespace PREFER_CUDA_BUILD {

/// The last layer of a model: logits[rows, vocabulary] = hidden[rows, width] matrix[vocabulary, width]', all rows one after
/// another. A view of the caller's memory.
template <LogitElement T>
struct output_layer {
  T const* hidden;
  T const* matrix;
  std::size_t rows;
  std::size_t width;
  std::size_t vocabulary;
};

struct linear_options {
  std::size_t vocabulary_block = 4096;  ///< logits that exist at once, of each row and model
  /// Backward leaves out blocks in which no token lies and whose probabilities are all at most this. 0: none, and nobody
  /// waits. Above: the derivative by a logit misses at most (|coefficient of log_prob| + |of divergence|) * skip_below,
  /// and the host waits once, for one number of each block. Not with a coefficient of reverse_divergence, which a small
  /// probability does not bound.
  float skip_below = 0.0f;
};

/// What forward keeps for backward. What is of a reference is empty where there was none.
struct linear_pass {
  std::size_t vocabulary_block;
  device_column<float> log_normalizer;  ///< [rows]
  device_column<float> largest;         ///< the largest logit of each block and row [blocks, rows]
  device_column<float> reference_log_normalizer = {};  ///< [rows]
  device_column<float> reference_largest = {};         ///< [blocks, rows]
  device_column<float> reverse_divergence = {};        ///< [rows]
};

/// A row's softmax so far, and the logit of its token; of a reference beside the policy, where divergence is asked for.
template <asked What>
struct row_state {
  online_softmax softmax;
  float token_logit;
};
template <>
struct row_state<asked::divergence> {
  softmax_pair softmax;
  float token_logit, reference_token_logit;
};

/// The logits of a block of the vocabulary, [rows, count], and of the reference where it is read.
struct block_of_logits {
  float const* logits;
  float const* reference;
  std::size_t begin, count;

  [[nodiscard]] __device__ bool holds(std::int32_t token) const {
    return token >= 0 && static_cast<std::size_t>(token) - begin < count;
  }
};

/// Adds a block of the vocabulary to each row's softmax; a thread block for each row.
template <asked What>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    absorb_block(block_of_logits block, std::int32_t const* tokens, row_state<What>* states,
                 float* largest, float* reference_largest) {
  constexpr bool diverges = What == asked::divergence;
  std::size_t const row = blockIdx.x;
  float const* const own = block.logits + row * block.count;
  float const* const theirs = block.reference + (diverges ? row * block.count : 0);
  decltype(row_state<What>::softmax) mine;
  for (std::size_t v = threadIdx.x; v < block.count; v += blockDim.x) {
    float const a[1] = {own[v]};
    if constexpr (diverges) {
      float const b[1] = {theirs[v]};
      mine.template add<What>(a, b);
    } else {
      mine.template add<What>(a);
    }
  }
  auto all = combine_block(mine);
  if (threadIdx.x != 0) return;
  if constexpr (diverges) {
    largest[row] = all.policy.largest;
    reference_largest[row] = all.reference.largest;
  } else {
    largest[row] = all.largest;
  }
  row_state<What>& state = states[row];
  if (block.begin != 0) {
    auto before = state.softmax;
    before.add(all);
    all = before;
  }
  state.softmax = all;
  std::int32_t const token = tokens[row];
  if (!block.holds(token)) return;
  state.token_logit = own[static_cast<std::size_t>(token) - block.begin];
  if constexpr (diverges) {
    state.reference_token_logit = theirs[static_cast<std::size_t>(token) - block.begin];
  }
}

/// What the rows' softmaxes say when all blocks are in; a thread for each row.
template <asked What>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    finish_rows(row_state<What> const* states, std::int32_t const* tokens, token_outputs to,
                float* log_normalizer, float* reference_log_normalizer, float* reverse_divergence,
                std::size_t rows) {
  std::size_t const row = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  row_state<What> const state = states[row];
  if constexpr (What == asked::divergence) {
    log_normalizer[row] = state.softmax.policy.log_normalizer();
    reference_log_normalizer[row] = state.softmax.reference.log_normalizer();
    reverse_divergence[row] = state.softmax.reverse_divergence();
    to.write(row, tokens[row] >= 0, state.softmax, state.token_logit, state.reference_token_logit);
  } else {
    log_normalizer[row] = state.softmax.log_normalizer();
    to.write(row, tokens[row] >= 0, state.softmax, state.token_logit);
  }
}

/// The derivative by a block's logits, stored as the matrices are; a thread block for each row.
template <LogitElement T, bool Diverges>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    derivative_of_block(block_of_logits block, T* out, std::int32_t const* tokens,
                        derivative_inputs in) {
  std::size_t const row = blockIdx.x;
  row_derivative const derivative = in.of(row, tokens[row]);
  std::size_t const first = row * block.count;
  for (std::size_t v = threadIdx.x; v < block.count; v += blockDim.x) {
    float d;
    if constexpr (Diverges) {
      d = derivative.at(block.begin + v, block.logits[first + v], block.reference[first + v]);
    } else {
      d = derivative.at(block.begin + v, block.logits[first + v]);
    }
    T const stored = stored_as<T>(d);
    out[first + v] = stored;
  }
}

/// The largest probability of each block of the vocabulary over the rows that count, 1 where a token lies in it; a thread
/// block for each. The reference's probabilities count where divergence has a coefficient.
template <class S>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    weight_of_blocks(S const* largest, S const* reference_largest, std::int32_t const* tokens,
                     derivative_inputs in, std::size_t rows, std::size_t count, S* weights) {
  __shared__ float of_thread[threads_of_block];
  float mine = 0.0f;
  auto const heed = [&mine](float p) { mine = p <= mine ? mine : p; };  // NaN counts as much
  for (std::size_t row = threadIdx.x; row < rows; row += blockDim.x) {
    row_derivative const derivative = in.of(row, tokens[row]);
    if (derivative.is_zero()) continue;
    bool const hit = static_cast<std::size_t>(tokens[row]) / count == blockIdx.x;
    std::size_t const at = blockIdx.x * rows + row;
    heed(hit ? 1.0f : std::exp(largest[at] - derivative.normalizer));
    if (derivative.divergence != 0.0f) {
      heed(std::exp(reference_largest[at] - derivative.reference_normalizer));
    }
  }
  of_thread[threadIdx.x] = mine;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (unsigned t = 1; t < threads_of_block; ++t) heed(of_thread[t]);
  weights[blockIdx.x] = mine;
}

/// Logits of one model after the other, block by block: forward and backward make them alike.
template <LogitElement T>
class blocks_of_vocabulary {
 public:
  blocks_of_vocabulary(matrix_products const& products, output_layer<T> const& policy,
                       output_layer<T> const* reference, std::size_t block, cudaStream_t stream)
      : products_(products),
        policy_(policy),
        reference_(reference),
        block_(block),
        stream_(stream),
        logits_(policy.rows * block, stream),
        reference_logits_(reference == nullptr ? 0 : policy.rows * block, stream) {}

  [[nodiscard]] std::size_t count() const { return (policy_.vocabulary + block_ - 1) / block_; }
  /// Valid until the next one is made, in the order of the stream.
  [[nodiscard]] block_of_logits make(std::size_t b) {
    std::size_t const begin = b * block_;
    std::size_t const count = detail::at_most(block_, policy_.vocabulary - begin);
    multiply(policy_, begin, count, logits_.data());
    if (reference_ != nullptr) multiply(*reference_, begin, count, reference_logits_.data());
    return {logits_.data(), reference_logits_.data(), begin, count};
  }

 private:
  void multiply(output_layer<T> const& of, std::size_t begin, std::size_t count, float* to) const {
    products_.multiply<T>({of.hidden}, {of.matrix + begin * of.width, true}, to, of.rows, count,
                          of.width, 0.0f, stream_);
  }

  matrix_products const& products_;
  output_layer<T> policy_;
  output_layer<T> const* reference_;
  std::size_t block_;
  cudaStream_t stream_;
  device_column<float> logits_, reference_logits_;
};

template <class T>
void expect_same_shape(output_layer<T> const& policy, output_layer<T> const& reference,
                       char const* function) {
  expects_size(reference.rows, policy.rows, function, "reference.rows");
  expects_size(reference.vocabulary, policy.vocabulary, function, "reference.vocabulary");
}

template <asked What, LogitElement T>
[[nodiscard]] linear_pass forward_over_blocks(matrix_products const& products,
                                              output_layer<T> const& policy,
                                              output_layer<T> const* reference,
                                              column const& tokens, token_results const& to,
                                              linear_options const& options) {
  char const* const here = "linear_log_prob";
  expects(options.vocabulary_block > 0, "linear_log_prob: vocabulary_block is at least 1");
  std::size_t const rows = policy.rows;
  std::size_t const block = detail::at_most(options.vocabulary_block, policy.vocabulary);
  cudaStream_t const stream = tokens.stream();
  std::int32_t const* const ids = expect_tokens(tokens, rows, here);
  token_outputs const out = expect_results(to, rows, here);
  blocks_of_vocabulary<T> blocks(products, policy, reference, block, stream);
  linear_pass pass{.vocabulary_block = block,
                   .log_normalizer = {rows, stream},
                   .largest = {blocks.count() * rows, stream}};
  if (reference != nullptr) {
    pass.reference_log_normalizer = {rows, stream};
    pass.reference_largest = {blocks.count() * rows, stream};
    pass.reverse_divergence = {rows, stream};
  }
  allocation const states(rows * sizeof(row_state<What>), stream, here);
  set_to_zero(states.get(), rows * sizeof(row_state<What>), stream, here);
  auto* const of_rows = static_cast<row_state<What>*>(states.get());
  for (std::size_t b = 0; b < blocks.count(); ++b) {
    block_of_logits const logits = blocks.make(b);
    launch(stream, rows, threads_of_block, here, &absorb_block<What>, logits, ids, of_rows,
           pass.largest.data() + b * rows,
           reference == nullptr ? nullptr : pass.reference_largest.data() + b * rows);
  }
  launch(stream, (rows + threads_of_block - 1) / threads_of_block, threads_of_block, here,
         &finish_rows<What>, of_rows, ids, out, pass.log_normalizer.data(),
         pass.reference_log_normalizer.data(), pass.reverse_divergence.data(), rows);
  return pass;
}

/// Log-probabilities of tokens from hidden states and the output matrix.
///
///   log_prob = hidden . matrix[token] - log(sum over v of exp(hidden . matrix[v]))
///
/// Products and sums in float32, whatever T is. Entropy and sum of squares on request, as of token_log_prob
/// Tokens   [rows] 32-bit ids; a negative one does not count
/// Memory   rows x (vocabulary_block + 5 + 2 vocabulary / vocabulary_block) floats at most, beside the results
/// Order    fixed: the same row gives the same bits in any batch; see matrix_products
/// Errors   precondition_error for sizes that disagree; backend_error where the runtime or cuBLASLt refuse
template <LogitElement T>
[[nodiscard]] linear_pass linear_log_prob(matrix_products const& products,
                                          output_layer<T> const& layer, column const& tokens,
                                          token_results const& to,
                                          linear_options const& options = {}) {
  expect_no_reference(to, "linear_log_prob");
  bool const spread = to.entropy.present() || to.sum_of_squares.present();
  auto const forward =
      spread ? &forward_over_blocks<asked::spread, T> : &forward_over_blocks<asked::log_prob, T>;
  return forward(products, layer, nullptr, tokens, to, options);
}
/// The same with a reference's last layer beside the policy's, also the divergences between them as of token_log_prob. Its
/// width may be another; twice the memory.
template <LogitElement T>
[[nodiscard]] linear_pass linear_log_prob(matrix_products const& products,
                                          output_layer<T> const& policy,
                                          output_layer<T> const& reference, column const& tokens,
                                          token_results const& to,
                                          linear_options const& options = {}) {
  expect_same_shape(policy, reference, "linear_log_prob");
  return forward_over_blocks<asked::divergence>(products, policy, &reference, tokens, to, options);
}

/// Where the derivatives go; the matrix's may be absent.
struct layer_gradient {
  float* hidden;            ///< [rows, width], written
  float* matrix = nullptr;  ///< [vocabulary, width], added to
};

template <bool Diverges, LogitElement T>
std::size_t backward_over_blocks(matrix_products const& products, output_layer<T> const& policy,
                                 output_layer<T> const* reference, column const& tokens,
                                 linear_pass const& pass, token_coefficients const& coefficient,
                                 layer_gradient const& to, linear_options const& options) {
  char const* const here = "linear_backward";
  std::size_t const rows = policy.rows;
  cudaStream_t const stream = tokens.stream();
  std::int32_t const* const ids = expect_tokens(tokens, rows, here);
  token_forward kept{.log_normalizer = pass.log_normalizer};
  if constexpr (Diverges) {
    kept.reference_log_normalizer = pass.reference_log_normalizer;
    kept.reverse_divergence = pass.reverse_divergence;
  }
  derivative_inputs const in = expect_derivatives(kept, coefficient, Diverges, rows, here);
  blocks_of_vocabulary<T> blocks(products, policy, reference, pass.vocabulary_block, stream);
  std::vector<float> weights;
  if (options.skip_below > 0.0f) {
    expects(!coefficient.reverse_divergence.present(),
            "linear_backward: skip_below bounds nothing of reverse_divergence, whose derivative "
            "is not small where probabilities are; take 0");
    device_column<float> of_blocks(blocks.count(), stream);
    launch(stream, blocks.count(), threads_of_block, here, &weight_of_blocks<float>,
           pass.largest.data(), pass.reference_largest.data(), ids, in, rows, pass.vocabulary_block,
           of_blocks.data());
    weights = of_blocks.to_host();
  }
  device_column<T> derivative(rows * pass.vocabulary_block, stream);
  set_to_zero(to.hidden, rows * policy.width * sizeof(float), stream, here);
  std::size_t left_out = 0;
  for (std::size_t b = 0; b < blocks.count(); ++b) {
    if (!weights.empty() && weights[b] <= options.skip_below) {
      ++left_out;
      continue;
    }
    block_of_logits const logits = blocks.make(b);
    launch(stream, rows, threads_of_block, here, &derivative_of_block<T, Diverges>, logits,
           derivative.data(), ids, in);
    products.multiply<T>({derivative.data()}, {policy.matrix + logits.begin * policy.width},
                         to.hidden, rows, policy.width, logits.count, 1.0f, stream);
    if (to.matrix == nullptr) continue;
    products.multiply<T>({derivative.data(), true}, {policy.hidden},
                         to.matrix + logits.begin * policy.width, logits.count, policy.width, rows,
                         1.0f, stream);
  }
  return left_out;
}

/// The derivatives by the hidden states and by the output matrix, from those by log_prob. Logits are computed again, block
/// by block.
///
/// Each block's derivative by its logits is stored as T, because cuBLASLt multiplies numbers of one type; the products of
/// all blocks add up in float32. Returns the number of blocks that were left out (see linear_options::skip_below).
/// Errors   as for linear_log_prob
template <LogitElement T>
std::size_t linear_backward(matrix_products const& products, output_layer<T> const& layer,
                            column const& tokens, linear_pass const& pass,
                            column const& coefficient, layer_gradient const& to,
                            linear_options const& options = {}) {
  return backward_over_blocks<false, T>(products, layer, nullptr, tokens, pass, {coefficient}, to,
                                        options);
}
/// The same from the derivatives by the divergences too. The reference has none.
///
/// Errors   and precondition_error for a pass without reference, and for skip_below with reverse_divergence
template <LogitElement T>
std::size_t linear_backward(matrix_products const& products, output_layer<T> const& policy,
                            output_layer<T> const& reference, column const& tokens,
                            linear_pass const& pass, token_coefficients const& coefficient,
                            layer_gradient const& to, linear_options const& options = {}) {
  expect_same_shape(policy, reference, "linear_backward");
  expects_size(pass.reference_log_normalizer.size(), policy.rows, "linear_backward",
               "pass.reference_log_normalizer");
  return backward_over_blocks<true>(products, policy, &reference, tokens, pass, coefficient, to,
                                    options);
}

}  // namespace PREFER_CUDA_BUILD
}  // namespace prefer::inline v0_1::cuda
