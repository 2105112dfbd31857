// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>  // clang wants it whole
#include <ATen/ops/empty.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_sequences.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
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

struct policy_options {
  std::int64_t padding =
      0;  ///< the id behind the end of shorter rows; causal models do not look there
};

}  // namespace prefer::inline v0_1::torch

namespace prefer::inline v0_1::detail {

/// Log-probabilities of chosen tokens from logits, [M, vocabulary] of any floating type:
///
///   out_t = logits[row_t, target_t] - log sum_v exp(logits[row_t, v])
///
/// In float (double for logits of double), block by block, so that no wide copy of all logits exists. The derivative is
/// c_t (onehot(target_t) - softmax(logits[row_t])).
struct torch_token_log_prob : ::torch::autograd::Function<torch_token_log_prob> {
  static constexpr std::int64_t block = 64;

  static at::ScalarType wide(at::Tensor const& logits) {
    return logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  }
  static at::Tensor forward(::torch::autograd::AutogradContext* context, at::Tensor const& logits,
                            at::Tensor const& row, at::Tensor const& target) {
    std::int64_t const tokens = row.size(0);
    at::Tensor const normaliser = at::empty({tokens}, logits.options().dtype(wide(logits)));
    at::Tensor const out = at::empty_like(normaliser);
    for (std::int64_t begin = 0; begin < tokens; begin += block) {
      std::int64_t const count = std::min(block, tokens - begin);
      at::Tensor const part =
          at::index_select(logits, 0, row.narrow(0, begin, count)).to(wide(logits));
      at::Tensor const log_sum = at::logsumexp(part, 1);
      at::Tensor const own =
          at::gather(part, 1, target.narrow(0, begin, count).unsqueeze(1)).squeeze(1);
      normaliser.narrow(0, begin, count).copy_(log_sum);
      out.narrow(0, begin, count).copy_(at::sub(own, log_sum));
    }
    context->save_for_backward({logits, row, target, normaliser});
    return out;
  }
  static ::torch::autograd::variable_list backward(
      ::torch::autograd::AutogradContext* context,
      ::torch::autograd::variable_list const& gradient) {
    auto const saved = context->get_saved_variables();
    at::Tensor const &logits = saved[0], &row = saved[1], &target = saved[2],
                     &normaliser = saved[3];
    at::Tensor const out = at::zeros_like(logits);
    for (std::int64_t begin = 0; begin < row.size(0); begin += block) {
      std::int64_t const count = std::min(block, row.size(0) - begin);
      at::Tensor const rows = row.narrow(0, begin, count);
      at::Tensor const part = at::index_select(logits, 0, rows).to(wide(logits));
      at::Tensor const c = gradient.front().narrow(0, begin, count).unsqueeze(1);
      at::Tensor by_logit =
          at::mul(at::exp(at::sub(part, normaliser.narrow(0, begin, count).unsqueeze(1))), c.neg());
      by_logit.scatter_add_(1, target.narrow(0, begin, count).unsqueeze(1), c);
      out.index_copy_(0, rows, by_logit.to(logits.scalar_type()));
    }
    return {out, at::Tensor(), at::Tensor()};
  }
};

/// A model and the tokens behind a batch's numbers: what a policy and a reference of LibTorch have in common.
template <class Model, std::floating_point T>
class torch_scorer {
 public:
  torch_scorer(Model model, token_sequences const& sequences, torch::policy_options const& options)
      : model_(std::move(model)), sequences_(&sequences), options_(options) {}

  void token_offsets(choice_batch const& batch, std::vector<std::size_t>& out) const {
    out.assign(1, 0);
    for (std::uint32_t const y : batch.completion) {
      out.push_back(out.back() + sequences_->completions.length(y));
    }
  }

  /// Log-probabilities of all tokens of a batch's completions, end to end, with their history.
  [[nodiscard]] at::Tensor token_log_prob(choice_batch const& batch) {
    std::size_t positions = 0;
    for_each_completion(batch, [&](auto prompt, auto completion, std::size_t) {
      expects(
          !prompt.empty(),
          "torch: a prompt has no token, and the first token of a completion needs one before it");
      positions = std::max(positions, prompt.size() + completion.size() - 1);
    });
    auto const rows = static_cast<std::int64_t>(batch.completion.size());
    at::Tensor const ids =
        at::full({rows, static_cast<std::int64_t>(positions)}, options_.padding, at::kLong);
    std::vector<std::int64_t> row, target;
    std::int64_t* const id = ids.data_ptr<std::int64_t>();
    for_each_completion(batch, [&](auto prompt, auto completion, std::size_t i) {
      std::size_t const begin = i * positions;
      std::copy(prompt.begin(), prompt.end(), id + begin);
      std::copy(completion.begin(), completion.end() - 1, id + begin + prompt.size());
      for (std::size_t t = 0; t != completion.size(); ++t) {
        row.push_back(static_cast<std::int64_t>(begin + prompt.size() - 1 + t));
        target.push_back(completion[t]);
      }
    });
    at::Tensor const logits = model_(ids);
    if (logits.dim() != 3 || logits.size(0) != rows || logits.size(1) != ids.size(1)) {
      broken("torch: a model of ids [" + std::to_string(rows) + ", " + std::to_string(positions) +
             "] gives logits [rows, positions, vocabulary], and this one gave " +
             std::to_string(logits.dim()) + " dimensions or others");
    }
    std::int64_t const largest =
        target.empty() ? 0 : *std::max_element(target.begin(), target.end());
    expects(largest < logits.size(2),
            "torch: a completion has a token beyond the vocabulary of the model's logits");
    return torch_token_log_prob::apply(logits.flatten(0, 1), tensor_of(row), tensor_of(target));
  }

