// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda.hpp>
#include <prefer/adapters/cuda/token_log_prob.cuh>

#include <cstdint>
#include <cstdio>
#include <vector>

#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>

// Each kernel beside its bound: the time in which the device copies as many bytes as the kernel must move.
//
//   nvcc -std=c++20 --expt-relaxed-constexpr -O3 -arch=native -I include bench/adapters/cuda/kernels.cu && ./a.out
//
// It has not run yet: no device was at hand.

namespace {

namespace gpu = prefer::cuda;

constexpr int repetitions = 20;

/// The shortest of some runs, in milliseconds.
template <class Work>
double milliseconds(cudaStream_t stream, Work const& work) {
  cudaEvent_t begin, end;
  gpu::expect_success(cudaEventCreate(&begin), "cudaEventCreate", "bench");
  gpu::expect_success(cudaEventCreate(&end), "cudaEventCreate", "bench");
  double best = 1e30;
  for (int run = 0; run < repetitions; ++run) {
    gpu::expect_success(cudaEventRecord(begin, stream), "cudaEventRecord", "bench");
    work();
    gpu::expect_success(cudaEventRecord(end, stream), "cudaEventRecord", "bench");
    gpu::expect_success(cudaEventSynchronize(end), "cudaEventSynchronize", "bench");
    float took = 0.0f;
    gpu::expect_success(cudaEventElapsedTime(&took, begin, end), "cudaEventElapsedTime", "bench");
    if (took < best) best = took;
  }
  (void)cudaEventDestroy(begin);
  (void)cudaEventDestroy(end);
  return best;
}

/// A copy reads and writes: half of the bytes each.
template <class Work>
void report(char const* name, std::size_t bytes, cudaStream_t stream, Work const& work) {
  gpu::device_column<float> const from(bytes / 2 / sizeof(float), stream);
  gpu::device_column<float> to(bytes / 2 / sizeof(float), stream);
  double const bound = milliseconds(
      stream, [&] { gpu::copy_on_device(to.data(), from.data(), bytes / 2, stream, "bench"); });
  double const took = milliseconds(stream, work);
  std::printf("%-44s %9.3f ms  %7.0f GB/s  %5.1f %% of a copy's\n", name, took,
              static_cast<double>(bytes) / took * 1e-6, 100.0 * bound / took);
}

void loss_pass(std::size_t pairs, cudaStream_t stream) {
  std::vector<float> const numbers(pairs, -20.0f);
  gpu::device_column<float> const a(numbers, stream), b(numbers, stream), c(numbers, stream),
      d(numbers, stream);
  gpu::device_column<float> chosen(pairs, stream), rejected(pairs, stream);
  gpu::pair_columns const batch{.policy = {a, b}, .reference = {c, d}};
  gpu::pair_results const results{.chosen = chosen, .rejected = rejected};
  report(pairs > 100'000 ? "dpo, loss and coefficients, 10^7 pairs" : "the same, 1,000 pairs",
         6 * sizeof(float) * pairs, stream,
         [&] { (void)evaluate_into(prefer::dpo{}, batch, results); });
}

template <class T>
void tokens(char const* forward, char const* backward, std::size_t rows, std::size_t vocabulary,
            cudaStream_t stream) {
  gpu::device_column<T> logits(rows * vocabulary, stream);
  gpu::set_to_zero(logits.data(), logits.size() * sizeof(T), stream, "bench");
  gpu::device_column<std::int32_t> const ids(std::vector<std::int32_t>(rows, 17), stream);
  gpu::device_column<float> log_prob(rows, stream), normalizer(rows, stream);
  gpu::device_column<float> const coefficient(std::vector<float>(rows, 1e-3f), stream);
  gpu::logit_rows<T> const all{logits.data(), rows, vocabulary};
  std::size_t const bytes = rows * vocabulary * sizeof(T);
  report(forward, bytes, stream, [&] {
    gpu::token_log_prob(all, ids, {.log_prob = log_prob, .log_normalizer = normalizer});
  });
  report(backward, 2 * bytes, stream,
         [&] { gpu::token_backward(all, ids, normalizer, coefficient); });
}

}  // namespace

int main() {
  cudaStream_t const stream = nullptr;
  cudaDeviceProp device{};
  gpu::expect_success(cudaGetDeviceProperties(&device, 0), "cudaGetDeviceProperties", "bench");
  std::printf("%s\n", device.name);
  loss_pass(10'000'000, stream);
  loss_pass(1'000, stream);
  tokens<prefer::bfloat16>("token_log_prob, 8,192 x 151,936 bfloat16", "its derivative, in place",
                           8'192, 151'936, stream);
  tokens<float>("token_log_prob, 4,096 x 32,000 float", "its derivative, in place", 4'096, 32'000,
                stream);
}
