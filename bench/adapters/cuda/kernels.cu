// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda.hpp>
#include <prefer/adapters/cuda/linear_log_prob.cuh>
#include <prefer/adapters/cuda/token_log_prob.cuh>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <prefer/loss/dpo.hpp>

// Each kernel beside its bound: the time in which the device copies as many bytes as the kernel must move, and for
// log-probabilities from hidden states that of the bare products of matrices.
//
//   nvcc -std=c++20 --expt-relaxed-constexpr -O3 -arch=native -I include bench/adapters/cuda/kernels.cu -lcublasLt && ./a.out
//
// With --json a line for each measurement, as bench/adapters/cuda/run reads them. It has not run yet: no device was at hand.

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

bool as_json = false;

void print(std::string const& name, double took, double bound, char const* of_what,
           std::string const& more) {
  if (as_json) {
    std::printf("{\"name\": \"%s\", \"ms\": %.5f, \"bound_ms\": %.5f}\n", name.c_str(), took,
                bound);
  } else {
    std::printf("%-52s %9.3f ms  %5.1f %% of %s  %s\n", name.c_str(), took, 100.0 * bound / took,
                of_what, more.c_str());
  }
}

/// A copy reads and writes: half of the bytes each.
template <class Work>
void report(char const* name, std::size_t bytes, cudaStream_t stream, Work const& work) {
  gpu::device_column<float> const from(bytes / 2 / sizeof(float), stream);
  gpu::device_column<float> to(bytes / 2 / sizeof(float), stream);
  double const bound = milliseconds(
      stream, [&] { gpu::copy_on_device(to.data(), from.data(), bytes / 2, stream, "bench"); });
  double const took = milliseconds(stream, work);
  auto const rate = static_cast<long>(static_cast<double>(bytes) / took * 1e-6);
  print(name, took, bound, "a copy's", std::to_string(rate) + " GB/s");
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

/// The same beside a reference's logits.
void divergence(std::size_t rows, std::size_t vocabulary, cudaStream_t stream) {
  using T = prefer::bfloat16;
  gpu::device_column<T> policy(rows * vocabulary, stream), reference(rows * vocabulary, stream);
  for (auto* const each : {&policy, &reference}) {
    gpu::set_to_zero(each->data(), each->size() * sizeof(T), stream, "bench");
  }
  gpu::device_column<std::int32_t> const ids(std::vector<std::int32_t>(rows, 17), stream);
  gpu::device_column<float> const coefficient(std::vector<float>(rows, 1e-3f), stream);
  gpu::device_column<float> log_prob(rows, stream), normalizer(rows, stream),
      of_reference(rows, stream), kl(rows, stream);
  gpu::logit_rows<T> const ours{policy.data(), rows, vocabulary};
  gpu::logit_rows<T> const theirs{reference.data(), rows, vocabulary};
  std::size_t const bytes = rows * vocabulary * sizeof(T);
  report("the same with divergence, 4,096 rows", 2 * bytes, stream, [&] {
    gpu::token_log_prob(ours, theirs, ids,
                        {.log_prob = log_prob,
                         .log_normalizer = normalizer,
                         .divergence = kl,
                         .reference_log_normalizer = of_reference});
  });
  report("its derivative, in place", 3 * bytes, stream, [&] {
    gpu::token_backward(ours, theirs, ids, {normalizer, of_reference},
                        {.log_prob = coefficient, .divergence = coefficient});
  });
}

/// hidden[rows, width] matrix[vocabulary, width]' in bfloat16, as cuBLASLt likes it best: nothing of ours.
class bare_product {
 public:
  bare_product(std::size_t rows, std::size_t width, std::size_t vocabulary, cudaStream_t stream)
      : stream_(stream), room_(room_bytes, stream), out_(rows * vocabulary, stream) {
    cublasOperation_t const transposed = CUBLAS_OP_T;
    cublasLtMatmulPreference_t preference;
    std::size_t const room = room_bytes;
    cublasLtMatmulHeuristicResult_t best{};
    int count = 0;
    bool const good =
        cublasLtCreate(&handle_) == CUBLAS_STATUS_SUCCESS &&
        cublasLtMatmulDescCreate(&how_, CUBLAS_COMPUTE_32F, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS &&
        cublasLtMatmulDescSetAttribute(how_, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                       sizeof transposed) == CUBLAS_STATUS_SUCCESS &&
        make(&matrix_, width, vocabulary) && make(&hidden_, width, rows) &&
        make(&logits_, vocabulary, rows) &&
        cublasLtMatmulPreferenceCreate(&preference) == CUBLAS_STATUS_SUCCESS &&
        cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                             &room, sizeof room) == CUBLAS_STATUS_SUCCESS &&
        cublasLtMatmulAlgoGetHeuristic(handle_, how_, matrix_, hidden_, logits_, logits_,
                                       preference, 1, &best, &count) == CUBLAS_STATUS_SUCCESS &&
        count == 1;
    if (!good) prefer::refuse("bench: cuBLASLt has no product of this shape");
    algorithm_ = best.algo;
  }
  void multiply(prefer::bfloat16 const* hidden, prefer::bfloat16 const* matrix) {
    float const one = 1.0f, zero = 0.0f;
    auto const status = cublasLtMatmul(handle_, how_, &one, matrix, matrix_, hidden, hidden_, &zero,
                                       out_.data(), logits_, out_.data(), logits_, &algorithm_,
                                       room_.data(), room_bytes, stream_);
    if (status != CUBLAS_STATUS_SUCCESS) prefer::refuse("bench: cublasLtMatmul");
  }

 private:
  static constexpr std::size_t room_bytes = std::size_t{32} << 20;

  static bool make(cublasLtMatrixLayout_t* out, std::size_t rows, std::size_t columns) {
    return cublasLtMatrixLayoutCreate(out, CUDA_R_16BF, rows, columns,
                                      static_cast<std::int64_t>(rows)) == CUBLAS_STATUS_SUCCESS;
  }

  cudaStream_t stream_;
  gpu::device_column<bool> room_;
  gpu::device_column<prefer::bfloat16> out_;
  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulDesc_t how_ = nullptr;
  cublasLtMatrixLayout_t matrix_ = nullptr, hidden_ = nullptr, logits_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_{};
};

/// The most memory in use at once since `reset`, of what is allocated in the order of streams.
class memory_in_use {
 public:
  memory_in_use() {
    gpu::expect_success(cudaDeviceGetDefaultMemPool(&pool_, 0), "cudaDeviceGetDefaultMemPool",
                        "bench");
    // What is given back stays with the pool: asking the driver again would be most of a measurement.
    std::uint64_t all = std::numeric_limits<std::uint64_t>::max();
    gpu::expect_success(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrReleaseThreshold, &all),
                        "cudaMemPoolSetAttribute", "bench");
  }
  void reset() {
    std::uint64_t zero = 0;
    gpu::expect_success(cudaMemPoolSetAttribute(pool_, cudaMemPoolAttrUsedMemHigh, &zero),
                        "cudaMemPoolSetAttribute", "bench");
    before_ = get(cudaMemPoolAttrUsedMemCurrent);
  }
  [[nodiscard]] double mebibytes() const {
    return static_cast<double>(get(cudaMemPoolAttrUsedMemHigh) - before_) / 1048576.0;
  }

 private:
  [[nodiscard]] std::uint64_t get(cudaMemPoolAttr which) const {
    std::uint64_t out = 0;
    gpu::expect_success(cudaMemPoolGetAttribute(pool_, which, &out), "cudaMemPoolGetAttribute",
                        "bench");
    return out;
  }
  cudaMemPool_t pool_ = nullptr;
  std::uint64_t before_ = 0;
};

