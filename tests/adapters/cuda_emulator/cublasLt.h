// SPDX-License-Identifier: MIT
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include <prefer/scalar/half.hpp>

// What we call of cuBLASLt, for this processor: products of matrices whose columns lie one after another, by three loops.

enum cublasStatus_t {
  CUBLAS_STATUS_SUCCESS = 0,
  CUBLAS_STATUS_EXECUTION_FAILED = 13,
  CUBLAS_STATUS_NOT_SUPPORTED = 15
};
enum cublasOperation_t { CUBLAS_OP_N, CUBLAS_OP_T };
enum cublasComputeType_t { CUBLAS_COMPUTE_32F };
enum cudaDataType_t { CUDA_R_32F, CUDA_R_16F, CUDA_R_16BF };
enum cublasLtMatmulDescAttributes_t { CUBLASLT_MATMUL_DESC_TRANSA, CUBLASLT_MATMUL_DESC_TRANSB };

enum cublasLtMatmulPreferenceAttributes_t {
  CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK = 3,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES = 5,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES = 6,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES = 7,
  CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES = 8
};
inline constexpr std::uint32_t CUBLASLT_REDUCTION_SCHEME_NONE = 0;

struct cublasLtMatmulDesc {
  cublasOperation_t transposed[2];
};
struct cublasLtMatrixLayout {
  cudaDataType_t type;
  std::size_t rows, columns;
  std::int64_t stride;
};
using cublasLtHandle_t = struct emulated_cublas*;
using cublasLtMatmulDesc_t = cublasLtMatmulDesc*;
using cublasLtMatrixLayout_t = cublasLtMatrixLayout*;
/// Of how many parts a sum is made: another algorithm, another order.
struct cublasLtMatmulAlgo_t {
  std::uint64_t parts;
};
struct cublasLtMatmulHeuristicResult_t {
  cublasLtMatmulAlgo_t algo;
  cublasStatus_t state;
};
struct cublasLtMatmulPreference {
  std::uint32_t reduction = ~std::uint32_t{0};
};
using cublasLtMatmulPreference_t = cublasLtMatmulPreference*;

inline cublasStatus_t cublasLtCreate(cublasLtHandle_t* out) {
  *out = nullptr;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtDestroy(cublasLtHandle_t) { return CUBLAS_STATUS_SUCCESS; }
inline cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* out, cublasComputeType_t,
                                               cudaDataType_t) {
  *out = new cublasLtMatmulDesc{{CUBLAS_OP_N, CUBLAS_OP_N}};
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t of,
                                                     cublasLtMatmulDescAttributes_t which,
                                                     void const* value, std::size_t size) {
  if (size != sizeof(cublasOperation_t)) return CUBLAS_STATUS_NOT_SUPPORTED;
  std::memcpy(&of->transposed[which], value, size);
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t of) {
  delete of;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* out, cudaDataType_t type,
                                                 std::uint64_t rows, std::uint64_t columns,
                                                 std::int64_t stride) {
  *out = new cublasLtMatrixLayout{type, rows, columns, stride};
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t of) {
  delete of;
  return CUBLAS_STATUS_SUCCESS;
}

inline cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* out) {
  *out = new cublasLtMatmulPreference;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t of) {
  delete of;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t of, cublasLtMatmulPreferenceAttributes_t which, void const* value,
    std::size_t size) {
  if (size != sizeof(std::uint32_t)) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (which == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) {
    std::memcpy(&of->reduction, value, size);
  }
  return CUBLAS_STATUS_SUCCESS;
}

namespace cuda_emulator {

/// What a device likes best depends on the shape, on the number of rows too, and is another order of sums.
[[nodiscard]] inline cublasLtMatmulAlgo_t best_for(cublasLtMatrixLayout_t of_out) {
  return {1 + of_out->columns % 3};
}

/// A matrix of the device as floats here, column after column.
inline std::vector<float> matrix_at(void const* from, cublasLtMatrixLayout const& of) {
  std::size_t const count = of.rows * of.columns;
  std::vector<float> out(count);
  if (of.type == CUDA_R_32F) {
    copy_watched(out.data(), from, count * 4);
    return out;
  }
  std::vector<std::uint16_t> bits(count);
  copy_watched(bits.data(), from, count * 2);
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = of.type == CUDA_R_16F ? float{prefer::half::from_bits(bits[i])}
                                   : float{prefer::bfloat16::from_bits(bits[i])};
  }
  return out;
}

}  // namespace cuda_emulator

inline cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
    cublasLtMatrixLayout_t, cublasLtMatrixLayout_t of_d, cublasLtMatmulPreference_t wanted, int,
    cublasLtMatmulHeuristicResult_t* out, int* count) {
  *count = 0;
  if (wanted->reduction != CUBLASLT_REDUCTION_SCHEME_NONE) return CUBLAS_STATUS_NOT_SUPPORTED;
  *out = {cuda_emulator::best_for(of_d), CUBLAS_STATUS_SUCCESS};
  *count = 1;
  return CUBLAS_STATUS_SUCCESS;
}
inline cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t how, void const* alpha,
                                     void const* a, cublasLtMatrixLayout_t of_a, void const* b,
                                     cublasLtMatrixLayout_t of_b, void const* beta, void const* c,
                                     cublasLtMatrixLayout_t of_c, void* d,
                                     cublasLtMatrixLayout_t of_d,
                                     cublasLtMatmulAlgo_t const* algorithm, void* workspace,
                                     std::size_t, cudaStream_t stream) {
  bool const first = how->transposed[0] == CUBLAS_OP_T, second = how->transposed[1] == CUBLAS_OP_T;
  std::size_t const rows = first ? of_a->columns : of_a->rows;
  std::size_t const inner = first ? of_a->rows : of_a->columns;
  std::size_t const columns = second ? of_b->rows : of_b->columns;
  bool const fits = (second ? of_b->columns : of_b->rows) == inner && of_d->rows == rows &&
                    of_d->columns == columns && of_c->rows == rows && of_c->columns == columns &&
                    of_d->type == CUDA_R_32F && of_a->type == of_b->type && c == d &&
                    of_a->stride == static_cast<std::int64_t>(of_a->rows) && workspace == nullptr;
  if (!fits) return CUBLAS_STATUS_NOT_SUPPORTED;
  float const by = *static_cast<float const*>(alpha), kept = *static_cast<float const*>(beta);
  std::size_t const parts =
      (algorithm == nullptr ? cuda_emulator::best_for(of_d) : *algorithm).parts;
  auto const work = [=, of_a = *of_a, of_b = *of_b, of_c = *of_c] {
    auto const x = cuda_emulator::matrix_at(a, of_a), y = cuda_emulator::matrix_at(b, of_b);
    std::vector<float> out(rows * columns);
    if (kept != 0.0f) out = cuda_emulator::matrix_at(c, of_c);
    for (std::size_t j = 0; j < columns; ++j) {
      for (std::size_t i = 0; i < rows; ++i) {
        float sum = 0.0f;
        for (std::size_t part = 0; part < parts; ++part) {
          float of_part = 0.0f;
          for (std::size_t k = part; k < inner; k += parts) {
            of_part += x[first ? k + i * inner : i + k * rows] *
                       y[second ? j + k * columns : k + j * inner];
          }
          sum += of_part;
        }
        out[i + j * rows] = by * sum + (kept == 0.0f ? 0.0f : kept * out[i + j * rows]);
      }
    }
    cuda_emulator::copy_watched(d, out.data(), out.size() * 4);
  };
  return cuda_emulator::submit(stream, work) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                            : CUBLAS_STATUS_EXECUTION_FAILED;
}
