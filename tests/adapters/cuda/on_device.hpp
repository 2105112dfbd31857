// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/adapters/cuda.hpp>

#include <cstddef>
#include <cstdint>
#include <list>
#include <variant>
#include <vector>

#include "laws/problem.hpp"

// The same numbers on the host and on a device, emulated or real.

namespace prefer::test {

/// Columns of the host, copied to a device, where they live as long as this.
class on_device {
 public:
  explicit on_device(cudaStream_t stream = nullptr) : stream_(stream) {}

  [[nodiscard]] cuda::column operator()(column const& from) {
    if (!from.present()) return {};
    switch (from.stored_as()) {
      case storage::float32:
        return keep<float>(from);
      case storage::int32:
        return keep<std::int32_t>(from);
      default:
        return keep<double>(from);
    }
  }
  /// Stored as T there, whatever it is here.
  template <class T>
  [[nodiscard]] cuda::column keep(column const& from) {
    std::vector<T> numbers(from.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<T>(from[i]);
    return std::get<cuda::device_column<T>>(
        kept_.emplace_back(cuda::device_column<T>(std::span<T const>(numbers), stream_)));
  }

  /// A batch, column by column.
  template <template <class> class Kind>
  [[nodiscard]] Kind<cuda::column> operator()(Kind<column> const& batch) {
    Kind<cuda::column> out{};
    std::vector<column> from;
    detail::for_each_column(batch,
                            [&](auto, per, column_side, column const& c) { from.push_back(c); });
    std::size_t next = 0;
    detail::for_each_column(
        out, [&](auto, per, column_side, cuda::column& to) { to = (*this)(from[next++]); });
    if constexpr (requires { batch.offset; }) {
      out.offset = cuda::list_offsets({batch.offset.begin(), batch.offset.end()}, stream_);
    }
    return out;
  }

 private:
  using any = std::variant<cuda::device_column<float>, cuda::device_column<double>,
                           cuda::device_column<std::int32_t>, cuda::device_column<half>,
                           cuda::device_column<bfloat16>>;

  cudaStream_t stream_;
  std::list<any> kept_;
};

}  // namespace prefer::test
