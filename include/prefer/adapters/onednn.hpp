// SPDX-License-Identifier: MIT
#pragma once

#include <dnnl.h>
#include <algorithm>
#include <cstddef>
#include <dnnl.hpp>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/lm/arithmetic/products.hpp>
#include <prefer/scalar/half.hpp>

#if DNNL_CPU_RUNTIME != DNNL_RUNTIME_OMP && DNNL_CPU_RUNTIME != DNNL_RUNTIME_SEQ
#error \
    "prefer: this oneDNN brings threads of its own (TBB or a pool); use one built for OpenMP or without threads"
#endif

#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
// OpenMP comes with oneDNN; its header and flag need not be there. Weak: the linker need not find it by name.
extern "C" {
[[gnu::weak]] int omp_get_max_threads();
[[gnu::weak]] void omp_set_num_threads(int threads);
}
#endif

namespace prefer::inline v0_1::lm {

namespace detail {

/// While it lives, oneDNN computes on the calling thread alone: what OpenMP holds for this thread is put back afterwards.
class one_thread {
 public:
#if DNNL_CPU_RUNTIME == DNNL_RUNTIME_OMP
  one_thread() : before_(omp_get_max_threads()) {
    if (before_ != 1) omp_set_num_threads(1);
  }
  ~one_thread() {
    if (before_ != 1) omp_set_num_threads(before_);
  }
  one_thread(one_thread const&) = delete;
  one_thread& operator=(one_thread const&) = delete;

 private:
  int before_;
#endif
};

}  // namespace detail

/// Matrix products by oneDNN, which chooses its code for the processor that the program runs on: of float, and of bfloat16
/// where the processor has them (by matrix units where it has those).
///
/// Rows that are no whole tile go through other code there, so rows are padded: to multiples of 16 with AVX-512, else of 48.
/// Errors  backend_error with what oneDNN says
struct onednn_library {
  [[nodiscard]] static std::string_view name() {
    static std::string const text = [] {
      auto const* const v = dnnl_version();
      return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
             std::to_string(v->patch);
    }();
    return text;
  }

  void multiply(product<float> const& p) const {
    [[maybe_unused]] detail::one_thread const alone;
    auto const size = [](std::size_t n) { return static_cast<dnnl_dim_t>(n); };
    expects_done(
        dnnl_sgemm(p.left_transposed ? 'T' : 'N', p.right_transposed ? 'T' : 'N', size(p.rows),
                   size(p.columns), size(p.depth), 1.0f, p.left, size(p.left_stride), p.right,
                   size(p.right_stride), p.add ? 1.0f : 0.0f, p.to, size(p.to_stride)),
        "dnnl_sgemm");
  }
  [[nodiscard]] static row_rule rows_alike(product<float> const&) {
    std::size_t const tile = has(dnnl_cpu_isa_avx512_core) ? 16 : 48;
    return {.least = tile, .multiple = tile};
  }

  /// Whether this processor multiplies bfloat16: AVX-512, better with its instructions for it, best with matrix units.
  [[nodiscard]] static bool has_bfloat16() { return has(dnnl_cpu_isa_avx512_core); }

  /// A row's bits must not depend on how many rows there are. oneDNN cuts a deep product into parts by that number, or by
  /// whether rows lie next to each other (seen whole up to 896 terms with matrix units, up to 384 with AVX-512 alone), and
  /// adds to what was there before or after the terms are added up, by how results lie in memory: so depths are cut and
  /// results added here.
  void multiply(bfloat16_product const& p) const {
    static std::size_t const most_depth = has(dnnl_cpu_isa_avx512_core_amx) ? 768 : 384;
    if (p.depth <= most_depth && !p.add) {
      multiply_at_once(p);
      return;
    }
    static thread_local std::vector<float> part;
    part.resize(p.rows * p.columns);
    bfloat16_product piece = p;
    piece.to = part.data();
    piece.to_stride = p.columns;
    piece.add = false;
    for (std::size_t first = 0; first < p.depth; first += most_depth) {
      piece.depth = std::min(most_depth, p.depth - first);
      piece.left = p.left + first;
      piece.right = p.right + first * (p.right_transposed ? 1 : p.right_stride);
      multiply_at_once(piece);
      bool const adds = p.add || first != 0;
      for (std::size_t r = 0; r != p.rows; ++r) {
        float const* const from = piece.to + r * p.columns;
        float* const to = p.to + r * p.to_stride;
        for (std::size_t c = 0; c != p.columns; ++c) to[c] = adds ? to[c] + from[c] : from[c];
      }
    }
  }
  [[nodiscard]] static constexpr row_rule rows_alike(bfloat16_product const&) {
    return {.least = 32, .multiple = 16};
  }

 private:
  static void multiply_at_once(bfloat16_product const& p) {
    using memory = dnnl::memory;
    using numbers = memory::data_type;
    [[maybe_unused]] detail::one_thread const alone;
    auto const size = [](std::size_t n) { return static_cast<memory::dim>(n); };
    auto const right_stride = size(p.right_stride);
    memory::desc const left({size(p.rows), size(p.depth)}, numbers::bf16,
                            memory::dims{size(p.left_stride), 1});
    memory::desc const right(
        {size(p.depth), size(p.columns)}, numbers::bf16,
        p.right_transposed ? memory::dims{1, right_stride} : memory::dims{right_stride, 1});
    memory::desc const to({size(p.rows), size(p.columns)}, numbers::f32,
                          memory::dims{size(p.to_stride), 1});
#if defined(__cpp_exceptions)
    try {
#endif
      static dnnl::engine const processor(dnnl::engine::kind::cpu, 0);
      static thread_local dnnl::stream stream(processor);
#if DNNL_VERSION_MAJOR >= 3
      dnnl::matmul::primitive_desc const wanted(processor, left, right, to);
#else
    dnnl::matmul::primitive_desc const wanted({left, right, to}, processor);
#endif
      dnnl::matmul const multiply(wanted);  // oneDNN finds one that it made before
      auto const at = [](bfloat16 const* numbers_at) { return const_cast<bfloat16*>(numbers_at); };
      multiply.execute(stream, {{DNNL_ARG_SRC, memory(left, processor, at(p.left))},
                                {DNNL_ARG_WEIGHTS, memory(right, processor, at(p.right))},
                                {DNNL_ARG_DST, memory(to, processor, p.to)}});
      stream.wait();
#if defined(__cpp_exceptions)
    } catch (dnnl::error const& error) {
      refuse(backend_error("dnnl::matmul", "a product of bfloat16", error.what()));
    }
#endif
  }

  /// Sets of instructions are numbered so that what a larger one has is in its bits.
  static bool has(dnnl_cpu_isa_t instructions) {
    auto const bits = static_cast<unsigned>(instructions);
    return (static_cast<unsigned>(dnnl_get_effective_cpu_isa()) & bits) == bits;
  }
  static void expects_done(dnnl_status_t status, char const* call) {
    if (status == dnnl_success) return;
    refuse(
        backend_error(call, "a product of float", "oneDNN says status " + std::to_string(status)));
  }
};

inline constexpr onednn_library onednn_products{};

}  // namespace prefer::inline v0_1::lm
