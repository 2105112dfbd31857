// SPDX-License-Identifier: MIT
#include <cstddef>
#include <cstdint>

#include "adapters/cuda_emulator/machine.hpp"

// What -fsanitize=thread makes a program call, answered by the emulator instead of by its library. Compiled without it.

#if defined(__clang__)
#pragma clang diagnostic ignored "-Wmissing-prototypes"
#endif

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

#define PREFER_ACCESS(bytes)                                                               \
  void __tsan_read##bytes(void* at) { cuda_emulator::access(at, bytes, false); }           \
  void __tsan_write##bytes(void* at) { cuda_emulator::access(at, bytes, true); }           \
  void __tsan_volatile_read##bytes(void* at) { cuda_emulator::access(at, bytes, false); }  \
  void __tsan_volatile_write##bytes(void* at) { cuda_emulator::access(at, bytes, true); }  \
  void __tsan_unaligned_read##bytes(void* at) { cuda_emulator::access(at, bytes, false); } \
  void __tsan_unaligned_write##bytes(void* at) { cuda_emulator::access(at, bytes, true); } \
  void __tsan_read_write##bytes(void* at) {                                                \
    cuda_emulator::access(at, bytes, false);                                               \
    cuda_emulator::access(at, bytes, true);                                                \
  }                                                                                        \
  void __tsan_unaligned_read_write##bytes(void* at) { __tsan_read_write##bytes(at); }
PREFER_ACCESS(1)
PREFER_ACCESS(2)
PREFER_ACCESS(4)
PREFER_ACCESS(8)
PREFER_ACCESS(16)
#undef PREFER_ACCESS

void __tsan_read_range(void* at, std::size_t size) { cuda_emulator::access(at, size, false); }
void __tsan_write_range(void* at, std::size_t size) { cuda_emulator::access(at, size, true); }

// Copies of objects, which clang calls by these names.
void* __tsan_memcpy(void* to, void const* from, std::size_t size) {
  cuda_emulator::access(from, size, false);
  cuda_emulator::access(to, size, true);
  return __builtin_memcpy(to, from, size);
}
void* __tsan_memmove(void* to, void const* from, std::size_t size) {
  cuda_emulator::access(from, size, false);
  cuda_emulator::access(to, size, true);
  return __builtin_memmove(to, from, size);
}
void* __tsan_memset(void* to, int value, std::size_t size) {
  cuda_emulator::access(to, size, true);
  return __builtin_memset(to, value, size);
}

// Atomics of the host's own code, such as the counts of shared pointers. Kernels have those of CUDA.
#define PREFER_ATOMIC(bits, T)                                                                     \
  T __tsan_atomic##bits##_load(T const volatile* at, int) {                                        \
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                                  \
  }                                                                                                \
  void __tsan_atomic##bits##_store(T volatile* at, T value, int) {                                 \
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                                 \
  }                                                                                                \
  T __tsan_atomic##bits##_exchange(T volatile* at, T value, int) {                                 \
    return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST);                                       \
  }                                                                                                \
  T __tsan_atomic##bits##_fetch_add(T volatile* at, T value, int) {                                \
    return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);                                        \
  }                                                                                                \
  T __tsan_atomic##bits##_fetch_sub(T volatile* at, T value, int) {                                \
    return __atomic_fetch_sub(at, value, __ATOMIC_SEQ_CST);                                        \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_strong(T volatile* at, T* expected, T value, int,     \
                                                    int) {                                         \
    return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST,               \
                                       __ATOMIC_SEQ_CST)                                           \
               ? 1                                                                                 \
               : 0;                                                                                \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_weak(T volatile* at, T* expected, T value, int first, \
                                                  int second) {                                    \
    return __tsan_atomic##bits##_compare_exchange_strong(at, expected, value, first, second);      \
  }
PREFER_ATOMIC(8, std::uint8_t)
PREFER_ATOMIC(32, std::uint32_t)
PREFER_ATOMIC(64, std::uint64_t)
#undef PREFER_ATOMIC
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

}  // extern "C"
