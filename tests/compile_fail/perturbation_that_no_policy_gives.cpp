// expect: prefer: this loss reads log-probabilities of perturbed policies
// SPDX-License-Identifier: MIT
#include <prefer/model/tabular.hpp>
#include <prefer/prefer.hpp>

void train(prefer::tabular<double>& policy, prefer::no_reference<double>& reference,
           prefer::choice_data const& data) {
  prefer::trainer(policy, prefer::epsilon_dpo<>{}, reference, data).run();
}
