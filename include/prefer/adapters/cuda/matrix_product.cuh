// SPDX-License-Identifier: MIT
#pragma once

#if !defined(PREFER_SHOW_WARNINGS)
#pragma GCC system_header
#endif

#include <prefer/adapters/cuda/token_log_prob.cuh>

#include <cublasLt.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace prefer::inline v0_1::cuda {
inline namespace PREFER_CUDA_BUILD {

/// A matrix in memory, row after row, and whether its transpose is meant.
template <class T>
struct factor {
  T const* numbers;
  bool transposed = false;
};

/// Products of matrices by cuBLASLt: from float, half or bfloat16, added up in float32.
///
/// Order    a row of a product gives the same bits whatever rows are beside it: the algorithm is chosen for a shape of
///          `rows_of_choice` rows, among those that split no sum, and kept for every number of rows. A transposed factor a
///          adds up over the rows of its memory: nothing is one row's own then, and cuBLASLt chooses freely
/// Errors  backend_error with the call and the library's status
class matrix_products {
 public:
  static constexpr std::size_t rows_of_choice = 4096;

  matrix_products() { expect(cublasLtCreate(&handle_), "cublasLtCreate"); }
  matrix_products(matrix_products const&) = delete;
  matrix_products& operator=(matrix_products const&) = delete;
  ~matrix_products() { (void)cublasLtDestroy(handle_); }

  /// out[rows, columns] = a[rows, inner] b[inner, columns] + kept * out, each a matrix of rows one after another; a
  /// transposed factor lies in memory as its transpose.
  template <LogitElement T>
  void multiply(factor<T> a, factor<T> b, float* out, std::size_t rows, std::size_t columns,
                std::size_t inner, float kept, cudaStream_t stream) const {
    if (rows == 0 || columns == 0) return;
    // cuBLAS counts columns first, which makes every matrix here its transpose: out' = b' a'.
    operation const how(b.transposed, a.transposed);
    layout const of_b(type_of<T>(), b.transposed ? inner : columns, b.transposed ? columns : inner);
    layout const of_a(type_of<T>(), a.transposed ? rows : inner, a.transposed ? inner : rows);
    layout const of_out(CUDA_R_32F, columns, rows);
    float const one = 1.0f;
    choice const chosen = a.transposed
                              ? choice{}
                              : choose(how, of_b, type_of<T>(), columns, inner, b.transposed,
                                       alignment_of(a.numbers, b.numbers, out));
    expect(cublasLtMatmul(handle_, how.get(), &one, b.numbers, of_b.get(), a.numbers, of_a.get(),
                          &kept, out, of_out.get(), out, of_out.get(),
                          chosen.found ? &chosen.algorithm : nullptr, nullptr, 0, stream),
           "cublasLtMatmul");
  }

 private:
  static void expect(cublasStatus_t status, char const* call) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    refuse(backend_error(call, "matrix_products",
                         "status " + std::to_string(static_cast<int>(status))));
  }
  template <class T>
  static constexpr cudaDataType_t type_of() {
    return std::same_as<T, float> ? CUDA_R_32F : std::same_as<T, half> ? CUDA_R_16F : CUDA_R_16BF;
  }

  class operation {
   public:
    operation(bool first_transposed, bool second_transposed) {
      expect(cublasLtMatmulDescCreate(&made_, CUBLAS_COMPUTE_32F, CUDA_R_32F),
             "cublasLtMatmulDescCreate");
      set(CUBLASLT_MATMUL_DESC_TRANSA, first_transposed);
      set(CUBLASLT_MATMUL_DESC_TRANSB, second_transposed);
    }
    operation(operation const&) = delete;
    operation& operator=(operation const&) = delete;
    ~operation() { (void)cublasLtMatmulDescDestroy(made_); }
    [[nodiscard]] cublasLtMatmulDesc_t get() const { return made_; }

   private:
    void set(cublasLtMatmulDescAttributes_t which, bool transposed) {
      cublasOperation_t const value = transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
      expect(cublasLtMatmulDescSetAttribute(made_, which, &value, sizeof value),
             "cublasLtMatmulDescSetAttribute");
    }
    cublasLtMatmulDesc_t made_ = nullptr;
  };
  class layout {
   public:
    layout(cudaDataType_t type, std::size_t rows, std::size_t columns) {
      expect(
          cublasLtMatrixLayoutCreate(&made_, type, rows, columns, static_cast<std::int64_t>(rows)),
          "cublasLtMatrixLayoutCreate");
    }
    layout(layout const&) = delete;
    layout& operator=(layout const&) = delete;
    ~layout() { (void)cublasLtMatrixLayoutDestroy(made_); }
    [[nodiscard]] cublasLtMatrixLayout_t get() const { return made_; }

   private:
    cublasLtMatrixLayout_t made_ = nullptr;
  };

  class preference {
   public:
    explicit preference(std::uint32_t alignment) {
      expect(cublasLtMatmulPreferenceCreate(&made_), "cublasLtMatmulPreferenceCreate");
      set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, CUBLASLT_REDUCTION_SCHEME_NONE);
      for (auto const each :
           {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
            CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
            CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
        set(each, alignment);
      }
    }
    preference(preference const&) = delete;
    preference& operator=(preference const&) = delete;
    ~preference() { (void)cublasLtMatmulPreferenceDestroy(made_); }
    [[nodiscard]] cublasLtMatmulPreference_t get() const { return made_; }

   private:
    void set(cublasLtMatmulPreferenceAttributes_t which, std::uint32_t value) {
      expect(cublasLtMatmulPreferenceSetAttribute(made_, which, &value, sizeof value),
             "cublasLtMatmulPreferenceSetAttribute");
    }
    cublasLtMatmulPreference_t made_ = nullptr;
  };

  struct choice {
    cublasLtMatmulAlgo_t algorithm = {};
    bool found = false;
  };
  /// 16 bytes where all begin so, the size of a number otherwise.
  template <class T>
  static std::uint32_t alignment_of(T const* a, T const* b, float const* out) {
    auto const begins = reinterpret_cast<std::uintptr_t>(a) | reinterpret_cast<std::uintptr_t>(b) |
                        reinterpret_cast<std::uintptr_t>(out);
    return begins % 16 == 0 ? 16 : sizeof(T);
  }
  [[nodiscard]] choice choose(operation const& how, layout const& of_b, cudaDataType_t type,
                              std::size_t columns, std::size_t inner, bool b_transposed,
                              std::uint32_t alignment) const {
    std::lock_guard const alone(choosing_);
    auto const [at, is_new] = chosen_.try_emplace(
        {static_cast<std::size_t>(type), columns, inner, b_transposed ? 1u : 0u, alignment});
    if (is_new) {
      layout const of_a(type, inner, rows_of_choice), of_out(CUDA_R_32F, columns, rows_of_choice);
      preference const wanted(alignment);
      cublasLtMatmulHeuristicResult_t best{};
      int count = 0;
      auto const status =
          cublasLtMatmulAlgoGetHeuristic(handle_, how.get(), of_b.get(), of_a.get(), of_out.get(),
                                         of_out.get(), wanted.get(), 1, &best, &count);
      // Where it has none for such a shape, the call itself chooses or says why not.
      if (status == CUBLAS_STATUS_SUCCESS && count > 0 && best.state == status)
        at->second = {best.algo, true};
    }
    return at->second;
  }

  cublasLtHandle_t handle_ = nullptr;
  mutable std::mutex choosing_;
  mutable std::map<std::array<std::size_t, 5>, choice> chosen_;
};

}  // namespace PREFER_CUDA_BUILD
}  // namespace prefer::inline v0_1::cuda
