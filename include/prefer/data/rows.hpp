// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>

#include <range/v3/range_fwd.hpp>

#include <prefer/expects.hpp>

namespace prefer::inline v0_1::data {

/// Turns a file into rows: `next(row)` overwrites `row` with the next one, or returns false at the end.
template <class T>
concept RowReader =
    std::default_initializable<typename T::row> && requires(T& reader, typename T::row& row) {
      { reader.next(row) } -> std::same_as<bool>;
    };

/// The rows of a file as an input range, one in memory at a time; a view to range-v3, and good for a range-for.
///
/// A row is read when it is looked at and no sooner: `++` reads nothing, so `rows | take(1)` never sees line 2. One
/// pass: copies share one position, and `begin` gives the row that is next. The row is the caller's to move from until
/// the iterator goes on.
///
/// Errors  whatever the reader throws; after an error the range is at its end
template <RowReader Reader>
class rows : public ::ranges::view_base {
  class cursor;

 public:
  using row = typename Reader::row;
  class iterator;

  rows() = default;
  explicit rows(Reader reader) : cursor_(std::make_shared<cursor>(std::move(reader))) {}

  [[nodiscard]] iterator begin() const { return iterator(cursor_); }
  [[nodiscard]] static std::default_sentinel_t end() noexcept { return {}; }

 private:
  class cursor {
   public:
    explicit cursor(Reader reader) : reader_(std::move(reader)) {}

    bool at_end() {
      if (step_ == step::unread) {
        step_ = step::end;  // stays so if the reader throws
        if (reader_.next(row_)) step_ = step::read;
      }
      return step_ == step::end;
    }
    row& current() {
      expects(!at_end(), "rows: there is no row behind the last one");
      return row_;
    }
    void advance() {
      if (!at_end()) step_ = step::unread;
    }

   private:
    enum class step { unread, read, end };
    Reader reader_;
    row row_{};
    step step_ = step::unread;
  };

  std::shared_ptr<cursor> cursor_;
};

template <RowReader Reader>
class rows<Reader>::iterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using iterator_category = std::input_iterator_tag;  // range-v3's take asks for it
  using value_type = row;
  using difference_type = std::ptrdiff_t;
  using pointer = row*;
  using reference = row&;

  iterator() = default;
  explicit iterator(std::shared_ptr<cursor> cursor) : cursor_(std::move(cursor)) {}

  [[nodiscard]] row& operator*() const { return cursor_->current(); }
  [[nodiscard]] row* operator->() const { return &cursor_->current(); }
  iterator& operator++() {
    cursor_->advance();
    return *this;
  }
  void operator++(int) { cursor_->advance(); }

  [[nodiscard]] friend bool operator==(iterator const& at, std::default_sentinel_t) {
    return at.cursor_ == nullptr || at.cursor_->at_end();
  }

 private:
  // Shared, so that an iterator outlives a temporary range: auto it = pairs(path).begin().
  std::shared_ptr<cursor> cursor_;
};

}  // namespace prefer::inline v0_1::data
