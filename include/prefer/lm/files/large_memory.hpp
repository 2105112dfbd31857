// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

#include <prefer/dialect.hpp>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace prefer::inline v0_1::lm {

/// Memory for large intermediate results: it grows and does not shrink, so that the next step finds it warm, and asks the
/// system for large pages where they help. Numbers are not set to zero, and lost when it grows.
template <class T>
class large_memory {
 public:
  /// Room for that many numbers.
  T* reserve(std::size_t count) {
    if (count > count_) {
      values_.reset();
      count_ = 0;
      std::size_t const bytes = count * sizeof(T);
      std::align_val_t const alignment{bytes >= large_page ? large_page : std::size_t{64}};
      values_ = pointer(static_cast<T*>(::operator new(bytes, alignment)), release{alignment});
      count_ = count;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
      // Advice: where the system does not take it, pages are small and all the same.
      if (bytes >= large_page) (void)::madvise(values_.get(), bytes, MADV_HUGEPAGE);
#endif
    }
    return values_.get();
  }
  [[nodiscard]] T* data() const noexcept { return values_.get(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return count_; }

 private:
  static constexpr std::size_t large_page = std::size_t{1} << 21;
  struct release {
    std::align_val_t alignment{64};
    void operator()(T* values) const { ::operator delete(values, alignment); }
  };
  using pointer = std::unique_ptr<T, release>;

  pointer values_;
  std::size_t count_ = 0;
};

}  // namespace prefer::inline v0_1::lm
