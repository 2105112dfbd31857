// SPDX-License-Identifier: MIT
#pragma once

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
  std::size_t vocabulary_block = 4096;  ///< logits that exist at once, of each row
  /// Backward leaves out blocks in which no token lies and whose probabilities are all at most this. 0: none, and nobody
  /// waits. Above: the derivative by a logit misses at most |coefficient| * skip_below, and the host waits once, for one
  /// number of each block.
  float skip_below = 0.0f;
};

/// What forward keeps for backward.
struct linear_pass {
  device_column<float> log_normalizer;  ///< [rows]
  device_column<float> largest;         ///< the largest logit of each block and row [blocks, rows]
  std::size_t vocabulary_block;
};

/// A row's softmax so far, and the logit of its token.
struct row_state {
  float largest, sum, weighted, squares, token_logit;
};

/// Adds a block of the vocabulary to each row's softmax; a thread block for each row.
template <class S>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    absorb_block(S const* logits, std::size_t count, std::size_t begin, std::int32_t const* tokens,
                 row_state* states, S* largest) {
  std::size_t const row = blockIdx.x;
  S const* const own = logits + row * count;
  online_softmax mine;
  for (std::size_t v = threadIdx.x; v < count; v += blockDim.x) {
    float const x[1] = {own[v]};
    mine.add<1, true>(x);
  }
  online_softmax all = combine_block(mine);
  if (threadIdx.x != 0) return;
  largest[row] = all.largest;
  row_state& state = states[row];
  if (begin != 0) {
    online_softmax before{state.largest, state.sum, state.weighted, state.squares};
    before.add(all);
    all = before;
  }
  state.largest = all.largest;
  state.sum = all.sum;
  state.weighted = all.weighted;
  state.squares = all.squares;
  std::int64_t const place = std::int64_t{tokens[row]} - static_cast<std::int64_t>(begin);
  if (place >= 0 && place < static_cast<std::int64_t>(count)) state.token_logit = own[place];
}

/// What the rows' softmaxes say when all blocks are in; a thread for each row.
template <class S>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    finish_rows(row_state const* states, std::int32_t const* tokens, S* log_normalizer,
                token_outputs to, std::size_t rows) {
  std::size_t const row = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  row_state const& state = states[row];
  online_softmax const all{state.largest, state.sum, state.weighted, state.squares};
  float const normalizer = all.log_normalizer();
  log_normalizer[row] = normalizer;
  if (to.log_prob.data != nullptr) {
    to.log_prob.write(row, tokens[row] < 0 ? 0.0f : state.token_logit - normalizer);
  }
  if (to.log_normalizer.data != nullptr) to.log_normalizer.write(row, normalizer);
  if (to.entropy.data != nullptr) to.entropy.write(row, all.entropy());
  if (to.sum_of_squares.data != nullptr) to.sum_of_squares.write(row, all.sum_of_squares());
}

/// coefficient * ((v is the token) - p_v) of a block's logits, stored as the matrices are; a thread block for each row.
template <LogitElement T>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    derivative_of_block(float const* logits, T* out, std::size_t count, std::size_t begin,
                        std::int32_t const* tokens, float const* log_normalizer,
                        input coefficient) {
  std::size_t const row = blockIdx.x;
  std::int32_t const token = tokens[row];
  float const c = token < 0 ? 0.0f : loads<float>::load(coefficient + row);
  float const normalizer = log_normalizer[row];
  for (std::size_t v = threadIdx.x; v < count; v += blockDim.x) {
    float const hit = static_cast<std::int64_t>(begin + v) == token ? 1.0f : 0.0f;
    float const p = c == 0.0f ? 0.0f : std::exp(logits[row * count + v] - normalizer);
    T const stored = stored_as<T>(c == 0.0f ? 0.0f : c * (hit - p));
    out[row * count + v] = stored;
  }
}

/// The largest probability of each block of the vocabulary over the rows that count, 1 where a token lies in it; a thread
/// block for each.
template <class S>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    weight_of_blocks(S const* largest, std::int32_t const* tokens, S const* log_normalizer,
                     input coefficient, std::size_t rows, std::size_t count, S* weights) {
  __shared__ float of_thread[threads_of_block];
  float mine = 0.0f;
  for (std::size_t row = threadIdx.x; row < rows; row += blockDim.x) {
    if (tokens[row] < 0 || loads<float>::load(coefficient + row) == 0.0f) continue;
    bool const hit = static_cast<std::size_t>(tokens[row]) / count == blockIdx.x;
    float const p = std::exp(largest[blockIdx.x * rows + row] - log_normalizer[row]);
    float const own = hit ? 1.0f : p;
    mine = own <= mine ? mine : own;  // NaN counts as much
  }
  of_thread[threadIdx.x] = mine;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (unsigned t = 1; t < threads_of_block; ++t) {
    mine = of_thread[t] <= mine ? mine : of_thread[t];
  }
  weights[blockIdx.x] = mine;
}

