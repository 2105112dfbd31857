// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/lanes.hpp>
#include <prefer/lm/arithmetic/output_layer.hpp>
#include <prefer/lm/arithmetic/row_softmax.hpp>
#include <prefer/lm/arithmetic/vocabulary_blocks.hpp>
#include <prefer/scalar/lane.hpp>
#include <prefer/scalar/lane_math.hpp>

namespace prefer::inline v0_1::lm::detail {

/// What is asked of a row, and what its derivative reads.
struct row_coefficients {
  double log_prob =
      0;  // summed over the tokens that are scored from the row, as toward and away are
  double entropy = 0, divergence = 0, reverse_divergence = 0, toward = 0, away = 0;
  double log_normalizer = 0, row_entropy = 0, reference_log_normalizer = 0, reverse = 0;
  double toward_log_normalizer = 0, away_log_normalizer = 0;
  bool asked = false;  // even where coefficients of several tokens cancel

  [[nodiscard]] bool is_zero() const { return !asked; }
};

/// The coefficients of all rows.
template <std::floating_point T>
class coefficients_of_rows {
 public:
  coefficients_of_rows(linear_coefficients<T> const& of, tokens_of_rows const& of_rows,
                       linear_pass<T> const& pass)
      : of_(of), perturbation_(pass.perturbation), rows_(pass.rows) {
    for (std::size_t r = 0; r != pass.rows; ++r) {
      row_coefficients& row = rows_[r];
      auto const take = [&row](std::span<T const> from, std::size_t at, double& to) {
        if (from.empty()) return;
        to += static_cast<double>(from[at]);
        row.asked = row.asked || from[at] != 0;
      };
      for (std::size_t const t : of_rows.of(r)) {
        take(of.log_prob, t, row.log_prob);
        take(of.perturbed_toward, t, row.toward);
        take(of.perturbed_away, t, row.away);
      }
      take(of.entropy, r, row.entropy);
      take(of.divergence, r, row.divergence);
      take(of.reverse_divergence, r, row.reverse_divergence);
      auto const kept = [r](std::vector<double> const& from) {
        return from.empty() ? 0.0 : from[r];
      };
      row.log_normalizer = pass.log_normalizer[r];
      row.row_entropy = kept(pass.entropy);
      row.reference_log_normalizer = kept(pass.reference_log_normalizer);
      row.reverse = kept(pass.reverse_divergence);
      row.toward_log_normalizer = kept(pass.toward_log_normalizer);
      row.away_log_normalizer = kept(pass.away_log_normalizer);
    }
  }

  [[nodiscard]] row_coefficients const& of(std::size_t row) const { return rows_[row]; }
  /// d loss / d of a token's own logit, through its log-probabilities.
  [[nodiscard]] double of_target(std::size_t token) const {
    auto const number = [token](std::span<T const> from) {
      return from.empty() ? 0.0 : static_cast<double>(from[token]);
    };
    return number(of_.log_prob) + (1 - perturbation_) * number(of_.perturbed_toward) +
           (1 + perturbation_) * number(of_.perturbed_away);
  }

 private:
  linear_coefficients<T> const& of_;
  double perturbation_;
  std::vector<row_coefficients> rows_;
};

/// A row's block of logits becomes the derivative by u, but for what tokens' own logits add:
///
///   (d (p - q) - c p + r p (log p - log q - KL(policy || reference)) - e p (log p + entropy)
///    - t (1 - a) p_toward - w (1 + a) p_away) d logit / d u
///
/// by log_prob (c), entropy (e), divergence (d), reverse_divergence (r), perturbed_toward and _away (t, w); p is the
/// policy, q the reference, a the perturbation.
template <class T>
inline void derive_row(output_layer<T> const& layer, row_coefficients const& by,
                       double perturbation, T* row, T const* reference, std::size_t count) {
  using pack = lane<T>;
  if (by.is_zero()) {
    for (std::size_t v = 0; v != count; ++v) row[v] = 0;
    return;
  }
  pack const slope = layer.logit_scale / layer.temperature;
  pack const zero = 0.0;
  // 0 where the probability is: its logarithm may be infinite.
  auto const weighted = [zero](pack p, pack of) { return select(p > zero, p * of, p); };
  for_each_lane<T>(0, count, [&](std::size_t i, std::size_t some) {
    pack const z = load_first(row + i, some);
    pack const log_p = z - pack(by.log_normalizer);
    pack const p = exp(log_p);
    pack d = pack(by.divergence - by.log_prob) * p;
    if (by.entropy != 0) d += pack(-by.entropy) * weighted(p, log_p + pack(by.row_entropy));
    if (reference != nullptr) {
      pack const r = load_first(reference + i, some);
      pack const log_q = r - pack(by.reference_log_normalizer);
      if (by.divergence != 0) d += pack(-by.divergence) * exp(log_q);
      if (by.reverse_divergence != 0) {
        d += pack(by.reverse_divergence) * weighted(p, log_p - log_q - pack(by.reverse));
      }
      pack const move = pack(perturbation) * (z - r);
      if (by.toward != 0) {
        d += pack(-by.toward * (1 - perturbation)) * exp(z - move - pack(by.toward_log_normalizer));
      }
      if (by.away != 0) {
        d += pack(-by.away * (1 + perturbation)) * exp(z + move - pack(by.away_log_normalizer));
      }
    }
    d = d * slope;
    if (layer.softcap != 0) d = d * cap_slope(layer, z);
    store_first(d, row + i, some);
  });
}

}  // namespace prefer::inline v0_1::lm::detail
