// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_table.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/policy/identity.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/policy/policy.hpp>

namespace prefer::inline v0_1 {

/// A model of completions up to, and without, its last layer.
///
/// Asked for   `value_type`; `width()`, the features of a completion, at least 1; `features(batch, out)`, which writes them, one
///             completion after another [N, width]; `backward_features(batch, gradient)`, which adds
///             sum_i gradient_i * d feature_i / d theta to its gradients; `parameters()`, empty where it has none
/// Semantics   of a language model the features are its last hidden state at the completion's last token. Otherwise those
///             of a Policy: backward_features follows features of the same batch, and views of parameters stay valid
template <class M, class B>
concept Backbone = detail::has_value_type<M> && detail::has_parameters<M> &&
                   requires(M& model, B const& batch, std::span<typename M::value_type> out,
                            std::span<typename M::value_type const> gradient) {
                     { model.width() } -> std::convertible_to<std::size_t>;
                     model.features(batch, out);
                     model.backward_features(batch, gradient);
                   };

/// A scalar head on a backbone: a reward model that is trained as a policy is, by `bradley_terry`.
///
///   score = sum_f weight_f * feature_f
///
/// There is no bias: scores of one prompt are compared, and it cancels.
///
/// Parameters  those of the backbone, and "score.weight" [width], initially 0
/// Source      Ziegler et al. 2019, arXiv:1909.08593, section 2.1; Ouyang et al. 2022, arXiv:2203.02155
template <class M>
class scalar_head {
 public:
  using value_type = typename M::value_type;

  explicit scalar_head(M backbone)
      : backbone_(std::move(backbone)), weight_(backbone_.width()), gradient_(backbone_.width()) {
    expects(!weight_.empty(), "scalar_head: the backbone has no features");
  }

  template <class B>
    requires Backbone<M, B>
  void log_prob(B const& batch, std::span<value_type> out) {
    std::size_t const width = weight_.size();
    feature_.resize(out.size() * width);
    backbone_.features(batch, std::span<value_type>(feature_));
    for (std::size_t i = 0; i != out.size(); ++i) {
      double score = 0.0;
      for (std::size_t f = 0; f != width; ++f) {
        score += static_cast<double>(weight_[f]) * static_cast<double>(feature_[i * width + f]);
      }
      out[i] = static_cast<value_type>(score);
    }
  }
  /// Follows log_prob of the same batch, whose features it has kept.
  template <class B>
    requires Backbone<M, B>
  void backward(B const& batch, std::span<value_type const> coefficient) {
    std::size_t const width = weight_.size();
    expects_size(coefficient.size() * width, feature_.size(), "scalar_head::backward",
                 "coefficient times width");
    for (std::size_t i = 0; i != coefficient.size(); ++i) {
      for (std::size_t f = 0; f != width; ++f) {
        gradient_[f] += coefficient[i] * feature_[i * width + f];
        feature_[i * width + f] = coefficient[i] * weight_[f];
      }
    }
    backbone_.backward_features(batch, std::span<value_type const>(feature_));
  }
  void finish_backward() {
    if constexpr (requires { backbone_.finish_backward(); }) backbone_.finish_backward();
  }
  [[nodiscard]] std::vector<parameter<value_type>> parameters() {
    auto out = backbone_.parameters();
    out.push_back({.name = "score.weight",
                   .value = weight_,
                   .gradient = gradient_,
                   .shape = {weight_.size()}});
    return out;
  }
  void parameters_moved() {
    if constexpr (requires { backbone_.parameters_moved(); }) backbone_.parameters_moved();
  }
  [[nodiscard]] std::uint64_t identity() const
    requires detail::identified<M const>
  {
    return fingerprint()
        .add("scalar_head")
        .add(static_cast<std::uint64_t>(backbone_.identity()))
        .value();
  }

  [[nodiscard]] M& backbone() { return backbone_; }
  [[nodiscard]] M const& backbone() const { return backbone_; }

 private:
  M backbone_;
  std::vector<value_type> weight_;    // [width]
  std::vector<value_type> gradient_;  // [width]
  std::vector<value_type> feature_;   // [N, width] of the last batch
};

/// How often each token follows each other, the prompt standing before the first: a backbone without parameters, for which a
/// reward that adds up over transitions is linear.
///
///   feature(x, y)[a * vocabulary + b] = number of t with y_{t-1} = a and y_t = b,  y_0 = x
///
/// The table is borrowed and outlives it; prompts are tokens, as for `bigram`.
///
/// Errors  precondition_error for an empty vocabulary and for a prompt or a token outside it
template <std::floating_point T = float>
class transition_counts {
 public:
  using value_type = T;

  transition_counts(std::size_t vocabulary, token_table const& table)
      : vocabulary_(vocabulary), table_(&table) {
    expects(vocabulary > 0, "transition_counts: vocabulary must be greater than zero");
  }

  [[nodiscard]] std::size_t width() const { return vocabulary_ * vocabulary_; }
  void features(choice_batch const& batch, std::span<T> out) const {
    expects_size(out.size(), batch.completions() * width(), "transition_counts::features", "out");
    for (T& each : out) each = 0;
    for (std::size_t g = 0; g != batch.size(); ++g) {
      for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
        std::size_t state = batch.prompt[g];
        for (std::uint32_t const token : table_->tokens(batch.completion[i])) {
          expects(state < vocabulary_ && token < vocabulary_,
                  "transition_counts: a token is outside the vocabulary");
          out[i * width() + state * vocabulary_ + token] += 1;
          state = token;
        }
      }
    }
  }
  void backward_features(choice_batch const& /*batch*/, std::span<T const> /*gradient*/) const {}
  [[nodiscard]] std::vector<parameter<T>> parameters() const { return {}; }
  [[nodiscard]] std::uint64_t identity() const {
    return fingerprint()
        .add("transition_counts")
        .add(static_cast<std::uint64_t>(vocabulary_))
        .add(fingerprint_of(*table_))
        .value();
  }

 private:
  std::size_t vocabulary_;
  token_table const* table_;
};

}  // namespace prefer::inline v0_1
