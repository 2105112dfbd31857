// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/lanes.hpp>
#include <prefer/lm/arithmetic/linear_log_prob.hpp>
#include <prefer/lm/arithmetic/logit_derivative.hpp>
#include <prefer/lm/arithmetic/output_layer.hpp>
#include <prefer/lm/arithmetic/row_softmax.hpp>
#include <prefer/lm/arithmetic/vocabulary_blocks.hpp>
#include <prefer/lm/arithmetic/weight_products.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

/// One backward pass; what it is given lives as long.
template <std::floating_point T>
class linear_derivative {
 public:
  linear_derivative(arithmetic<T> const& how, output_layer<T> const& policy,
                    output_layer<T> const* reference, scored_tokens const& tokens,
                    linear_pass<T>& pass, linear_coefficients<T> const& coefficients,
                    layer_gradient<T> const& to, linear_options const& options)
      : how_(how),
        policy_(policy),
        reference_(reference),
        tokens_(tokens),
        pass_(pass),
        to_(to),
        options_(options),
        cut_(policy.vocabulary(), pass.block),
        of_rows_(tokens, policy.rows()),
        rows_(coefficients, of_rows_, pass),
        slope_(policy.logit_scale / policy.temperature) {}

  /// From what forward prepared: coefficients of log_prob alone.
  std::size_t from_prepared() {
    how_.threads.for_each_block(policy_.rows(), 16, [&](std::size_t begin, std::size_t end) {
      large_memory<T> row_of_matrix;
      for (std::size_t r = begin; r != end; ++r) hidden_row(r, row_of_matrix);
    });
    if (to_.matrix == nullptr && to_.bias.empty()) return pass_.left_out;
    return pass_.left_out +
           over_tiles([&](row_tile const& tile,
                          std::size_t segment) { return matrix_segment(tile, segment); },
                      [](row_tile const&) {});
  }

  /// From all logits, computed again.
  std::size_t from_logits() {
    return over_tiles(
        [&](row_tile const& tile, std::size_t segment) { return logits_segment(tile, segment); },
        [&](row_tile const& tile) {
          how_.threads.for_each_block(tile.count, 16, [&](std::size_t begin, std::size_t end) {
            large_memory<T> row_of_matrix;
            for (std::size_t r = begin; r != end; ++r) finish_row(tile, r, row_of_matrix);
          });
        });
  }

 private:
  template <class Segment, class Finish>
  std::size_t over_tiles(Segment const& segment_of_tile, Finish const& finish) {
    std::size_t out = 0;
    for (row_tile const& tile : tiles_of(policy_.rows(), to_.groups)) {
      pass_.partial.reserve(cut_.segments * tile.count * policy_.width());
      std::vector<std::size_t> left_out(cut_.segments);
      how_.threads.for_each_chunk(cut_.segments, [&](std::size_t segment) {
        left_out[segment] = segment_of_tile(tile, segment);
        add_targets(tile, segment);
      });
      for (std::size_t const each : left_out) out += each;
      finish(tile);
    }
    return out;
  }

  /// What a token's own logit adds to the row of the matrix, and of the bias, that is its: derivative by u.
  [[nodiscard]] double of_target(std::size_t token) const {
    return rows_.of_target(token) *
           logit_slope(policy_, static_cast<double>(pass_.token_logit[token]));
  }

  /// sum over tokens of c_t slope_t matrix[target_t] - (sum of c_t) slope expected_row
  void hidden_row(std::size_t r, large_memory<T>& room) const {
    std::size_t const width = policy_.width();
    T* const to = to_.hidden.data() + r * width;
    row_coefficients const& row = rows_.of(r);
    if (row.is_zero()) {
      for (std::size_t i = 0; i != width; ++i) to[i] = 0;
      return;
    }
    T const by = static_cast<T>(-row.log_prob * slope_);
    T const* const expected = pass_.expected_row() + r * width;
    for (std::size_t i = 0; i != width; ++i) to[i] = by * expected[i];
    add_rows_of_targets(r, to, room);
  }
  void add_rows_of_targets(std::size_t r, T* to, large_memory<T>& room) const {
    std::size_t const width = policy_.width();
    for (std::size_t const t : of_rows_.of(r)) {
      T const by = static_cast<T>(of_target(t));
      if (by == 0) continue;
      T const* of_token;
      if (policy_.matrix.has_values()) {
        of_token = policy_.matrix.values().data() + tokens_.target[t] * width;
      } else {
        T* const read = room.reserve(width);
        policy_.matrix.read_rows(tokens_.target[t], 1, read, width);
        of_token = read;
      }
      for (std::size_t i = 0; i != width; ++i) to[i] += by * of_token[i];
    }
  }

