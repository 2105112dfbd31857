// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <prefer/lm/arithmetic/eigen_products.hpp>
#include <prefer/lm/arithmetic/products.hpp>
#include <prefer/parallel/thread_pool.hpp>

#if defined(PREFER_HAS_CBLAS)
#include <prefer/adapters/cblas.hpp>
#endif
#if defined(PREFER_HAS_ONEDNN)
#include <prefer/adapters/onednn.hpp>
#endif

// What benchmarks of language models share: the libraries that are here, the bound of the machine, medians of interleaved
// measurements, and memory.

namespace measure {

inline double seconds(auto const& f) {
  auto const begin = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}
inline double median(std::vector<double> of) {
  std::sort(of.begin(), of.end());
  return of.empty() ? 0 : of[of.size() / 2];
}

inline std::vector<prefer::lm::products<float>> libraries() {
  std::vector<prefer::lm::products<float>> out = {prefer::lm::eigen_products};
#if defined(PREFER_HAS_CBLAS)
  out.push_back(prefer::lm::cblas_products);
#endif
#if defined(PREFER_HAS_ONEDNN)
  out.push_back(prefer::lm::onednn_products);
#endif
  return out;
}

template <std::size_t Bytes>
struct numbers {
  using type [[gnu::vector_size(Bytes)]] = float;
};

// Fourteen sums, so that no multiply-add waits for its predecessor; what is read from volatile memory is known to nobody, so
// that none is computed for another.
template <class Pack>
[[gnu::always_inline]] inline void fma_loop(std::size_t rounds) {
  float volatile one = 1.0f, factor = 0.999f, term = 0.001f;
  Pack sum[14];
  Pack const x = Pack{} + factor, y = Pack{} + term;
#pragma GCC unroll 14
  for (std::size_t i = 0; i != 14; ++i) sum[i] = Pack{} + one;
  for (std::size_t round = 0; round != rounds; ++round) {
#pragma GCC unroll 14
    for (std::size_t i = 0; i != 14; ++i) sum[i] = sum[i] * x + y;
  }
#pragma GCC unroll 14
  for (std::size_t i = 0; i != 14; ++i) one = sum[i][0];
}

#if defined(__x86_64__)
[[gnu::target("avx512f"), gnu::noinline]] inline void fma_512(std::size_t rounds) {
  fma_loop<numbers<64>::type>(rounds);
}
[[gnu::target("avx2,fma"), gnu::noinline]] inline void fma_256(std::size_t rounds) {
  fma_loop<numbers<32>::type>(rounds);
}
#endif
[[gnu::noinline]] inline void fma_128(std::size_t rounds) { fma_loop<numbers<16>::type>(rounds); }

/// Floating-point operations per second of multiply-adds of float on all threads of a pool, with nothing else to do: what
/// products are measured by, in the same run.
inline double fma_peak(prefer::executor threads) {
  constexpr std::size_t rounds = 4'000'000;
  std::size_t lanes = 4;
  void (*loop)(std::size_t) = &fma_128;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") != 0) {
    lanes = 16;
    loop = &fma_512;
  } else if (__builtin_cpu_supports("fma") != 0) {
    lanes = 8;
    loop = &fma_256;
  }
#endif
  double const time = seconds(
      [&] { threads.for_each_chunk(threads.concurrency(), [&](std::size_t) { loop(rounds); }); });
  return static_cast<double>(2 * 14 * rounds * lanes * threads.concurrency()) / time;
}

/// The highest resident size since it was last reset, in bytes; the reset is refused in some containers.
inline double peak_bytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == "VmHWM:") {
      double kilobytes = 0;
      status >> kilobytes;
      return kilobytes * 1024;
    }
  }
  return 0;
}
inline double resident_bytes() {
  std::ifstream pages("/proc/self/statm");
  double all = 0, resident = 0;
  pages >> all >> resident;
  return resident * 4096;
}
inline bool reset_peak() {
  std::ofstream clear("/proc/self/clear_refs");
  return static_cast<bool>(clear << "5" << std::flush);
}

}  // namespace measure
