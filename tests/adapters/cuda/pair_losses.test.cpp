// SPDX-License-Identifier: MIT
#include "adapters/cuda/device_place.hpp"
#include "laws/on_backends.hpp"

TEST_CASE("cuda: every loss over pairs is that of the host, with its statistics and metrics",
          "[cuda][loss]") {
  prefer::test::device_place place;
  prefer::test::every_loss_is_the_same<2>(place, 45);
}
