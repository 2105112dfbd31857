// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::lm {

/// Numbers that are 0 until they are written, and cost no memory until then: the gradients of a policy that is kept as a
/// reference and never trained.
template <class T>
class zeroed_memory {
  static_assert(std::is_arithmetic_v<T>);

 public:
  zeroed_memory() = default;
  /// Errors  std::bad_alloc
  explicit zeroed_memory(std::size_t count) : size_(count) {
    if (count == 0) return;
    // calloc hands out pages that the system has cleared and gives to the process at the first write.
    first_.reset(static_cast<T*>(std::calloc(count, sizeof(T))));
    if (!first_) throw std::bad_alloc();
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] T* data() const { return first_.get(); }
  [[nodiscard]] std::span<T> all() const { return {first_.get(), size_}; }

 private:
  struct release {
    void operator()(T* memory) const { std::free(memory); }
  };
  std::unique_ptr<T, release> first_;
  std::size_t size_ = 0;
};

}  // namespace prefer::inline v0_1::lm
