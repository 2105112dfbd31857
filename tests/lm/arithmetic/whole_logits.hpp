// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <prefer/lm/arithmetic/output_layer.hpp>
#include <prefer/random/distributions.hpp>
#include <span>
#include <vector>

// What linear_log_prob says, computed from whole logits in double, as its definitions have it; and random layers to compute
// it for.

namespace whole_logits {

/// A layer and its memory.
template <class T>
struct layer_in_memory {
  std::size_t width, vocabulary;
  std::vector<T> hidden, matrix, bias;
  double logit_scale = 1, softcap = 0, temperature = 1;

  layer_in_memory(std::size_t rows, std::size_t columns, std::size_t ids, std::uint64_t seed)
      : width(columns), vocabulary(ids), hidden(rows * columns), matrix(ids * columns) {
    prefer::fill_normal(std::span(hidden), {.seed = seed, .step = 1}, 0, 1);
    prefer::fill_normal(std::span(matrix), {.seed = seed, .step = 2}, 0, 1);
  }
  /// With everything that a layer may have.
  void furnish() {
    bias.resize(vocabulary);
    prefer::fill_normal(std::span(bias), {.seed = 9, .step = 3}, 0, 1);
    logit_scale = 0.7;
    softcap = 3.5;
    temperature = 1.3;
  }
  prefer::lm::output_layer<T> view() const {
    return {.hidden = std::span<T const>(hidden),
            .matrix = prefer::lm::weights_at(vocabulary, width, matrix.data()),
            .bias = std::span<T const>(bias),
            .logit_scale = logit_scale,
            .softcap = softcap,
            .temperature = temperature};
  }
  std::vector<double> logits(std::size_t row) const {
    std::vector<double> out(vocabulary);
    for (std::size_t v = 0; v != vocabulary; ++v) {
      double u = bias.empty() ? 0 : static_cast<double>(bias[v]);
      for (std::size_t i = 0; i != width; ++i) {
        u += static_cast<double>(hidden[row * width + i]) *
             static_cast<double>(matrix[v * width + i]);
      }
      u *= logit_scale;
      out[v] = (softcap == 0 ? u : softcap * std::tanh(u / softcap)) / temperature;
    }
    return out;
  }
};

inline double log_normalizer(std::vector<double> const& logits) {
  double largest = logits[0], sum = 0;
  for (double const z : logits) largest = std::max(largest, z);
  for (double const z : logits) sum += std::exp(z - largest);
  return largest + std::log(sum);
}

/// All that can be asked for.
struct numbers {
  std::vector<double> log_prob, most_likely, log_normalizer, entropy, sum_of_squares, mean_logit;
  std::vector<double> divergence, reverse_divergence, reference_log_normalizer, reference_log_prob;
  std::vector<double> perturbed_toward, perturbed_away;

  numbers(std::size_t rows, std::size_t tokens, bool against) {
    for (auto* each : {&log_prob, &most_likely}) each->resize(tokens);
    for (auto* each : {&log_normalizer, &entropy, &sum_of_squares, &mean_logit}) each->resize(rows);
    if (!against) return;
    for (auto* each : {&reference_log_prob, &perturbed_toward, &perturbed_away})
      each->resize(tokens);
    for (auto* each : {&divergence, &reverse_divergence, &reference_log_normalizer}) {
      each->resize(rows);
    }
  }
  prefer::lm::linear_results<double> view(double perturbation) {
    return {.log_prob = log_prob,
            .most_likely = most_likely,
            .log_normalizer = log_normalizer,
            .entropy = entropy,
            .sum_of_squares = sum_of_squares,
            .mean_logit = mean_logit,
            .divergence = divergence,
            .reverse_divergence = reverse_divergence,
            .reference_log_normalizer = reference_log_normalizer,
            .reference_log_prob = reference_log_prob,
            .perturbed_toward = perturbed_toward,
            .perturbed_away = perturbed_away,
            .perturbation = perturbation};
  }
  std::vector<std::vector<double> const*> all() const {
    return {&log_prob,
            &most_likely,
            &log_normalizer,
            &entropy,
            &sum_of_squares,
            &mean_logit,
            &divergence,
            &reverse_divergence,
            &reference_log_normalizer,
            &reference_log_prob,
            &perturbed_toward,
            &perturbed_away};
  }
};

template <class T>
numbers of(layer_in_memory<T> const& policy, layer_in_memory<T> const* reference,
           prefer::lm::scored_tokens const& tokens, double perturbation) {
  std::size_t const rows = policy.hidden.size() / policy.width;
  numbers out(rows, tokens.size(), reference != nullptr);
  for (std::size_t r = 0; r != rows; ++r) {
    auto const z = policy.logits(r);
    double const lse = log_normalizer(z);
    out.log_normalizer[r] = lse;
    std::size_t best = 0;
    for (std::size_t v = 0; v != z.size(); ++v) {
      double const p = std::exp(z[v] - lse);
      if (p > 0) out.entropy[r] -= p * (z[v] - lse);
      out.sum_of_squares[r] += p * p;
      out.mean_logit[r] += z[v] / static_cast<double>(z.size());
      if (z[v] > z[best]) best = v;
    }
    std::vector<double> q, toward, away;
    if (reference != nullptr) {
      q = reference->logits(r);
      double const theirs = log_normalizer(q);
      out.reference_log_normalizer[r] = theirs;
      for (std::size_t v = 0; v != z.size(); ++v) {
        double const gap = (q[v] - theirs) - (z[v] - lse);
        out.divergence[r] += std::exp(q[v] - theirs) * gap;
        out.reverse_divergence[r] -= std::exp(z[v] - lse) * gap;
        toward.push_back(z[v] - perturbation * (z[v] - q[v]));
        away.push_back(z[v] + perturbation * (z[v] - q[v]));
      }
    }
    for (std::size_t t = 0; t != tokens.size(); ++t) {
      if (tokens.row_of(t) != r) continue;
      std::size_t const target = tokens.target[t];
      out.log_prob[t] = z[target] - lse;
      out.most_likely[t] = target == best ? 1 : 0;
      if (reference == nullptr) continue;
      out.reference_log_prob[t] = q[target] - out.reference_log_normalizer[r];
      out.perturbed_toward[t] = toward[target] - log_normalizer(toward);
      out.perturbed_away[t] = away[target] - log_normalizer(away);
    }
  }
  return out;
}

/// sum of coefficients * numbers: a loss whose derivatives by the numbers are the coefficients.
inline double loss(numbers const& of, prefer::lm::linear_coefficients<double> const& by) {
  auto const dot = [](std::vector<double> const& a, std::span<double const> b) {
    double sum = 0;
    for (std::size_t i = 0; i != b.size(); ++i) sum += a[i] * b[i];
    return sum;
  };
  return dot(of.log_prob, by.log_prob) + dot(of.entropy, by.entropy) +
         dot(of.divergence, by.divergence) + dot(of.reverse_divergence, by.reverse_divergence) +
         dot(of.perturbed_toward, by.perturbed_toward) + dot(of.perturbed_away, by.perturbed_away);
}

}  // namespace whole_logits
