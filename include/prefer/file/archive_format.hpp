// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include <prefer/file/fingerprint.hpp>
#include <prefer/on_demand.hpp>

namespace prefer::inline v0_1 {

// The file, little-endian throughout, so that it can be written from front to back:
//
//   offset 0   magic              8 bytes, "prefer" 0x1a 0x0a
//          8   format version     u32
//         12   zero               u32
//         16   entries            each a multiple of 8 bytes:
//                                 kind u32, length of the name u32, number of elements u64,
//                                 the name, zeros up to a multiple of 8, the elements, zeros up to
//                                 a multiple of 8
//  size - 24   number of entries  u64
//  size - 16   size of the file   u64
//   size - 8   checksum           u64, the fingerprint of all bytes before it, in blocks of 64 KiB
//
// A name occurs once. Entries are in the order in which they were added.

/// Element types of an archive's arrays and scalars.
template <class T>
concept ArchiveElement = std::same_as<T, float> || std::same_as<T, double> ||
                         std::same_as<T, std::int64_t> || std::same_as<T, std::uint64_t>;

namespace detail {

enum class archive_kind : std::uint32_t { float32 = 1, float64, int64, uint64, text };

inline constexpr unsigned char archive_magic[8] = {'p', 'r', 'e', 'f', 'e', 'r', 0x1a, 0x0a};
inline constexpr std::uint32_t archive_version = 2;
inline constexpr std::size_t archive_header_size = 16;
inline constexpr std::size_t archive_entry_header_size = 16;
inline constexpr std::size_t archive_trailer_size = 24;
inline constexpr std::size_t archive_checksum_size = 8;
inline constexpr std::size_t archive_block_size = std::size_t{1}
                                                  << 16;  // that a checksum takes at a time

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

template <class = on_demand>
[[nodiscard]] std::uint64_t archive_checksum(std::span<unsigned char const> bytes) noexcept {
  fingerprint sum;
  while (!bytes.empty()) {
    auto const block =
        bytes.first(bytes.size() < archive_block_size ? bytes.size() : archive_block_size);
    sum.add(block);
    bytes = bytes.subspan(block.size());
  }
  return sum.value();
}

// Where `name` is, or would be inserted, among `count` ascending names.
template <class NameAt>
[[nodiscard]] std::size_t lower_bound_of_names(std::size_t count, NameAt const& name_at,
                                               std::string_view name) noexcept {
  std::size_t begin = 0;
  std::size_t end = count;
  while (begin != end) {
    std::size_t const middle = begin + (end - begin) / 2;
    if (name_at(middle) < name) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

}  // namespace detail

}  // namespace prefer::inline v0_1
