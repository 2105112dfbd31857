// SPDX-License-Identifier: MIT
#include "laws/make_wrapper.hpp"

prefer::test::wrapper prefer::test::weighted_by_alignment() {
  wrapper out{
      .name = "wpo<L>", .also_reads = column_name::alignment, .own_names = {"largest_weight"}};
  wrap_each<in_wpo>(out, any_pair_loss{});
  return out;
}
