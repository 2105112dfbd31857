// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda.hpp>
#include <prefer/adapters/cuda/token_log_prob.cuh>

#include <cstdint>
#include <cstdio>
#include <vector>

#include <prefer/loss/dpo.hpp>

// How do I put this into my CUDA code? Logits of your model go in, their gradient comes out in their place, and nothing
// leaves the device but the loss that is printed. The model here is its logits: a table, moved by a kernel of its own.

namespace gpu = prefer::cuda;

constexpr std::size_t pairs = 3, tokens = 6, vocabulary = 64;

__global__ void descend(float* weights, float const* gradient, std::size_t count) {
  std::size_t const i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) weights[i] -= 4.0f * gradient[i];
}

/// The chosen or the rejected completions: three of 1, 2 and 3 tokens.
struct completions {
  cudaStream_t stream;
  gpu::device_column<std::int32_t> ids;
  gpu::list_offsets offset{{0, 1, 3, 6}, stream};
  gpu::device_column<float> weights{std::vector<float>(tokens * vocabulary), stream};
  gpu::device_column<float> logits{tokens * vocabulary, stream};
  gpu::device_column<float> of_tokens{tokens, stream}, normalizer{tokens, stream};
  gpu::device_column<float> log_prob{pairs, stream};

  [[nodiscard]] gpu::logit_rows<float> rows() { return {logits.data(), tokens, vocabulary}; }

  void forward() {
    gpu::copy_on_device(logits.data(), weights.data(), logits.size() * sizeof(float), stream,
                        "forward");
    gpu::token_log_prob(rows(), ids, {.log_prob = of_tokens, .log_normalizer = normalizer});
    gpu::sum_over_tokens(of_tokens, offset, log_prob);
  }
  void backward(gpu::column coefficient) {
    gpu::spread_over_tokens(coefficient, offset, of_tokens);
    gpu::token_backward(rows(), ids, normalizer, of_tokens);  // logits hold their gradient now
    gpu::launch(stream, 2, 256, "descend", &descend, weights.data(), logits.data(), logits.size());
  }
};

int main() {
  cudaStream_t const stream = nullptr;  // or your own
  completions chosen{stream, {std::vector<std::int32_t>{1, 2, 3, 4, 5, 6}, stream}};
  completions rejected{stream, {std::vector<std::int32_t>{9, 8, 7, 6, 5, 4}, stream}};
  chosen.forward();
  rejected.forward();
  // The reference is the model before training.
  gpu::device_column<float> const reference_chosen(chosen.log_prob.to_host(), stream);
  gpu::device_column<float> const reference_rejected(rejected.log_prob.to_host(), stream);

  double loss = 0.0;
  for (int step = 0; step <= 20; ++step) {
    chosen.forward();
    rejected.forward();
    // [evaluate]
    gpu::pair_columns const batch{.policy = {chosen.log_prob, rejected.log_prob},
                                  .reference = {reference_chosen, reference_rejected}};
    auto const result = gpu::evaluate(prefer::dpo{.beta = 0.1}, batch);
    // [/evaluate]
    chosen.backward(result.coefficient.chosen);
    rejected.backward(result.coefficient.rejected);
    if (step % 10 != 0) continue;
    loss = result.loss.read();  // waits for the device; nothing else in the loop does
    std::printf("step %2d  loss %.4f  accuracy %.2f\n", step, loss,
                metrics(batch, 0.1).accuracy.mean());
  }
  return loss < 0.65 ? 0 : 1;
}
