// expect: prefer: this loss reads value_estimate, which this policy does not give
// SPDX-License-Identifier: MIT
#include <prefer/model/tabular.hpp>
#include <prefer/prefer.hpp>

struct regression {
  static constexpr std::size_t arity = 1;
  constexpr auto operator()(auto const& example) const {
    return square(example.value_estimate - example.score);
  }
};

void train(prefer::tabular<double>& policy, prefer::no_reference<double>& reference,
           prefer::choice_data const& data) {
  prefer::trainer(policy, regression{}, reference, data).run();
}
