// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/archive_format.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// Writes named arrays, numbers and texts, one after another, into one file that appears whole or not at all.
///
///   archive_writer file("run/step-100.prefer");
///   file.add("value/bias", std::span(bias));
///   file.add("step", step);
///   file.add("loss", "dpo");
///   file.commit();
///
/// `add` writes at once: nothing but names and 64 KiB is kept in memory. Without a path everything is kept, for `bytes`.
/// Equal content in equal order is an equal file.
///
/// Errors  an empty name or one added twice throws precondition_error; add and commit throw backend_error with path
///         and reason, and the target keeps its old content
template <class When = on_demand>
class basic_archive_writer {
 public:
  basic_archive_writer() { begin(); }
  explicit basic_archive_writer(std::string path) : file_(std::in_place, std::move(path)) {
    begin();
  }

  /// An array: anything contiguous with data() and size() whose elements are float, double, int64 or uint64.
  template <class Array>
    requires requires(Array const& array) {
      { *array.data() } -> std::convertible_to<double>;
      array.size();
      requires ArchiveElement<std::remove_cvref_t<decltype(*array.data())>>;
    }
  void add(std::string_view name, Array const& array) {
    using element = std::remove_cvref_t<decltype(*array.data())>;
    insert(name, detail::archive_kind_of<element>, array.data(), array.size(), sizeof(element));
  }

  /// A number: an array of one. Integers are stored as int64 or uint64, after their signedness.
  template <class T>
    requires((std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>) ||
             std::same_as<T, float> || std::same_as<T, double>)
  void add(std::string_view name, T number) {
    if constexpr (std::floating_point<T>) {
      insert(name, detail::archive_kind_of<T>, &number, 1, sizeof(T));
    } else {
      using stored = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
      stored const wide = number;
      insert(name, detail::archive_kind_of<stored>, &wide, 1, sizeof(stored));
    }
  }

  void add(std::string_view name, std::string_view text) {
    insert(name, detail::archive_kind::text, text.data(), text.size(), 1);
  }
  void add(std::string_view name, char const* text) { add(name, std::string_view(text)); }

  /// What a file with these entries consists of; of a writer without a path.
  [[nodiscard]] std::vector<unsigned char> bytes() const {
    expects(!file_, "archive_writer::bytes: this one writes into a file");
    std::vector<unsigned char> out = written_;
    append(out, block_.data(), block_.size());
    append_number(out, std::uint64_t{names_.size()});
    append_number(out, size_ + detail::archive_trailer_size);
    append_number(out, detail::archive_checksum(view_of(out)));
    return out;
  }

  /// Makes the file appear.
  void commit() {
    expects(file_.has_value(), "archive_writer::commit: this one has no path; see bytes");
    std::uint64_t const size = size_ + detail::archive_trailer_size;
    put_number(std::uint64_t{names_.size()});
    put_number(size);
    flush();
    std::uint64_t const checksum = sum_.value();
    file_->write(&checksum, sizeof checksum);
    file_->commit();
  }

 private:
  static void append(std::vector<unsigned char>& out, void const* data, std::size_t count) {
    std::size_t const end = out.size();
    out.resize(end + count);
    if (count != 0) std::memcpy(out.data() + end, data, count);
  }
  template <class T>
  static void append_number(std::vector<unsigned char>& out, T number) {
    append(out, &number, sizeof(T));
  }

  void begin() {
    put(detail::archive_magic, sizeof(detail::archive_magic));
    put_number(detail::archive_version);
    put_number(std::uint32_t{0});
  }

  void put(void const* data, std::size_t count) {
    auto const* from = static_cast<unsigned char const*>(data);
    size_ += count;
    while (count != 0) {
      std::size_t const room = detail::archive_block_size - block_.size();
      std::size_t const taken = count < room ? count : room;
      append(block_, from, taken);
      from += taken;
      count -= taken;
      if (block_.size() == detail::archive_block_size) flush();
    }
  }
  template <class T>
  void put_number(T number) {
    put(&number, sizeof(T));
  }
  void pad() {
    unsigned char const zeros[8] = {};
    put(zeros, detail::padding_to_8(static_cast<std::size_t>(size_)));
  }

  void flush() {
    if (block_.empty()) return;
    sum_.add(view_of(block_));
    if (file_) {
      file_->write(block_.data(), block_.size());
    } else {
      append(written_, block_.data(), block_.size());
    }
    block_.clear();
  }

  void insert(std::string_view name, detail::archive_kind kind, void const* data, std::size_t count,
              std::size_t size) {
    expects(!name.empty() && name.size() < 0xffffffff, "archive_writer: an entry needs a name");
    std::size_t const place = detail::lower_bound_of_names(
        names_.size(), [&](std::size_t i) { return std::string_view(names_[i]); }, name);
    if (place != names_.size() && names_[place] == name) {
      detail::broken("archive_writer: entry '" + std::string(name) + "' is added twice");
    }
    names_.emplace(names_.begin() + static_cast<std::ptrdiff_t>(place), name);
    put_number(static_cast<std::uint32_t>(kind));
    put_number(static_cast<std::uint32_t>(name.size()));
    put_number(std::uint64_t{count});
    put(name.data(), name.size());
    pad();
    put(data, count * size);
    pad();
  }

  std::optional<basic_atomic_file<When>> file_;
  std::vector<unsigned char> written_;  // where there is no file
  std::vector<unsigned char> block_;    // what comes next
  fingerprint sum_;                     // of what was written
  std::uint64_t size_ = 0;              // so far, the block included
  std::vector<std::string> names_;      // ascending
};
using archive_writer = basic_archive_writer<>;

}  // namespace prefer::inline v0_1
