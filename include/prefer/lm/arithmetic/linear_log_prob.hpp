// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/lanes.hpp>
#include <prefer/lm/arithmetic/output_layer.hpp>
#include <prefer/lm/arithmetic/row_softmax.hpp>
#include <prefer/lm/arithmetic/vocabulary_blocks.hpp>
#include <prefer/lm/arithmetic/weight_products.hpp>

// From hidden states to log-probabilities of tokens without all logits: the vocabulary in blocks, an online softmax between
// them. What a backward pass needs of a frozen matrix is summed up in the same pass.

namespace prefer::inline v0_1::lm {

namespace detail {

/// Memory of a thread for a tile of rows and a block of the vocabulary.
template <class T>
struct block_room {
  typename matrix_blocks<T>::room policy, reference;
  large_memory<T> logits, reference_logits, moved;
};
template <class T>
[[nodiscard]] block_room<T>& room_of_this_thread() {
  static thread_local block_room<T> room;
  return room;
}

/// The reference's logits of a block of the vocabulary at a tile's rows, `stride` from one row to the next; nothing where
/// there is no reference.
template <class T>
[[nodiscard]] T* reference_block(arithmetic<T> const& how, output_layer<T> const* reference,
                                 block_room<T>& room, row_tile const& tile, std::size_t first,
                                 std::size_t count, std::size_t stride) {
  if (reference == nullptr) return nullptr;
  matrix_blocks<T> theirs(how, reference->matrix, room.reference);
  theirs.take_rows(reference->hidden.data() + tile.begin * reference->width(), tile.count);
  theirs.read(first, count);
  T* const to = room.reference_logits.reserve(tile.count * stride);
  theirs.logits(to, stride);
  return to;
}

/// e_v -> e_v (d logit_v / d u) / (logit_scale / temperature): exponentials of a row's block where logits are capped.
template <class T>
inline void store_weights(output_layer<T> const& layer, T* row, std::size_t count, T to) {
  lane<T> const relative = to;
  for_each_lane<T>(0, count, [&](std::size_t i, std::size_t some) {
    lane<T> const z = load_first(row + i, some);
    store_first(prefer::detail::exp_nonpositive(z - relative) * cap_slope(layer, z), row + i, some);
  });
}

/// A row of logits, advanced, becomes what backward multiplies with: exponentials times the slope of softcap.
template <class T>
inline void to_weights(output_layer<T> const& layer, row_state& state, row_wants const& wants,
                       T* row, std::size_t count, T to) {
  if (layer.softcap == 0) {
    absorb<true>(state, wants, row, count, to);
  } else {
    absorb<false>(state, wants, row, count, to);
    store_weights(layer, row, count, to);
  }
}

template <std::floating_point T>
void expects_linear(arithmetic<T> const& how, output_layer<T> const& policy,
                    output_layer<T> const* reference, scored_tokens const& tokens,
                    linear_options const& options, char const* where) {
  policy.expects_valid(where);
  expects_tokens(tokens, policy.rows(), policy.vocabulary(), where);
  if (options.vocabulary_block == 0) {
    refuse(std::string(where) + ": vocabulary_block is at least 1");
  }
  if (how.weights == compute_type::bf16) how.by.expects_bfloat16();
  if (reference == nullptr) return;
  reference->expects_valid(where);
  expects_size(reference->rows(), policy.rows(), where, "reference.hidden, in rows,");
  expects_size(reference->vocabulary(), policy.vocabulary(), where, "reference.matrix, in rows,");
}

/// One forward pass; what it is given lives as long.
template <std::floating_point T>
class linear_forward {
 public:
  linear_forward(arithmetic<T> const& how, output_layer<T> const& policy,
                 output_layer<T> const* reference, scored_tokens const& tokens,
                 linear_results<T> const& results, linear_pass<T>& pass,
                 linear_options const& options)
      : how_(how),
        policy_(policy),
        reference_(reference),
        results_(results),
        pass_(pass),
        options_(options),
        cut_(policy.vocabulary(), options.vocabulary_block),
        of_rows_(tokens, policy.rows()),
        tokens_(tokens),
        wants_{.spread = !results.entropy.empty() || !results.sum_of_squares.empty(),
               .mean = !results.mean_logit.empty(),
               .most_likely = !results.most_likely.empty(),
               .perturbed = results.perturbs()} {
    expects_sizes();
    begin_pass();
  }

