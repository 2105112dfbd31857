// SPDX-License-Identifier: MIT
#include "adapters/cuda/same_as_host.hpp"

TEST_CASE("cuda: every loss over pairs is that of the host, with its statistics and metrics",
          "[cuda][loss]") {
  prefer::test::every_loss_is_the_same<2>(45);
}
