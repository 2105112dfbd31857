// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>  // clang wants it whole
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/adapters/torch/token_outputs.hpp>
#include <prefer/adapters/torch/token_scorer.hpp>
#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_sequences.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/policy/completion_outputs.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/policy/token_policy.hpp>

// A LibTorch model that maps token ids to logits as a policy and as a reference of this library.

namespace prefer::inline v0_1::torch {

/// A model's tensor and its name in checkpoints.
struct named_tensor {
  std::string name;
  at::Tensor tensor;
};

/// Those of `module->named_parameters()`.
template <class Items>
[[nodiscard]] std::vector<named_tensor> named_tensors(Items const& items) {
  std::vector<named_tensor> out;
  for (auto const& each : items) out.push_back({each.key(), each.value()});
  return out;
}

/// What maps ids [rows, positions], of kLong, to logits [rows, positions, vocabulary]; position t sees positions up to t only.
template <class M>
concept CausalModel = requires(M& model, at::Tensor const& ids) {
  { model(ids) } -> std::convertible_to<at::Tensor>;
};

/// What has logits at the positions where a policy of the same texts has them, [rows * positions, vocabulary], row by row: the whole
/// distributions that divergence and perturbed policies are about. `reference` is one.
template <class R>
concept LogitReference = requires(R& reference, choice_batch const& batch) {
  { reference.logits(batch) } -> std::convertible_to<at::Tensor>;
};

/// A causal language model of LibTorch as a policy: token ids in, one forward pass for all completions of a batch.
///
///   prefer::torch::policy policy(model, tensors, sequences);  // model(ids) gives logits
///   prefer::trainer training(policy, prefer::dpo{}, reference, data, options);
///
/// Rows     a prompt's tokens and its completion's, padded on the right to the longest of the batch
/// Numbers  log-probabilities are float, or double if T is; token by token from the logits' own type, without a wide copy of
///          all logits. The graph is kept from the forward to the backward pass
/// Outputs  what losses read besides log-probabilities, in the same pass: divergence, with a gradient, and perturbed policies against a
///          LogitReference; alignment, entropy, mean_logit, token_accuracy. No value: it has no value head
/// Tensors  of T, contiguous, in the memory of the CPU. Those that do not ask for a gradient are frozen
/// Bits     a batch that is cut into other micro-batches gives other bits: LibTorch adds up in another order
///
/// Not copied, and so no `frozen(policy)`: copies of a model share its tensors, and a reference would move with the policy.
/// A reference is a model of its own, see `reference`, or the numbers of this one before training, see `cached`.
///
/// Errors  precondition_error for tensors of another type, ids without tokens, logits of another shape
template <CausalModel Model, std::floating_point T = float>
class policy {
 public:
  using value_type = T;

  /// `sequences` is borrowed: the tokens behind the numbers of prompts and completions.
  policy(Model model, std::vector<named_tensor> tensors, token_sequences const& sequences,
         policy_options const& options = {})
      : scorer_(std::move(model), sequences, options), tensors_(std::move(tensors)) {
    for (auto& [name, tensor] : tensors_) {
      if (!tensor.device().is_cpu() || !tensor.is_contiguous() ||
          tensor.scalar_type() != c10::CppTypeToScalarType<T>::value) {
        detail::broken("torch::policy: the tensor '" + name + "' is " +
                       c10::toString(tensor.scalar_type()) + " on " + tensor.device().str() +
                       "; it must be " + c10::toString(c10::CppTypeToScalarType<T>::value) +
                       ", contiguous, in the memory of the CPU");
      }
      if (tensor.requires_grad() && !tensor.grad().defined())
        tensor.mutable_grad() = at::zeros_like(tensor);
    }
  }
  // clang-format off
  policy(Model, std::vector<named_tensor>, token_sequences const&&, policy_options const& = {}) = delete;  // prefer: the sequences outlive the policy; give them a name
  // clang-format on
  policy(policy const&) = delete;
  policy& operator=(policy const&) = delete;

