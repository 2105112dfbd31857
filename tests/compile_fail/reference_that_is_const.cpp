// expect: prefer: policy and reference are borrowed and change: neither is const, neither is a temporary
// SPDX-License-Identifier: MIT
#include <prefer/model/tabular.hpp>
#include <prefer/prefer.hpp>

void train(prefer::tabular<float>& policy, prefer::choice_data const& data) {
  prefer::frozen const reference(policy);
  prefer::trainer run(policy, prefer::dpo{}, reference, data);
}