/// Log-probabilities of tokens from hidden states and the output matrix.
///
///   log_prob = hidden . matrix[token] - log(sum over v of exp(hidden . matrix[v]))
///
/// Products and sums in float32, whatever T is. Entropy and sum of squares on request, as of token_log_prob
/// Tokens   [rows] 32-bit ids; a negative one does not count
/// Memory   rows x (vocabulary_block + 5 + 2 vocabulary / vocabulary_block) floats at most, beside the results
/// Order    that of cuBLASLt within a block of logits, which may depend on the number of rows; fixed otherwise
/// Errors   precondition_error for sizes that disagree; backend_error where the runtime or cuBLASLt refuse
template <LogitElement T>
[[nodiscard]] linear_pass linear_log_prob(matrix_products const& products,
                                          output_layer<T> const& layer, column const& tokens,
                                          token_results const& to,
                                          linear_options const& options = {}) {
  char const* const here = "linear_log_prob";
  expects(options.vocabulary_block > 0, "linear_log_prob: vocabulary_block is at least 1");
  std::size_t const rows = layer.rows;
  std::size_t const block = detail::at_most(options.vocabulary_block, layer.vocabulary);
  std::size_t const blocks = (layer.vocabulary + block - 1) / block;
  cudaStream_t const stream = tokens.stream();
  std::int32_t const* const ids = expect_tokens(tokens, rows, here);
  token_outputs const out{expect_rows(to.log_prob, rows, here, "results.log_prob"),
                          expect_rows(to.log_normalizer, rows, here, "results.log_normalizer"),
                          expect_rows(to.entropy, rows, here, "results.entropy"),
                          expect_rows(to.sum_of_squares, rows, here, "results.sum_of_squares")};
  linear_pass pass{{rows, stream}, {blocks * rows, stream}, block};
  device_column<float> logits(rows * block, stream);
  allocation const states(rows * sizeof(row_state), stream, here);
  set_to_zero(states.get(), rows * sizeof(row_state), stream, here);
  auto* const of_rows = static_cast<row_state*>(states.get());
  for (std::size_t b = 0; b < blocks; ++b) {
    std::size_t const begin = b * block;
    std::size_t const count = detail::at_most(block, layer.vocabulary - begin);
    products.multiply<T>({layer.hidden}, {layer.matrix + begin * layer.width, true}, logits.data(),
                         rows, count, layer.width, 0.0f, stream);
    launch(stream, rows, threads_of_block, here, &absorb_block<float>, logits.data(), count, begin,
           ids, of_rows, pass.largest.data() + b * rows);
  }
  launch(stream, (rows + threads_of_block - 1) / threads_of_block, threads_of_block, here,
         &finish_rows<float>, of_rows, ids, pass.log_normalizer.data(), out, rows);
  return pass;
}

/// Where the derivatives go; the matrix's may be absent.
struct layer_gradient {
  float* hidden;            ///< [rows, width], written
  float* matrix = nullptr;  ///< [vocabulary, width], added to
};

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
  char const* const here = "linear_backward";
  std::size_t const rows = layer.rows;
  std::size_t const block = pass.vocabulary_block;
  std::size_t const blocks = (layer.vocabulary + block - 1) / block;
  cudaStream_t const stream = tokens.stream();
  std::int32_t const* const ids = expect_tokens(tokens, rows, here);
  input const c = expect_numbers(coefficient, rows, here, "coefficient");
  expects_size(pass.log_normalizer.size(), rows, here, "pass.log_normalizer");
  std::vector<float> weights;
  if (options.skip_below > 0.0f) {
    device_column<float> of_blocks(blocks, stream);
    launch(stream, blocks, threads_of_block, here, &weight_of_blocks<float>, pass.largest.data(),
           ids, pass.log_normalizer.data(), c, rows, block, of_blocks.data());
    weights = of_blocks.to_host();
  }
  device_column<float> logits(rows * block, stream);
  device_column<T> derivative(rows * block, stream);
  set_to_zero(to.hidden, rows * layer.width * sizeof(float), stream, here);
  std::size_t left_out = 0;
  for (std::size_t b = 0; b < blocks; ++b) {
    if (!weights.empty() && weights[b] <= options.skip_below) {
      ++left_out;
      continue;
    }
    std::size_t const begin = b * block;
    std::size_t const count = detail::at_most(block, layer.vocabulary - begin);
    T const* const matrix = layer.matrix + begin * layer.width;
    products.multiply<T>({layer.hidden}, {matrix, true}, logits.data(), rows, count, layer.width,
                         0.0f, stream);
    launch(stream, rows, threads_of_block, here, &derivative_of_block<T>, logits.data(),
           derivative.data(), count, begin, ids, pass.log_normalizer.data(), c);
    products.multiply<T>({derivative.data()}, {matrix}, to.hidden, rows, layer.width, count, 1.0f,
                         stream);
    if (to.matrix == nullptr) continue;
    products.multiply<T>({derivative.data(), true}, {layer.hidden}, to.matrix + begin * layer.width,
                         count, layer.width, rows, 1.0f, stream);
  }
  return left_out;
}

}  // namespace PREFER_CUDA_BUILD
}  // namespace prefer::inline v0_1::cuda