  void token_offsets(choice_batch const& batch, std::vector<std::size_t>& out) const {
    scorer_.token_offsets(batch, out);
  }
  void group_tokens(choice_batch const& batch, std::vector<std::size_t>& out) const {
    scorer_.group_tokens(batch, out);
  }
  void log_prob(choice_batch const& batch, std::span<T> out) { evaluate(batch, {.log_prob = out}); }
  void token_log_prob(choice_batch const& batch, std::span<T> out) {
    evaluate(batch, {.token_log_prob = out});
  }
  void backward(choice_batch const& batch, std::span<T const> coefficient) {
    backward(batch, completion_gradients<T>{.log_prob = coefficient});
  }
  void token_backward(choice_batch const& batch, std::span<T const> coefficient) {
    backward(batch, completion_gradients<T>{.token_log_prob = coefficient});
  }

  // All that it can say of a batch in one pass, and all that comes back in another.

  static constexpr completion_output_set gives =
      completion_output::token_log_prob | completion_output::divergence |
      completion_output::alignment | completion_output::perturbed | completion_output::entropy |
      completion_output::mean_logit | completion_output::token_accuracy;

  void evaluate(choice_batch const& batch, completion_outputs<T> const& wanted) {
    detail::expects_outputs(gives - detail::against_a_reference, wanted.wanted(),
                            "torch::policy::evaluate");
    forward(batch, wanted, [](choice_batch const&) { return at::Tensor(); });
  }
  template <LogitReference R>
  void evaluate(choice_batch const& batch, completion_outputs<T> const& wanted, R& reference) {
    detail::expects_outputs(gives, wanted.wanted(), "torch::policy::evaluate");
    forward(batch, wanted, [&](choice_batch const& same) { return reference.logits(same); });
  }

  void backward(choice_batch const& batch, completion_gradients<T> const& given) {
    detail::expects_outputs(gives - detail::against_a_reference, given.given(),
                            "torch::policy::backward");
    go_back(batch, given);
  }
  template <LogitReference R>
  void backward(choice_batch const& batch, completion_gradients<T> const& given, R&) {
    detail::expects_outputs(gives, given.given(), "torch::policy::backward");
    go_back(batch, given);
  }

  [[nodiscard]] std::vector<parameter<T>> parameters() {
    std::vector<parameter<T>> out;
    for (auto& [name, tensor] : tensors_) {
      auto const size = static_cast<std::size_t>(tensor.numel());
      bool const trained = tensor.requires_grad();
      out.push_back({.name = name,
                     .value = {tensor.template data_ptr<T>(), size},
                     .gradient = trained ? std::span<T>(tensor.grad().template data_ptr<T>(), size)
                                         : std::span<T>(),
                     .frozen = !trained});
    }
    return out;
  }
  /// Of the tokens behind the numbers, and of the tensors that are frozen.
  [[nodiscard]] std::uint64_t identity() {
    fingerprint out;
    out.add(scorer_.identity_of_tokens());
    for (auto const& each : parameters()) {
      if (each.frozen) out.add(each.name).add(std::span<T const>(each.value));
    }
    return out.value();
  }

 private:
  static constexpr at::ScalarType type = c10::CppTypeToScalarType<T>::value;

