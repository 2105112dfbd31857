// SPDX-License-Identifier: MIT
#include <prefer/adapters/cuda/linear_log_prob.cuh>
#include <prefer/adapters/cuda/sort.cuh>

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <prefer/loss/aot.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/orpo.hpp>

#include "adapters/cuda/on_device.hpp"

// What only the emulator can show: who waits, what is allocated, what happens where the runtime refuses.

namespace {

namespace cuda = prefer::cuda;
using namespace prefer::test;
using Catch::Matchers::Contains;

constexpr cudaStream_t stream = nullptr;

TEST_CASE("cuda: nobody waits for the device but a loss with a state", "[cuda]") {
  problem<float> p({}, 40);
  on_device device;
  auto const batch = device(p.columns<2>());
  auto& now = cuda_emulator::state();
  std::size_t const before = now.synchronisations;
  auto const result = cuda::evaluate(prefer::dpo{}, batch);
  auto const matched = cuda::evaluate(prefer::aot{}, batch);
  CHECK(now.synchronisations == before);
  (void)cuda::evaluate(prefer::kto_pair{}, batch);
  CHECK(now.synchronisations == before + 1);  // both baselines
}

TEST_CASE("cuda: memory goes back, also where there was not enough", "[cuda]") {
  problem<float> p({}, 500);
  auto& now = cuda_emulator::state();
  on_device device;
  auto const batch = device(p.columns<2>());
  std::size_t const before = now.allocated;
  { (void)cuda::evaluate(prefer::dpo{}, batch); }
  CHECK(now.allocated == before);
  // Whatever allocation is the one too many.
  std::size_t refused = 0;
  for (std::size_t room = 0; room < 20'000; room += 500) {
    now.limit = before + room;
    try {
      (void)cuda::evaluate(prefer::aot_unpaired{}, batch);
    } catch (prefer::backend_error const& error) {
      ++refused;
      CHECK_THAT(error.what(), Contains("cudaMallocAsync: ") && Contains(" bytes: ") &&
                                   Contains("cudaErrorMemoryAllocation (2), out of memory"));
    }
    CHECK(now.allocated == before);
  }
  now.limit = ~std::size_t{0};
  CHECK(refused > 10);
  CHECK(cuda::evaluate(prefer::dpo{}, batch).loss.read() > 0.0);
}

TEST_CASE(
    "cuda: where the device has no memory for hidden states' pass nothing is written or leaked",
    "[cuda][linear_log_prob]") {
  constexpr std::size_t rows = 3, width = 4, vocabulary = 50;
  cuda::device_column<float> const hidden(std::vector<float>(rows * width, 0.1f), stream),
      matrix(std::vector<float>(vocabulary * width, 0.2f), stream),
      coefficient(std::vector<float>(rows, 1.0f), stream);
  cuda::device_column<std::int32_t> const ids(std::vector<std::int32_t>{1, 2, 3}, stream);
  std::vector<float> const untouched(vocabulary * width, 7.0f);
  cuda::device_column<float> to_hidden(std::vector<float>(rows * width, 7.0f), stream),
      to_matrix(untouched, stream);
  cuda::output_layer<float> const layer{hidden.data(), matrix.data(), rows, width, vocabulary};
  cuda::matrix_products const products;
  auto& now = cuda_emulator::state();
  std::size_t const before = now.allocated;
  std::size_t refused = 0;
  bool done = false;
  for (std::size_t room = 0; !done; room += 40) {
    now.limit = before + room;
    try {
      auto const pass = linear_log_prob(products, layer, ids, {}, {.vocabulary_block = 10});
      linear_backward(products, layer, ids, pass, coefficient, {to_hidden.data(), to_matrix.data()},
                      {.skip_below = 1e-9f});
      done = true;
    } catch (prefer::backend_error const&) {
      ++refused;
      CHECK(to_matrix.to_host() == untouched);
      CHECK(to_hidden.to_host()[0] == 7.0f);
    }
    CHECK(now.allocated == before);
  }
  now.limit = ~std::size_t{0};
  CHECK(refused > 5);
  CHECK(to_matrix.to_host() != untouched);
}

TEST_CASE("cuda: a graph of the loss pass takes its memory when it runs, and gives it back",
          "[cuda][graph]") {
  problem<float> p({}, 300);
  cudaStream_t captured;
  REQUIRE(cudaStreamCreateWithFlags(&captured, cudaStreamNonBlocking) == cudaSuccess);
  {
    on_device device(captured);
    auto const batch = device(p.columns<2>());
    cuda::device_column<float> coefficient(300, captured);
    auto const& now = cuda_emulator::state();
    std::size_t const before = now.allocated;
    REQUIRE(cudaStreamBeginCapture(captured, cudaStreamCaptureModeGlobal) == cudaSuccess);
    (void)evaluate_into(prefer::aot{}, batch, cuda::pair_results{.chosen = coefficient});
    cudaGraph_t graph;
    REQUIRE(cudaStreamEndCapture(captured, &graph) == cudaSuccess);
    cudaGraphExec_t exec;
    REQUIRE(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
    CHECK(now.allocated == before);
    for (int run = 0; run < 2; ++run) CHECK(cudaGraphLaunch(exec, captured) == cudaSuccess);
    CHECK(now.allocated == before);
    CHECK(cudaGraphExecDestroy(exec) == cudaSuccess);
    CHECK(cudaGraphDestroy(graph) == cudaSuccess);
  }
  CHECK(cudaStreamDestroy(captured) == cudaSuccess);
}

TEST_CASE("cuda: an error of the runtime names the call, the code and the place", "[cuda]") {
  cuda::device_column<float> const one(std::vector<float>{1}, stream);
  auto& now = cuda_emulator::state();
  now.next_error = cudaErrorLaunchFailure;
  CHECK_THROWS_WITH(one.to_host(),
                    "cudaMemcpyAsync to the host: device_column::to_host: cudaErrorLaunchFailure "
                    "(719), an error of the emulator");
  cuda::backend const device(stream);
  cuda::row_numbers const rows(3, stream);
  now.next_error = cudaErrorInvalidValue;
  CHECK_THROWS_WITH(device.gather(rows, rows), Contains("cudaMallocAsync: row_numbers, 12 bytes"));
  CHECK(now.next_error == 0);
}

TEST_CASE("cuda: a batch that does not fit is refused in a sentence, before any work", "[cuda]") {
  cuda::device_column<float> const three(std::vector<float>(3), stream),
      two(std::vector<float>(2), stream);
  std::size_t const before = cuda_emulator::state().launches;
  CHECK_THROWS_WITH(cuda::evaluate(prefer::dpo{}, cuda::pair_columns{.policy = {three, three}}),
                    Contains("this loss reads policy, reference; the batch lacks reference"));
  CHECK_THROWS_WITH(cuda::evaluate(prefer::dpo{}, cuda::pair_columns{.policy = {three, three},
                                                                     .reference = {three, two}}),
                    Contains("reference.rejected has 2 elements, expected 3"));
  CHECK_THROWS_WITH(
      cuda::evaluate(prefer::dpo{.beta = -1.0},
                     cuda::pair_columns{.policy = {three, three}, .reference = {three, three}}),
      Contains("dpo: beta is -1"));
  CHECK(cuda_emulator::state().launches == before);
}

TEST_CASE("cuda: a caller's own numbers are viewed, written in place and never freed", "[cuda]") {
  cuda::device_column<float> policy(std::vector<float>{-1, -2, -3, -4}, stream),
      room(std::vector<float>(4, 9.0f), stream);
  cuda::column const chosen(policy.data(), 2, stream), rejected(policy.data() + 2, 2, stream);
  std::size_t const before = cuda_emulator::state().allocated;
  (void)evaluate_into(
      prefer::orpo{},
      cuda::pair_columns{.policy = {chosen, rejected}, .length = {rejected, rejected}},
      cuda::pair_results{.chosen = {room.data() + 1, 2}});
  CHECK(cuda_emulator::state().allocated == before);
  auto const got = room.to_host();
  CHECK(got[0] == 9.0f);
  CHECK(got[1] != 9.0f);
  CHECK(got[3] == 9.0f);
}

TEST_CASE("cuda: a stream waits for another's event, the host for neither", "[cuda]") {
  std::size_t const before = cuda_emulator::state().synchronisations;
  cuda::event done;
  done.record(stream);
  done.precedes(stream);
  CHECK(cuda_emulator::state().synchronisations == before);
}

}  // namespace
