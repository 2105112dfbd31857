// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/weight_products.hpp>
#include <prefer/lm/files/large_memory.hpp>
#include <prefer/lm/files/weight_matrix.hpp>

// What linear_log_prob and linear_backward are given, and what they give.

namespace prefer::inline v0_1::lm {

/// The last layer of a model, from hidden states to logits.
///
///   u     = logit_scale * (hidden . matrix[v] + bias[v])
///   logit = (softcap == 0 ? u : softcap * tanh(u / softcap)) / temperature
///
/// A view of the caller's memory; `weights_at` makes a matrix of plain numbers.
template <std::floating_point T>
struct output_layer {
  std::span<T const> hidden;     ///< [rows, width]
  weight_matrix<T> matrix;       ///< [vocabulary, width], as numbers or as stored
  std::span<T const> bias = {};  ///< [vocabulary], empty: none
  double logit_scale = 1.0;
  double softcap = 0.0;  ///< 0: none
  double temperature = 1.0;

  [[nodiscard]] std::size_t width() const { return matrix.columns(); }
  [[nodiscard]] std::size_t vocabulary() const { return matrix.rows(); }
  [[nodiscard]] std::size_t rows() const { return width() == 0 ? 0 : hidden.size() / width(); }
  /// Whether logits are the products, and nothing else.
  [[nodiscard]] bool plain() const {
    return bias.empty() && logit_scale == 1.0 && softcap == 0.0 && temperature == 1.0;
  }
  void expects_valid(char const* where) const {
    expects_size(hidden.size(), rows() * width(), where, "hidden");
    if (!bias.empty()) expects_size(bias.size(), vocabulary(), where, "bias");
    if (!(temperature > 0)) refuse(std::string(where) + ": temperature must be greater than zero");
    if (!(softcap >= 0)) refuse(std::string(where) + ": softcap must be at least zero");
  }
};

/// Which tokens are scored, and from which rows: several may be scored from one, as those that begin the completions of
/// one prompt are.
struct scored_tokens {
  std::span<std::uint32_t const> target;    ///< ids [tokens]
  std::span<std::uint32_t const> row = {};  ///< [tokens], empty: token i is scored from row i

  [[nodiscard]] std::size_t size() const { return target.size(); }
  [[nodiscard]] std::size_t row_of(std::size_t token) const {
    return row.empty() ? token : row[token];
  }
};

/// Where the numbers go; what is empty is not wanted.
template <std::floating_point T>
struct linear_results {
  // Of tokens [tokens].
  std::span<T> log_prob = {};  ///< of the token, nats
  std::span<T> most_likely =
      {};  ///< 1 where no token has a larger logit, of equal ones none before it; else 0
  // Of rows [rows].
  std::span<T> log_normalizer = {};  ///< log(sum over v of exp(logit_v))
  std::span<T> entropy = {};         ///< -sum over v of p_v log p_v, nats
  std::span<T> sum_of_squares = {};  ///< sum over v of p_v^2
  std::span<T> mean_logit = {};      ///< over the vocabulary
  // Against a reference: of rows, then of tokens.
  std::span<T> divergence = {};          ///< KL(reference || policy), nats
  std::span<T> reverse_divergence = {};  ///< KL(policy || reference), nats
  std::span<T> reference_log_normalizer = {};
  std::span<T> reference_log_prob = {};
  std::span<T> perturbed_toward =
      {};  ///< log_prob, the logits moved to the reference's by perturbation
  std::span<T> perturbed_away = {};  ///< log_prob, the logits moved away from them
  double perturbation = 0.01;        ///< logits +- perturbation * (logits - reference's logits)

  [[nodiscard]] bool compares() const {
    return !divergence.empty() || !reverse_divergence.empty() ||
           !reference_log_normalizer.empty() || !reference_log_prob.empty() || perturbs();
  }
  [[nodiscard]] bool perturbs() const {
    return !perturbed_toward.empty() || !perturbed_away.empty();
  }
};

/// d loss / d of results; what is empty is 0.
template <std::floating_point T>
struct linear_coefficients {
  std::span<T const> log_prob = {};            ///< [tokens]
  std::span<T const> entropy = {};             ///< [rows]
  std::span<T const> divergence = {};          ///< [rows]
  std::span<T const> reverse_divergence = {};  ///< [rows]
  std::span<T const> perturbed_toward = {};    ///< [tokens]
  std::span<T const> perturbed_away = {};      ///< [tokens]

