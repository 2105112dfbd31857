// expect: prefer: this loss has a state but no prepare(auto const& batch, memory&) const
// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

struct of_columns {
  static constexpr std::size_t arity = 2;
  struct state {
    double rows = 0.0;
  };
  static state prepare(prefer::pair_columns const& batch, prefer::nothing&) {
    return {static_cast<double>(batch.size())};
  }
  constexpr auto operator()(auto const& pair, state const& batch) const {
    return batch.rows * pair.chosen.log_prob;
  }
};

void prepare_of_columns(prefer::pair_columns const& batch) {
  prefer::nothing memory;
  (void)prefer::prepare(of_columns{}, batch, memory);
}
