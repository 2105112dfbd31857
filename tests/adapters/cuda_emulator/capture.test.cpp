// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstddef>
#include <vector>

#include <cuda_runtime.h>

// A stream is captured into a graph, which does the work each time that it is launched; what a device refuses while it
// captures is refused with its code.

namespace {

using Catch::Matchers::Contains;

class stream_of {
 public:
  explicit stream_of(unsigned flags = cudaStreamNonBlocking) {
    REQUIRE(cudaStreamCreateWithFlags(&stream_, flags) == cudaSuccess);
  }
  stream_of(stream_of const&) = delete;
  stream_of& operator=(stream_of const&) = delete;
  ~stream_of() { (void)cudaStreamDestroy(stream_); }
  operator cudaStream_t() const { return stream_; }  // NOLINT(google-explicit-constructor)

 private:
  cudaStream_t stream_ = nullptr;
};

__global__ void double_each(int const* from, int* to) { to[threadIdx.x] = 2 * from[threadIdx.x]; }
template <class... Arguments>
cudaError_t run(cudaStream_t stream, unsigned threads, void (*kernel)(Arguments...),
                Arguments... arguments) {
  cudaLaunchConfig_t how;
  how.blockDim = dim3(threads);
  how.stream = stream;
  return cudaLaunchKernelEx(&how, kernel, arguments...);
}

int* device_numbers(std::vector<int> const& numbers) {
  void* at = nullptr;
  std::size_t const bytes = numbers.size() * sizeof(int);
  REQUIRE(cudaMallocAsync(&at, bytes, nullptr) == cudaSuccess);
  REQUIRE(cudaMemcpyAsync(at, numbers.data(), bytes, cudaMemcpyHostToDevice, nullptr) ==
          cudaSuccess);
  return static_cast<int*>(at);
}
int read(int const* from) {
  int out = 0;
  REQUIRE(cudaMemcpyAsync(&out, from, sizeof out, cudaMemcpyDeviceToHost, nullptr) == cudaSuccess);
  return out;
}
void write(int* to, int number) {
  REQUIRE(cudaMemcpyAsync(to, &number, sizeof number, cudaMemcpyHostToDevice, nullptr) ==
          cudaSuccess);
}

TEST_CASE("emulator: captured work is done by each launch of the graph, and not before",
          "[cuda][emulator]") {
  stream_of const stream;
  int *const in = device_numbers({3}), *const out = device_numbers({0});
  std::size_t const before = cuda_emulator::state().allocated;
  REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
  void* room = nullptr;  // memory of the graph
  REQUIRE(cudaMallocAsync(&room, sizeof(int), stream) == cudaSuccess);
  CHECK(run(stream, 1, &double_each, static_cast<int const*>(in), static_cast<int*>(room)) ==
        cudaSuccess);
  CHECK(run(stream, 1, &double_each, static_cast<int const*>(room), out) == cudaSuccess);
  CHECK(cudaFreeAsync(room, stream) == cudaSuccess);
  CHECK(cudaFreeAsync(in, stream) == cudaErrorInvalidValue);  // not of this graph
  cudaGraph_t graph;
  REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  CHECK(cuda_emulator::state().allocated == before);
  CHECK(read(out) == 0);
  cudaGraphExec_t exec;
  REQUIRE(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
  CHECK(cudaGraphDestroy(graph) == cudaSuccess);
  CHECK(cudaGraphLaunch(exec, stream) == cudaSuccess);
  CHECK(read(out) == 12);
  write(in, 5);
  CHECK(cudaGraphLaunch(exec, stream) == cudaSuccess);
  CHECK(read(out) == 20);
  CHECK(cuda_emulator::state().allocated == before);
  cuda_emulator::state().limit = before + 3;  // memory comes when the graph runs
  CHECK(cudaGraphLaunch(exec, stream) == cudaErrorMemoryAllocation);
  cuda_emulator::state().limit = ~std::size_t{0};
  CHECK(cudaGraphExecDestroy(exec) == cudaSuccess);
}

TEST_CASE("emulator: memory that a graph leaves is given back before it runs again",
          "[cuda][emulator]") {
  stream_of const stream;
  int* const in = device_numbers({3});
  REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
  void* left = nullptr;
  REQUIRE(cudaMallocAsync(&left, sizeof(int), stream) == cudaSuccess);
  CHECK(run(stream, 1, &double_each, static_cast<int const*>(in), static_cast<int*>(left)) ==
        cudaSuccess);
  cudaGraph_t graph;
  REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  CHECK(cudaFreeAsync(left, stream) == cudaErrorInvalidValue);  // not there yet
  cudaGraphExec_t exec, frees;
  REQUIRE(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
  REQUIRE(cudaGraphInstantiate(&frees, graph, cudaGraphInstantiateFlagAutoFreeOnLaunch) ==
          cudaSuccess);
  CHECK(cudaGraphLaunch(exec, stream) == cudaSuccess);
  CHECK(read(static_cast<int*>(left)) == 6);
  CHECK(cudaGraphLaunch(exec, stream) == cudaErrorInvalidValue);
  CHECK(cudaFreeAsync(left, stream) == cudaSuccess);
  CHECK(cudaGraphLaunch(exec, stream) == cudaSuccess);
  CHECK(cudaGraphLaunch(frees, stream) == cudaSuccess);
  CHECK(cudaGraphLaunch(frees, stream) == cudaSuccess);
  CHECK(cudaFreeAsync(left, stream) == cudaSuccess);
  for (auto each : {exec, frees}) CHECK(cudaGraphExecDestroy(each) == cudaSuccess);
  CHECK(cudaGraphDestroy(graph) == cudaSuccess);
}

TEST_CASE("emulator: what waits, asks or allocates outside of streams ends a capture",
          "[cuda][emulator]") {
  stream_of const stream(0);  // one that waits for the stream null
  int* const number = device_numbers({1});
  int here = 0;
  void* room = nullptr;
  cudaEvent_t event;
  REQUIRE(cudaEventCreateWithFlags(&event, cudaEventDisableTiming) == cudaSuccess);
  auto const code_of = [&](auto const& call, cudaStreamCaptureMode mode) {
    REQUIRE(cudaStreamBeginCapture(stream, mode) == cudaSuccess);
    cudaError_t const code = call();
    cudaStreamCaptureStatus status;
    REQUIRE(cudaStreamIsCapturing(stream, &status) == cudaSuccess);
    CHECK((code == cudaSuccess) == (status == cudaStreamCaptureStatusActive));
    bool const goes_on = code == cudaSuccess;
    CHECK(run(stream, 1, &double_each, static_cast<int const*>(number), number) ==
          (goes_on ? cudaSuccess : cudaErrorStreamCaptureInvalidated));
    cudaGraph_t graph;
    CHECK(cudaStreamEndCapture(stream, &graph) ==
          (goes_on ? cudaSuccess : cudaErrorStreamCaptureInvalidated));
    CHECK((graph != nullptr) == goes_on);
    (void)cudaGraphDestroy(graph);
    return code;
  };
  auto const refused = [&](auto const& call) { return code_of(call, cudaStreamCaptureModeGlobal); };
  constexpr auto unsupported = cudaErrorStreamCaptureUnsupported;
  CHECK(refused([&] { return cudaStreamSynchronize(stream); }) == unsupported);
  CHECK(refused([&] { return cudaStreamQuery(stream); }) == unsupported);
  CHECK(refused([&] { return cudaDeviceSynchronize(); }) == unsupported);
  auto const allocate = [&] { return cudaMalloc(&room, 8); };
  CHECK(refused(allocate) == unsupported);
  CHECK(code_of(allocate, cudaStreamCaptureModeRelaxed) == cudaSuccess);
  CHECK(refused([&] { return cudaFree(room); }) == unsupported);
  CHECK(cudaFree(room) == cudaSuccess);
  CHECK(refused([&] {
          return cudaMemcpyAsync(&here, number, 4, cudaMemcpyDeviceToHost, stream);
        }) == unsupported);
  CHECK(refused([&] { return cudaMemsetAsync(number, 0, 4, nullptr); }) ==
        cudaErrorStreamCaptureImplicit);
  CHECK(refused([&] {
          return cudaEventRecord(event, stream) == cudaSuccess ? cudaEventSynchronize(event)
                                                               : cudaSuccess;
        }) == cudaErrorCapturedEvent);
  CHECK(cudaEventRecord(event, nullptr) == cudaSuccess);
  CHECK(refused([&] { return cudaStreamWaitEvent(stream, event, 0); }) ==
        cudaErrorStreamCaptureIsolation);
  CHECK(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal) == unsupported);
  CHECK(cudaEventDestroy(event) == cudaSuccess);
}

TEST_CASE("emulator: a stream that waits for captured work is captured, and must be waited for",
          "[cuda][emulator]") {
  stream_of const stream, other;
  int *const in = device_numbers({3}), *const out = device_numbers({0});
  cudaEvent_t forked, done;
  REQUIRE(cudaEventCreateWithFlags(&forked, cudaEventDisableTiming) == cudaSuccess);
  REQUIRE(cudaEventCreateWithFlags(&done, cudaEventDisableTiming) == cudaSuccess);
  for (bool const joined : {true, false}) {
    CAPTURE(joined);
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
    CHECK(cudaEventRecord(forked, stream) == cudaSuccess);
    CHECK(cudaStreamWaitEvent(other, forked, 0) == cudaSuccess);
    CHECK(run(other, 1, &double_each, static_cast<int const*>(in), out) == cudaSuccess);
    CHECK(read(out) == 0);
    CHECK(cudaEventRecord(done, other) == cudaSuccess);
    if (joined) CHECK(cudaStreamWaitEvent(stream, done, 0) == cudaSuccess);
    cudaGraph_t graph;
    CHECK(cudaStreamEndCapture(stream, &graph) ==
          (joined ? cudaSuccess : cudaErrorStreamCaptureUnjoined));
    (void)cudaGraphDestroy(graph);
  }
  CHECK(run(other, 1, &double_each, static_cast<int const*>(in), out) == cudaSuccess);
  CHECK(read(out) == 6);  // at once again
  for (auto each : {forked, done}) CHECK(cudaEventDestroy(each) == cudaSuccess);
}

TEST_CASE("emulator: a graph's kernels are watched as others are", "[cuda][emulator]") {
  stream_of const stream;
  int* const in = device_numbers({3});
  REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
  CHECK(run(stream, 2, &double_each, static_cast<int const*>(in), in) == cudaSuccess);
  cudaGraph_t graph;
  REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  cudaGraphExec_t exec;
  REQUIRE(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
  CHECK_THROWS_WITH(cudaGraphLaunch(exec, stream), Contains("outside of an allocation"));
  (void)cudaGraphExecDestroy(exec);
  (void)cudaGraphDestroy(graph);
}

}  // namespace
