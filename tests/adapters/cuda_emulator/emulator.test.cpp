// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

#include <cuda_runtime.h>

// The emulator does what kernels ask for, and each of its checks is seen to fail on a kernel that is wrong in that one way.

namespace {

using Catch::Matchers::Contains;

/// Memory of the device with some numbers in it.
template <class T>
class on_device {
 public:
  explicit on_device(std::vector<T> const& numbers) : size_(numbers.size()) {
    REQUIRE(cudaMallocAsync(&at_, size_ * sizeof(T), nullptr) == cudaSuccess);
    REQUIRE(cudaMemcpyAsync(at_, numbers.data(), size_ * sizeof(T), cudaMemcpyHostToDevice,
                            nullptr) == cudaSuccess);
  }
  on_device(on_device const&) = delete;
  on_device& operator=(on_device const&) = delete;
  ~on_device() { (void)cudaFreeAsync(at_, nullptr); }

  [[nodiscard]] T* get() const { return static_cast<T*>(at_); }
  [[nodiscard]] std::vector<T> read() const {
    std::vector<T> out(size_);
    auto const error =
        cudaMemcpyAsync(out.data(), at_, size_ * sizeof(T), cudaMemcpyDeviceToHost, nullptr);
    REQUIRE(error == cudaSuccess);  // apart, because it does not let exceptions through
    return out;
  }