  void operator()() {
    if (prepares() && options_.skip_below > 0) find_known_logits();
    for (row_tile const& tile : tiles_of(policy_.rows())) {
      states_.assign(cut_.segments * tile.count, {});
      if (prepares()) pass_.partial.reserve(cut_.segments * tile.count * policy_.width());
      std::vector<std::size_t> left_out(cut_.segments);
      how_.threads.for_each_chunk(cut_.segments, [&](std::size_t segment) {
        left_out[segment] = absorb_segment(tile, segment);
      });
      for (std::size_t const each : left_out) pass_.left_out += each;
      how_.threads.for_each_block(tile.count, 16, [&](std::size_t begin, std::size_t end) {
        for (std::size_t r = begin; r != end; ++r) finish_row(tile, r);
      });
    }
  }

 private:
  [[nodiscard]] bool prepares() const { return options_.for_backward != prepared::nothing; }

  void expects_sizes() const {
    char const* const where = "linear_log_prob";
    auto const expect = [&](std::span<T> column, std::size_t size, char const* name) {
      if (!column.empty()) expects_size(column.size(), size, where, name);
    };
    std::size_t const rows = policy_.rows(), tokens = tokens_.size();
    expect(results_.log_prob, tokens, "results.log_prob");
    expect(results_.most_likely, tokens, "results.most_likely");
    expect(results_.log_normalizer, rows, "results.log_normalizer");
    expect(results_.entropy, rows, "results.entropy");
    expect(results_.sum_of_squares, rows, "results.sum_of_squares");
    expect(results_.mean_logit, rows, "results.mean_logit");
    expect(results_.divergence, rows, "results.divergence");
    expect(results_.reverse_divergence, rows, "results.reverse_divergence");
    expect(results_.reference_log_normalizer, rows, "results.reference_log_normalizer");
    expect(results_.reference_log_prob, tokens, "results.reference_log_prob");
    expect(results_.perturbed_toward, tokens, "results.perturbed_toward");
    expect(results_.perturbed_away, tokens, "results.perturbed_away");
    expects(reference_ != nullptr || !results_.compares(),
            "linear_log_prob: results compare with a reference, and no reference is given; it "
            "comes after the policy");
  }

  void begin_pass() {
    std::size_t const rows = policy_.rows();
    pass_.rows = rows;
    pass_.block = cut_.block;
    pass_.for_backward = options_.for_backward;
    pass_.perturbation = results_.perturbation;
    pass_.left_out = 0;
    pass_.log_normalizer.resize(rows);
    pass_.entropy.resize(wants_.spread ? rows : 0);
    std::size_t const against = reference_ == nullptr ? 0 : rows;
    pass_.reference_log_normalizer.resize(against);
    pass_.reverse_divergence.resize(against);
    pass_.toward_log_normalizer.resize(wants_.perturbed ? rows : 0);
    pass_.away_log_normalizer.resize(wants_.perturbed ? rows : 0);
    pass_.token_logit.resize(tokens_.size());
    pass_.reference_token_logit.resize(reference_ == nullptr ? 0 : tokens_.size());
    pass_.largest.resize(options_.skip_below > 0 ? cut_.blocks * rows : 0);
    if (prepares() && pass_.expected_row_at.empty()) {
      pass_.own_expected_row.reserve(rows * policy_.width());
    } else if (prepares()) {
      expects_size(pass_.expected_row_at.size(), rows * policy_.width(), "linear_log_prob",
                   "pass.expected_row_at");
    }
    pass_.kept_rows = 0;
    if (options_.for_backward == prepared::hidden_and_matrix) {
      std::size_t const row_bytes = cut_.blocks * cut_.block * sizeof(T);
      pass_.kept_rows = at_most(rows, options_.keep_bytes / at_least(1, row_bytes));
      pass_.relative_to.resize(cut_.blocks * pass_.kept_rows);
      pass_.kept.reserve(cut_.blocks * pass_.kept_rows * cut_.block);
    }
  }

