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
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/completion_outputs.hpp>
#include <prefer/policy/group_tokens.hpp>
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
/// Optional    `learn_features(batch, out)`, where `features` keeps nothing: what backward_features follows in training
template <class M, class B>
concept Backbone = detail::has_value_type<M> && detail::has_parameters<M> &&
                   requires(M& model, B const& batch, std::span<typename M::value_type> out,
                            std::span<typename M::value_type const> gradient) {
                     { model.width() } -> std::convertible_to<std::size_t>;
                     model.features(batch, out);
                     model.backward_features(batch, gradient);
                   };

/// A backbone that has features of each step of a completion too, which a value model is made of.
///
/// Asked for   `step_features(batch, step_offset, out)`, which writes them, one step after another [steps, width], completion i of
///             the batch having the steps [step_offset[i], step_offset[i + 1]), see ValueModel; `backward_step_features(batch,
///             step_offset, gradient)`
/// Semantics   of a language model those of a step are the hidden state from which its token is scored, and of the state after
///             the end that of the last token. Otherwise those of features
/// Optional    `learn_step_features(batch, step_offset, out)`, as learn_features
template <class M, class B>
concept StepBackbone =
    Backbone<M, B> && requires(M& model, B const& batch, std::span<std::size_t const> step_offset,
                               std::span<typename M::value_type> out,
                               std::span<typename M::value_type const> gradient) {
      model.step_features(batch, step_offset, out);
      model.backward_step_features(batch, step_offset, gradient);
    };

namespace detail {

template <class M, class B>
concept learns_features =
    requires(M& model, B const& batch, std::span<typename M::value_type> out) {
      model.learn_features(batch, out);
    };

template <class M, class B>
concept learns_step_features = requires(
    M& model, B const& batch, std::span<std::size_t const> step_offset,
    std::span<typename M::value_type> out) { model.learn_step_features(batch, step_offset, out); };

}  // namespace detail

