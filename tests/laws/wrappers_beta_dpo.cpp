// SPDX-License-Identifier: MIT
#include "laws/make_wrapper.hpp"

prefer::test::wrapper prefer::test::with_beta_of_the_batch() {
  wrapper out{.name = "beta_dpo<L>",
              .also_reads = column_name::policy | column_name::reference | column_name::uniform,
              .own_names = {"sensitivity", "kept_share", "rate"}};
  wrap_each<in_beta_dpo>(out, any_pair_loss{});
  return out;
}
