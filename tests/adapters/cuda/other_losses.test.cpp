// SPDX-License-Identifier: MIT
#include "adapters/cuda/device_place.hpp"
#include "laws/on_backends.hpp"

TEST_CASE("cuda: every loss over labelled completions is that of the host", "[cuda][loss]") {
  prefer::test::device_place place;
  prefer::test::every_loss_is_the_same<1>(place, 4);
}
TEST_CASE("cuda: every loss over lists is that of the host", "[cuda][loss]") {
  prefer::test::device_place place;
  prefer::test::every_loss_is_the_same<prefer::dynamic_arity>(place, 8);
}
