// SPDX-License-Identifier: MIT
#pragma once

#if !defined(PREFER_SHOW_WARNINGS)
#pragma GCC system_header
#endif

#include <prefer/adapters/cuda/runtime.cuh>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/batch/column.hpp>

namespace prefer::inline v0_1::cuda {
inline namespace PREFER_CUDA_BUILD {

/// What a column of a device may hold: float, double, half and bfloat16; labels also bool, lengths also 32-bit integers.
template <class T>
concept Element = detail::is_element<T>;

template <Element T>
class device_column;

/// Where lists of completions begin and end: on the host, where sizes are checked, and on the device from when a kernel
/// first asks.
class list_offsets {
 public:
  list_offsets() = default;
  list_offsets(std::vector<std::size_t> offset)  // NOLINT(google-explicit-constructor): a copy
      : kept_(std::make_shared<copies>(copies{std::move(offset), {}})) {}
  /// On the device already, before anything is measured or captured.
  list_offsets(std::vector<std::size_t> offset, cudaStream_t stream)
      : list_offsets(std::move(offset)) {
    (void)on_device(stream);
  }

  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] std::size_t size() const { return kept_ == nullptr ? 0 : kept_->here.size(); }
  [[nodiscard]] std::size_t operator[](std::size_t i) const { return kept_->here[i]; }
  [[nodiscard]] std::size_t front() const { return kept_->here.front(); }
  [[nodiscard]] std::size_t back() const { return kept_->here.back(); }
  /// For work on that stream.
  [[nodiscard]] std::size_t const* on_device(cudaStream_t stream) const {
    if (kept_->there.get() == nullptr) {
      std::size_t const bytes = kept_->here.size() * sizeof(std::size_t);
      allocation made(bytes, stream, "list_offsets");
      copy_to_device(made.get(), kept_->here.data(), bytes, stream, "list_offsets");
      kept_->there = std::move(made);
    }
    return static_cast<std::size_t const*>(kept_->there.get());
  }

 private:
  struct copies {
    std::vector<std::size_t> here;
    allocation there;
  };
  std::shared_ptr<copies> kept_;
};

/// A view of numbers on a device, one after another, which work on `stream` has written or will have. What it views
/// outlives it; absent by default.
class column {
 public:
  using offsets = list_offsets;

  column() = default;
  /// A caller's own numbers, of which the library owns nothing.
  template <Element T>
  column(T const* numbers, std::size_t size, cudaStream_t stream)
      : column(numbers, size, detail::element_of<T>, stream) {}
  template <Element T>
  column(device_column<T> const& numbers)  // NOLINT(google-explicit-constructor): as of ranges
      : column(numbers.data(), numbers.size(), numbers.stream()) {}
  template <Element T>
  column(device_column<T> const&&) =
      delete;  // prefer: a column does not keep the numbers of a temporary
  column(void const* numbers, std::size_t size, storage stored, cudaStream_t stream)
      : data_(numbers), size_(size), stream_(stream), stored_(stored), present_(true) {}

  [[nodiscard]] bool present() const { return present_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] storage stored_as() const { return stored_; }
  [[nodiscard]] void const* data() const { return data_; }
  [[nodiscard]] cudaStream_t stream() const { return stream_; }

 private:
  void const* data_ = nullptr;
  std::size_t size_ = 0;
  cudaStream_t stream_ = nullptr;
  storage stored_ = storage::float32;
  bool present_ = false;
};

/// Where results go on a device, or nothing.
class mutable_column {
 public:
  mutable_column() = default;
  template <Element T>
    requires(detail::holds_results(detail::element_of<T>))
  mutable_column(T* numbers, std::size_t size)
      : mutable_column(numbers, size, detail::element_of<T>) {}
  template <Element T>
    requires(detail::holds_results(detail::element_of<T>))
  mutable_column(device_column<T>& numbers)  // NOLINT(google-explicit-constructor): as of ranges
      : mutable_column(numbers.data(), numbers.size()) {}
  mutable_column(void* numbers, std::size_t size, storage stored)
      : data_(numbers), size_(size), stored_(stored), present_(true) {}

