// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include <prefer/lm/arithmetic/linear_backward.hpp>
#include <prefer/lm/arithmetic/linear_log_prob.hpp>
#include <prefer/lm/model/row_layout.hpp>
#include <prefer/policy/completion_outputs.hpp>

namespace prefer::inline v0_1::lm {

/// The log-probabilities that are wanted of completions [first, first + count), whose tokens `offset` parts.
template <std::floating_point T>
[[nodiscard]] completion_outputs<T> part_of(completion_outputs<T> const& wanted,
                                            std::span<std::size_t const> offset, std::size_t first,
                                            std::size_t count) {
  completion_outputs<T> out;
  if (!wanted.log_prob.empty()) out.log_prob = wanted.log_prob.subspan(first, count);
  if (!wanted.token_log_prob.empty()) {
    out.token_log_prob =
        wanted.token_log_prob.subspan(offset[first], offset[first + count] - offset[first]);
  }
  return out;
}

/// From what the output layer says of tokens and rows to what is wanted of completions, and back: linear_log_prob on the
/// rows of a layout.
///
/// Sums over a completion's tokens are in double, in their order.
template <std::floating_point T>
class llama_head {
 public:
  /// `prepares` says what a backward pass will find.
  void evaluate(arithmetic<T> const& by, output_layer<T> const& policy,
                output_layer<T> const* reference, row_layout const& layout,
                completion_outputs<T> const& wanted, prepared prepares) {
    std::size_t const rows = layout.scored_rows().size();
    std::size_t const tokens = layout.tokens();
    auto const room = [](std::vector<T>& to, std::size_t count, bool is_wanted) {
      to.resize(is_wanted ? count : 0);
      return std::span<T>(to);
    };
    linear_results<T> const results{
        .log_prob = room(log_prob_, tokens, true),
        .most_likely = room(most_likely_, tokens, !wanted.token_accuracy.empty()),
        .entropy = room(entropy_, rows, !wanted.entropy.empty()),
        .sum_of_squares = room(sum_of_squares_, rows, !wanted.alignment.empty()),
        .mean_logit = room(mean_logit_, rows, !wanted.mean_logit.empty()),
        // Whoever asks nothing of a reference may hand over a divergence's gradient all the same.
        .divergence = room(divergence_, rows, reference != nullptr),
        .perturbed_toward = room(toward_, tokens, !wanted.perturbed_toward.empty()),
        .perturbed_away = room(away_, tokens, !wanted.perturbed_away.empty()),
        .perturbation = wanted.perturbation};
    if (prepares != prepared::nothing) {
      d_hidden_.resize(policy.hidden.size());
      pass_.expected_row_at = d_hidden_;
    }
    linear_options const options{.for_backward = prepares};
    if (reference == nullptr) {
      linear_log_prob(by, policy, scored_of(layout), results, pass_, options);
    } else {
      linear_log_prob(by, policy, *reference, scored_of(layout), results, pass_, options);
    }
    tell(layout, wanted);
  }

  /// The gradient of the hidden rows, after evaluate; that of the matrix is added to `matrix`, null where it is frozen.
  /// Groups that `keep` has 0 for count as if their coefficients were 0.
  std::span<T> backward(arithmetic<T> const& by, output_layer<T> const& policy,
                        output_layer<T> const* reference, row_layout const& layout,
                        completion_gradients<T> const& given, std::span<unsigned char const> keep,
                        T* matrix, prepared prepares) {
    std::size_t const rows = layout.scored_rows().size();
    of_token_.assign(layout.tokens(), T(0));
    of_row_.assign(given.divergence.empty() ? 0 : rows, T(0));
    std::size_t group = 0;
    for_each_token(layout, [&](std::size_t i, std::size_t t, std::size_t row) {
      while (t == layout.group_tokens()[group + 1]) ++group;
      if (!keep.empty() && keep[group] == 0) return;
      if (!given.log_prob.empty()) {
        of_token_[t] +=
            given.token_weight.empty()
                ? given.log_prob[i]
                : static_cast<T>(static_cast<double>(given.log_prob[i]) * given.token_weight[t]);
      }
      if (!given.token_log_prob.empty()) of_token_[t] += given.token_log_prob[t];
      if (!given.divergence.empty()) of_row_[row] += given.divergence[i];
    });
    d_hidden_.resize(policy.hidden.size());
    linear_coefficients<T> const coefficients{.log_prob = of_token_, .divergence = of_row_};
    layer_gradient<T> const to{
        .hidden = d_hidden_, .matrix = matrix, .groups = layout.group_scored_rows()};
    linear_options const options{.for_backward = prepares};
    if (reference == nullptr) {
      linear_backward(by, policy, scored_of(layout), pass_, coefficients, to, options);
    } else {
      linear_backward(by, policy, *reference, scored_of(layout), pass_, coefficients, to, options);
    }
    return d_hidden_;
  }

