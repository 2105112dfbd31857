// SPDX-License-Identifier: MIT
#include "adapters/cuda/device_place.hpp"
#include "laws/metrics_on_backends.hpp"

TEST_CASE("cuda: every metric is that of the host", "[cuda][metrics]") {
  prefer::test::device_place place;
  prefer::test::every_metric_is_the_same(place);
}
