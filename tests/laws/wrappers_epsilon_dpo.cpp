// SPDX-License-Identifier: MIT
#include "laws/make_wrapper.hpp"

prefer::test::wrapper prefer::test::with_beta_of_the_pair() {
  wrapper out{.name = "epsilon_dpo<L>",
              .also_reads =
                  column_name::policy | column_name::perturbed_toward | column_name::perturbed_away,
              .own_names = {"perturbation"}};
  wrap_each<in_epsilon_dpo>(out, any_pair_loss{});
  return out;
}
