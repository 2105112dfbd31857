// SPDX-License-Identifier: MIT
#include "named_loss.hpp"

#include "written_losses.hpp"

namespace {

template <prefer::Loss L>
named_loss erased(L const& loss, prefer::loss_info const& info, remembering from) {
  named_loss out{facts_of(loss, info), {}, {}, {}};
  auto const evaluate = [loss, from, memory = prefer::loss_memory<L>{}](
                            auto const& columns, prefer::evaluate_options options) mutable {
    if (from == remembering::nothing) memory = {};
    return prefer::evaluate(loss, columns, memory, options);
  };
  if constexpr (prefer::PairLoss<L>) {
    out.pairs = evaluate;
  } else if constexpr (prefer::UnpairedLoss<L>) {
    out.unpaired = evaluate;
  } else {
    out.lists = evaluate;
  }
  return out;
}

}  // namespace

std::vector<named_loss> make_losses(std::vector<std::string> const& written,
                                    std::vector<setting> const& shared, remembering memory) {
  std::vector<named_loss> losses;
  for_each_written(written, shared, [&](auto const& loss, prefer::loss_info const& info) {
    losses.push_back(erased(loss, info, memory));
  });
  return losses;
}
