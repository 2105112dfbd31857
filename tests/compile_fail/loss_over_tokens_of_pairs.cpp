// expect: prefer: a loss over tokens has arity 1
// SPDX-License-Identifier: MIT
#include <prefer/model/bigram.hpp>
#include <prefer/prefer.hpp>

struct over_pairs_of_tokens {
  static constexpr std::size_t arity = 2;
  static constexpr auto example = prefer::example_of::token;
  constexpr auto operator()(auto const& pair) const { return -pair.chosen.log_prob; }
};

void train(prefer::bigram<double>& policy, prefer::no_reference<double>& reference,
           prefer::choice_data const& data) {
  prefer::trainer(policy, over_pairs_of_tokens{}, reference, data).run();
}