 private:
  [[nodiscard]] static scored_tokens scored_of(row_layout const& layout) {
    return {.target = layout.target(), .row = layout.scored_from()};
  }

  // f(completion, token, scored row), in the batch's order.
  static void for_each_token(row_layout const& layout, auto&& f) {
    auto const offset = layout.token_offset();
    for (std::size_t i = 0; i + 1 != offset.size(); ++i) {
      for (std::size_t t = offset[i]; t != offset[i + 1]; ++t) f(i, t, layout.scored_from()[t]);
    }
  }

  void tell(row_layout const& layout, completion_outputs<T> const& wanted) {
    for (std::size_t t = 0; t != wanted.token_log_prob.size(); ++t) {
      wanted.token_log_prob[t] = log_prob_[t];
    }
    using id = std::size_t;
    auto const weighted = [&](std::span<T> out, std::vector<T> const& of) {
      sum_up(layout, out, [&](id t, id) {
        double const w = wanted.token_weight.empty() ? 1 : wanted.token_weight[t];
        // What does not count may be infinite.
        return w == 0 ? 0.0 : w * static_cast<double>(of[t]);
      });
    };
    weighted(wanted.log_prob, log_prob_);
    weighted(wanted.perturbed_toward, toward_);
    weighted(wanted.perturbed_away, away_);
    sum_up(layout, wanted.divergence,
           [&](id, id row) { return static_cast<double>(divergence_[row]); });
    auto const mean = [&](std::span<T> out, auto const& of) {
      sum_up(layout, out, of);
      for (std::size_t i = 0; i != out.size(); ++i) {
        out[i] /= static_cast<T>(layout.token_offset()[i + 1] - layout.token_offset()[i]);
      }
    };
    mean(wanted.alignment, [&](id t, id row) {
      return static_cast<double>(log_prob_[t]) -
             std::log(static_cast<double>(sum_of_squares_[row]));
    });
    mean(wanted.entropy, [&](id, id row) { return static_cast<double>(entropy_[row]); });
    mean(wanted.mean_logit, [&](id, id row) { return static_cast<double>(mean_logit_[row]); });
    mean(wanted.token_accuracy, [&](id t, id) { return static_cast<double>(most_likely_[t]); });
  }
  // Nothing where no column is wanted.
  static void sum_up(row_layout const& layout, std::span<T> out, auto const& of) {
    auto const offset = layout.token_offset();
    for (std::size_t i = 0; i != out.size(); ++i) {
      double sum = 0;
      for (std::size_t t = offset[i]; t != offset[i + 1]; ++t)
        sum += of(t, layout.scored_from()[t]);
      out[i] = static_cast<T>(sum);
    }
  }

  linear_pass<T> pass_;
  std::vector<T> log_prob_, most_likely_, toward_, away_;              // [tokens]
  std::vector<T> entropy_, sum_of_squares_, mean_logit_, divergence_;  // [rows]
  std::vector<T> of_token_;                                            // [tokens]
  std::vector<T> of_row_;                                              // [rows]
  std::vector<T> d_hidden_;
};

}  // namespace prefer::inline v0_1::lm
