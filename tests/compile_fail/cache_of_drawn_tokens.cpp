// expect: prefer: this reference draws anew in each step, so its numbers cannot be cached
// SPDX-License-Identifier: MIT
#include <prefer/model/bigram.hpp>
#include <prefer/prefer.hpp>

prefer::token_table const table;
prefer::frozen reference(prefer::aggregated(prefer::bigram<float>(2, table),
                                            prefer::sampled_tokens{}));
prefer::choice_data const data;
auto const cache = prefer::cached<float>::of(reference, data, 1);
