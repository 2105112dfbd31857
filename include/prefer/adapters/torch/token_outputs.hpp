// SPDX-License-Identifier: MIT
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>  // clang wants it whole
#include <ATen/ops/add.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <prefer/policy/completion_outputs.hpp>

// What can be said of tokens from rows of logits, block by block, so that no wide copy of all logits exists.

namespace prefer::inline v0_1::detail {

/// What is asked about each token besides its log-probability.
struct torch_token_questions {
  completion_output_set wanted = {};
  double perturbation = 0.0;

  torch_token_questions() = default;
  template <class T>
  explicit torch_token_questions(completion_outputs<T> const& of)
      : wanted(of.wanted()), perturbation(of.perturbation) {}

  [[nodiscard]] bool needs_reference() const {
    return (wanted.bits & against_a_reference.bits) != 0;
  }
};

/// One number for each token, in float or, of logits of double, double; undefined if it was not asked for. Names as in
/// completion_outputs.
struct torch_of_tokens {
  at::Tensor log_prob, divergence;  // with their history
  at::Tensor alignment, toward, away, entropy, mean_logit, accuracy;
};

/// A block of rows in a wide type, with the logarithm of the sum of their exponentials.
struct torch_rows {
  at::Tensor logits;   // [n, vocabulary]
  at::Tensor log_sum;  // [n]

  static at::ScalarType type_for(at::Tensor const& logits) {
    return logits.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  }
  static at::Tensor wide(at::Tensor const& all, at::Tensor const& row) {
    return at::index_select(all, 0, row).to(type_for(all));
  }
  explicit torch_rows(at::Tensor of_rows)
      : logits(std::move(of_rows)), log_sum(at::logsumexp(logits, 1)) {}
  torch_rows(at::Tensor of_rows, at::Tensor known_log_sum)
      : logits(std::move(of_rows)), log_sum(std::move(known_log_sum)) {}

  [[nodiscard]] at::Tensor log_prob() const { return at::sub(logits, log_sum.unsqueeze(1)); }
  [[nodiscard]] at::Tensor log_prob_of(at::Tensor const& token) const {
    return at::sub(at::gather(logits, 1, token.unsqueeze(1)).squeeze(1), log_sum);
  }
};

/// sum_v p_v x_v, to which what is never said adds nothing, whatever x is.
[[nodiscard]] inline at::Tensor torch_expectation(at::Tensor const& p, at::Tensor const& x) {
  return at::sum(at::mul(p, x).masked_fill(at::eq(p, 0), 0), {1});
}

/// The parts of the pass that have gradients, of tokens t with their rows of logits:
///
///   log_prob_t   = logits[row_t, target_t] - log sum_v exp(logits[row_t, v])
///   divergence_t = sum_v q_v (log q_v - log p_v),  q of the reference's logits, p of these
///
/// The derivative by logits[row_t] is c_t (onehot(target_t) - p) + d_t (p - q).
struct torch_token_pass : ::torch::autograd::Function<torch_token_pass> {
  static constexpr std::int64_t block = 64;  // rows, all of whose logits are wide at a time

  /// Not tensors, so that torch does not take them for what is differentiated by.
  struct constants {
    at::Tensor reference;  // logits, or undefined
    at::Tensor row, target;
    torch_token_questions asked;
    torch_of_tokens* others;  // what has no gradient
  };

