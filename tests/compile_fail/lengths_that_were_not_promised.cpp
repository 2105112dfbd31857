// expect: prefer: this loss reads a column that the batch does not promise (with_columns)
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

using sums_only = prefer::with_columns<prefer::column_name::policy | prefer::column_name::reference,
                                       prefer::pair_columns>;
double loss(sums_only const& batch) { return prefer::evaluate(prefer::r_dpo{}, batch).loss; }
