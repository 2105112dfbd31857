// expect: prefer: this loss is over tokens, which this policy does not give
// SPDX-License-Identifier: MIT
#include <prefer/model/tabular.hpp>
#include <prefer/prefer.hpp>

void train(prefer::tabular<double>& policy, prefer::tabular<double>& reference,
           prefer::choice_data const& data) {
  prefer::trainer(policy, prefer::nash_md{}, reference, data).run();
}
