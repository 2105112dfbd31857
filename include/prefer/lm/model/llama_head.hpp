// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/weight_products.hpp>
#include <prefer/lm/files/weight_matrix.hpp>
#include <prefer/lm/model/row_layout.hpp>
#include <prefer/policy/completion_outputs.hpp>

namespace prefer::inline v0_1::lm {

/// Rows that come out of a model's layers, and the matrix that makes logits of them.
template <std::floating_point T>
struct hidden_rows {
  weight_matrix<T> output;
  std::span<T const> hidden;
};

/// What the last rows say of tokens, from whole logits [scored rows, vocabulary].
template <std::floating_point T>
class llama_head {
 public:
  void evaluate(hidden_rows<T> const& of, hidden_rows<T> const* reference, row_layout const& layout,
                arithmetic<T> const& by, completion_outputs<T> const& wanted) {
    std::size_t const v = of.output.rows();
    std::size_t const rows = layout.scored_rows().size();
    logits_.resize(rows * v);
    multiply_by_weights(by, rows, of.hidden.data(), of.output, logits_.data(), false);
    if (reference != nullptr) {
      theirs_.resize(rows * v);
      multiply_by_weights(by, rows, reference->hidden.data(), reference->output, theirs_.data(),
                          false);
    }
    auto const norm = [&](auto&& logit) {
      double most = -1e300, sum = 0;
      for (std::size_t i = 0; i != v; ++i) most = std::max<double>(most, logit(i));
      for (std::size_t i = 0; i != v; ++i) sum += std::exp(logit(i) - most);
      return most + std::log(sum);
    };
    std::vector<double> lp(layout.tokens()), e(rows), s(rows), m(rows), a(rows), d(rows),
        to(layout.tokens()), aw(layout.tokens());
    std::vector<double> n(rows), nt(rows), na(rows);
    for (std::size_t r = 0; r != rows; ++r) {
      T const* z = logits_.data() + r * v;
      n[r] = norm([&](std::size_t i) { return double(z[i]); });
      double best = -1e300, q = 0;
      for (std::size_t i = 0; i != v; ++i) {
        double const p = std::exp(z[i] - n[r]);
        e[r] -= p * (z[i] - n[r]);
        q += p * p;
        m[r] += z[i] / double(v);
        if (z[i] > best) {
          best = z[i];
          a[r] = double(i);
        }
      }
      s[r] = std::log(q);
      if (reference == nullptr) continue;
      T const* y = theirs_.data() + r * v;
      double const k = wanted.perturbation;
      double const ny = norm([&](std::size_t i) { return double(y[i]); });
      for (std::size_t i = 0; i != v; ++i)
        d[r] += std::exp(y[i] - ny) * ((y[i] - ny) - (z[i] - n[r]));
      nt[r] = norm([&](std::size_t i) { return z[i] - k * (z[i] - y[i]); });
      na[r] = norm([&](std::size_t i) { return z[i] + k * (z[i] - y[i]); });
    }
    for (std::size_t i = 0; i + 1 != layout.token_offset().size(); ++i) {
      double sum = 0, ent = 0, al = 0, ml = 0, acc = 0, div = 0, tw = 0, aws = 0;
      for (std::size_t t = layout.token_offset()[i]; t != layout.token_offset()[i + 1]; ++t) {
        std::size_t const r = layout.scored_from()[t], g = layout.target()[t];
        double const l = logits_[r * v + g] - n[r];
        double const w = wanted.token_weight.empty() ? 1 : wanted.token_weight[t];
        if (w != 0) sum += w * double(T(l));
        if (!wanted.token_log_prob.empty()) wanted.token_log_prob[t] = T(l);
        ent += e[r];
        al += l - s[r];
        ml += m[r];
        acc += a[r] == double(g) ? 1 : 0;
        div += d[r];
        if (reference != nullptr && w != 0) {
          double const z = logits_[r * v + g], y = theirs_[r * v + g], k = wanted.perturbation;
          tw += w * (z - k * (z - y) - nt[r]);
          aws += w * (z + k * (z - y) - na[r]);
        }
      }
      double const count = double(layout.token_offset()[i + 1] - layout.token_offset()[i]);
      auto const put = [&](std::span<T> at, double x) {
        if (!at.empty()) at[i] = T(x);
      };
      put(wanted.log_prob, sum);
      put(wanted.entropy, ent / count);
      put(wanted.alignment, al / count);
      put(wanted.mean_logit, ml / count);
      put(wanted.token_accuracy, acc / count);
      put(wanted.divergence, div);
      put(wanted.perturbed_toward, tw);
      put(wanted.perturbed_away, aws);
    }
  }
  std::span<T const> backward(hidden_rows<T> const& of, hidden_rows<T> const* reference,
                              row_layout const& layout, arithmetic<T> const& by,
                              completion_gradients<T> const& given, T* output_gradient) {
    std::size_t const v = of.output.rows(), w = of.output.columns();
    std::size_t const rows = layout.scored_rows().size();
    logits_.resize(rows * v);
    multiply_by_weights(by, rows, of.hidden.data(), of.output, logits_.data(), false);
    if (reference != nullptr) {
      theirs_.resize(rows * v);
      multiply_by_weights(by, rows, reference->hidden.data(), reference->output, theirs_.data(),
                          false);
    }
    std::vector<T> d(rows * v), c(rows), dv(rows);
    for (std::size_t i = 0; i + 1 != layout.token_offset().size(); ++i) {
      for (std::size_t t = layout.token_offset()[i]; t != layout.token_offset()[i + 1]; ++t) {
        std::size_t const r = layout.scored_from()[t], g = layout.target()[t];
        double x = 0;
        if (!given.log_prob.empty())
          x += given.log_prob[i] * (given.token_weight.empty() ? 1 : given.token_weight[t]);
        if (!given.token_log_prob.empty()) x += given.token_log_prob[t];
        d[r * v + g] += T(x);
        c[r] += T(x);
        if (!given.divergence.empty()) dv[r] += given.divergence[i];
      }
    }
    auto const soft = [&](T* z) {
      T most = z[0];
      double sum = 0;
      for (std::size_t i = 0; i != v; ++i) most = std::max(most, z[i]);
      for (std::size_t i = 0; i != v; ++i) sum += z[i] = std::exp(z[i] - most);
      for (std::size_t i = 0; i != v; ++i) z[i] = T(z[i] / sum);
    };
    for (std::size_t r = 0; r != rows; ++r) {
      soft(&logits_[r * v]);
      if (reference != nullptr) soft(&theirs_[r * v]);
      for (std::size_t i = 0; i != v; ++i) {
        d[r * v + i] -= c[r] * logits_[r * v + i];
        if (dv[r] != 0) d[r * v + i] += dv[r] * (logits_[r * v + i] - theirs_[r * v + i]);
      }
    }
    d_hidden_.resize(rows * w);
    multiply_back_by_weights(by, rows, static_cast<T const*>(d.data()), of.output, d_hidden_.data(),
                             false);
    if (output_gradient != nullptr) {
      auto const g = layout.group_scored_rows();
      for (std::size_t k = 0; k + 1 != g.size(); ++k) {
        add_weight_gradient(by, g[k + 1] - g[k], static_cast<T const*>(d.data()) + g[k] * v,
                            of.hidden.data() + g[k] * w, v, w, output_gradient);
      }
    }
    return d_hidden_;
  }

 private:
  std::vector<T> logits_, theirs_, d_hidden_;
};

}  // namespace prefer::inline v0_1::lm
