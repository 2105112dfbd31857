// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/archive_format.hpp>
#include <prefer/file/binary_file.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

/// An archive file in memory, every byte of it checked.
///
///   auto const file = archive::read("run/step-100.prefer");
///   file.copy_to("value/bias", std::span(bias));
///   auto const step = file.number<std::uint64_t>("step");
///
/// Errors  backend_error naming the file, and the entry where one is at fault: not an archive, another format version,
///         truncated, damaged (checksum, sizes, order); an entry that is missing, of another type, or of another size
template <class = on_demand>
class basic_archive {
 public:
  [[nodiscard]] static basic_archive read(std::string const& path) {
    return {read_bytes(path), path};
  }

  /// From the bytes of a file; `place` stands for the path in messages.
  [[nodiscard]] static basic_archive parse(std::vector<unsigned char> bytes, std::string place) {
    return {std::move(bytes), std::move(place)};
  }

  [[nodiscard]] bool contains(std::string_view name) const noexcept {
    return find(name) != nullptr;
  }

  /// Names of all entries, in the order of the file.
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

  /// Elements from `begin` on of an array of `count`, copied into memory that is there already.
  template <ArchiveElement T>
  void copy_part_to(std::string_view name, std::size_t count, std::size_t begin,
                    std::span<T> values) const {
    entry const& found = require(name, detail::archive_kind_of<T>);
    require_count(found, count);
    expects(begin <= count && values.size() <= count - begin,
            "archive::copy_part_to: the part goes past the end of the array");
    if (values.empty()) return;
    std::memcpy(values.data(), bytes_.data() + found.offset + begin * sizeof(T),
                values.size() * sizeof(T));
  }

  /// Refuses what copy_to would refuse.
  template <ArchiveElement T>
  void expect(std::string_view name, std::size_t count) const {
    require_count(require(name, detail::archive_kind_of<T>), count);
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

  basic_archive(std::vector<unsigned char> bytes, std::string path)
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
    check(bytes_.size() >= d::archive_header_size + d::archive_trailer_size,
          "is truncated: it is shorter than an empty archive");
    auto const version = number_at<std::uint32_t>(8);
    if (version != d::archive_version) {
      refuse("has archive format version " + std::to_string(version) + ", expected " +
             std::to_string(d::archive_version));
    }
    std::size_t const end = bytes_.size() - d::archive_trailer_size;
    check(number_at<std::uint64_t>(end + 8) == bytes_.size(),
          "does not end where it says: it is truncated or has been appended to");
    std::size_t const checked = bytes_.size() - d::archive_checksum_size;
    check(number_at<std::uint64_t>(checked) == d::archive_checksum(view_of(bytes_, 0, checked)),
          "is damaged: its checksum does not match its content");

    // The checksum finds accidents. What follows also holds for a file that somebody made up.
    check(number_at<std::uint32_t>(12) == 0, "is damaged: its header is not that of an archive");
    std::size_t offset = d::archive_header_size;
    while (offset != end) offset = index_entry(offset, end);
    check(number_at<std::uint64_t>(end) == entries_.size(),
          "is damaged: it has another number of entries than it says");
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
    std::size_t const place = place_of(name);
    if (place != by_name_.size() && entries_[by_name_[place]].name == name) {
      refuse("is damaged: entry '" + name + "' is there twice");
    }

    std::size_t const size = detail::element_size(kind);
    if (size == 0) refuse("entry '" + name + "' has a type that this version does not know");
    if (count > (end - offset) / size) {
      refuse("is damaged: entry '" + name + "' goes past the end of the file");
    }
    by_name_.insert(by_name_.begin() + static_cast<std::ptrdiff_t>(place), entries_.size());
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

  [[nodiscard]] std::size_t place_of(std::string_view name) const noexcept {
    auto const name_at = [&](std::size_t i) {
      return std::string_view(entries_[by_name_[i]].name);
    };
    return detail::lower_bound_of_names(by_name_.size(), name_at, name);
  }
  [[nodiscard]] entry const* find(std::string_view name) const noexcept {
    std::size_t const place = place_of(name);
    return place != by_name_.size() && entries_[by_name_[place]].name == name
               ? &entries_[by_name_[place]]
               : nullptr;
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
  std::vector<std::size_t> by_name_;  // places in entries_, names ascending
};
using archive = basic_archive<>;

}  // namespace prefer::inline v0_1
