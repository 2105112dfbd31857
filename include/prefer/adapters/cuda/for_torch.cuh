// SPDX-License-Identifier: MIT
#pragma once

#if !defined(PREFER_SHOW_WARNINGS)
#pragma GCC system_header
#endif

#include <prefer/adapters/cuda.hpp>

#include <cstddef>
#include <vector>

#include <prefer/adapters/torch/device_call.hpp>

// Kernels for LibTorch's tensors on a device: one line in a .cu file for each loss that a program uses there. Nothing of LibTorch is
// included.
//
//   #include <prefer/adapters/cuda/for_torch.cuh>
//   #include <prefer/loss/dpo.hpp>
//
//   template struct prefer::cuda::for_torch<prefer::dpo>;

namespace prefer::inline v0_1::cuda {
inline namespace PREFER_CUDA_BUILD {

/// A loss with its statistics and the metrics of its kind of batch, for prefer::torch::loss and prefer::torch::metrics on tensors of a
/// device: its explicit instantiation enters them. What a program does not instantiate is refused there by name.
///
/// A loss that sorts its batch needs adapters/cuda/sort.cuh before it. The object file must be linked whole: from a static
/// library it is taken only if something else in it is needed.
template <Loss L>
struct for_torch {
  using kind = detail::device_kind<L::arity>;

  static void loss(L const& formula, typename kind::columns const& batch,
                   typename kind::results const& results, detail::device_numbers const& mean,
                   void* stream, loss_memory<L>& memory, detail::any_processes const& processes) {
    auto const columns = on_stream(batch, static_cast<cudaStream_t>(stream));
    auto const state = prepare(formula, columns, memory, processes);
    evaluate_into(formula, columns, written_to(results), state).write_to(written_to(mean));
  }
  static typename kind::metrics metrics(typename kind::columns const& batch, reward_rule rule,
                                        void* stream) {
    return prefer::metrics(on_stream(batch, static_cast<cudaStream_t>(stream)), rule);
  }

  static bool const entered;

 private:
  template <template <class> class Kind>
  static Kind<column> on_stream(Kind<detail::device_numbers> const& batch, cudaStream_t stream) {
    std::vector<column> columns;
    detail::for_each_column(batch, [&](auto, per, column_side, detail::device_numbers const& one) {
      columns.push_back(one.given ? column(one.address, one.count, one.stored, stream) : column());
    });
    Kind<column> out{};
    std::size_t next = 0;
    detail::for_each_column(out,
                            [&](auto, per, column_side, column& one) { one = columns[next++]; });
    if constexpr (requires { batch.offset; }) {
      out.offset = list_offsets({batch.offset.begin(), batch.offset.end()});
    }
    return out;
  }
  static mutable_column written_to(detail::device_numbers const& to) {
    return to.given ? mutable_column(to.address, to.count, to.stored) : mutable_column();
  }
  static pair_results written_to(basic_pair_results<detail::device_numbers> const& to) {
    return {.chosen = written_to(to.chosen),
            .rejected = written_to(to.rejected),
            .chosen_divergence = written_to(to.chosen_divergence),
            .rejected_divergence = written_to(to.rejected_divergence)};
  }
  static unpaired_results written_to(basic_unpaired_results<detail::device_numbers> const& to) {
    return {.coefficient = written_to(to.coefficient),
            .value_estimate = written_to(to.value_estimate)};
  }
  static list_results written_to(basic_list_results<detail::device_numbers> const& to) {
    return {.coefficient = written_to(to.coefficient)};
  }
};

template <Loss L>
bool const for_torch<L>::entered = [] {
  detail::loss_on_device<L> = &for_torch::loss;
  detail::metrics_on_device<L::arity> = &for_torch::metrics;
  return true;
}();

}  // namespace PREFER_CUDA_BUILD
}  // namespace prefer::inline v0_1::cuda