  static ::torch::autograd::variable_list forward(::torch::autograd::AutogradContext* context,
                                                  at::Tensor const& logits,
                                                  constants const& given) {
    std::int64_t const tokens = given.row.size(0);
    at::Tensor const log_prob =
        at::empty({tokens}, logits.options().dtype(torch_rows::type_for(logits)));
    auto const column = [&](completion_output output) {
      return given.asked.wanted.contains(output) ? at::empty_like(log_prob) : at::Tensor();
    };
    using enum completion_output;
    at::Tensor const log_sum = at::empty_like(log_prob);
    at::Tensor const divergence_of_tokens = column(divergence);
    *given.others = {.log_prob = {},
                     .divergence = {},
                     .alignment = column(alignment),
                     .toward = column(perturbed),
                     .away = column(perturbed),
                     .entropy = column(entropy),
                     .mean_logit = column(mean_logit),
                     .accuracy = column(token_accuracy)};
    for (std::int64_t begin = 0; begin < tokens; begin += block) {
      std::int64_t const count = std::min(block, tokens - begin);
      auto const write = [&](at::Tensor const& to, auto const& number) {
        if (to.defined()) to.narrow(0, begin, count).copy_(number());
      };
      at::Tensor const row = given.row.narrow(0, begin, count),
                       target = given.target.narrow(0, begin, count);
      torch_rows const own(torch_rows::wide(logits, row));
      write(log_sum, [&] { return own.log_sum; });
      write(log_prob, [&] { return own.log_prob_of(target); });
      write(given.others->alignment, [&] {
        at::Tensor const log_squares =
            at::sub(at::logsumexp(at::mul(own.logits, 2.0), 1), at::mul(own.log_sum, 2.0));
        return at::sub(own.log_prob_of(target), log_squares);
      });
      write(given.others->entropy, [&] {
        at::Tensor const log_p = own.log_prob();
        return torch_expectation(at::exp(log_p), log_p).neg();
      });
      write(given.others->mean_logit, [&] { return at::mean(own.logits, 1); });
      write(given.others->accuracy, [&] { return at::eq(at::argmax(own.logits, 1), target); });
      if (!given.asked.needs_reference()) continue;
      torch_rows const others(torch_rows::wide(given.reference, row));
      write(divergence_of_tokens, [&] {
        at::Tensor const log_q = others.log_prob();
        return torch_expectation(at::exp(log_q), at::sub(log_q, own.log_prob()));
      });
      auto const moved = [&](double amount) {
        return torch_rows(at::add(own.logits, at::mul(at::sub(own.logits, others.logits), amount)))
            .log_prob_of(target);
      };
      write(given.others->toward, [&] { return moved(-given.asked.perturbation); });
      write(given.others->away, [&] { return moved(given.asked.perturbation); });
    }
    context->save_for_backward({logits, given.row, given.target, given.reference, log_sum});
    if (!divergence_of_tokens.defined()) return {log_prob};
    return {log_prob, divergence_of_tokens};
  }

  static ::torch::autograd::variable_list backward(
      ::torch::autograd::AutogradContext* context,
      ::torch::autograd::variable_list const& gradient) {
    auto const saved = context->get_saved_variables();
    at::Tensor const &logits = saved[0], &row = saved[1], &target = saved[2], &reference = saved[3],
                     &log_sum = saved[4];
    at::Tensor const by_log_prob = gradient[0],
                     by_divergence = gradient.size() > 1 ? gradient[1] : at::Tensor();
    at::Tensor const out = at::zeros_like(logits);
    for (std::int64_t begin = 0; begin < row.size(0); begin += block) {
      std::int64_t const count = std::min(block, row.size(0) - begin);
      auto const part = [&](at::Tensor const& of) { return of.narrow(0, begin, count); };
      at::Tensor const rows = part(row);
      at::Tensor const p =
          at::exp(torch_rows(torch_rows::wide(logits, rows), part(log_sum)).log_prob());
      at::Tensor by_logit = at::zeros_like(p);
      if (by_log_prob.defined()) {
        at::Tensor const c = part(by_log_prob).unsqueeze(1);
        by_logit.sub_(at::mul(p, c)).scatter_add_(1, part(target).unsqueeze(1), c);
      }
      if (by_divergence.defined()) {
        at::Tensor const q = at::exp(torch_rows(torch_rows::wide(reference, rows)).log_prob());
        by_logit.add_(at::mul(at::sub(p, q), part(by_divergence).unsqueeze(1)));
      }
      out.index_copy_(0, rows, by_logit.to(logits.scalar_type()));
    }
    return {out, at::Tensor()};
  }
};

/// What is asked about tokens, of which token t has its logits in row `row[t]`.
[[nodiscard]] inline torch_of_tokens ask_tokens(at::Tensor const& logits,
                                                at::Tensor const& reference, at::Tensor const& row,
                                                at::Tensor const& target,
                                                torch_token_questions const& asked) {
  torch_of_tokens out;
  auto const with_gradients = torch_token_pass::apply(
      logits, torch_token_pass::constants{reference, row, target, asked, &out});
  out.log_prob = with_gradients[0];
  if (with_gradients.size() > 1) out.divergence = with_gradients[1];
  return out;
}

}  // namespace prefer::inline v0_1::detail
