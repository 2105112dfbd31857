// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <prefer/adapters/torch.hpp>
#include <prefer/adapters/torch/scalar.hpp>
#include <prefer/objective/evaluate.hpp>

#include "adapters/torch/tensors.hpp"

// The table of golden rows, evaluated by tensors: the loss and its derivatives are those that torch's graph gives.

namespace golden {

/// Which of the two ways; losses that match rows are no formula, and take the first.
enum class torch_way { coefficients, autograd };
inline torch_way way = torch_way::coefficients;
/// How many evaluations went each way.
inline std::size_t evaluations[2] = {};

template <prefer::Loss L, template <class> class Kind>
[[nodiscard]] double mean_by_torch(L const& loss, Kind<prefer::torch::column> const& batch,
                                   prefer::loss_memory<L>& memory) {
  if constexpr (!prefer::detail::matches<L>) {
    if (way == torch_way::autograd) {
      ++evaluations[1];
      at::Tensor const mean = prefer::torch::loss_by_autograd(loss, batch, memory);
      mean.backward();
      return mean.item<double>();
    }
  }
  ++evaluations[0];
  auto const mean = prefer::torch::loss(loss, batch, memory);
  mean.value().backward();
  return mean.read();
}

/// What torch has left, times `scale`; where the formula does not read the column it leaves nothing.
inline void take_gradient(std::vector<double>& to, prefer::torch::column const& from,
                          double scale) {
  auto const gradient = prefer::test::gradient_of(from);
  for (std::size_t i = 0; i != to.size(); ++i) to[i] = gradient.empty() ? 0.0 : scale * gradient[i];
}

template <prefer::Loss L, template <class> class Kind>
[[nodiscard]] auto evaluated(L const& loss, Kind<prefer::column> const& columns,
                             prefer::loss_memory<L>& memory,
                             prefer::evaluate_options const& options = {}) {
  auto of_values = memory;
  auto out = prefer::evaluate(loss, columns, of_values, options);  // values of examples
  auto const batch = prefer::test::tensors_of<double>(columns);
  out.loss = mean_by_torch(loss, batch, memory);
  double const scale =
      options.reduce == prefer::reduction::none ? static_cast<double>(columns.size()) : 1.0;
  if constexpr (L::arity == 2) {
    take_gradient(out.coefficient.chosen, batch.policy.chosen, scale);
    take_gradient(out.coefficient.rejected, batch.policy.rejected, scale);
  } else {
    take_gradient(out.coefficient, batch.policy, scale);
  }
  return out;
}
template <prefer::Loss L, template <class> class Kind>
[[nodiscard]] auto evaluated(L const& loss, Kind<prefer::column> const& columns,
                             prefer::evaluate_options const& options = {}) {
  prefer::nothing memory;
  return evaluated(loss, columns, memory, options);
}

}  // namespace golden