  /// Whether a token of the tile that has a coefficient lies in a block.
  [[nodiscard]] bool holds_target(row_tile const& tile, std::size_t b) const {
    for (std::size_t r = tile.begin; r != tile.end(); ++r) {
      for (std::size_t const t : of_rows_.of(r)) {
        if (tokens_.target[t] / cut_.block == b && rows_.of_target(t) != 0) return true;
      }
    }
    return false;
  }

  /// matrix += weights' rows, where a row of weights is exp(logit - to) of a block, and what is added of it is scaled.
  std::size_t matrix_segment(row_tile const& tile, std::size_t segment) {
    block_room<T>& room = room_of_this_thread<T>();
    std::size_t const width = policy_.width();
    std::size_t const again = at_least(tile.begin, at_most(tile.end(), pass_.kept_rows));
    matrix_blocks<T> own(how_, policy_.matrix, room.policy);
    own.take_rows(policy_.hidden.data() + again * width, tile.end() - again);
    std::vector<row_state> states(tile.end() - again);
    T* const scaled = room.reference_logits.reserve(tile.count * width);
    std::vector<T> relative(tile.count), scaled_for(tile.count), scale(tile.count);
    bool begun = false;
    std::size_t left_out = 0;
    cut_.for_each_block(segment, [&](std::size_t b) {
      std::size_t const first = cut_.first(b), count = cut_.count(b);
      T* weights = kept(b, tile.begin);
      for (std::size_t r = tile.begin; r < again; ++r) {
        relative[r - tile.begin] = pass_.relative_to[b * pass_.kept_rows + r];
      }
      if (again != tile.end()) {
        weights = room.logits.reserve(tile.count * cut_.block);
        for (std::size_t r = tile.begin; r < again; ++r) {
          T const* const from = kept(b, r);
          for (std::size_t v = 0; v != count; ++v) {
            weights[(r - tile.begin) * cut_.block + v] = from[v];
          }
        }
        own.read(first, count);
        T* const rest = weights + (again - tile.begin) * cut_.block;
        own.logits(rest, cut_.block);
        for (std::size_t r = again; r != tile.end(); ++r) {
          T* const row = rest + (r - again) * cut_.block;
          if (!policy_.plain()) products_to_logits(policy_, first, count, row);
          row_state& state = states[r - again];
          T const here = largest_of(static_cast<T const*>(row), count);
          T const to = advance(state, {}, static_cast<T const*>(row), first, count, here);
          to_weights(policy_, state, {}, row, count, to);
          relative[r - tile.begin] = to;
        }
      }
      if (may_leave_out(tile, b)) {
        ++left_out;
        return;
      }
      for (std::size_t r = 0; r != tile.count; ++r) {
        row_coefficients const& row = rows_.of(tile.begin + r);
        T* const of_row = weights + r * cut_.block;
        if (row.is_zero()) {
          // Nothing is asked of it, whatever its logits are: NaN times 0 would be NaN.
          for (std::size_t v = 0; v != count; ++v) of_row[v] = 0;
        }
        if (!begun || scaled_for[r] != relative[r]) {
          scaled_for[r] = relative[r];
          scale[r] =
              row.is_zero()
                  ? T(0)
                  : static_cast<T>(-row.log_prob * slope_ *
                                   std::exp(static_cast<double>(relative[r]) - row.log_normalizer));
          T const* const from = policy_.hidden.data() + (tile.begin + r) * width;
          T* const to = scaled + r * width;
          for (std::size_t i = 0; i != width; ++i)
            to[i] = row.is_zero() ? T(0) : scale[r] * from[i];
        }
        if (!to_.bias.empty()) {
          for (std::size_t v = 0; v != count; ++v) to_.bias[first + v] += scale[r] * of_row[v];
        }
      }
      begun = true;
      add_to_matrix(weights, scaled, tile.count, first, count);
    });
    return left_out;
  }
  [[nodiscard]] T* kept(std::size_t b, std::size_t row) const {
    return pass_.kept_rows == 0 ? nullptr
                                : pass_.kept.data() + (b * pass_.kept_rows + row) * cut_.block;
  }
  [[nodiscard]] bool may_leave_out(row_tile const& tile, std::size_t b) const {
    if (options_.skip_below == 0 || holds_target(tile, b)) return false;
    for (std::size_t r = tile.begin; r != tile.end(); ++r) {
      row_coefficients const& row = rows_.of(r);
      if (row.is_zero()) continue;
      double const p =
          std::exp(static_cast<double>(pass_.largest[b * pass_.rows + r]) - row.log_normalizer);
      if (!(p <= options_.skip_below)) return false;
    }
    return true;
  }

