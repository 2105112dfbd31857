// expect: prefer: this loss reads alignment, which this policy does not give
// SPDX-License-Identifier: MIT
#include <prefer/model/tabular.hpp>
#include <prefer/prefer.hpp>

void train(prefer::tabular<double>& policy, prefer::no_reference<double>& reference,
           prefer::choice_data const& data) {
  prefer::trainer(policy, prefer::wpo<>{}, reference, data).run();
}
