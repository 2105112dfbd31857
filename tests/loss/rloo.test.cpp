// SPDX-License-Identifier: MIT

#include <catch2/catch.hpp>

#include <prefer/loss/rloo.hpp>

#include "loss/policy_gradients.hpp"

namespace {

// In the first step on a batch the policy is what wrote it, and both are -score * log_prob.
prefer::test::written_point const fresh{.log_prob = -7.0, .behaviour = -7.0, .score = -1.5};

}  // namespace

TEST_CASE("rloo: in the first step on a batch it is the policy gradient", "[loss][rloo]") {
  CHECK(prefer::test::slopes_at(prefer::rloo{}, fresh).by_log_prob == 1.5);
}

TEST_CASE("reinforce: in the first step on a batch it is the policy gradient", "[loss][rloo]") {
  CHECK(prefer::test::slopes_at(prefer::reinforce{}, fresh).by_log_prob == 1.5);
}
