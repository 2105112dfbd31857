// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <prefer/data/place.hpp>
#include <prefer/lm/files/byte_cursor.hpp>
#include <prefer/lm/files/gguf_type.hpp>
#include <prefer/lm/files/tensor_entry.hpp>

namespace prefer::inline v0_1::lm {

/// One key of a GGUF file's metadata; `value` is as it stands in the file behind its type.
struct gguf_entry {
  std::string_view key;
  gguf_type type = gguf_type::uint8;
  std::span<std::byte const> value;
  gguf_type element = gguf_type::uint8;  // of an array
  std::size_t count = 0;                 // of an array's elements
};

namespace detail {

inline constexpr std::string_view gguf_magic = "GGUF";
inline constexpr std::size_t gguf_array_header = 4 + 8;  // type and number of the elements
inline constexpr std::size_t gguf_longest_name = 64;
inline constexpr std::size_t gguf_longest_key = 65535;
inline constexpr std::size_t gguf_most_dimensions = 4;
inline constexpr std::size_t gguf_default_alignment = 32;

/// What a GGUF file says that it holds, checked against its bytes.
struct gguf_contents {
  std::uint32_t version = 0;
  std::size_t alignment = gguf_default_alignment;
  std::vector<gguf_entry> metadata;
  std::vector<tensor_entry> tensors;
  std::unordered_map<std::string_view, std::size_t> entry_by_key;  // names lie in the file
  std::unordered_map<std::string_view, std::size_t> tensor_by_name;
};

class gguf_parser {
 public:
  gguf_parser(std::span<std::byte const> bytes, data::place const& at)
      : at_(at), size_(bytes.size()), cursor_(bytes, at) {}

  [[nodiscard]] gguf_contents parse() && {
    read_magic();
    // The shortest entry: an empty key, a type and a byte. The shortest tensor: a name, one dimension, type and offset.
    auto const tensors = cursor_.count(8 + 4 + 8 + 4 + 8, "tensors");
    auto const entries = cursor_.count(8 + 4 + 1, "keys of metadata");
    for (std::size_t i = 0; i != entries; ++i) read_entry();
    read_alignment();
    for (std::size_t i = 0; i != tensors; ++i) read_tensor();
    place_tensors();
    return std::move(contents_);
  }

 private:
  [[noreturn]] void refuse(std::string const& reason) const { at_.refuse(reason); }

  void read_magic() {
    if (cursor_.left() < gguf_magic.size()) refuse("is no GGUF file: it has less than four bytes");
    auto const magic = cursor_.bytes(gguf_magic.size(), "the mark");
    if (!std::equal(magic.begin(), magic.end(), gguf_magic.begin(),
                    [](std::byte a, char b) { return std::to_integer<char>(a) == b; })) {
      refuse("is no GGUF file: it does not begin with the letters GGUF");
    }
    auto& version = contents_.version;
    version = cursor_.number<std::uint32_t>("the version");
    if ((version & 0xFFFFu) == 0 && version != 0) {
      refuse("is a GGUF file for machines of the other byte order, expected little-endian");
    }
    if (version != 2 && version != 3) {
      refuse("is of GGUF version " + std::to_string(version) + ", expected 2 or 3");
    }
  }

  [[nodiscard]] gguf_type read_type(std::string_view key) {
    auto const number = cursor_.number<std::uint32_t>(key);
    if (number >= gguf_types) {
      refuse("metadata " + data::in_quotes(key) + " has the type " + std::to_string(number) +
             ", which there is not");
    }
    return static_cast<gguf_type>(number);
  }

  void read_entry() {
    gguf_entry entry;
    entry.key = cursor_.text("a key of metadata");
    if (entry.key.empty()) refuse("is damaged: a key of its metadata is empty");
    if (entry.key.size() > gguf_longest_key) {
      refuse("is damaged: a key of its metadata has " + std::to_string(entry.key.size()) +
             " bytes, expected at most " + std::to_string(gguf_longest_key));
    }
    entry.type = read_type(entry.key);
    cursor_.mark();
    if (entry.type == gguf_type::array) {
      read_array(entry);
    } else {
      skip_values(entry, entry.type, 1);
    }
    entry.value = cursor_.since_mark();
    if (!contents_.entry_by_key.try_emplace(entry.key, contents_.metadata.size()).second) {
      refuse("is damaged: metadata " + data::in_quotes(entry.key) + " is there twice");
    }
    contents_.metadata.push_back(entry);
  }

  void read_array(gguf_entry& entry) {
    entry.element = read_type(entry.key);
    if (entry.element == gguf_type::array) {
      refuse("metadata " + data::in_quotes(entry.key) +
             " is an array of arrays, expected one of numbers or texts");
    }
    bool const texts = entry.element == gguf_type::text;
    entry.count = cursor_.count(texts ? 8 : value_bytes(entry.element),
                                "elements of metadata " + data::in_quotes(entry.key));
    skip_values(entry, entry.element, entry.count);
  }

  void skip_values(gguf_entry const& entry, gguf_type type, std::size_t count) {
    if (type == gguf_type::text) {
      for (std::size_t i = 0; i != count; ++i) cursor_.text(entry.key);
      return;
    }
    auto const values = cursor_.bytes(count * value_bytes(type), entry.key);
    if (type != gguf_type::boolean) return;
    for (std::byte const each : values) {
      if (std::to_integer<int>(each) > 1) {
        refuse("metadata " + data::in_quotes(entry.key) + " is a boolean of " +
               std::to_string(std::to_integer<int>(each)) + ", expected 0 or 1");
      }
    }
  }

