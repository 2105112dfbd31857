// SPDX-License-Identifier: MIT
#include <prefer/adapters/nccl.hpp>

#include <prefer/parallel/communicator.hpp>

// NCCL's own header takes the calls that the adapter makes, all of which this instantiates.
template class prefer::engine_communicator<std::shared_ptr<prefer::nccl::detail::engine const>>;

prefer::nccl::communicator over(prefer::single_process const& others) {
  return prefer::nccl::communicator(others, {.order = prefer::sum_order::by_engine});
}