  /// matrix[first, first + count) += weights' rows
  void add_to_matrix(T const* weights, T const* rows, std::size_t count_of_rows, std::size_t first,
                     std::size_t count) const {
    if (to_.matrix == nullptr) return;
    std::size_t const width = policy_.width();
    how_.by.multiply(product<T>{.rows = count,
                                .columns = width,
                                .depth = count_of_rows,
                                .left = weights,
                                .left_stride = cut_.block,
                                .left_transposed = true,
                                .right = rows,
                                .right_stride = width,
                                .to = to_.matrix + first * width,
                                .to_stride = width,
                                .add = true});
  }

  /// What the tokens' own logits add to the matrix and the bias.
  void add_targets(row_tile const& tile, std::size_t segment) const {
    if (to_.matrix == nullptr && to_.bias.empty()) return;
    std::size_t const width = policy_.width();
    for (std::size_t r = tile.begin; r != tile.end(); ++r) {
      for (std::size_t const t : of_rows_.of(r)) {
        if (!cut_.holds(segment, tokens_.target[t]) || rows_.of_target(t) == 0) continue;
        T const by = static_cast<T>(of_target(t));
        if (!to_.bias.empty()) to_.bias[tokens_.target[t]] += by;
        if (to_.matrix == nullptr) continue;
        T* const to = to_.matrix + tokens_.target[t] * width;
        T const* const from = policy_.hidden.data() + r * width;
        for (std::size_t i = 0; i != width; ++i) to[i] += by * from[i];
      }
    }
  }