  [[nodiscard]] std::uint64_t identity_of_tokens() const {
    return fingerprint().add("torch").add(fingerprint_of(*sequences_)).value();
  }
  /// How many tokens each group's rows take, prompts included.
  void group_tokens(choice_batch const& batch, std::vector<std::size_t>& out) const {
    out.assign(batch.size(), 0);
    std::size_t group = 0;
    for_each_completion(batch, [&](auto prompt, auto completion, std::size_t i) {
      while (i >= batch.offset[group + 1]) ++group;
      out[group] += prompt.size() + completion.size();
    });
  }

 private:
  template <class Visit>
  void for_each_completion(choice_batch const& batch, Visit&& visit) const {
    for (std::size_t g = 0; g + 1 < batch.offset.size(); ++g) {
      for (std::size_t i = batch.offset[g]; i != batch.offset[g + 1]; ++i) {
        visit(sequences_->prompts.tokens(batch.prompt[g]),
              sequences_->completions.tokens(batch.completion[i]), i);
      }
    }
  }
  static at::Tensor tensor_of(std::vector<std::int64_t> const& values) {
    at::Tensor out = at::empty({static_cast<std::int64_t>(values.size())}, at::kLong);
    std::copy(values.begin(), values.end(), out.data_ptr<std::int64_t>());
    return out;
  }

  Model model_;
  token_sequences const* sequences_;
  torch::policy_options options_;
};

/// Sums of tokens' numbers by completion.
template <std::floating_point T>
void sum_tokens_into(at::Tensor const& of_tokens, std::vector<std::size_t> const& offset,
                     std::span<T> out) {
  at::Tensor const wide = of_tokens.detach().to(at::kDouble).contiguous();
  double const* const number = wide.data_ptr<double>();
  for (std::size_t i = 0; i != out.size(); ++i) {
    double sum = 0;
    for (std::size_t t = offset[i]; t != offset[i + 1]; ++t) sum += number[t];
    out[i] = static_cast<T>(sum);
  }
}
template <std::floating_point T>
void copy_numbers(at::Tensor const& from, std::span<T> out) {
  at::Tensor const same = from.detach().to(c10::CppTypeToScalarType<T>::value).contiguous();
  std::copy_n(same.data_ptr<T>(), out.size(), out.data());
}

}  // namespace prefer::inline v0_1::detail

namespace prefer::inline v0_1::torch {

/// A causal language model of LibTorch as a policy: token ids in, one forward pass for all completions of a batch.
///
///   prefer::torch::policy policy(model, tensors, sequences);  // model(ids) gives logits
///   prefer::trainer training(policy, prefer::dpo{}, reference, data, options);
///
/// Rows     a prompt's tokens and its completion's, padded on the right to the longest of the batch
/// Numbers  log-probabilities are float, or double if T is; token by token from the logits' own type, without a wide copy of
///          all logits. The graph is kept from the forward to the backward pass
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
  void log_prob(choice_batch const& batch, std::span<T> out) {
    forward(batch);
    detail::sum_tokens_into(of_tokens_, offset_, out);
  }
  void token_log_prob(choice_batch const& batch, std::span<T> out) {
    forward(batch);
    detail::copy_numbers(of_tokens_, out);
  }
  void backward(choice_batch const& batch, std::span<T const> coefficient) {
    std::vector<T> of_tokens;
    for (std::size_t i = 0; i != coefficient.size(); ++i) {
      of_tokens.insert(of_tokens.end(), sizes_of(batch, i), coefficient[i]);
    }
    token_backward(batch, of_tokens);
  }
  void token_backward(choice_batch const& batch, std::span<T const> coefficient) {
    expects(of_tokens_.defined() && offset_.size() == batch.completion.size() + 1,
            "torch::policy::backward: it follows the forward pass of the same batch");
    expects_size(coefficient.size(), offset_.back(), "torch::policy::backward", "coefficient");
    at::Tensor by_token = at::empty_like(of_tokens_);
    at::Tensor const view = by_token.detach();
    for (std::size_t t = 0; t != coefficient.size(); ++t) view.data_ptr<T>()[t] = coefficient[t];
    of_tokens_.backward(view);
    of_tokens_ = at::Tensor();
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
  void forward(choice_batch const& batch) {
    scorer_.token_offsets(batch, offset_);
    of_tokens_ = scorer_.token_log_prob(batch);
    if (of_tokens_.scalar_type() != c10::CppTypeToScalarType<T>::value) {
      of_tokens_ = of_tokens_.to(c10::CppTypeToScalarType<T>::value);
    }
  }
  [[nodiscard]] std::size_t sizes_of(choice_batch const& batch, std::size_t i) const {
    expects(offset_.size() == batch.completion.size() + 1,
            "torch::policy::backward: it follows the forward pass of the same batch");
    return offset_[i + 1] - offset_[i];
  }

  detail::torch_scorer<Model, T> scorer_;
  std::vector<named_tensor> tensors_;
  std::vector<std::size_t> offset_;
  at::Tensor of_tokens_;  // from the last forward pass, with its graph
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
    at::NoGradGuard const without_graph;
    detail::sum_tokens_into(scorer_.token_log_prob(batch), offset, out);
  }
  void token_log_prob(choice_batch const& batch, std::span<T> out) {
    at::NoGradGuard const without_graph;
    detail::copy_numbers(scorer_.token_log_prob(batch), out);
  }
  [[nodiscard]] std::uint64_t identity() const { return identity_; }

 private:
  detail::torch_scorer<Model, T> scorer_;
  std::uint64_t identity_ = 0;
};

}  // namespace prefer::inline v0_1::torch