  [[nodiscard]] bool present() const { return present_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] storage stored_as() const { return stored_; }
  [[nodiscard]] void* data() const { return data_; }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
  storage stored_ = storage::float32;
  bool present_ = false;
};

/// Numbers on a device that live as long as this does, allocated and given back in the order of a stream.
///
///   prefer::cuda::device_column<float> chosen(numbers, stream);   // copied from a span
///   prefer::cuda::device_column<float> room(1000, stream);        // not initialised
///
/// Errors  backend_error with the call, the code and the number of bytes where the device has no memory left
template <Element T>
class device_column {
 public:
  device_column() = default;
  device_column(std::size_t size, cudaStream_t stream)
      : memory_(size * sizeof(T), stream, "device_column"), size_(size) {}
  device_column(std::span<T const> numbers, cudaStream_t stream)
      : device_column(numbers.size(), stream) {
    copy_to_device(data(), numbers.data(), size_ * sizeof(T), stream, "device_column");
  }
  template <class R>
    requires std::same_as<R, std::vector<T>>
  device_column(R const& numbers, cudaStream_t stream)
      : device_column(std::span<T const>(numbers), stream) {}

  [[nodiscard]] T* data() { return static_cast<T*>(memory_.get()); }
  [[nodiscard]] T const* data() const { return static_cast<T const*>(memory_.get()); }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] cudaStream_t stream() const { return memory_.stream(); }

  /// Valid as long as this lives.
  [[nodiscard]] column view() const { return *this; }
  /// The numbers, on the host. Waits for the stream.
  [[nodiscard]] std::vector<T> to_host() const {
    std::vector<T> out(size_);
    copy_to_host(out.data(), data(), size_ * sizeof(T), stream(), "device_column::to_host");
    return out;
  }

 private:
  allocation memory_;
  std::size_t size_ = 0;
};

/// Numbers of rows, on a device.
class row_numbers {
 public:
  row_numbers() = default;
  row_numbers(std::size_t size, cudaStream_t stream)
      : memory_(std::make_shared<allocation>(size * sizeof(std::uint32_t), stream, "row_numbers")),
        size_(size) {}

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::uint32_t* data() const { return static_cast<std::uint32_t*>(memory_->get()); }

 private:
  std::shared_ptr<allocation> memory_;
  std::size_t size_ = 0;
};

/// Numbers that a backend makes room for: a column that owns what it shows.
class owned_column {
 public:
  owned_column() = default;
  owned_column(std::size_t size, storage stored, std::size_t bytes_each, cudaStream_t stream)
      : memory_(size * bytes_each, stream, "owned_column"), size_(size), stored_(stored) {}

  [[nodiscard]] column view() const { return {memory_.get(), size_, stored_, memory_.stream()}; }
  [[nodiscard]] mutable_column result() const { return {memory_.get(), size_, stored_}; }

 private:
  allocation memory_;
  std::size_t size_ = 0;
  storage stored_ = storage::float64;
};

/// A sum that stays on the device until somebody reads it.
class number {
 public:
  number() = default;
  number(std::shared_ptr<allocation> sums, std::size_t which)
      : sums_(std::move(sums)), which_(which) {}

  friend number operator/(number a, double b) {
    a.divisor_ *= b;
    return a;
  }
  /// Waits for the stream.
  [[nodiscard]] double read() const { return read_all(std::array{*this})[0]; }
  /// Written as a number of its own, on the device: nobody waits, and a graph may do it.
  void write_to(mutable_column const& to) const;
  /// The same as `read` of several, which wait once for each stream.
  template <std::size_t N>
  [[nodiscard]] static std::array<double, N> read_all(std::array<number, N> const& all) {
    std::array<double, N> out;
    for (std::size_t n = 0; n < N; ++n) {
      allocation const& sums = *all[n].sums_;
      start_copy_to_host(&out[n], static_cast<double const*>(sums.get()) + all[n].which_,
                         sizeof(double), sums.stream(), "number::read");
      bool const last = n + 1 == N || all[n + 1].sums_->stream() != sums.stream();
      if (last) wait_for(sums.stream(), "number::read");
    }
    for (std::size_t n = 0; n < N; ++n) out[n] /= all[n].divisor_;
    return out;
  }

 private:
  std::shared_ptr<allocation> sums_;
  std::size_t which_ = 0;
  double divisor_ = 1.0;
};

}  // namespace PREFER_CUDA_BUILD
}  // namespace prefer::inline v0_1::cuda