  /// Takes a segment of the vocabulary into the states of a tile's rows; returns how many blocks were left out of their
  /// expected rows.
  std::size_t absorb_segment(row_tile const& tile, std::size_t segment) {
    block_room<T>& room = room_of_this_thread<T>();
    matrix_blocks<T> own(how_, policy_.matrix, room.policy);
    own.take_rows(policy_.hidden.data() + tile.begin * policy_.width(), tile.count);
    row_state* const states = states_.data() + segment * tile.count;
    std::size_t const width = policy_.width();
    T* const partial = prepares() ? pass_.partial.data() + segment * tile.count * width : nullptr;
    bool begun = false;
    std::size_t left_out = 0;
    cut_.for_each_block(segment, [&](std::size_t b) {
      std::size_t const first = cut_.first(b), count = cut_.count(b);
      bool const direct = tile.end() <= pass_.kept_rows;
      T* const logits = direct ? kept(b, tile.begin) : room.logits.reserve(tile.count * cut_.block);
      own.read(first, count);
      own.logits(logits, cut_.block);
      T* const theirs = reference_block(how_, reference_, room, tile, first, count, cut_.block);
      bool matters = options_.skip_below == 0;
      for (std::size_t r = 0; r != tile.count; ++r) {
        T* const row = logits + r * cut_.block;
        if (!policy_.plain()) products_to_logits(policy_, first, count, row);
        T const here = largest_of(static_cast<T const*>(row), count);
        double const before = states[r].policy.largest;
        T const to = advance(states[r], wants_, static_cast<T const*>(row), first, count, here);
        note_tokens(tile.begin + r, first, count, row, pass_.token_logit);
        if (theirs != nullptr) {
          T* const their_row = theirs + r * cut_.block;
          if (!reference_->plain()) products_to_logits(*reference_, first, count, their_row);
          note_tokens(tile.begin + r, first, count, their_row, pass_.reference_token_logit);
          compare(states[r], wants_, static_cast<T const*>(row), static_cast<T const*>(their_row),
                  count, to, results_.perturbation, room.moved.reserve(cut_.block));
        }
        if (!pass_.largest.empty()) pass_.largest[b * pass_.rows + tile.begin + r] = here;
        if (partial == nullptr) {
          absorb<false>(states[r], wants_, row, count, to);
          continue;
        }
        to_weights(policy_, states[r], wants_, row, count, to);
        if (tile.begin + r < pass_.kept_rows) {
          pass_.relative_to[b * pass_.kept_rows + tile.begin + r] = to;
        }
        if (begun && before != states[r].policy.largest) {
          scale_row(partial + r * width, softmax_sums::factor(before, states[r].policy.largest));
        }
        // A normaliser is no smaller than any logit. NaN counts: what a row with it says shall be NaN.
        matters = matters || !(std::exp(static_cast<double>(here) -
                                        at_least_known(tile.begin + r, static_cast<double>(to))) <=
                               options_.skip_below);
      }
      if (partial == nullptr) return;
      if (!direct) keep_rows(b, tile, logits);
      if (!matters) {
        ++left_out;
        return;
      }
      own.back(logits, cut_.block, tile.count, partial, begun);
      begun = true;
    });
    if (partial != nullptr && !begun) {
      for (std::size_t i = 0; i != tile.count * width; ++i) partial[i] = 0;
    }
    return left_out;
  }