/// From hidden states, forward beside one bare product, forward and backward beside the three that a softmax with all logits
/// in memory would take; we take a fourth, for the logits again.
void hidden_states(std::size_t rows, memory_in_use& memory, cudaStream_t stream) {
  using T = prefer::bfloat16;
  constexpr std::size_t width = 4096, vocabulary = 128'256;
  // Numbers of a model's size: products of zeros draw less power, and a device that draws less runs faster.
  auto const numbers = [&](std::size_t count, float scale) {
    std::vector<T> out(count);
    std::uint32_t state = 1;
    for (T& each : out) {
      state = state * 1664525u + 1013904223u;
      each = T(scale * (static_cast<float>(state >> 8) * 0x1p-23f - 1.0f));
    }
    return out;
  };
  gpu::device_column<T> const hidden(numbers(rows * width, 1.0f), stream);
  gpu::device_column<T> const matrix(numbers(vocabulary * width, 0.03f), stream);
  gpu::device_column<std::int32_t> const ids(std::vector<std::int32_t>(rows, 17), stream);
  gpu::device_column<float> const coefficient(std::vector<float>(rows, 1e-3f), stream);
  gpu::device_column<float> log_prob(rows, stream), to_hidden(rows * width, stream),
      to_matrix(vocabulary * width, stream);
  gpu::set_to_zero(to_matrix.data(), to_matrix.size() * sizeof(float), stream, "bench");
  gpu::output_layer<T> const layer{hidden.data(), matrix.data(), rows, width, vocabulary};
  gpu::matrix_products const products;
  double bound = 0.0;
  {
    bare_product bare(rows, width, vocabulary, stream);
    bound = milliseconds(stream, [&] { bare.multiply(hidden.data(), matrix.data()); });
  }
  auto const forward = [&] {
    return linear_log_prob(products, layer, ids, {.log_prob = log_prob});
  };
  auto const both = [&] {
    linear_backward(products, layer, ids, forward(), coefficient,
                    {to_hidden.data(), to_matrix.data()});
  };
  auto const shape = std::to_string(rows) + " x 4096 x 128256 bfloat16";
  auto const measure = [&](std::string const& name, double of, char const* what, auto const& work) {
    memory.reset();
    double const took = milliseconds(stream, work);
    char more[96];
    std::snprintf(more, sizeof more, "%.0f MiB; all logits would be %.0f", memory.mebibytes(),
                  static_cast<double>(rows * vocabulary * sizeof(T)) / 1048576.0);
    print(name + ", " + shape, took, of, what, more);
  };
  measure("linear_log_prob", bound, "a bare product's", [&] { (void)forward(); });
  measure("and its derivatives", 3.0 * bound, "three products'", both);
}

}  // namespace

int main(int argc, char** argv) {
  as_json = argc > 1 && std::strcmp(argv[1], "--json") == 0;
  cudaStream_t const stream = nullptr;
  cudaDeviceProp device{};
  gpu::expect_success(cudaGetDeviceProperties(&device, 0), "cudaGetDeviceProperties", "bench");
  if (!as_json) std::printf("%s\n", device.name);
  memory_in_use memory;
  loss_pass(10'000'000, stream);
  loss_pass(1'000, stream);
  tokens<prefer::bfloat16>("token_log_prob, 8,192 x 151,936 bfloat16", "its derivative, in place",
                           8'192, 151'936, stream);
  tokens<float>("token_log_prob, 4,096 x 32,000 float", "its derivative, in place", 4'096, 32'000,
                stream);
  divergence(4'096, 151'936, stream);
  hidden_states(4'096, memory, stream);
  hidden_states(8'192, memory, stream);
}
