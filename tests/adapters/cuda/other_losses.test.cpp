// SPDX-License-Identifier: MIT
#include "adapters/cuda/same_as_host.hpp"

TEST_CASE("cuda: every loss over labelled completions is that of the host", "[cuda][loss]") {
  prefer::test::every_loss_is_the_same<1>(4);
}
TEST_CASE("cuda: every loss over lists is that of the host", "[cuda][loss]") {
  prefer::test::every_loss_is_the_same<prefer::dynamic_arity>(8);
}