  /// The largest logit of each row's tokens: what blocks far from all of them are measured by before their segment has
  /// seen a large one.
  void find_known_logits() {
    known_.assign(policy_.rows(), -std::numeric_limits<double>::infinity());
    std::size_t const width = policy_.width();
    how_.threads.for_each_block(policy_.rows(), 16, [&](std::size_t begin, std::size_t end) {
      std::vector<T> of_token(width);
      for (std::size_t r = begin; r != end; ++r) {
        for (std::size_t const t : of_rows_.of(r)) {
          policy_.matrix.read_rows(tokens_.target[t], 1, of_token.data(), width);
          double u = 0;
          for (std::size_t i = 0; i != width; ++i) {
            u += static_cast<double>(policy_.hidden[r * width + i]) *
                 static_cast<double>(of_token[i]);
          }
          T logit = static_cast<T>(u);
          if (!policy_.plain()) products_to_logits(policy_, tokens_.target[t], 1, &logit);
          known_[r] =
              static_cast<double>(logit) > known_[r] ? static_cast<double>(logit) : known_[r];
        }
      }
    });
  }
  [[nodiscard]] double at_least_known(std::size_t row, double logit) const {
    return known_[row] > logit ? known_[row] : logit;
  }

  [[nodiscard]] T* kept(std::size_t b, std::size_t row) const {
    return pass_.kept.data() + (b * pass_.kept_rows + row) * cut_.block;
  }
  /// Those of a tile's rows that are kept, where not all are.
  void keep_rows(std::size_t b, row_tile const& tile, T const* weights) const {
    for (std::size_t r = tile.begin; r < at_most(tile.end(), pass_.kept_rows); ++r) {
      T const* const from = weights + (r - tile.begin) * cut_.block;
      T* const to = kept(b, r);
      for (std::size_t v = 0; v != cut_.count(b); ++v) to[v] = from[v];
    }
  }

  void note_tokens(std::size_t row, std::size_t first, std::size_t count, T const* logits,
                   std::vector<T>& to) const {
    for (std::size_t const t : of_rows_.of(row)) {
      std::size_t const at = tokens_.target[t] - first;  // wraps around where the token lies before
      if (at < count) to[t] = logits[at];
    }
  }

  void scale_row(T* row, double by) const {
    for (std::size_t i = 0; i != policy_.width(); ++i) row[i] *= static_cast<T>(by);
  }

  void finish_row(row_tile const& tile, std::size_t r) {
    row_state all = states_[r];
    for (std::size_t s = 1; s != cut_.segments; ++s) {
      row_state const& other = states_[s * tile.count + r];
      if (other.policy.largest > all.policy.largest) all.most_likely = other.most_likely;
      all.policy.add(other.policy);
      all.reference.add(other.reference);
      all.toward.add(other.toward);
      all.away.add(other.away);
      all.sum_of_logits += other.sum_of_logits;
    }
    std::size_t const row = tile.begin + r;
    double const normalizer = all.policy.log_normalizer();
    pass_.log_normalizer[row] = normalizer;
    auto const write = [](std::span<T> to, std::size_t at, double number) {
      if (!to.empty()) to[at] = static_cast<T>(number);
    };
    write(results_.log_normalizer, row, normalizer);
    if (wants_.spread) {
      pass_.entropy[row] = all.policy.entropy();
      write(results_.entropy, row, pass_.entropy[row]);
      write(results_.sum_of_squares, row, all.policy.sum_of_squares());
    }
    write(results_.mean_logit, row, all.sum_of_logits / static_cast<double>(policy_.vocabulary()));
    if (reference_ != nullptr) compare_row(row, all);
    for (std::size_t const t : of_rows_.of(row)) {
      auto const logit = static_cast<double>(pass_.token_logit[t]);
      write(results_.log_prob, t, logit - normalizer);
      write(results_.most_likely, t, tokens_.target[t] == all.most_likely ? 1.0 : 0.0);
      if (reference_ == nullptr) continue;
      auto const theirs = static_cast<double>(pass_.reference_token_logit[t]);
      double const moved = results_.perturbation * (logit - theirs);
      write(results_.reference_log_prob, t, theirs - pass_.reference_log_normalizer[row]);
      write(results_.perturbed_toward, t, logit - moved - all.toward.log_normalizer());
      write(results_.perturbed_away, t, logit + moved - all.away.log_normalizer());
    }
    if (prepares()) expect_row(tile, r, all.policy);
  }