  /// The derivative by a segment's logits, times the matrix into the tile's partial sums, and by the matrix.
  std::size_t logits_segment(row_tile const& tile, std::size_t segment) {
    block_room<T>& room = room_of_this_thread<T>();
    std::size_t const width = policy_.width();
    T const* const hidden = policy_.hidden.data() + tile.begin * width;
    matrix_blocks<T> own(how_, policy_.matrix, room.policy);
    own.take_rows(hidden, tile.count);
    T* const partial = pass_.partial.data() + segment * tile.count * width;
    T const* const asked = to_.matrix == nullptr ? nullptr : rows_asked(tile, room.moved);
    bool begun = false;
    std::size_t left_out = 0;
    cut_.for_each_block(segment, [&](std::size_t b) {
      std::size_t const first = cut_.first(b), count = cut_.count(b);
      T* const logits = room.logits.reserve(tile.count * cut_.block);
      own.read(first, count);
      own.logits(logits, cut_.block);
      T* const theirs = reference_block(how_, reference_, room, tile, first, count, cut_.block);
      bool matters = options_.skip_below == 0 || holds_target(tile, b);
      for (std::size_t r = 0; r != tile.count; ++r) {
        row_coefficients const& row = rows_.of(tile.begin + r);
        T* const of_row = logits + r * cut_.block;
        T* const their_row = theirs == nullptr ? nullptr : theirs + r * cut_.block;
        if (!policy_.plain()) products_to_logits(policy_, first, count, of_row);
        if (theirs != nullptr && !reference_->plain()) {
          products_to_logits(*reference_, first, count, their_row);
        }
        matters = matters || weighs(row, of_row, their_row, count);
        derive_row(policy_, row, pass_.perturbation, of_row, static_cast<T const*>(their_row),
                   count);
      }
      if (!matters) {
        ++left_out;
        return;
      }
      own.back(logits, cut_.block, tile.count, partial, begun);
      begun = true;
      add_to_matrix(logits, asked, tile.count, first, count);
      if (to_.bias.empty()) return;
      for (std::size_t r = 0; r != tile.count; ++r) {
        for (std::size_t v = 0; v != count; ++v) {
          to_.bias[first + v] += logits[r * cut_.block + v];
        }
      }
    });
    if (!begun) {
      for (std::size_t i = 0; i != tile.count * width; ++i) partial[i] = 0;
    }
    return left_out;
  }
  /// The tile's hidden rows, with zeros where nothing is asked of a row, whatever it is: NaN times 0 would be NaN.
  T const* rows_asked(row_tile const& tile, large_memory<T>& room) const {
    std::size_t const width = policy_.width();
    T* const to = room.reserve(tile.count * width);
    for (std::size_t r = 0; r != tile.count; ++r) {
      T const* const from = policy_.hidden.data() + (tile.begin + r) * width;
      bool const none = rows_.of(tile.begin + r).is_zero();
      for (std::size_t i = 0; i != width; ++i) to[r * width + i] = none ? T(0) : from[i];
    }
    return to;
  }
  /// Whether a row's block has a probability above skip_below, of a model that has a coefficient. NaN counts.
  [[nodiscard]] bool weighs(row_coefficients const& row, T const* logits, T const* reference,
                            std::size_t count) const {
    if (row.is_zero()) return false;
    auto const above = [&](T const* of, double normalizer) {
      return !(std::exp(static_cast<double>(largest_of(of, count)) - normalizer) <=
               options_.skip_below);
    };
    return above(logits, row.log_normalizer) ||
           (row.divergence != 0 && above(reference, row.reference_log_normalizer));
  }
  void finish_row(row_tile const& tile, std::size_t r, large_memory<T>& room) const {
    std::size_t const width = policy_.width();
    T* const to = to_.hidden.data() + (tile.begin + r) * width;
    for (std::size_t s = 0; s != cut_.segments; ++s) {
      T const* const from = pass_.partial.data() + (s * tile.count + r) * width;
      for (std::size_t i = 0; i != width; ++i) to[i] = s == 0 ? from[i] : to[i] + from[i];
    }
    add_rows_of_targets(tile.begin + r, to, room);
  }

  arithmetic<T> const& how_;
  output_layer<T> const& policy_;
  output_layer<T> const* reference_;
  scored_tokens const& tokens_;
  linear_pass<T>& pass_;
  layer_gradient<T> const& to_;
  linear_options const& options_;
  vocabulary_cut cut_;
  tokens_of_rows of_rows_;
  coefficients_of_rows<T> rows_;
  double slope_;
};

