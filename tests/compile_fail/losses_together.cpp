// expect compiles
// The counterpart of the misuses of losses: the same wrappers, around losses that they fit.
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

inline prefer::f_dpo<prefer::forward_kl, prefer::hinge> const mapped{.loss = {.beta = 0.1}};
inline prefer::beta_dpo<prefer::ipo> const adaptive{.loss = {.beta = 0.1}};
inline constexpr prefer::exo_pair exo{.beta = 0.1, .label_smoothing = 1e-3};
inline prefer::wpo<prefer::f_dpo<prefer::js_divergence>> const weighted{};
inline auto const lists = prefer::lipo{} + 0.1 * prefer::nll_of_best{};
using with_scores =
    prefer::with_columns<prefer::column_name::policy | prefer::column_name::reference |
                             prefer::column_name::score,
                         prefer::pair_columns>;
double loss(with_scores const& batch) { return prefer::evaluate(prefer::odpo{}, batch).loss; }