  void compare_row(std::size_t row, row_state const& all) {
    double const reverse = divergence_of(all.policy, all.reference);
    pass_.reference_log_normalizer[row] = all.reference.log_normalizer();
    pass_.reverse_divergence[row] = reverse;
    if (wants_.perturbed) {
      pass_.toward_log_normalizer[row] = all.toward.log_normalizer();
      pass_.away_log_normalizer[row] = all.away.log_normalizer();
    }
    auto const write = [row](std::span<T> to, double number) {
      if (!to.empty()) to[row] = static_cast<T>(number);
    };
    write(results_.reference_log_normalizer, all.reference.log_normalizer());
    write(results_.divergence, divergence_of(all.reference, all.policy));
    write(results_.reverse_divergence, reverse);
  }

  /// The segments' sums of rows of the matrix as one, relative to the normaliser.
  void expect_row(row_tile const& tile, std::size_t r, softmax_sums const& all) {
    std::size_t const width = policy_.width();
    T* const to = pass_.expected_row() + (tile.begin + r) * width;
    for (std::size_t s = 0; s != cut_.segments; ++s) {
      double const largest = states_[s * tile.count + r].policy.largest;
      T const by = static_cast<T>(softmax_sums::factor(largest, all.largest) / all.sum);
      T const* const from = pass_.partial.data() + (s * tile.count + r) * width;
      for (std::size_t i = 0; i != width; ++i) to[i] = s == 0 ? by * from[i] : to[i] + by * from[i];
    }
  }

  arithmetic<T> const& how_;
  output_layer<T> const& policy_;
  output_layer<T> const* reference_;
  linear_results<T> const& results_;
  linear_pass<T>& pass_;
  linear_options const& options_;
  vocabulary_cut cut_;
  tokens_of_rows of_rows_;
  scored_tokens const& tokens_;
  row_wants wants_;
  std::vector<row_state> states_;  // [segments, rows of the tile]
  std::vector<double> known_;      // [rows], where blocks may be left out
};

}  // namespace detail

/// Log-probabilities of tokens from hidden states and the output matrix.
///
///   log_prob = logit[target] - log(sum over v of exp(logit[v]))
///
/// Logits as output_layer has them. Entropy, sum of squares, mean logit and whether the token is the most likely one on
/// request, in the same pass.
///
/// Memory   logits of 288 rows x vocabulary_block for each thread, 8 x 288 rows of hidden size, and what options keep for
///          backward; never rows x vocabulary
/// Order    fixed: a row has the same bits in any batch and on any number of threads
/// Errors   precondition_error for sizes that disagree, for a token or a row out of range; NaN flows into its row alone
template <std::floating_point T>
void linear_log_prob(arithmetic<T> const& how, output_layer<T> const& layer,
                     scored_tokens const& tokens, linear_results<T> const& results,
                     linear_pass<T>& pass, linear_options const& options = {}) {
  detail::expects_linear<T>(how, layer, nullptr, tokens, options, "linear_log_prob");
  detail::linear_forward<T>(how, layer, nullptr, tokens, results, pass, options)();
}
/// The same with a reference's last layer beside the policy's, also the divergences between them, and log-probabilities
/// with the logits moved to the reference's or away from them. The reference's width may be another.
template <std::floating_point T>
void linear_log_prob(arithmetic<T> const& how, output_layer<T> const& policy,
                     output_layer<T> const& reference, scored_tokens const& tokens,
                     linear_results<T> const& results, linear_pass<T>& pass,
                     linear_options const& options = {}) {
  detail::expects_linear<T>(how, policy, &reference, tokens, options, "linear_log_prob");
  detail::linear_forward<T>(how, policy, &reference, tokens, results, pass, options)();
}

}  // namespace prefer::inline v0_1::lm
