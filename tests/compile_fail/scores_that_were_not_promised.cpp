// expect: prefer: this loss reads a column that the batch does not promise (with_columns)
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

using no_scores =
    prefer::with_columns<prefer::column_name::policy | prefer::column_name::reference |
                             prefer::column_name::length,
                         prefer::pair_columns>;
double loss(no_scores const& batch) { return prefer::evaluate(prefer::odpo{}, batch).loss; }
