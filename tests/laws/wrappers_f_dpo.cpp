// SPDX-License-Identifier: MIT
#include "laws/make_wrapper.hpp"

prefer::test::wrapper prefer::test::with_reverse_kl() {
  wrapper out{.name = "f_dpo<alpha_divergence, L>",
              .also_reads = {},
              .own_names = {"coefficient", "largest_exponent"}};
  wrap_each<in_f_dpo>(out, any_pair_loss{});
  return out;
}