/// A scalar head on a backbone: a reward model that is trained as a policy is, by `bradley_terry`; on a StepBackbone a
/// ValueModel as well, for `ppo_method`. One object is used as one of the two.
///
///   score = sum_f weight_f * feature_f        value_t = sum_f weight_f * feature_{t,f}
///
/// There is no bias: scores of one prompt are compared, and it cancels; TRL's value head has none either.
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
    feature_.resize(out.size() * weight_.size());
    backbone_.features(batch, std::span<value_type>(feature_));
    tell(out);
  }
  /// The same with what the backbone keeps for backward: what the trainer asks.
  template <class B>
    requires Backbone<M, B>
  void evaluate(B const& batch, completion_outputs<value_type> const& wanted) {
    detail::expects_outputs({}, wanted.wanted(), "scalar_head::evaluate");
    expects(wanted.token_weight.empty(), "scalar_head: a score is of a completion, not of tokens");
    feature_.resize(wanted.log_prob.size() * weight_.size());
    if constexpr (detail::learns_features<M, B>) {
      backbone_.learn_features(batch, std::span<value_type>(feature_));
    } else {
      backbone_.features(batch, std::span<value_type>(feature_));
    }
    tell(wanted.log_prob);
  }
  /// Follows log_prob or evaluate of the same batch, whose features it has kept.
  template <class B>
    requires Backbone<M, B>
  void backward(B const& batch, std::span<value_type const> coefficient) {
    give_back(coefficient, "scalar_head::backward");
    backbone_.backward_features(batch, std::span<value_type const>(feature_));
  }

  // A ValueModel.

  template <class B>
    requires StepBackbone<M, B>
  void values(B const& batch, std::span<std::size_t const> step_offset, std::span<value_type> out) {
    feature_.resize(out.size() * weight_.size());
    backbone_.step_features(batch, step_offset, std::span<value_type>(feature_));
    tell(out);
  }
  /// The same with what the backbone keeps for backward_values: what ppo_method asks where it learns.
  template <class B>
    requires StepBackbone<M, B>
  void learn_values(B const& batch, std::span<std::size_t const> step_offset,
                    std::span<value_type> out) {
    feature_.resize(out.size() * weight_.size());
    if constexpr (detail::learns_step_features<M, B>) {
      backbone_.learn_step_features(batch, step_offset, std::span<value_type>(feature_));
    } else {
      backbone_.step_features(batch, step_offset, std::span<value_type>(feature_));
    }
    tell(out);
  }
  /// Follows values or learn_values of the same batch.
  template <class B>
    requires StepBackbone<M, B>
  void backward_values(B const& batch, std::span<std::size_t const> step_offset,
                       std::span<value_type const> coefficient) {
    give_back(coefficient, "scalar_head::backward_values");
    backbone_.backward_step_features(batch, step_offset, std::span<value_type const>(feature_));
  }

  /// Tokens that the backbone reads, for micro-batches by their number.
  template <class B>
    requires detail::counts_group_tokens<M>
  void group_tokens(B const& batch, std::vector<std::size_t>& out) {
    backbone_.group_tokens(batch, out);
  }
  [[nodiscard]] bool same_completion(std::uint32_t a, std::uint32_t b) const {
    if constexpr (requires { bool{backbone_.same_completion(a, b)}; }) {
      return backbone_.same_completion(a, b);
    } else {
      return a == b;
    }
  }
  void use(executor threads) {
    if constexpr (requires { backbone_.use(threads); }) backbone_.use(threads);
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

  /// [width]
  [[nodiscard]] std::span<value_type> weight() { return weight_; }
  [[nodiscard]] std::span<value_type const> weight() const { return weight_; }
  [[nodiscard]] M& backbone() { return backbone_; }
  [[nodiscard]] M const& backbone() const { return backbone_; }

 private:
  void tell(std::span<value_type> out) const {
    std::size_t const width = weight_.size();
    for (std::size_t i = 0; i != out.size(); ++i) {
      double score = 0.0;
      for (std::size_t f = 0; f != width; ++f) {
        score += static_cast<double>(weight_[f]) * static_cast<double>(feature_[i * width + f]);
      }
      out[i] = static_cast<value_type>(score);
    }
  }

  // Adds to the head's gradient, and turns the features that are kept into theirs.
  void give_back(std::span<value_type const> coefficient, char const* where) {
    std::size_t const width = weight_.size();
    expects_size(coefficient.size() * width, feature_.size(), where, "coefficient times width");
    for (std::size_t i = 0; i != coefficient.size(); ++i) {
      for (std::size_t f = 0; f != width; ++f) {
        gradient_[f] += coefficient[i] * feature_[i * width + f];
        feature_[i * width + f] = coefficient[i] * weight_[f];
      }
    }
  }

  M backbone_;
  std::vector<value_type> weight_;    // [width]
  std::vector<value_type> gradient_;  // [width]
  std::vector<value_type> feature_;   // [completions or steps, width] of the last batch
};

/// A backbone that somebody else trains: a head on it learns alone, and adds nothing to its gradients. So a value model reads the
/// hidden states of the policy itself, which takes no second adapter and no second backward pass.
///
///   prefer::scalar_head values(prefer::borrowed_backbone(policy));
///
/// Borrowed, and outlives it; features are those of what it is at that time.
template <class M>
class borrowed_backbone {
 public:
  using value_type = typename M::value_type;

  explicit borrowed_backbone(M& of) : of_(&of) {}

  [[nodiscard]] std::size_t width() const { return of_->width(); }
  template <class B>
    requires Backbone<M, B>
  void features(B const& batch, std::span<value_type> out) {
    of_->features(batch, out);
  }
  template <class B>
    requires Backbone<M, B>
  void backward_features(B const& /*batch*/, std::span<value_type const> /*gradient*/) {}
  template <class B>
    requires StepBackbone<M, B>
  void step_features(B const& batch, std::span<std::size_t const> step_offset,
                     std::span<value_type> out) {
    of_->step_features(batch, step_offset, out);
  }
  template <class B>
    requires StepBackbone<M, B>
  void backward_step_features(B const& /*batch*/, std::span<std::size_t const> /*step_offset*/,
                              std::span<value_type const> /*gradient*/) {}
  [[nodiscard]] std::vector<parameter<value_type>> parameters() const { return {}; }
  [[nodiscard]] std::uint64_t identity() const
    requires detail::identified<M const>
  {
    return of_->identity();
  }

 private:
  M* of_;
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
