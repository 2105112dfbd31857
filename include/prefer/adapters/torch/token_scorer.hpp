// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/ivalue.h>  // clang wants it whole
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/adapters/torch/token_outputs.hpp>
#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_sequences.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>

// A model of LibTorch and the texts behind a batch's numbers, laid out in rows.

namespace prefer::inline v0_1::torch {

struct policy_options {
  std::int64_t padding =
      0;  ///< the id behind the end of shorter rows; causal models do not look there
};

}  // namespace prefer::inline v0_1::torch

namespace prefer::inline v0_1::detail {

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

  /// The model's logits of a batch, [rows * positions, vocabulary], with their history.
  [[nodiscard]] at::Tensor logits(choice_batch const& batch) { return logits(lay_out(batch)); }

  /// What is asked about all tokens of a batch's completions, end to end, with the history of what has a gradient.
  /// `reference_logits(batch)` is called if it is needed.
  template <class ReferenceLogits>
  [[nodiscard]] torch_of_tokens of_tokens(choice_batch const& batch,
                                          torch_token_questions const& asked,
                                          ReferenceLogits const& reference_logits) {
    auto const rows = lay_out(batch);
    at::Tensor const own = logits(rows);
    std::int64_t const largest =
        rows.target.empty() ? 0 : *std::max_element(rows.target.begin(), rows.target.end());
    expects(largest < own.size(1),
            "torch: a completion has a token beyond the vocabulary of the model's logits");
    at::Tensor others;
    if (asked.needs_reference()) {
      at::NoGradGuard const without_graph;
      others = reference_logits(batch);
      if (others.sizes() != own.sizes()) {
        broken("torch: the reference has logits [" + std::to_string(others.size(0)) + ", " +
               std::to_string(others.size(1)) + "] for a batch of which the policy has [" +
               std::to_string(own.size(0)) + ", " + std::to_string(own.size(1)) +
               "]; both read the same texts with one vocabulary");
      }
    }
    return ask_tokens(own, others, tensor_of(rows.row), tensor_of(rows.target), asked);
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
  /// Ids of prompts and completions, a row for each, padded; and for each token of a completion where its logits are.
  struct laid_out {
    at::Tensor ids;
    std::vector<std::int64_t> row, target;
  };
  [[nodiscard]] laid_out lay_out(choice_batch const& batch) const {
    std::size_t positions = 0;
    for_each_completion(batch, [&](auto prompt, auto completion, std::size_t) {
      expects(
          !prompt.empty(),
          "torch: a prompt has no token, and the first token of a completion needs one before it");
      positions = std::max(positions, prompt.size() + completion.size() - 1);
    });
    laid_out out{.ids = at::full({static_cast<std::int64_t>(batch.completion.size()),
                                  static_cast<std::int64_t>(positions)},
                                 options_.padding, at::kLong),
                 .row = {},
                 .target = {}};
    std::int64_t* const id = out.ids.template data_ptr<std::int64_t>();
    for_each_completion(batch, [&](auto prompt, auto completion, std::size_t i) {
      std::size_t const begin = i * positions;
      std::copy(prompt.begin(), prompt.end(), id + begin);
      std::copy(completion.begin(), completion.end() - 1, id + begin + prompt.size());
      for (std::size_t t = 0; t != completion.size(); ++t) {
        out.row.push_back(static_cast<std::int64_t>(begin + prompt.size() - 1 + t));
        out.target.push_back(completion[t]);
      }
    });
    return out;
  }
  [[nodiscard]] at::Tensor logits(laid_out const& rows) {
    at::Tensor const out = model_(rows.ids);
    if (out.dim() != 3 || out.size(0) != rows.ids.size(0) || out.size(1) != rows.ids.size(1)) {
      broken("torch: a model of ids [" + std::to_string(rows.ids.size(0)) + ", " +
             std::to_string(rows.ids.size(1)) +
             "] gives logits [rows, positions, vocabulary], and this one gave " +
             std::to_string(out.dim()) + " dimensions or others");
    }
    return out.flatten(0, 1);
  }
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

/// Sums of tokens' numbers by completion, in double; or means. A token of weight 0 does not count, whatever its number.
template <std::floating_point T>
void sum_tokens_into(at::Tensor const& of_tokens, std::vector<std::size_t> const& offset,
                     std::span<T> out, std::span<double const> weight = {}) {
  if (out.empty()) return;
  at::Tensor const wide = of_tokens.detach().to(at::kDouble).contiguous();
  double const* const number = wide.data_ptr<double>();
  for (std::size_t i = 0; i != out.size(); ++i) {
    double sum = 0;
    for (std::size_t t = offset[i]; t != offset[i + 1]; ++t) {
      if (weight.empty()) {
        sum += number[t];
      } else if (weight[t] != 0) {
        sum += weight[t] * number[t];
      }
    }
    out[i] = static_cast<T>(sum);
  }
}
template <std::floating_point T>
void mean_of_tokens_into(at::Tensor const& of_tokens, std::vector<std::size_t> const& offset,
                         std::span<T> out) {
  sum_tokens_into(of_tokens, offset, out);
  for (std::size_t i = 0; i != out.size(); ++i) {
    out[i] /= static_cast<T>(offset[i + 1] - offset[i]);
  }
}
template <std::floating_point T>
void copy_numbers(at::Tensor const& from, std::span<T> out) {
  at::Tensor const same = from.detach().to(c10::CppTypeToScalarType<T>::value).contiguous();
  std::copy_n(same.data_ptr<T>(), out.size(), out.data());
}

}  // namespace prefer::inline v0_1::detail