template <std::floating_point T>
void expects_backward(arithmetic<T> const& how, output_layer<T> const& policy,
                      output_layer<T> const* reference, scored_tokens const& tokens,
                      linear_pass<T> const& pass, linear_coefficients<T> const& coefficients,
                      layer_gradient<T> const& to, linear_options const& options) {
  char const* const where = "linear_backward";
  expects_linear<T>(how, policy, reference, tokens, options, where);
  std::size_t const rows = policy.rows();
  expects_size(pass.log_normalizer.size(), rows, where, "pass, in rows,");
  expects_size(pass.token_logit.size(), tokens.size(), where, "pass, in tokens,");
  expects_size(to.hidden.size(), policy.hidden.size(), where, "gradient.hidden");
  if (!to.bias.empty()) expects_size(to.bias.size(), policy.vocabulary(), where, "gradient.bias");
  if (!to.groups.empty()) expects_size(to.groups.back(), rows, where, "gradient.groups, in rows,");
  auto const expect = [&](std::span<T const> column, std::size_t size, char const* name) {
    if (!column.empty()) expects_size(column.size(), size, where, name);
  };
  expect(coefficients.log_prob, tokens.size(), "coefficients.log_prob");
  expect(coefficients.entropy, rows, "coefficients.entropy");
  expect(coefficients.divergence, rows, "coefficients.divergence");
  expect(coefficients.reverse_divergence, rows, "coefficients.reverse_divergence");
  expect(coefficients.perturbed_toward, tokens.size(), "coefficients.perturbed_toward");
  expect(coefficients.perturbed_away, tokens.size(), "coefficients.perturbed_away");
  expects(coefficients.entropy.empty() || pass.entropy.size() == rows,
          "linear_backward: a coefficient of entropy needs a forward pass that gave entropy");
  expects(!coefficients.compares() ||
              (reference != nullptr && pass.reference_log_normalizer.size() == rows),
          "linear_backward: coefficients of what compares with a reference need the reference, "
          "after the policy, in both passes");
  expects((coefficients.perturbed_toward.empty() && coefficients.perturbed_away.empty()) ||
              pass.toward_log_normalizer.size() == rows,
          "linear_backward: coefficients of perturbed log-probabilities need a forward pass that "
          "gave them");
  expects(options.skip_below == 0 ||
              (coefficients.entropy.empty() && coefficients.reverse_divergence.empty() &&
               coefficients.perturbed_toward.empty() && coefficients.perturbed_away.empty()),
          "linear_backward: skip_below bounds nothing of entropy, reverse_divergence and "
          "perturbed_*, whose derivatives are not small where probabilities are; take 0");
  expects(options.skip_below == 0 || !pass.largest.empty(),
          "linear_backward: skip_below needs a forward pass that was given it too");
}

template <std::floating_point T>
std::size_t backward_of(arithmetic<T> const& how, output_layer<T> const& policy,
                        output_layer<T> const* reference, scored_tokens const& tokens,
                        linear_pass<T>& pass, linear_coefficients<T> const& coefficients,
                        layer_gradient<T> const& to, linear_options const& options) {
  expects_backward(how, policy, reference, tokens, pass, coefficients, to, options);
  bool const ready = pass.for_backward != prepared::nothing && coefficients.only_log_prob();
  linear_derivative<T> derivative(how, policy, coefficients.compares() ? reference : nullptr,
                                  tokens, pass, coefficients, to, options);
  return ready ? derivative.from_prepared() : derivative.from_logits();
}

}  // namespace detail

/// The derivatives by the hidden states, by the output matrix and by the bias, from those by the results.
///
/// From what forward prepared where coefficients are of log_prob alone; else logits are computed again, block by block.
/// Returns how many blocks, of a tile of rows, were left out (see linear_options::skip_below); kept exponentials are used
/// up: one backward pass for each forward pass.
///
/// Errors  precondition_error for sizes that disagree, and for coefficients of what forward did not give
template <std::floating_point T>
std::size_t linear_backward(arithmetic<T> const& how, output_layer<T> const& layer,
                            scored_tokens const& tokens, linear_pass<T>& pass,
                            linear_coefficients<T> const& coefficients, layer_gradient<T> const& to,
                            linear_options const& options = {}) {
  return detail::backward_of<T>(how, layer, nullptr, tokens, pass, coefficients, to, options);
}
/// The same from the derivatives by what compares with a reference too. The reference has none.
template <std::floating_point T>
std::size_t linear_backward(arithmetic<T> const& how, output_layer<T> const& policy,
                            output_layer<T> const& reference, scored_tokens const& tokens,
                            linear_pass<T>& pass, linear_coefficients<T> const& coefficients,
                            layer_gradient<T> const& to, linear_options const& options = {}) {
  return detail::backward_of<T>(how, policy, &reference, tokens, pass, coefficients, to, options);
}

}  // namespace prefer::inline v0_1::lm
