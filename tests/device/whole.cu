// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda.hpp>
#include <prefer/adapters/cuda/linear_log_prob.cuh>
#include <prefer/adapters/cuda/sort.cuh>
#include <prefer/adapters/cuda/token_log_prob.cuh>
#include <prefer/loss/aot.hpp>
#include <prefer/loss/beta_dpo.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/plackett_luce.hpp>

// The adapter as its users call it, to be compiled: losses of each kind in both precisions with their statistics, metrics,
// matched rows by CUB, log-probabilities of tokens from logits and from hidden states.

// Not cuda: that is CCCL's name.
namespace gpu = prefer::cuda;

double pairs(gpu::pair_columns const& batch) {
  prefer::loss_memory<prefer::beta_dpo<>> memory;
  auto const plain = gpu::evaluate(prefer::dpo{.beta = 0.1}, batch);
  auto const drawn = gpu::evaluate(prefer::beta_dpo<>{}, batch, memory);
  auto const matched = gpu::evaluate<double>(prefer::aot_unpaired{}, batch);
  return plain.loss.read() + drawn.loss.read() + matched.loss.read() +
         metrics(batch, 0.1).accuracy.mean();
}
double labelled(gpu::unpaired_columns const& batch) {
  return gpu::evaluate(prefer::kto{}, batch).loss.read() + metrics(batch, 0.1).reward_margin();
}
double lists(gpu::list_columns const& batch) {
  prefer::plackett_luce const loss;
  return gpu::evaluate(loss, batch).loss.read() +
         metrics(batch, prefer::reward_rule_of(loss)).accuracy.mean();
}

template <class T>
struct tokens {
  static std::size_t run(gpu::logit_rows<T> const& logits, gpu::column const& ids,
                         gpu::token_results const& to, gpu::column const& coefficient,
                         gpu::output_layer<T> const& layer, gpu::layer_gradient const& gradient) {
    gpu::token_log_prob(logits, ids, to);
    gpu::token_backward(logits, ids, coefficient, coefficient);
    gpu::token_log_prob(logits, logits, ids, to);
    gpu::token_backward(logits, logits, ids, {coefficient}, {.divergence = coefficient});
    gpu::matrix_products const products;
    auto const pass = gpu::linear_log_prob(products, layer, ids, to);
    auto const both = gpu::linear_log_prob(products, layer, layer, ids, to);
    return gpu::linear_backward(products, layer, ids, pass, coefficient, gradient) +
           gpu::linear_backward(products, layer, layer, ids, both, {coefficient}, gradient);
  }
};
template struct tokens<float>;
template struct tokens<prefer::half>;
template struct tokens<prefer::bfloat16>;

void completions(gpu::column const& of_tokens, gpu::list_offsets const& offset,
                 gpu::mutable_column const& to) {
  gpu::sum_over_tokens(of_tokens, offset, to);
}
