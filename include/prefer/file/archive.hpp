// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/file/binary_file.hpp>
#include <prefer/file/fingerprint.hpp>

namespace prefer {

// The file, little-endian throughout:
//
//   offset 0   magic              8 bytes, "prefer" 0x1a 0x0a
//          8   format version     u32
//         12   number of entries  u32
//         16   size of the file   u64
//         24   entries            each a multiple of 8 bytes:
//                                 kind u32, length of the name u32, number of elements u64,
//                                 the name, zeros up to a multiple of 8, the elements, zeros up to
//                                 a multiple of 8
//   size - 8   checksum           u64, the fingerprint of all bytes before it
//
// Entries ascend by name (bytes compared as unsigned), so that equal content is an equal file and a name occurs once.

/// Element types of an archive's arrays and scalars.
template <class T>
concept ArchiveElement = std::same_as<T, float> || std::same_as<T, double> ||
                         std::same_as<T, std::int64_t> || std::same_as<T, std::uint64_t>;

namespace detail {

enum class archive_kind : std::uint32_t { float32 = 1, float64, int64, uint64, text };

inline constexpr unsigned char archive_magic[8] = {'p', 'r', 'e', 'f', 'e', 'r', 0x1a, 0x0a};
inline constexpr std::uint32_t archive_version = 1;
inline constexpr std::size_t archive_header_size = 24;
inline constexpr std::size_t archive_entry_header_size = 16;
inline constexpr std::size_t archive_checksum_size = 8;

template <ArchiveElement T>
inline constexpr archive_kind archive_kind_of =
    std::is_same_v<T, float>          ? archive_kind::float32
    : std::is_same_v<T, double>       ? archive_kind::float64
    : std::is_same_v<T, std::int64_t> ? archive_kind::int64
                                      : archive_kind::uint64;

// 0 for a kind that this version does not know.
[[nodiscard]] constexpr std::size_t element_size(archive_kind kind) noexcept {
  switch (kind) {
    case archive_kind::text:
      return 1;
    case archive_kind::float32:
      return 4;
    case archive_kind::float64:
    case archive_kind::int64:
    case archive_kind::uint64:
      return 8;
  }
  return 0;
}

[[nodiscard]] constexpr char const* kind_name(archive_kind kind) noexcept {
  switch (kind) {
    case archive_kind::text:
      return "text";
    case archive_kind::float32:
      return "float";
    case archive_kind::float64:
      return "double";
    case archive_kind::int64:
      return "int64";
    case archive_kind::uint64:
      return "uint64";
  }
  return "unknown";
}

[[nodiscard]] constexpr std::size_t padding_to_8(std::size_t size) noexcept {
  return (8 - size % 8) % 8;
}

[[nodiscard]] inline std::uint64_t archive_checksum(std::span<unsigned char const> bytes) noexcept {
  return fingerprint().add(bytes).value();
}

// Where `name` is, or would be inserted, among entries that ascend by name.
template <class Entries>
[[nodiscard]] std::size_t lower_bound_by_name(Entries const& entries,
                                              std::string_view name) noexcept {
  std::size_t begin = 0;
  std::size_t end = entries.size();
  while (begin != end) {
    std::size_t const middle = begin + (end - begin) / 2;
    if (std::string_view(entries[middle].name) < name) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

}  // namespace detail

/// Collects named arrays, numbers and texts, and writes them as one file that appears whole or not at all.
///
///   archive_writer file;
///   file.add("value/bias", std::span(bias));
///   file.add("step", step);
///   file.add("loss", "dpo");
///   file.write("run/step-100.prefer");
///
/// `add` copies. Equal content gives an equal file, in whatever order it was added.
/// Errors  an empty name or one added twice throws precondition_error; write throws backend_error with path and reason
class archive_writer {
 public:
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

  /// The bytes that `write` puts into the file.
  [[nodiscard]] std::vector<unsigned char> bytes() const {
    std::size_t size = detail::archive_header_size + detail::archive_checksum_size;
    for (auto const& each : entries_) {
      size += detail::archive_entry_header_size + padded(each.name.size()) +
              padded(each.content.size());
    }
    std::vector<unsigned char> out;
    out.reserve(size);
    append(out, detail::archive_magic, sizeof(detail::archive_magic));
    append_number(out, detail::archive_version);
    append_number(out, static_cast<std::uint32_t>(entries_.size()));
    append_number(out, std::uint64_t{size});
    for (auto const& each : entries_) {
      append_number(out, static_cast<std::uint32_t>(each.kind));
      append_number(out, static_cast<std::uint32_t>(each.name.size()));
      append_number(out, each.count);
      append(out, each.name.data(), each.name.size());
      out.resize(padded(out.size()));
      append(out, each.content.data(), each.content.size());
      out.resize(padded(out.size()));
    }
    append_number(out, detail::archive_checksum(out));
    return out;
  }

  void write(std::string const& path) const {
    auto const content = bytes();
    atomic_file file(path);
    file.write(content.data(), content.size());
    file.commit();
  }

 private:
  struct entry {
    std::string name;
    detail::archive_kind kind;
    std::uint64_t count;
    std::vector<unsigned char> content;
  };

  static constexpr std::size_t padded(std::size_t size) noexcept {
    return size + detail::padding_to_8(size);
  }
  static void append(std::vector<unsigned char>& out, void const* data, std::size_t count) {
    std::size_t const end = out.size();
    out.resize(end + count);
    if (count != 0) std::memcpy(out.data() + end, data, count);
  }
  template <class T>
  static void append_number(std::vector<unsigned char>& out, T number) {
    append(out, &number, sizeof(T));
  }

  void insert(std::string_view name, detail::archive_kind kind, void const* data, std::size_t count,
              std::size_t size) {
    expects(!name.empty() && name.size() < 0xffffffff, "archive_writer: an entry needs a name");
    std::size_t const place = detail::lower_bound_by_name(entries_, name);
    if (place != entries_.size() && entries_[place].name == name) {
      detail::broken("archive_writer: entry '" + std::string(name) + "' is added twice");
    }
    entries_.push_back({std::string(name), kind, count, {}});
    append(entries_.back().content, data, count * size);
    for (std::size_t i = entries_.size() - 1; i != place; --i)
      std::swap(entries_[i], entries_[i - 1]);
  }

  std::vector<entry> entries_;
};

/// An archive file in memory, every byte of it checked.
///
///   auto const file = archive::read("run/step-100.prefer");
///   file.copy_to("value/bias", std::span(bias));
///   auto const step = file.number<std::uint64_t>("step");
///
/// Errors  backend_error naming the file, and the entry where one is at fault: not an archive, another format version,
///         truncated, damaged (checksum, sizes, order); an entry that is missing, of another type, or of another size
class archive {
 public:
  [[nodiscard]] static archive read(std::string const& path) { return {read_bytes(path), path}; }

  /// From the bytes of a file; `place` stands for the path in messages.
  [[nodiscard]] static archive parse(std::vector<unsigned char> bytes, std::string place) {
    return {std::move(bytes), std::move(place)};
  }

  [[nodiscard]] bool contains(std::string_view name) const noexcept {
    return find(name) != nullptr;
  }

  /// Names of all entries, ascending.
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> all;
    all.reserve(entries_.size());
    for (auto const& each : entries_) all.push_back(each.name);
    return all;
  }

  /// A copy of an array.
  template <ArchiveElement T>
  [[nodiscard]] std::vector<T> get(std::string_view name) const {
    entry const& found = require(name, detail::archive_kind_of<T>);
    std::vector<T> values(found.count);
    copy(found, values.data());
    return values;
  }

  /// An array copied into memory that is there already and has the array's size.
  template <ArchiveElement T>
  void copy_to(std::string_view name, std::span<T> values) const {
    entry const& found = require(name, detail::archive_kind_of<T>);
    require_count(found, values.size());
    copy(found, values.data());
  }

  /// A number, that is an array of one.
  template <ArchiveElement T>
  [[nodiscard]] T number(std::string_view name) const {
    T value{};
    copy_to(name, std::span<T>(&value, 1));
    return value;
  }

  [[nodiscard]] std::string text(std::string_view name) const {
    entry const& found = require(name, detail::archive_kind::text);
    std::string value(found.count, '\0');
    copy(found, value.data());
    return value;
  }

  [[nodiscard]] std::string const& path() const noexcept { return path_; }

 private:
  struct entry {
    std::string name;
    detail::archive_kind kind;
    std::size_t count;
    std::size_t offset;
  };

  archive(std::vector<unsigned char> bytes, std::string path)
      : bytes_(std::move(bytes)), path_(std::move(path)) {
    index();
  }

  [[noreturn]] void refuse(std::string const& reason) const {
    detail::fail(backend_error("archive", path_, reason));
  }
  void check(bool holds, char const* reason) const {
    if (!holds) refuse(reason);
  }

  template <class T>
  [[nodiscard]] T number_at(std::size_t offset) const noexcept {
    T number{};
    std::memcpy(&number, bytes_.data() + offset, sizeof(T));
    return number;
  }

  void index() {
    namespace d = detail;
    check(bytes_.size() >= sizeof(d::archive_magic) &&
              std::memcmp(bytes_.data(), d::archive_magic, sizeof(d::archive_magic)) == 0,
          "is not a prefer archive: it does not begin with the archive mark");
    check(bytes_.size() >= d::archive_header_size + d::archive_checksum_size,
          "is truncated: it is shorter than an empty archive");
    auto const version = number_at<std::uint32_t>(8);
    if (version != d::archive_version) {
      refuse("has archive format version " + std::to_string(version) + ", expected " +
             std::to_string(d::archive_version));
    }
    auto const size = number_at<std::uint64_t>(16);
    if (size != bytes_.size()) {
      refuse("has " + std::to_string(bytes_.size()) + " bytes, expected " + std::to_string(size) +
             ": it is truncated or has been appended to");
    }
    std::size_t const end = bytes_.size() - d::archive_checksum_size;
    check(number_at<std::uint64_t>(end) ==
              d::archive_checksum(std::span<unsigned char const>(bytes_).first(end)),
          "is damaged: its checksum does not match its content");

    // The checksum finds accidents. What follows also holds for a file that somebody made up.
    auto const count = number_at<std::uint32_t>(12);
    std::size_t offset = d::archive_header_size;
    for (std::uint32_t i = 0; i != count; ++i) offset = index_entry(offset, end);
    check(offset == end, "is damaged: there are bytes after its last entry");
  }

  // Every comparison is against what is left of the file, so that no sum or product can overflow.
  std::size_t index_entry(std::size_t offset, std::size_t end) {
    check(end - offset >= detail::archive_entry_header_size,
          "is damaged: an entry goes past the end of the file");
    auto const kind = static_cast<detail::archive_kind>(number_at<std::uint32_t>(offset));
    auto const name_size = std::size_t{number_at<std::uint32_t>(offset + 4)};
    auto const count = number_at<std::uint64_t>(offset + 8);
    offset += detail::archive_entry_header_size;

    check(name_size != 0, "is damaged: an entry has no name");
    check(name_size <= end - offset,
          "is damaged: the name of an entry goes past the end of the file");
    std::string name(reinterpret_cast<char const*>(bytes_.data()) + offset, name_size);
    offset = skip_padding(offset + name_size, end);
    if (!entries_.empty() && name <= entries_.back().name) {
      refuse("is damaged: entry '" + name + "' is there twice or out of order");
    }

    std::size_t const size = detail::element_size(kind);
    if (size == 0) refuse("entry '" + name + "' has a type that this version does not know");
    if (count > (end - offset) / size) {
      refuse("is damaged: entry '" + name + "' goes past the end of the file");
    }
    entries_.push_back({std::move(name), kind, static_cast<std::size_t>(count), offset});
    return skip_padding(offset + static_cast<std::size_t>(count) * size, end);
  }

  [[nodiscard]] std::size_t skip_padding(std::size_t offset, std::size_t end) const {
    std::size_t const padding = detail::padding_to_8(offset);
    check(padding <= end - offset, "is damaged: an entry goes past the end of the file");
    for (std::size_t i = 0; i != padding; ++i) {
      check(bytes_[offset + i] == 0, "is damaged: there is something between two entries");
    }
    return offset + padding;
  }

  [[nodiscard]] entry const* find(std::string_view name) const noexcept {
    std::size_t const place = detail::lower_bound_by_name(entries_, name);
    return place != entries_.size() && entries_[place].name == name ? &entries_[place] : nullptr;
  }
  [[nodiscard]] entry const& require(std::string_view name, detail::archive_kind kind) const {
    entry const* const found = find(name);
    if (found == nullptr) refuse("has no entry '" + std::string(name) + "'");
    if (found->kind != kind) {
      refuse("entry '" + found->name + "' is of type " + detail::kind_name(found->kind) +
             ", expected " + detail::kind_name(kind));
    }
    return *found;
  }
  void require_count(entry const& found, std::size_t count) const {
    if (found.count == count) return;
    refuse("entry '" + found.name + "' has " + std::to_string(found.count) +
           " elements, expected " + std::to_string(count));
  }
  void copy(entry const& from, void* to) const {
    if (from.count == 0) return;
    std::memcpy(to, bytes_.data() + from.offset, from.count * detail::element_size(from.kind));
  }

  std::vector<unsigned char> bytes_;
  std::string path_;
  std::vector<entry> entries_;
};

}  // namespace prefer
