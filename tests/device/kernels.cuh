// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/columns.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/scalar/dual.hpp>

// One generic kernel per arity, each thread one example, all columns float. They are compiled for devices by nvcc, to see
// that every loss of the catalogue is device code, and run on the host with the words of CUDA defined away
// (emulation.hpp), to see that it computes what evaluate does.

namespace prefer::test::device {

/// Columns of chosen and rejected completions; null where the batch has none.
struct sides {
  float const* at[2] = {};
};
struct pair_inputs {
  sides policy, reference, length, score, divergence, alignment, perturbed_toward, perturbed_away;
  float const* beta = nullptr;
  float const* target_margin = nullptr;
  float const* chosen_from_reference = nullptr;
  float const* uniform = nullptr;
};
struct unpaired_inputs {
  float const* policy = nullptr;
  float const* reference = nullptr;
  float const* label = nullptr;
  float const* length = nullptr;
  float const* score = nullptr;
  float const* beta = nullptr;
};
struct list_inputs {
  float const* policy = nullptr;
  float const* reference = nullptr;
  float const* length = nullptr;
  float const* score = nullptr;
  float const* beta = nullptr;
  std::size_t const* offset = nullptr;
};
/// Value, then derivatives: by log_prob of both sides and by their divergences, or by the log_prob of each completion.
struct outputs {
  float* value = nullptr;
  float* coefficient[4] = {};
};

constexpr void read(float& to, float const* from, std::size_t i) {
  if (from != nullptr) to = from[i];
}
constexpr void read(prefer::detail::optional_value<float>& to, float const* from, std::size_t i) {
  if (from != nullptr) to = {true, from[i]};
}

/// A function that a formula calls and that is not constexpr is host code: nvcc leaves its call out, silently. A formula
/// that was probed at compile time has none.
template <Loss L>
constexpr void require_device_code() {
  static_assert(prefer::detail::probed_at_compile_time<L>,
                "prefer: on a device a formula is constexpr, and so is all that it calls");
}

template <Loss L>
__global__ void pair_kernel(L loss, loss_state<L> state, pair_inputs in, outputs out,
                            std::size_t count) {
  require_device_code<L>();
  std::size_t const i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x;
  if (i >= count) return;
  constexpr bool diverges = needs<L>.contains(column_name::divergence);
  constexpr std::size_t partials = diverges ? 4 : 2;
  using S = dual<float, partials>;
  pair_record<S> record;
  for (std::size_t side = 0; side < 2; ++side) {
    completion_record<S>& to = side == 0 ? record.chosen : record.rejected;
    to.log_prob = S::variable(in.policy.at[side][i], side);
    if constexpr (diverges) to.divergence = S::variable(in.divergence.at[side][i], 2 + side);
    read(to.reference_log_prob, in.reference.at[side], i);
    read(to.completion_length, in.length.at[side], i);
    read(to.score, in.score.at[side], i);
    read(to.alignment, in.alignment.at[side], i);
    read(to.perturbed_toward_log_prob, in.perturbed_toward.at[side], i);
    read(to.perturbed_away_log_prob, in.perturbed_away.at[side], i);
  }
  read(record.pair_beta, in.beta, i);
  read(record.pair_target_margin, in.target_margin, i);
  read(record.uniform, in.uniform, i);
  float from_reference = 0.0f;
  read(from_reference, in.chosen_from_reference, i);
  record.chosen_from_reference = from_reference > 0.0f;

  S const y = prefer::detail::apply(loss, record, state);
  out.value[i] = y.value;
  for (std::size_t k = 0; k < partials; ++k) out.coefficient[k][i] = y.partial[k];
}

template <Loss L>
__global__ void unpaired_kernel(L loss, loss_state<L> state, unpaired_inputs in, outputs out,
                                std::size_t count) {
  require_device_code<L>();
  std::size_t const i = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x;
  if (i >= count) return;
  using S = dual<float, 1>;
  unpaired_record<S> record;
  record.log_prob = S::variable(in.policy[i], 0);
  read(record.reference_log_prob, in.reference, i);
  read(record.completion_length, in.length, i);
  read(record.score, in.score, i);
  read(record.example_beta, in.beta, i);
  record.desirable = in.label[i] > 0.0f;

  S const y = prefer::detail::apply(loss, record, state);
  out.value[i] = y.value;
  out.coefficient[0][i] = y.partial[0];
}

/// Completion i of a list, with the partials [first_partial, first_partial + N) seeded.
template <class S, std::size_t N>
struct list_at {
  list_inputs in;
  std::size_t begin;
  std::size_t first_partial;

  constexpr completion_record<S> operator()(std::size_t i) const {
    completion_record<S> out;
    float const log_prob = in.policy[begin + i];
    bool const seeded = i >= first_partial && i < first_partial + N;
    out.log_prob = seeded ? S::variable(log_prob, i - first_partial) : S(log_prob);
    read(out.reference_log_prob, in.reference, begin + i);
    read(out.completion_length, in.length, begin + i);
    read(out.score, in.score, begin + i);
    return out;
  }
};

template <Loss L>
__global__ void list_kernel(L loss, loss_state<L> state, list_inputs in, outputs out,
                            std::size_t count) {
  require_device_code<L>();
  std::size_t const g = blockIdx.x * std::size_t{blockDim.x} + threadIdx.x;
  if (g >= count) return;
  constexpr std::size_t partials = 4;  // of a pass
  using S = dual<float, partials>;
  using at = list_at<S, partials>;
  std::size_t const begin = in.offset[g];
  std::size_t const size = in.offset[g + 1] - begin;
  prefer::detail::optional_value<float> beta;
  read(beta, in.beta, g);
  for (std::size_t first = 0; first < size; first += partials) {
    list_record<S, at> const record(size, at{in, begin, first}, beta);
    S const y = prefer::detail::apply(loss, record, state);
    out.value[g] = y.value;
    for (std::size_t k = 0; k < partials && first + k < size; ++k) {
      out.coefficient[0][begin + first + k] = y.partial[k];
    }
  }
}

}  // namespace prefer::test::device
