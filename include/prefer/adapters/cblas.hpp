// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

#if defined(PREFER_WITH_BLIS)
#include <blis.h>
#else
#include <cblas.h>
#endif

#include <prefer/lm/arithmetic/products.hpp>

namespace prefer::inline v0_1::lm {

/// Matrix products by a library with the C interface of BLAS: OpenBLAS, or BLIS through its own interface where
/// PREFER_WITH_BLIS is defined, as the target prefer::cblas does where it links BLIS.
///
/// OpenBLAS is told, for the whole process, to start no threads: prefer has its own. BLIS is told so with each call. What
/// another BLAS does is up to its settings; it should use one thread.
///
/// OpenBLAS takes products below 10^6 multiplications for small ones and adds them up in another order, so rows are padded
/// until a product is none of those. Its code for AVX2 without AVX-512 (Haswell, Zen) adds up a row by its place in a tile,
/// which no padding mends: there `treats_rows_alike` is false, and the last bits of a row depend on the rows before it.
struct cblas_library {
#if defined(PREFER_WITH_BLIS)
  [[nodiscard]] static std::string_view name() {
    static std::string const text = std::string("BLIS ") + bli_info_get_version_str();
    return text;
  }

  [[nodiscard]] static bool treats_rows_alike() { return true; }

  template <class T>
  void multiply(product<T> const& p) const {
    rntm_t how = BLIS_RNTM_INITIALIZER;
    bli_rntm_set_num_threads(1, &how);
    bli_rntm_disable_l3_sup(&how);  // which takes small products for special, by their rows
    auto const size = [](std::size_t n) { return static_cast<dim_t>(n); };
    auto const transposed = [](bool is) { return is ? BLIS_TRANSPOSE : BLIS_NO_TRANSPOSE; };
    T one = 1;
    T before = p.add ? T(1) : T(0);
    auto const call = [&](auto gemm) {
      gemm(transposed(p.left_transposed), transposed(p.right_transposed), size(p.rows),
           size(p.columns), size(p.depth), &one, const_cast<T*>(p.left), size(p.left_stride), 1,
           const_cast<T*>(p.right), size(p.right_stride), 1, &before, p.to, size(p.to_stride), 1,
           nullptr, &how);
    };
    if constexpr (std::is_same_v<T, float>) {
      call(&bli_sgemm_ex);
    } else {
      call(&bli_dgemm_ex);
    }
  }
  template <class T>
  [[nodiscard]] static constexpr row_rule rows_alike(product<T> const&) {
    return {.least = 16, .multiple = 16};
  }
#else
  [[nodiscard]] static std::string_view name() {
#if defined(OPENBLAS_VERSION)
    return version_in(OPENBLAS_VERSION);
#else
    return "CBLAS";
#endif
  }

  /// Whether the bits of a row are the same wherever it lies; of a BLAS other than those named above nobody knows.
  [[nodiscard]] static bool treats_rows_alike() {
#if defined(OPENBLAS_VERSION)
    std::string_view const code = openblas_get_corename();
    return code != "Haswell" && code != "Zen" && code != "Excavator";
#else
    return false;
#endif
  }

  template <class T>
  void multiply(product<T> const& p) const {
#if defined(OPENBLAS_VERSION)
    static bool const alone = (openblas_set_num_threads(1), true);
    static_cast<void>(alone);
#endif
    auto const size = [](std::size_t n) { return static_cast<integer>(n); };
    auto const transposed = [](bool is) { return is ? CblasTrans : CblasNoTrans; };
    auto const call = [&](auto gemm) {
      gemm(CblasRowMajor, transposed(p.left_transposed), transposed(p.right_transposed),
           size(p.rows), size(p.columns), size(p.depth), T(1), p.left, size(p.left_stride), p.right,
           size(p.right_stride), p.add ? T(1) : T(0), p.to, size(p.to_stride));
    };
    if constexpr (std::is_same_v<T, float>) {
      call(&cblas_sgemm);
    } else {
      call(&cblas_dgemm);
    }
  }
  template <class T>
  [[nodiscard]] static constexpr row_rule rows_alike(product<T> const& p) {
    std::size_t const of_row = prefer::detail::at_least(1, p.columns * p.depth);
    return {.least = 1'000'000 / of_row + 1, .multiple = 16};
  }

 private:
#if defined(OPENBLAS_VERSION)
  using integer = blasint;
  /// " OpenBLAS 0.3.21 " as the header has it, without the blanks around it.
  [[nodiscard]] static constexpr std::string_view version_in(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
  }
#else
  using integer = int;
#endif
#endif
};

inline constexpr cblas_library cblas_products{};

}  // namespace prefer::inline v0_1::lm
