// expect: prefer: this reference draws anew in each step, so its numbers cannot be cached
// SPDX-License-Identifier: MIT
#include <prefer/model/denoiser.hpp>
#include <prefer/prefer.hpp>

auto cache(prefer::frozen<prefer::denoiser<float>>& start, prefer::choice_data const& data) {
  return prefer::cached<float>::of(start, data, 1);
}