  template <class ReferenceLogits>
  void forward(choice_batch const& batch, completion_outputs<T> const& wanted,
               ReferenceLogits const& reference_logits) {
    scorer_.token_offsets(batch, offset_);
    wanted.expects_sizes(batch.completions(), offset_.back(), "torch::policy::evaluate");
    auto said = scorer_.of_tokens(batch, detail::torch_token_questions(wanted), reference_logits);
    detail::sum_tokens_into(said.log_prob, offset_, wanted.log_prob, wanted.token_weight);
    if (!wanted.token_log_prob.empty()) detail::copy_numbers(said.log_prob, wanted.token_log_prob);
    detail::sum_tokens_into(said.divergence, offset_, wanted.divergence);
    detail::sum_tokens_into(said.toward, offset_, wanted.perturbed_toward, wanted.token_weight);
    detail::sum_tokens_into(said.away, offset_, wanted.perturbed_away, wanted.token_weight);
    detail::mean_of_tokens_into(said.alignment, offset_, wanted.alignment);
    detail::mean_of_tokens_into(said.entropy, offset_, wanted.entropy);
    detail::mean_of_tokens_into(said.mean_logit, offset_, wanted.mean_logit);
    detail::mean_of_tokens_into(said.accuracy, offset_, wanted.token_accuracy);
    log_prob_ = said.log_prob.to(type);
    divergence_ = said.divergence.defined() ? said.divergence.to(type) : at::Tensor();
  }
  void go_back(choice_batch const& batch, completion_gradients<T> const& given) {
    expects(log_prob_.defined() && offset_.size() == batch.completion.size() + 1,
            "torch::policy::backward: it follows the forward pass of the same batch");
    given.expects_sizes(batch.completions(), offset_.back(), "torch::policy::backward");
    expects(given.divergence.empty() || divergence_.defined(),
            "torch::policy::backward: a derivative by divergence, which the forward pass was not "
            "asked for");
    std::vector<at::Tensor> of, by;
    if (!given.log_prob.empty() || !given.token_log_prob.empty()) {
      of.push_back(log_prob_);
      by.push_back(per_token([&](std::size_t i, std::size_t t) {
        T sum = given.token_log_prob.empty() ? T(0) : given.token_log_prob[t];
        if (!given.log_prob.empty()) {
          double const weight = given.token_weight.empty() ? 1.0 : given.token_weight[t];
          sum += static_cast<T>(static_cast<double>(given.log_prob[i]) * weight);
        }
        return sum;
      }));
    }
    if (!given.divergence.empty()) {
      of.push_back(divergence_);
      by.push_back(per_token([&](std::size_t i, std::size_t) { return given.divergence[i]; }));
    }
    if (!of.empty()) ::torch::autograd::backward(of, by);
    log_prob_ = divergence_ = at::Tensor();
  }
  /// of(completion, token) for each token of the last batch.
  template <class Of>
  [[nodiscard]] at::Tensor per_token(Of const& of) const {
    at::Tensor out = at::empty({static_cast<std::int64_t>(offset_.back())}, type);
    T* const to = out.template data_ptr<T>();
    for (std::size_t i = 0; i + 1 != offset_.size(); ++i) {
      for (std::size_t t = offset_[i]; t != offset_[i + 1]; ++t) to[t] = of(i, t);
    }
    return out;
  }

  detail::torch_scorer<Model, T> scorer_;
  std::vector<named_tensor> tensors_;
  std::vector<std::size_t> offset_;
  at::Tensor log_prob_, divergence_;  // of tokens, from the last forward pass, with its graph
};

/// A causal language model of LibTorch as a reference: it is asked without a graph, and never moves. Its tensors are given so
/// that checkpoints and caches know it again.
template <CausalModel Model, std::floating_point T = float>
class reference {
 public:
  using value_type = T;

  reference(Model model, std::vector<named_tensor> const& tensors, token_sequences const& sequences,
            policy_options const& options = {})
      : scorer_(std::move(model), sequences, options) {
    fingerprint out;
    out.add(scorer_.identity_of_tokens());
    for (auto const& [name, tensor] : tensors) {
      std::vector<double> numbers(static_cast<std::size_t>(tensor.numel()));
      detail::copy_numbers(tensor, std::span<double>(numbers));
      out.add(name).add(std::span<double const>(numbers));
    }
    identity_ = out.value();
  }
  // clang-format off
  reference(Model, std::vector<named_tensor> const&, token_sequences const&&, policy_options const& = {}) = delete;  // prefer: the sequences outlive the reference; give them a name
  // clang-format on

  void token_offsets(choice_batch const& batch, std::vector<std::size_t>& out) const {
    scorer_.token_offsets(batch, out);
  }
  void log_prob(choice_batch const& batch, std::span<T> out) {
    std::vector<std::size_t> offset;
    scorer_.token_offsets(batch, offset);
    detail::sum_tokens_into(of_tokens(batch), offset, out);
  }
  void token_log_prob(choice_batch const& batch, std::span<T> out) {
    detail::copy_numbers(of_tokens(batch), out);
  }
  /// Of every position of the batch's rows, [rows * positions, vocabulary]: what a policy is compared with token by token.
  [[nodiscard]] at::Tensor logits(choice_batch const& batch) {
    at::NoGradGuard const without_graph;
    return scorer_.logits(batch);
  }
  [[nodiscard]] std::uint64_t identity() const { return identity_; }

 private:
  [[nodiscard]] at::Tensor of_tokens(choice_batch const& batch) {
    at::NoGradGuard const without_graph;
    return scorer_.of_tokens(batch, {}, [](choice_batch const&) { return at::Tensor(); }).log_prob;
  }

  detail::torch_scorer<Model, T> scorer_;
  std::uint64_t identity_ = 0;
};

}  // namespace prefer::inline v0_1::torch