 private:
  void* at_ = nullptr;
  std::size_t size_;
};

template <class... Parameters, class... Arguments>
void run(unsigned blocks, unsigned threads, void (*kernel)(Parameters...),
         Arguments const&... arguments) {
  cudaLaunchConfig_t how;
  how.gridDim = dim3(blocks);
  how.blockDim = dim3(threads);
  auto const error = cudaLaunchKernelEx(&how, kernel, Parameters(arguments)...);
  REQUIRE(error == cudaSuccess);
}

constexpr unsigned all = ~0u;

// Kernels that are right.

__global__ void number_threads(int* out) {
  out[blockIdx.x * blockDim.x + threadIdx.x] =
      static_cast<int>(1000 * blockIdx.x + threadIdx.x + 10 * gridDim.x);
}
__global__ void reverse_in_block(int* numbers) {
  __shared__ int room[96];
  unsigned const t = threadIdx.x;
  room[t] = numbers[t];
  __syncthreads();
  numbers[t] = room[blockDim.x - 1 - t];
}
__global__ void sum_of_warps(int const* numbers, int* out) {
  int sum = numbers[threadIdx.x];
  for (unsigned by = 16; by > 0; by /= 2) sum += __shfl_down_sync(all, sum, by);
  if (threadIdx.x % 32 == 0) out[threadIdx.x / 32] = sum;
}
__global__ void vote(unsigned* out) {
  int const odd = static_cast<int>(threadIdx.x % 2);
  unsigned const which = __ballot_sync(all, odd);
  int const any = __any_sync(all, odd), every = __all_sync(all, odd);
  int const yes = __all_sync(all, 1), no = __any_sync(all, 0);
  int const swapped = __shfl_xor_sync(all, odd, 1), first = __shfl_sync(all, odd + 5, 0);
  if (threadIdx.x != 3) return;
  out[0] = which;
  out[1] = static_cast<unsigned>(any + 2 * every + 4 * yes + 8 * no);
  out[2] = static_cast<unsigned>(swapped + 10 * first);
}
__global__ void count_together(unsigned* count, double* largest) {
  atomicAdd(count, 1u);
  atomicMax(largest, static_cast<double>(threadIdx.x));
  atomicCAS(count + 1, 0u, 7u);
}
__global__ void hand_over_in_warp(int* out) {
  __shared__ int room[32];
  room[threadIdx.x] = static_cast<int>(threadIdx.x);
  __syncwarp();
  out[threadIdx.x] = room[31 - threadIdx.x];
}

TEST_CASE("emulator: threads know where they are, in every block", "[cuda][emulator]") {
  on_device<int> out(std::vector<int>(6));
  run(2, 3, &number_threads, out.get());
  CHECK(out.read() == std::vector<int>{20, 21, 22, 1020, 1021, 1022});
}

TEST_CASE("emulator: a barrier hands shared memory over", "[cuda][emulator]") {
  std::vector<int> numbers(96);
  std::iota(numbers.begin(), numbers.end(), 0);
  on_device<int> out(numbers);
  run(1, 96, &reverse_in_block, out.get());
  CHECK(out.read() == std::vector<int>(numbers.rbegin(), numbers.rend()));
}

TEST_CASE("emulator: lanes of a warp shuffle and vote", "[cuda][emulator]") {
  std::vector<int> numbers(64);
  std::iota(numbers.begin(), numbers.end(), 0);
  on_device<int> in(numbers), sums({0, 0});
  run(1, 64, &sum_of_warps, in.get(), sums.get());
  CHECK(sums.read() == std::vector<int>{31 * 16, 31 * 16 + 32 * 32});
  on_device<unsigned> votes(std::vector<unsigned>(3));
  run(1, 32, &vote, votes.get());
  CHECK(votes.read() == std::vector<unsigned>{0xaaaaaaaau, 5u, 50u});
}

TEST_CASE("emulator: atomics of all blocks add up", "[cuda][emulator]") {
  on_device<unsigned> count({0u, 0u});
  on_device<double> largest({-1.0});
  run(5, 33, &count_together, count.get(), largest.get());
  CHECK(count.read() == std::vector<unsigned>{165u, 7u});
  CHECK(largest.read() == std::vector<double>{32.0});
}

TEST_CASE("emulator: __syncwarp orders memory within its warp", "[cuda][emulator]") {
  on_device<int> out(std::vector<int>(32));
  run(1, 32, &hand_over_in_warp, out.get());
  CHECK(out.read()[0] == 31);
}

// Kernels that are wrong in one way each.

__global__ void barrier_of_some() {
  if (threadIdx.x < 5) __syncthreads();
}
__global__ void two_barriers() {
  if (threadIdx.x == 0) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void shuffle_of_some(int* out) {
  if (threadIdx.x < 31) out[threadIdx.x] = __shfl_xor_sync(all, 1, 1);
}
__global__ void out_of_mask(int* out) { out[threadIdx.x] = __shfl_sync(0xffffu, 1, 0); }
__global__ void from_a_lane_outside(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_down_sync(0xffffu, 1, 1);
}
__global__ void beyond(int* numbers) { numbers[threadIdx.x + 1] = 1; }
__global__ void before(int* numbers, int* out) { out[0] = numbers[-1]; }
__global__ void follow(int const* const* pointer, int* out) { out[0] = **pointer; }
__global__ void read_unwritten(int* out) {
  __shared__ int room[32];
  if (threadIdx.x > 0) room[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = room[threadIdx.x];
}
__global__ void read_before_barrier(int* out) {
  __shared__ int room[64];
  room[threadIdx.x] = 1;
  out[threadIdx.x] = room[(threadIdx.x + 32) % 64];
}
__global__ void write_what_is_read(int* numbers) {
  int const other = numbers[(threadIdx.x + 1) % 64];
  numbers[threadIdx.x] = other;
}
__global__ void all_write_one(int* out) { out[0] = static_cast<int>(threadIdx.x); }
struct alignas(16) four {
  int number[4];
};
__global__ void copy_four(four const* from, four* to) {
  four const loaded = from[threadIdx.x];
  to[0] = loaded;
}
__global__ void write_beside_atomic(unsigned* out) {
  atomicAdd(out, 1u);
  if (threadIdx.x == 1) out[0] = 2;
}
__global__ void blocks_meet(int* out) {
  if (threadIdx.x == 0) out[0] = static_cast<int>(blockIdx.x);
}
__global__ void in_warp_without_sync(int* out) {
  __shared__ int room[32];
  room[threadIdx.x] = 1;
  out[threadIdx.x] = room[31 - threadIdx.x];
}

TEST_CASE("emulator: a barrier that not all threads reach is refused", "[cuda][emulator]") {
  CHECK_THROWS_WITH(run(1, 8, &barrier_of_some),
                    Contains("thread 0 waits at the barrier") && Contains("thread 5 has ended"));
  CHECK_THROWS_WITH(run(1, 8, &two_barriers), Contains("divergent"));
}

TEST_CASE("emulator: a shuffle without all lanes of its mask is refused", "[cuda][emulator]") {
  on_device<int> out(std::vector<int>(32));
  CHECK_THROWS_WITH(run(1, 32, &shuffle_of_some, out.get()),
                    Contains("__shfl_xor_sync") && Contains("thread 31 has ended"));
  CHECK_THROWS_WITH(run(1, 32, &out_of_mask, out.get()), Contains("is not in the mask"));
  CHECK_THROWS_WITH(run(1, 32, &from_a_lane_outside, out.get()), Contains("gives none, 16"));
}

TEST_CASE("emulator: an access outside of an allocation is refused", "[cuda][emulator]") {
  on_device<int> numbers(std::vector<int>(4)), out({0});
  CHECK_THROWS_WITH(run(1, 4, &beyond, numbers.get()),
                    Contains("thread 3 writes outside of an allocation: byte 16"));
  CHECK_THROWS_WITH(run(1, 1, &before, numbers.get(), out.get()), Contains("byte -4"));
}

TEST_CASE("emulator: memory of the other side is refused, on both sides", "[cuda][emulator]") {
  std::vector<int> of_the_host{1};
  on_device<int const*> pointer({of_the_host.data()});
  on_device<int> out({0});
  CHECK_THROWS_WITH(run(1, 1, &follow, pointer.get(), out.get()),
                    Contains("reads memory of the host"));
  int const touched = *out.get();
  CHECK(touched == 0);
  CHECK_THROWS_WITH(out.read(), Contains("the host reads memory of the device: byte 0"));
}

TEST_CASE("emulator: what nobody has written is not read", "[cuda][emulator]") {
  on_device<int> out(std::vector<int>(32));
  CHECK_THROWS_WITH(run(1, 32, &read_unwritten, out.get()),
                    Contains("thread 0 reads what nobody has written, in shared memory"));
  // Shared memory begins anew in each block, whatever the block before left there.
  CHECK_THROWS_WITH(run(2, 32, &read_unwritten, out.get()), Contains("nobody has written"));
  void* fresh = nullptr;
  REQUIRE(cudaMallocAsync(&fresh, 4, nullptr) == cudaSuccess);
  int there = 0;
  CHECK_THROWS_WITH(cudaMemcpyAsync(&there, fresh, 4, cudaMemcpyDeviceToHost, nullptr),
                    Contains("nobody has written"));
  CHECK(cudaFreeAsync(fresh, nullptr) == cudaSuccess);
}

TEST_CASE("emulator: threads that meet at a number without a barrier are refused",
          "[cuda][emulator]") {
  on_device<int> out(std::vector<int>(64));
  CHECK_THROWS_AS(run(1, 64, &read_before_barrier, out.get()), cuda_emulator::violation);
  CHECK_THROWS_WITH(run(1, 64, &write_what_is_read, out.get()),
                    Contains("writes what another thread has read"));
  CHECK_THROWS_WITH(run(1, 2, &all_write_one, out.get()),
                    Contains("writes what another thread has written"));
  on_device<four> fours(std::vector<four>(2));
  CHECK_THROWS_WITH(run(1, 2, &copy_four, fours.get(), fours.get() + 1),
                    Contains("thread 1 ") && Contains("byte 16 of an allocation of 32"));
  CHECK_THROWS_WITH(run(1, 1, &copy_four, fours.get() + 2, fours.get()),
                    Contains("reads outside of an allocation: byte 32"));
  CHECK_THROWS_WITH(run(1, 32, &in_warp_without_sync, out.get()),
                    Contains("what nobody has written") || Contains("without a barrier"));
  CHECK_THROWS_WITH(run(2, 1, &blocks_meet, out.get()),
                    Contains("block 1, thread 0 writes what another thread has written"));
  on_device<unsigned> counts({0u});
  CHECK_THROWS_WITH(run(1, 2, &write_beside_atomic, counts.get()), Contains("another thread"));
}

TEST_CASE("emulator: what a kernel did wrong does not spoil the next one", "[cuda][emulator]") {
  on_device<int> out(std::vector<int>(6));
  CHECK_THROWS_AS(run(1, 8, &barrier_of_some), cuda_emulator::violation);
  run(2, 3, &number_threads, out.get());
  CHECK(out.read()[5] == 1022);
}

TEST_CASE("emulator: memory is counted, and ends", "[cuda][emulator]") {
  auto& now = cuda_emulator::state();
  std::size_t const before = now.allocated;
  void* at = nullptr;
  now.limit = before + 100;
  CHECK(cudaMallocAsync(&at, 101, nullptr) == cudaErrorMemoryAllocation);
  CHECK(cudaMallocAsync(&at, 100, nullptr) == cudaSuccess);
  CHECK(now.allocated == before + 100);
  now.limit = ~std::size_t{0};
  CHECK(cudaFreeAsync(at, nullptr) == cudaSuccess);
  CHECK(cudaFreeAsync(at, nullptr) == cudaErrorInvalidValue);
  CHECK(now.allocated == before);
}

}  // namespace
