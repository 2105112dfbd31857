// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda.hpp>

#include "laws/every_metric.hpp"

// The kernels of every metric that is shipped, to be compiled.

template std::vector<prefer::test::named_number> prefer::test::every_metric(
    prefer::test::measured_batches<prefer::cuda::column> const& of);
