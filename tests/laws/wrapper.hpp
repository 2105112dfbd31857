// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <vector>

#include "laws/outcome.hpp"

namespace prefer::test {

/// One wrapper, with settings that change nothing, around the losses of the catalogue.
struct wrapper {
  struct wrapped_loss {
    std::string loss;
    outcome (*result)();  // null where the two do not compile
  };
  std::string name;
  column_set also_reads;               // beyond what the loss reads
  std::vector<std::string> own_names;  // of its parameters
  bool twice = false;                  // its loss stands in it two times
  std::vector<wrapped_loss> around = {};
};

/// The outcome of a loss of the catalogue by itself.
outcome bare_outcome(std::string const& loss);

// Each compiled by a file of its own (wrappers_*.cpp).
wrapper once();
wrapper in_halves();
wrapper as_it_is();
wrapper weighted_by_alignment();
wrapper with_beta_of_the_batch();
wrapper with_beta_of_the_pair();
wrapper with_reverse_kl();
std::vector<wrapper> wrappers_of_wrappers();

}  // namespace prefer::test
