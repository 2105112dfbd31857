// SPDX-License-Identifier: MIT
#pragma once

#if !defined(PREFER_SHOW_WARNINGS)
#pragma GCC system_header
#endif

#include <prefer/adapters/cuda/backend.cuh>

#include <cstddef>
#include <type_traits>

#include <prefer/loss/loss.hpp>
#include <prefer/objective/on_backend.hpp>

namespace prefer::inline v0_1::cuda {
inline namespace PREFER_CUDA_BUILD {

using pair_columns = basic_pair_columns<column>;
using unpaired_columns = basic_unpaired_columns<column>;
using list_columns = basic_list_columns<column>;
using pair_results = basic_pair_results<mutable_column>;
using unpaired_results = basic_unpaired_results<mutable_column>;
using list_results = basic_list_results<mutable_column>;

/// What a pair loss says of a batch, on the device; names as on the host.
template <Element T>
struct pair_evaluation {
  number loss;             ///< mean over pairs; `loss.read()` waits for it
  device_column<T> value;  ///< per pair, weight included [B]
  struct {
    device_column<T> chosen;
    device_column<T> rejected;
  } coefficient;  ///< d loss / d log_prob [B]
  struct {
    device_column<T> chosen;
    device_column<T> rejected;
  } divergence_coefficient;  ///< d loss / d divergence [B]; empty for losses that do not read it
};

/// What a loss over labelled completions or lists says of a batch, on the device.
template <Element T>
struct evaluation {
  number loss;                         ///< mean over examples or lists
  device_column<T> value;              ///< per example or list, weight included
  device_column<T> coefficient;        ///< d loss / d log_prob, per completion
  device_column<T> value_coefficient;  ///< d loss / d value_estimate; empty if not read
};

/// Value and coefficients of a loss over a batch on a device, in columns there, of T.
///
/// Nobody waits for the device, but in `prepare` of losses that have a state. Formulas and errors as for evaluate on the
/// host; one that remembers updates `memory`.
template <Element T = float, PairLoss L>
[[nodiscard]] pair_evaluation<T> evaluate(L const& loss, pair_columns const& batch,
                                          loss_memory<L>& memory,
                                          evaluate_options const& options = {}) {
  cudaStream_t const stream = batch.policy.chosen.stream();
  std::size_t const n = batch.size();
  auto const column = [&] { return device_column<T>(n, stream); };
  pair_evaluation<T> out{.loss = {},
                         .value = column(),
                         .coefficient = {column(), column()},
                         .divergence_coefficient = {}};
  pair_results results{
      .value = out.value, .chosen = out.coefficient.chosen, .rejected = out.coefficient.rejected};
  if constexpr (detail::differentiates_divergence<L>) {
    out.divergence_coefficient = {column(), column()};
    results.chosen_divergence = out.divergence_coefficient.chosen;
    results.rejected_divergence = out.divergence_coefficient.rejected;
  }
  out.loss = evaluate_into(loss, batch, results, prepare(loss, batch, memory), options);
  return out;
}
template <Element T = float, UnpairedLoss L>
[[nodiscard]] evaluation<T> evaluate(L const& loss, unpaired_columns const& batch,
                                     loss_memory<L>& memory, evaluate_options const& options = {}) {
  cudaStream_t const stream = batch.policy.stream();
  std::size_t const n = batch.size();
  evaluation<T> out{
      .loss = {}, .value = {n, stream}, .coefficient = {n, stream}, .value_coefficient = {}};
  unpaired_results results{.value = out.value, .coefficient = out.coefficient};
  if constexpr (detail::differentiates_value<L>) {
    out.value_coefficient = {n, stream};
    results.value_estimate = out.value_coefficient;
  }
  out.loss = evaluate_into(loss, batch, results, prepare(loss, batch, memory), options);
  return out;
}
template <Element T = float, ListLoss L>
[[nodiscard]] evaluation<T> evaluate(L const& loss, list_columns const& batch,
                                     loss_memory<L>& memory, evaluate_options const& options = {}) {
  cudaStream_t const stream = batch.policy.stream();
  evaluation<T> out{.loss = {},
                    .value = {batch.size(), stream},
                    .coefficient = {batch.policy.size(), stream},
                    .value_coefficient = {}};
  list_results const results{.value = out.value, .coefficient = out.coefficient};
  out.loss = evaluate_into(loss, batch, results, prepare(loss, batch, memory), options);
  return out;
}
template <Element T = float, Loss L, class Columns>
  requires std::same_as<loss_memory<L>, nothing>
[[nodiscard]] auto evaluate(L const& loss, Columns const& batch,
                            evaluate_options const& options = {}) {
  nothing memory;
  return evaluate<T>(loss, batch, memory, options);
}

}  // namespace PREFER_CUDA_BUILD
}  // namespace prefer::inline v0_1::cuda
