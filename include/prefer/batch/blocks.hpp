// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/column.hpp>
#include <prefer/expects.hpp>
#include <prefer/parallel/executor.hpp>

// A batch in pieces: blocks of its columns that lanes load from and store to, chunks for threads, and sums whose order
// depends on neither.

namespace prefer::inline v0_1::detail {

inline constexpr std::size_t block_size = 1024;  // records handed to a kernel at once
inline constexpr std::size_t chunk_size = 4096;  // records per task; its sum is one partial result
inline constexpr std::size_t most_chunks = 256;
inline constexpr std::size_t parallel_from =
    16384;  // records below which fork-join costs more than it saves

/// Columns of one block as T, padded to whole lanes; null where the loss does not read the column.
template <class T, std::size_t Columns>
class column_block {
 public:
  void gather(column const* const (&columns)[Columns], std::size_t begin, std::size_t count,
              std::size_t width) {
    std::size_t const padded = (count + width - 1) / width * width;
    for (std::size_t c = 0; c < Columns; ++c) {
      if (columns[c] == nullptr) {
        at[c] = nullptr;
        continue;
      }
      at[c] = columns[c]->as(begin, count, room_[c]);
      if (padded == count) continue;
      if (at[c] != room_[c]) {
        for (std::size_t i = 0; i < count; ++i) room_[c][i] = at[c][i];
        at[c] = room_[c];
      }
      for (std::size_t i = count; i < padded; ++i) room_[c][i] = room_[c][count - 1];
    }
  }
  T const* at[Columns];

 private:
  T room_[Columns][block_size];
};

/// Results of one block: written in place when the target stores T, else converted afterwards.
template <class T, std::size_t Results>
class result_block {
 public:
  void open(mutable_column const* const (&targets)[Results], std::size_t begin, std::size_t count,
            std::size_t width) {
    for (std::size_t r = 0; r < Results; ++r) {
      at[r] = nullptr;
      if (targets[r] == nullptr || !targets[r]->present()) continue;
      T* const direct = count % width == 0 ? targets[r]->template direct<T>(begin) : nullptr;
      at[r] = direct != nullptr ? direct : room_[r];
    }
  }
  void close(mutable_column const* const (&targets)[Results], std::size_t begin,
             std::size_t count) {
    for (std::size_t r = 0; r < Results; ++r) {
      if (at[r] == room_[r]) targets[r]->assign(begin, count, room_[r]);
    }
  }
  T* at[Results];

 private:
  T room_[Results][block_size];
};

/// Runs `chunk(begin, count) -> sum` over [0, n) in fixed pieces and adds the sums up in order.
template <class Chunk>
[[nodiscard]] double sum_over_chunks(std::size_t n, executor threads, Chunk const& chunk) {
  std::size_t size = chunk_size;
  while ((n + size - 1) / size > most_chunks) size *= 2;
  std::size_t const chunks = (n + size - 1) / size;
  double partial[most_chunks];
  auto const run = [&](std::size_t c) {
    std::size_t const begin = c * size;
    partial[c] = chunk(begin, at_most(size, n - begin));
  };
  if (n < parallel_from) {
    for (std::size_t c = 0; c < chunks; ++c) run(c);
  } else {
    threads.for_each_chunk(chunks, run);
  }
  double total = 0.0;
  for (std::size_t c = 0; c < chunks; ++c) total += partial[c];
  return total;
}

/// The last lane of a block may be partly padding, which must not enter the sum.
template <class Lane>
[[nodiscard]] inline Lane without_padding(Lane values, std::size_t valid) {
  if (valid >= Lane::width) return values;
  typename Lane::value_type kept[Lane::width];
  values.store(kept);
  for (std::size_t i = valid; i < Lane::width; ++i) kept[i] = 0;
  return Lane::load(kept);
}

/// A sum of lanes: in the lane's precision over a block, in double across blocks.
template <class Lane>
class lane_sum {
 public:
  void add(Lane const& values) {
    before_ = recent_;
    last_ = values;
    recent_ = before_ + values;
  }
  /// Moves what was added since the last flush into double precision; of the lane that was added last the first `valid`
  /// elements. Asked here and not of every lane: a loop that may store one to cut it keeps few constants in registers.
  void flush(std::size_t valid = Lane::width) {
    Lane const added = valid < Lane::width ? before_ + without_padding(last_, valid) : recent_;
    total_ += static_cast<double>(sum(added));
    recent_ = Lane(0.0);
  }
  [[nodiscard]] double total() const { return total_; }

 private:
  Lane before_ = 0.0;  // the sum without the last lane
  Lane last_ = 0.0;
  Lane recent_ = 0.0;
  double total_ = 0.0;
};

/// How many elements of the last lane of `count` numbers are among them.
template <class Lane>
[[nodiscard]] constexpr std::size_t in_last_lane(std::size_t count) {
  return (count - 1) % Lane::width + 1;
}

template <class Pointer, std::size_t N>
struct kernel_pointers {
  explicit kernel_pointers(Pointer const (&from)[N]) {
    for (std::size_t i = 0; i < N; ++i) at[i] = from[i];
  }
  [[nodiscard]] Pointer operator[](std::size_t i) const { return at[i]; }

  Pointer at[N];
};

/// Runs `block(in, out, count) -> sum` over a batch, piece by piece.
template <class T, std::size_t Inputs, std::size_t Outputs, class Block>
[[nodiscard]] double sum_over_blocks(std::size_t n, column const* const (&inputs)[Inputs],
                                     mutable_column const* const (&targets)[Outputs],
                                     std::size_t width, executor threads, Block const& block) {
  return sum_over_chunks(n, threads, [&](std::size_t begin, std::size_t count) {
    column_block<T, Inputs> in;
    result_block<T, Outputs> out;
    double total = 0.0;
    for (std::size_t done = 0; done < count; done += block_size) {
      std::size_t const size = at_most(block_size, count - done);
      in.gather(inputs, begin + done, size, width);
      out.open(targets, begin + done, size, width);
      total += block(in.at, out.at, size);
      out.close(targets, begin + done, size);
    }
    return total;
  });
}

}  // namespace prefer::inline v0_1::detail
