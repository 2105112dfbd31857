// SPDX-License-Identifier: MIT
#pragma once

#include <string>

#include "workplace.hpp"

// What the tests of the program `sweep` share: grids that take milliseconds.

namespace sweep_test {

using namespace prefer::test;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

struct sweep_folder : workplace {
  sweep_folder() : workplace("sweep", PREFER_EXAMPLE_SWEEP) {}
};

inline std::string const small = " --actions 8 --pairs 40 ";
inline std::string const header =
    "settings,loss,beta,reference,flip,bias,seed,steps,reward,kl_start,kl_reference,best_reward";

/// One sentence, an exit code (2 for arguments), and no report.
inline void check_refused(std::string const& arguments, std::string const& sentence, int code = 2) {
  sweep_folder const place;
  place.check_refused(arguments + " --output out", sentence, code);
  CHECK_FALSE(place.has("out/sweep.csv"));
}

}  // namespace sweep_test
