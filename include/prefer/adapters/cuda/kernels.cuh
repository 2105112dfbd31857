// SPDX-License-Identifier: MIT
#pragma once

#if !defined(PREFER_SHOW_WARNINGS)
#pragma GCC system_header
#endif

#include <prefer/adapters/cuda/column.cuh>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/each_column.hpp>
#include <prefer/batch/load_record.hpp>
#include <prefer/batch/pair_order.hpp>
#include <prefer/batch/reduce.hpp>
#include <prefer/scalar/half.hpp>

// Kernels: a formula over records, a formula over lists, sums in a fixed order, and rows in another order. They take
// pointers, sizes and a stream; each thread reads its rows' columns as they are stored.

// A kernel of a loss in an unnamed namespace is hidden already.
#if defined(__NVCC__)
#pragma nv_diagnostic push
#pragma nv_diag_suppress 1407
#endif

namespace prefer::inline v0_1::cuda {
inline namespace PREFER_CUDA_BUILD {

inline constexpr unsigned threads_of_block = 256;

/// Numbers as a kernel reads them; null where the batch has none or the formula reads none.
struct input {
  void const* data = nullptr;
  storage stored = storage::float32;

  friend constexpr bool operator!=(input const& a, std::nullptr_t) { return a.data != nullptr; }
};
/// One of them.
struct element {
  input of;
  std::size_t at;
};
constexpr element operator+(input const& of, std::size_t at) { return {of, at}; }

/// How a record's members are loaded where its scalars are S.
template <class S>
struct loads {
  [[nodiscard]] __host__ __device__ static S load(element const& one) {
    void const* const data = one.of.data;
    switch (one.of.stored) {
      case storage::float32:
        return static_cast<S>(static_cast<float const*>(data)[one.at]);
      case storage::float64:
        return static_cast<S>(static_cast<double const*>(data)[one.at]);
      case storage::float16:
        return static_cast<S>(float{static_cast<half const*>(data)[one.at]});
      case storage::bfloat16:
        return static_cast<S>(float{static_cast<bfloat16 const*>(data)[one.at]});
      case storage::int32:
        return static_cast<S>(static_cast<std::int32_t const*>(data)[one.at]);
      case storage::boolean:
        return static_cast<bool const*>(data)[one.at] ? S(1) : S(0);
    }
    return S(0);
  }
};

/// Where a kernel writes numbers; null where nobody wants them.
struct output {
  void* data = nullptr;
  storage stored = storage::float32;

  template <class S>
  __host__ __device__ void write(std::size_t at, S const& number) const {
    switch (stored) {
      case storage::float32:
        static_cast<float*>(data)[at] = static_cast<float>(number);
        return;
      case storage::float64:
        static_cast<double*>(data)[at] = static_cast<double>(number);
        return;
      case storage::float16:
        static_cast<half*>(data)[at] = half(number);
        return;
      case storage::bfloat16:
        static_cast<bfloat16*>(data)[at] = bfloat16(number);
        return;
      default:
        return;  // labels and lengths are no results
    }
  }
};

/// The columns of a batch, in the order of their description.
template <class Columns>
struct inputs {
  input at[detail::inputs_of<Columns>];

  constexpr input const& operator[](std::size_t i) const { return at[i]; }
};
template <std::size_t N>
struct outputs {
  output at[N];
};

/// Adds up `mine[0..N)` over the threads of a block and writes the N sums to `sums`: in the same order always, so that
/// the same numbers give the same bits. All threads of the block call it.
template <std::size_t N>
__device__ void add_up_block(double const (&mine)[N], double* sums) {
  __shared__ double of_warp[N][threads_of_block / 32];
  unsigned const lane = threadIdx.x % 32;
  unsigned const warp = threadIdx.x / 32;
  for (std::size_t n = 0; n < N; ++n) {
    double sum = mine[n];
    for (unsigned by = 16; by > 0; by /= 2) sum += __shfl_down_sync(~0u, sum, by);
    if (lane == 0) of_warp[n][warp] = sum;
  }
  __syncthreads();
  for (std::size_t n = threadIdx.x; n < N; n += blockDim.x) {
    double sum = 0.0;
    for (unsigned w = 0; w < threads_of_block / 32; ++w) sum += of_warp[n][w];
    sums[n] = sum;
  }
}

/// What `formula` gives for each record, written to `out`, and the sums of each block.
template <class S, class Columns, std::uint32_t Loaded, std::size_t N, class F>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    map_records(F formula, inputs<Columns> in, outputs<N> out, std::size_t count,
                double* of_blocks) {
  constexpr std::size_t weight_at = detail::input_of<Columns, column_name::weight>;
  // As bits in the kernel's name, because nvcc's stubs take no class for an argument.
  constexpr column_set loaded{Loaded};
  constexpr bool weighted = loaded.contains(column_name::weight);
  double sums[N] = {};
  std::size_t const step = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    detail::record_over_t<Columns, S> record{};
    if constexpr (requires { record.rejected; }) {
      using enum column_side;
      detail::load_members<Columns, loads<S>, column_set{}, loaded, chosen>(record.chosen, in, i);
      detail::load_members<Columns, loads<S>, column_set{}, loaded, rejected>(record.rejected, in,
                                                                              i);
    }
    detail::load_members<Columns, loads<S>, column_set{}, loaded>(record, in, i);
    S weight = 1.0;
    if constexpr (weighted) {
      if (in[weight_at] != nullptr) weight = loads<S>::load(in[weight_at] + i);
    }
    auto const numbers = detail::numbers_of_record(formula, record, weight);
    for (std::size_t n = 0; n < N; ++n) {
      if (out.at[n].data != nullptr) out.at[n].write(i, S(numbers[n]));
      sums[n] += static_cast<double>(S(numbers[n]));
    }
  }
  add_up_block(sums, of_blocks + blockIdx.x * N);
}

/// Completion i of a list that begins there.
template <class Columns>
struct list_at {
  inputs<Columns> const* in;
  std::size_t begin;

