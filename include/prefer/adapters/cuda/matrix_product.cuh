// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/adapters/cuda/token_log_prob.cuh>

#include <cublasLt.h>

#include <cstddef>
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
/// Errors  backend_error with the call and the library's status
class matrix_products {
 public:
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
    expect(cublasLtMatmul(handle_, how.get(), &one, b.numbers, of_b.get(), a.numbers, of_a.get(),
                          &kept, out, of_out.get(), out, of_out.get(), nullptr, nullptr, 0, stream),
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

  cublasLtHandle_t handle_ = nullptr;
};

}  // namespace PREFER_CUDA_BUILD
}  // namespace prefer::inline v0_1::cuda
