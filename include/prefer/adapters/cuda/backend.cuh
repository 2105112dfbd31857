// SPDX-License-Identifier: MIT
#pragma once

#if !defined(PREFER_SHOW_WARNINGS)
#pragma GCC system_header
#endif

#include <prefer/adapters/cuda/kernels.cuh>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include <prefer/batch/backend.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/objective/loss_pass.hpp>

namespace prefer::inline v0_1::cuda {
inline namespace PREFER_CUDA_BUILD {

/// The columns that a kernel of this formula can load; what else a batch has is not compiled into it.
template <class Columns, class F>
inline constexpr column_set loaded_by = [] {
  if constexpr (std::is_empty_v<F> && !requires(F const& f) { f.reads(); }) {
    return detail::read_by<Columns>(F{});
  } else {
    return column_set{~0u};
  }
}();
template <class Columns, class L>
inline constexpr column_set loaded_by<Columns, detail::pair_pass<L>> =
    detail::may_read<L> | column_name::policy | column_name::weight;
template <class Columns, class L>
inline constexpr column_set loaded_by<Columns, detail::unpaired_pass<L>> =
    detail::may_read<L> | column_name::policy | column_name::weight;

/// Values and derivatives of a loss, and not a statistic or a metric.
template <class F>
inline constexpr bool is_loss_pass = requires(F const& f) { f.loss; };

/// A function that a formula calls and that is not constexpr is host code: nvcc leaves the call out, without a word, and
/// the kernel writes NaN. A loss that was probed at compile time calls none.
template <class F>
constexpr void expect_device_code() {
  using L = std::remove_cvref_t<decltype(std::declval<F const&>().loss)>;
  static_assert(detail::probed_at_compile_time<L>,
                "prefer: on a device a formula is constexpr, and so is all that it calls");
}

/// Sorts keys with their rows, stably. Defined in adapters/cuda/sort.cuh, which is included by whoever sorts: CUB costs
/// seconds of compiling.
template <class Key>
struct sorter;
template <class Key>
concept sorts = requires { sizeof(sorter<Key>); };

/// One device, by the order of a stream: work is given to it and nobody waits, but for `read` and `numbers`.
///
/// A formula is a named type whose call operator is constexpr: nvcc takes no lambda of the host as a kernel's argument.
/// A loss over pairs or labelled completions is computed in float where no log-probability is stored as double; lists,
/// statistics and metrics are in double. Sums are of doubles, in an order that depends on the size of the batch alone.
///
/// Errors  backend_error with the call, the code and the place where the runtime refuses
class backend {
 public:
  using column = cuda::column;
  using result = mutable_column;
  using rows = row_numbers;
  using number = cuda::number;

  explicit backend(cudaStream_t stream) : stream_(stream) {}

  [[nodiscard]] cudaStream_t stream() const { return stream_; }

  template <class Columns, class F, std::size_t N>
  [[nodiscard]] std::array<number, N> for_each_record(
      Columns const& batch, F const& formula, std::array<mutable_column, N> const& results) const {
    if constexpr (is_loss_pass<F>) {
      expect_device_code<F>();
      if (within_float(batch)) return map<float>(batch, formula, results);
    }
    return map<double>(batch, formula, results);
  }
  template <class F>
  [[nodiscard]] number for_each_list(basic_list_columns<column> const& batch, F const& formula,
                                     mutable_column const& of_lists,
                                     mutable_column const& of_completions) const {
    if constexpr (is_loss_pass<F>) expect_device_code<F>();
    std::size_t const count = batch.size();
    std::size_t const blocks = blocks_for(count);
    allocation const numbers(batch.policy.size() * (1 + F::room) * sizeof(double), stream_,
                             "for_each_list");
    allocation const of_blocks(blocks * sizeof(double), stream_, "for_each_list");
    launch(stream_, blocks, threads_of_block, "for_each_list",
           &map_lists<basic_list_columns<column>, F>, formula, inputs_of(batch, formula.reads()),
           batch.offset.on_device(stream_), output_of(of_lists), output_of(of_completions),
           static_cast<double*>(numbers.get()), count, static_cast<double*>(of_blocks.get()));
    return add_up<1>(of_blocks, blocks)[0];
  }
  /// Waits for the stream.
  template <std::size_t N>
  [[nodiscard]] std::array<double, N> read(std::array<number, N> const& sums) const {
    return number::read_all(sums);
  }
  /// Waits for the stream.
  template <class Columns, class F>
  [[nodiscard]] std::vector<double> numbers(Columns const& batch, F const& formula) const {
    device_column<double> out(batch.size(), stream_);
    (void)for_each_record(batch, formula, std::array{mutable_column(out)});
    return out.to_host();
  }

  template <class Columns, class F>
  [[nodiscard]] rows ascending(Columns const& batch, F const& formula) const {
    expect_sorter<F>();
    std::size_t const n = batch.size();
    device_column<double> by(n, stream_);
    (void)for_each_record(batch, formula, std::array{mutable_column(by)});
    allocation const keys(n * sizeof(std::uint64_t), stream_, "ascending");
    rows out(n, stream_);
    launch(stream_, blocks_of_one(n), threads_of_block, "ascending", &make_keys<std::uint32_t>,
           by.data(), static_cast<std::uint64_t*>(keys.get()), out.data(), n);
    sort<F>(keys, out);
    return out;
  }
  [[nodiscard]] rows inverse(rows const& of) const {
    rows out(of.size(), stream_);
    launch(stream_, blocks_of_one(of.size()), threads_of_block, "inverse",
           &invert_rows<std::uint32_t>, of.data(), out.data(), of.size());
    return out;
  }
  [[nodiscard]] rows gather(rows const& from, rows const& which) const {
    rows out(which.size(), stream_);
    gather_as<std::uint32_t>(from.data(), which, out.data());
    return out;
  }
  [[nodiscard]] owned_column gather(column const& from, rows const& which) const {
    owned_column out(which.size(), from.stored_as(), bytes_of(from.stored_as()), stream_);
    void* const to = out.result().data();
    switch (bytes_of(from.stored_as())) {
      case 1:
        gather_as<std::uint8_t>(from.data(), which, to);
        break;
      case 2:
        gather_as<std::uint16_t>(from.data(), which, to);
        break;
      case 4:
        gather_as<std::uint32_t>(from.data(), which, to);
        break;
      default:
        gather_as<std::uint64_t>(from.data(), which, to);
    }
    return out;
  }
  /// Zero at first.
  [[nodiscard]] owned_column room(std::size_t n) const {
    owned_column out(n, storage::float64, sizeof(double), stream_);
    set_to_zero(out.result().data(), n * sizeof(double), stream_, "room");
    return out;
  }
  template <class Rows = rows>
  [[nodiscard]] owned_column scatter(column const& from, Rows const& to) const {
    expect_sorter<Rows>();
    std::size_t const n = to.size();
    owned_column out = room(n);
    allocation const keys(n * sizeof(std::uint64_t), stream_, "scatter");
    rows in_order(n, stream_);
    launch(stream_, blocks_of_one(n), threads_of_block, "scatter", &make_targets<std::uint32_t>,
           to.data(), static_cast<std::uint64_t*>(keys.get()), in_order.data(), n);
    sort<Rows>(keys, in_order);
    launch(stream_, blocks_of_one(n), threads_of_block, "scatter", &scatter_sorted<std::uint32_t>,
           input_of(from), static_cast<std::uint64_t const*>(keys.get()), in_order.data(),
           static_cast<double*>(out.result().data()), n);
    return out;
  }

 private:
  /// As many as a device of today runs at once; more rows than that are shared out. By the size alone, so that sums do
  /// not depend on the device.
  [[nodiscard]] static std::size_t blocks_for(std::size_t count) {
    constexpr std::size_t most = 2048;
    return detail::at_most(most, blocks_of_one(count));
  }
  [[nodiscard]] static std::size_t blocks_of_one(std::size_t count) {
    return (count + threads_of_block - 1) / threads_of_block;
  }
  [[nodiscard]] static constexpr std::size_t bytes_of(storage stored) {
    switch (stored) {
      case storage::boolean:
        return sizeof(bool);
      case storage::float16:
      case storage::bfloat16:
        return 2;
      case storage::float32:
      case storage::int32:
        return 4;
      default:
        return 8;
    }
  }
  [[nodiscard]] static input input_of(column const& from) {
    return {from.present() ? from.data() : nullptr, from.stored_as()};
  }
  [[nodiscard]] static output output_of(mutable_column const& to) {
    return {to.present() ? to.data() : nullptr, to.stored_as()};
  }
  template <class Columns>
  [[nodiscard]] static inputs<Columns> inputs_of(Columns const& batch, column_set read) {
    inputs<Columns> out;
    std::size_t next = 0;
    detail::for_each_column(batch, [&](auto is, per each, column_side, column const& one) {
      if (each == per::kl_example) return;
      out.at[next++] = read.contains(is.name) ? input_of(one) : input{};
    });
    return out;
  }
  /// Whether no log-probability is stored as double.
  template <class Columns>
  [[nodiscard]] static bool within_float(Columns const& batch) {
    bool out = true;
    detail::for_each_column(batch, [&](auto is, per each, column_side, column const& one) {
      bool const counts = (is.name == column_name::policy || is.name == column_name::reference) &&
                          each == per::completion;
      if (counts && one.present() && one.stored_as() == storage::float64) out = false;
    });
    return out;
  }
  template <class S, class Columns, class F, std::size_t N>
  [[nodiscard]] std::array<number, N> map(Columns const& batch, F const& formula,
                                          std::array<mutable_column, N> const& results) const {
    column_set const read = [&] {
      if constexpr (requires { formula.reads(); }) {
        return formula.reads();
      } else {
        return detail::read_by<Columns>(formula);
      }
    }();
    outputs<N> out;
    for (std::size_t n = 0; n < N; ++n) out.at[n] = output_of(results[n]);
    std::size_t const count = batch.size();
    std::size_t const blocks = blocks_for(count);
    allocation const of_blocks(blocks * N * sizeof(double), stream_, "for_each_record");
    launch(stream_, blocks, threads_of_block, "for_each_record",
           &map_records<S, Columns, loaded_by<Columns, F>.bits, N, F>, formula,
           inputs_of(batch, read), out, count, static_cast<double*>(of_blocks.get()));
    return add_up<N>(of_blocks, blocks);
  }
  template <std::size_t N>
  [[nodiscard]] std::array<number, N> add_up(allocation const& of_blocks,
                                             std::size_t blocks) const {
    auto const sums =
        std::make_shared<allocation>(N * sizeof(double), stream_, "sums of a formula");
    launch(stream_, N, threads_of_block, "sums of a formula", &add_up_blocks<N>,
           static_cast<double const*>(of_blocks.get()), blocks, static_cast<double*>(sums->get()));
    std::array<number, N> out;
    for (std::size_t n = 0; n < N; ++n) out[n] = number(sums, n);
    return out;
  }
  template <class T>
  void gather_as(void const* from, rows const& which, void* to) const {
    launch(stream_, blocks_of_one(which.size()), threads_of_block, "gather", &gather_numbers<T>,
           static_cast<T const*>(from), which.data(), static_cast<T*>(to), which.size());
  }
  /// A template, so that only who sorts needs the sorter.
  template <class Asked>
  static constexpr bool has_sorter = sorts<std::conditional_t<false, Asked, std::uint64_t>>;
  template <class Asked>
  static constexpr void expect_sorter() {
    static_assert(has_sorter<Asked>,
                  "prefer: this loss sorts its batch: include <prefer/adapters/cuda/sort.cuh>");
  }
  template <class Asked>
  void sort(allocation const& keys, rows const& with) const {
    using of_keys = sorter<std::conditional_t<false, Asked, std::uint64_t>>;
    of_keys::sort(static_cast<std::uint64_t*>(keys.get()), with.data(), with.size(), stream_);
  }

  cudaStream_t stream_;
};

/// The backend of columns on a device, found by argument-dependent lookup.
[[nodiscard]] inline backend backend_of(column const& of) { return backend(of.stream()); }

}  // namespace PREFER_CUDA_BUILD
}  // namespace prefer::inline v0_1::cuda
