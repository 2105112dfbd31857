// expect: prefer: this reference draws tokens anew in each step; a cache would keep one draw
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

prefer::token_table const table;
prefer::frozen reference(prefer::aggregated(prefer::markov<float>(2, table),
                                            prefer::sampled_tokens{}));
prefer::choice_data const data;
auto const cache = prefer::cached<float>::of(reference, data, 1);
