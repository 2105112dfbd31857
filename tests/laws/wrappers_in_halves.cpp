// SPDX-License-Identifier: MIT
#include "laws/make_wrapper.hpp"

prefer::test::wrapper prefer::test::in_halves() {
  wrapper out{
      .name = "0.5 * L + 0.5 * L", .also_reads = {}, .own_names = {"weight"}, .twice = true};
  wrap_each<sum_of_halves>(out, any_loss{});
  return out;
}