  void read_alignment() {
    auto const found = contents_.entry_by_key.find("general.alignment");
    if (found == contents_.entry_by_key.end()) return;
    gguf_entry const& entry = contents_.metadata[found->second];
    if (entry.type != gguf_type::uint32) {
      refuse("metadata \"general.alignment\" is of type " + std::string(spelling(entry.type)) +
             ", expected uint32");
    }
    contents_.alignment = number_at<std::uint32_t>(entry.value.data());
    if (!std::has_single_bit(contents_.alignment)) {
      refuse("metadata \"general.alignment\" is " + std::to_string(contents_.alignment) +
             ", expected a power of two");
    }
  }

  void read_tensor() {
    tensor_entry tensor;
    std::string_view const name = cursor_.text("the name of a tensor");
    if (name.empty() || name.size() > gguf_longest_name) {
      refuse("is damaged: the name of tensor " + std::to_string(contents_.tensors.size()) +
             " has " + std::to_string(name.size()) + " bytes, expected 1 to " +
             std::to_string(gguf_longest_name));
    }
    tensor.name = name;
    std::string const what = "tensor " + data::in_quotes(name);
    auto const dimensions = cursor_.number<std::uint32_t>(what);
    if (dimensions == 0 || dimensions > gguf_most_dimensions) {
      refuse(what + " has " + std::to_string(dimensions) + " dimensions, expected 1 to " +
             std::to_string(gguf_most_dimensions));
    }
    for (std::uint32_t i = 0; i != dimensions; ++i) {
      auto const extent = cursor_.number<std::uint64_t>(what);
      if (extent == 0 || extent > PTRDIFF_MAX) {
        refuse(what + " has a dimension of " + std::to_string(extent));
      }
      tensor.shape.push_back(static_cast<std::size_t>(extent));
    }
    // The file begins with the dimension whose values are neighbours, which we and PyTorch write last.
    std::reverse(tensor.shape.begin(), tensor.shape.end());
    tensor.type = read_tensor_type(what);
    tensor.bytes = bytes_of_shape(at_, tensor);
    auto const offset = cursor_.number<std::uint64_t>(what);
    if (offset % contents_.alignment != 0) {
      refuse(what + " begins at " + std::to_string(offset) +
             " of the data, expected a multiple of the alignment " +
             std::to_string(contents_.alignment));
    }
    if (offset > size_) refuse_past_end(what, offset, tensor.bytes);
    tensor.offset = static_cast<std::size_t>(offset);
    if (!contents_.tensor_by_name.try_emplace(name, contents_.tensors.size()).second) {
      refuse("is damaged: " + what + " is there twice");
    }
    contents_.tensors.push_back(std::move(tensor));
  }

  [[nodiscard]] tensor_type read_tensor_type(std::string const& what) {
    auto const number = cursor_.number<std::uint32_t>(what);
    if (auto const type = tensor_type_of_gguf(number)) return *type;
    std::string read;
    for (auto const& each : gguf_tensor_types) read += " " + std::string(spelling(each.type));
    std::string found = "number " + std::to_string(number);
    for (auto const& each : gguf_foreign_types) {
      if (each.number == number) found = each.name;
    }
    refuse(what + " is of type " + found + ", which is not read here; expected one of" + read);
  }

  [[noreturn]] void refuse_past_end(std::string const& what, std::uint64_t begin,
                                    std::size_t bytes) const {
    refuse("is truncated or damaged: " + what + " takes " + std::to_string(bytes) +
           " bytes from byte " + std::to_string(begin) +
           " of the data on, which go past the end of the file");
  }

  // Offsets count from where the data begin: behind the last tensor's entry, aligned.
  void place_tensors() {
    if (contents_.tensors.empty()) return;
    std::size_t const padding =
        (contents_.alignment - cursor_.offset() % contents_.alignment) % contents_.alignment;
    cursor_.bytes(padding, "the space before the data");
    std::size_t const data = cursor_.offset();
    std::vector<tensor_entry const*> in_order;
    for (auto& each : contents_.tensors) {
      std::size_t const room = size_ - data;
      if (each.offset > room || each.bytes > room - each.offset) {
        refuse_past_end("tensor " + data::in_quotes(each.name), each.offset, each.bytes);
      }
      each.offset += data;
      in_order.push_back(&each);
    }
    std::sort(in_order.begin(), in_order.end(), [](auto const* a, auto const* b) {
      return a->offset != b->offset ? a->offset < b->offset : a < b;
    });
    for (std::size_t i = 1; i < in_order.size(); ++i) {
      if (in_order[i]->offset - in_order[i - 1]->offset < in_order[i - 1]->bytes) {
        refuse("is damaged: tensors " + data::in_quotes(in_order[i - 1]->name) + " and " +
               data::in_quotes(in_order[i]->name) + " overlap");
      }
    }
  }

  data::place const& at_;
  std::size_t size_;
  byte_cursor cursor_;
  gguf_contents contents_;
};

}  // namespace detail

}  // namespace prefer::inline v0_1::lm