  [[nodiscard]] bool compares() const {
    return !divergence.empty() || !reverse_divergence.empty() || !perturbed_toward.empty() ||
           !perturbed_away.empty();
  }
  [[nodiscard]] bool only_log_prob() const { return !compares() && entropy.empty(); }
};

/// Where the derivatives go.
template <std::floating_point T>
struct layer_gradient {
  std::span<T> hidden;     ///< [rows, width], written
  T* matrix = nullptr;     ///< [vocabulary, width], added to; null: the matrix is frozen
  std::span<T> bias = {};  ///< [vocabulary], added to
  /// Where groups of rows begin, and the end; empty: all rows are one group. What the matrix is added to by a group does
  /// not depend on the groups beside it, so that a batch gives the same bits as its groups one after the other.
  std::span<std::size_t const> groups = {};
};

/// What forward prepares for a backward pass that has coefficients of log_prob alone. Either way it is exact.
enum class prepared {
  nothing,  ///< backward computes all logits again: four products, three for a frozen matrix
  hidden,  ///< what the hidden states need: two products for a frozen matrix, four for one that is trained
  hidden_and_matrix,  ///< and exponentials are kept, as far as keep_bytes reaches: three products
};

struct linear_options {
  std::size_t vocabulary_block = 512;  ///< logits that exist at once, of each row
  prepared for_backward = prepared::nothing;
  std::size_t keep_bytes = std::size_t{76}
                           << 20;  ///< of exponentials; the rows beyond are computed again
  /// Blocks that no token lies in, and whose probabilities are all at most this, are left out of the backward pass, for a
  /// tile of rows at a time. The derivative by a logit then misses at most
  ///   (|sum of the row's coefficients of log_prob| + |of divergence|) * skip_below.
  /// 0: none. Not with coefficients that a small probability does not bound: of entropy, reverse_divergence, perturbed_*.
  double skip_below = 0.0;
};

/// What forward keeps for backward. It may be used for one batch after the other, and then allocates nothing.
template <std::floating_point T>
struct linear_pass {
  std::size_t rows = 0;
  std::size_t block = 0;  ///< of the vocabulary
  prepared for_backward = prepared::nothing;
  double perturbation = 0.0;
  std::vector<double> log_normalizer;  ///< [rows]
  std::vector<double> entropy;         ///< [rows], where it was computed
  std::vector<double> reference_log_normalizer,
      reverse_divergence;  ///< [rows], against a reference
  std::vector<double> toward_log_normalizer,
      away_log_normalizer;               ///< [rows], where they were wanted
  std::vector<T> token_logit;            ///< [tokens]
  std::vector<T> reference_token_logit;  ///< [tokens], against a reference
  std::vector<T> largest;  ///< logit of each block and row [blocks, rows], for skip_below
  /// Sum over v of p_v (d logit_v / d u) matrix[v], where hidden is prepared [rows, width]: in the caller's memory, which
  /// may be where backward writes the gradient of hidden, or in the pass's own where `expected_row_at` is empty.
  std::span<T> expected_row_at = {};
  large_memory<T> own_expected_row;
  std::size_t kept_rows = 0;  ///< the first ones
  std::vector<T>
      relative_to;       ///< the logit that kept exponentials are relative to [blocks, kept_rows]
  large_memory<T> kept;  ///< exp(logit - relative_to) d logit / d u [blocks, kept_rows, block]
  large_memory<T> partial;   ///< sums of segments of the vocabulary, for a tile of rows
  std::size_t left_out = 0;  ///< blocks that forward left out of expected rows, for a tile of rows

  [[nodiscard]] T* expected_row() const {
    return expected_row_at.empty() ? own_expected_row.data() : expected_row_at.data();
  }
};

}  // namespace prefer::inline v0_1::lm