  constexpr completion_record<double> operator()(std::size_t i) const {
    completion_record<double> out{};
    completion_record<double>::describe(out, [&](auto is, auto& member) {
      constexpr std::size_t at = detail::input_of<Columns, is.name>;
      if constexpr (at != detail::inputs_of<Columns>) {
        if ((*in)[at] != nullptr) {
          detail::set_member<is.rule>(member, loads<double>::load((*in)[at] + (begin + i)));
        }
      }
    });
    return out;
  }
};

/// The same of lists, a thread for each. `numbers` has room for one of each completion and F::room more.
template <class Columns, class F>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 1)
    map_lists(F formula, inputs<Columns> in, std::size_t const* offset, output of_lists,
              output of_completions, double* numbers, std::size_t count, double* of_blocks) {
  constexpr std::size_t weight_at = detail::input_of<Columns, column_name::weight>;
  constexpr std::size_t beta_at = detail::input_of<Columns, column_name::beta>;
  double sums[1] = {};
  std::size_t const step = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t g = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; g < count; g += step) {
    std::size_t const begin = offset[g];
    std::size_t const length = offset[g + 1] - begin;
    detail::optional_value<double> beta;
    if (in[beta_at] != nullptr) beta = {true, loads<double>::load(in[beta_at] + g)};
    double const weight = in[weight_at] != nullptr ? loads<double>::load(in[weight_at] + g) : 1.0;
    list_record<double, list_at<Columns>> const list(length, {&in, begin}, beta);
    double* const own = numbers + begin * (1 + F::room);
    std::span<double> const out(own, length);
    double const of_list =
        formula(list, weight, out, std::span<double>(own + length, F::room * length));
    if (of_lists.data != nullptr) of_lists.write(g, of_list);
    if (of_completions.data != nullptr) {
      for (std::size_t i = 0; i < length; ++i) of_completions.write(begin + i, out[i]);
    }
    sums[0] += of_list;
  }
  add_up_block(sums, of_blocks + blockIdx.x);
}

/// The second pass: block n adds up the n-th sum of all blocks.
template <std::size_t N>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    add_up_blocks(double const* of_blocks, std::size_t blocks, double* sums) {
  double mine[1] = {};
  for (std::size_t b = threadIdx.x; b < blocks; b += blockDim.x) {
    mine[0] += of_blocks[b * N + blockIdx.x];
  }
  add_up_block(mine, sums + blockIdx.x);
}

template <class S>
PREFER_CUDA_KERNEL void __launch_bounds__(1) write_quotient(S const* sum, S divisor, output to) {
  to.write(0, *sum / divisor);
}
inline void number::write_to(mutable_column const& to) const {
  expects_size(to.size(), 1, "number::write_to", "to");
  launch(sums_->stream(), 1, 1, "number::write_to", &write_quotient<double>,
         static_cast<double const*>(sums_->get()) + which_, divisor_,
         output{to.data(), to.stored_as()});
}

/// to[i] = from[rows[i]], bit for bit: T is as wide as what is moved.
template <class T>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    gather_numbers(T const* from, std::uint32_t const* rows, T* to, std::size_t count) {
  std::size_t const i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) to[i] = from[rows[i]];
}
/// to[rows[k]] = k, where rows are a permutation.
template <class Row>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    invert_rows(Row const* rows, Row* to, std::size_t count) {
  std::size_t const k = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (k < count) to[rows[k]] = static_cast<Row>(k);
}
/// keys[i] ascend as the numbers do, and row[i] = i.
template <class Row>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    make_keys(double const* numbers, std::uint64_t* keys, Row* rows, std::size_t count) {
  std::size_t const i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  keys[i] = detail::ascending_bits(numbers[i]);
  rows[i] = static_cast<Row>(i);
}
/// keys[i] = to[i], and row[i] = i: sorted by key, what goes to one place stands together, in its order.
template <class Row>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    make_targets(Row const* to, std::uint64_t* keys, Row* rows, std::size_t count) {
  std::size_t const i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  keys[i] = to[i];
  rows[i] = static_cast<Row>(i);
}
/// out[key] = the sum of from[row] over the entries of that key, in their order; entries are sorted by key.
template <class Row>
PREFER_CUDA_KERNEL void __launch_bounds__(threads_of_block, 2)
    scatter_sorted(input from, std::uint64_t const* keys, Row const* rows, double* out,
                   std::size_t count) {
  std::size_t const first = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (first >= count || (first > 0 && keys[first - 1] == keys[first])) return;
  double sum = 0.0;
  for (std::size_t k = first; k < count && keys[k] == keys[first]; ++k) {
    sum += loads<double>::load(from + rows[k]);
  }
  out[keys[first]] = sum;
}

}  // namespace PREFER_CUDA_BUILD
}  // namespace prefer::inline v0_1::cuda

#if defined(__NVCC__)
#pragma nv_diagnostic pop
#endif
