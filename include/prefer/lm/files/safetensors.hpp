// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <prefer/data/place.hpp>
#include <prefer/lm/files/byte_cursor.hpp>
#include <prefer/lm/files/json_file.hpp>
#include <prefer/lm/files/memory_map.hpp>
#include <prefer/lm/files/tensor_entry.hpp>

namespace prefer::inline v0_1::lm {

/// A safetensors file, every length, type, shape and offset of it checked. Its tensors lie in the mapped file and live as
/// long as any copy of this object, or of `keeps()`.
///
/// Errors  backend_error naming the file and what is wrong where: truncated, a header that is no such object of JSON,
///         types other than F64, F32, F16 and BF16, sizes that contradict shapes, data that overlap, have holes or go past
///         the end
/// Source  https://github.com/huggingface/safetensors: the format
class safetensors_file {
 public:
  explicit safetensors_file(std::string const& path) : at_{"safetensors", path, 0} {
    auto const map = std::make_shared<memory_map const>(path);
    bytes_ = map->bytes();
    keeps_ = map;
    parse();
  }
  /// From bytes that the caller keeps alive; `source` stands for the path in messages.
  safetensors_file(std::span<std::byte const> bytes, std::string source)
      : at_{"safetensors", std::move(source), 0}, bytes_(bytes) {
    parse();
  }

  [[nodiscard]] data::place const& at() const& noexcept { return at_; }
  [[nodiscard]] std::shared_ptr<void const> keeps() const noexcept { return keeps_; }

  /// In the order of their data.
  [[nodiscard]] std::vector<tensor_entry> const& tensors() const& noexcept { return tensors_; }
  /// What the file says of itself, texts by name.
  [[nodiscard]] std::map<std::string, std::string> const& metadata() const& noexcept {
    return metadata_;
  }

  [[nodiscard]] tensor_entry const* find(std::string const& tensor) const& {
    auto const found = by_name_.find(tensor);
    return found == by_name_.end() ? nullptr : &tensors_[found->second];
  }
  [[nodiscard]] std::span<std::byte const> bytes(tensor_entry const& tensor) const& {
    return bytes_.subspan(tensor.offset, tensor.bytes);
  }

  // What leads into the file is not had of a temporary, which ends with the statement.
  void at() const&& = delete;
  void tensors() const&& = delete;
  void metadata() const&& = delete;
  void find(std::string const&) const&& = delete;
  void bytes(tensor_entry const&) const&& = delete;

 private:
  // As the format's own reader has it.
  static constexpr std::uint64_t longest_header = 100'000'000;

  void parse() {
    detail::byte_cursor cursor(bytes_, at_);
    auto const length = cursor.number<std::uint64_t>("the length of the header");
    if (length > longest_header) {
      at_.refuse("is no safetensors file: its header would have " + std::to_string(length) +
                 " bytes, expected at most " + std::to_string(longest_header));
    }
    auto const text = cursor.bytes(length, "the header");
    data::place at = at_;
    at.reader += ": the header";
    auto const header = detail::parse_json_object(
        std::string_view(reinterpret_cast<char const*>(text.data()), text.size()), at);
    for (auto const& [name, value] : header.items()) {
      if (name == "__metadata__") {
        read_metadata(value);
      } else {
        read_tensor(name, value);
      }
    }
    place_tensors(cursor.offset());
  }

  void read_metadata(nlohmann::json const& value) {
    bool texts = value.is_object();
    if (texts) {
      for (auto const& [name, text] : value.items()) {
        texts = texts && text.is_string();
        if (texts) metadata_.emplace(name, text.get<std::string>());
      }
    }
    if (!texts) at_.refuse("\"__metadata__\": expected an object of texts");
  }

  void read_tensor(std::string const& name, nlohmann::json const& value) {
    std::string const what = "tensor " + data::in_quotes(name);
    if (name.empty()) at_.refuse("is damaged: the name of a tensor is empty");
    tensor_entry tensor;
    tensor.name = name;
    tensor.type = read_type(what, member(what, value, "dtype"));
    for (std::uint64_t const each : numbers(what, value, "shape")) {
      tensor.shape.push_back(static_cast<std::size_t>(each));
    }
    tensor.bytes = detail::bytes_of_shape(at_, tensor);
    auto const offsets = numbers(what, value, "data_offsets");
    if (offsets.size() != 2 || offsets[1] < offsets[0]) {
      at_.refuse(what + ": \"data_offsets\": expected two numbers, the second not the smaller");
    }
    if (offsets[1] - offsets[0] != tensor.bytes) {
      at_.refuse(what + " of type " + std::string(spelling(tensor.type)) + " and shape " +
                 shape_text(tensor.shape) + " has " + std::to_string(offsets[1] - offsets[0]) +
                 " bytes, expected " + std::to_string(tensor.bytes));
    }
    if (offsets[0] > bytes_.size()) refuse_past_end(tensor, offsets[0]);
    tensor.offset = static_cast<std::size_t>(offsets[0]);
    tensors_.push_back(std::move(tensor));
  }

  [[nodiscard]] nlohmann::json const& member(std::string const& what, nlohmann::json const& value,
                                             char const* name) const {
    if (!value.is_object() || !value.contains(name)) {
      at_.refuse(what + ": expected an object with dtype, shape and data_offsets");
    }
    return value.at(name);
  }

  [[nodiscard]] tensor_type read_type(std::string const& what, nlohmann::json const& dtype) const {
    for (auto const type :
         {tensor_type::f64, tensor_type::f32, tensor_type::f16, tensor_type::bf16}) {
      if (dtype.is_string() && dtype.get_ref<std::string const&>() == spelling(type)) return type;
    }
    at_.refuse(what + " is of type " +
               (dtype.is_string() ? data::in_quotes(dtype.get_ref<std::string const&>()) : "?") +
               ", which is not read here; expected F64, F32, F16 or BF16");
  }

  [[nodiscard]] std::vector<std::uint64_t> numbers(std::string const& what,
                                                   nlohmann::json const& value,
                                                   char const* name) const {
    nlohmann::json const& list = member(what, value, name);
    std::vector<std::uint64_t> all;
    bool whole = list.is_array();
    if (whole) {
      for (nlohmann::json const& each : list) {
        whole = whole && each.is_number_unsigned();
        if (whole) all.push_back(each.get<std::uint64_t>());
      }
    }
    if (!whole) {
      at_.refuse(what + ": " + data::in_quotes(name) +
                 ": expected a list of whole numbers, none negative");
    }
    return all;
  }

  [[noreturn]] void refuse_past_end(tensor_entry const& tensor, std::uint64_t begin) const {
    at_.refuse("is truncated or damaged: tensor " + data::in_quotes(tensor.name) + " takes " +
               std::to_string(tensor.bytes) + " bytes from byte " + std::to_string(begin) +
               " of the data on, which go past the end of the file");
  }

  // The data begin behind the header, and every byte of them is of one tensor.
  void place_tensors(std::size_t data) {
    std::stable_sort(tensors_.begin(), tensors_.end(), [](auto const& a, auto const& b) {
      return a.offset != b.offset ? a.offset < b.offset : a.bytes < b.bytes;
    });
    std::size_t const room = bytes_.size() - data;
    std::size_t next = 0;
    for (auto& tensor : tensors_) {
      if (tensor.offset > room || tensor.bytes > room - tensor.offset) {
        refuse_past_end(tensor, tensor.offset);
      }
      if (tensor.offset != next) {
        at_.refuse("is damaged: tensor " + prefer::data::in_quotes(tensor.name) +
                   " begins at byte " + std::to_string(tensor.offset) + " of the data, expected " +
                   std::to_string(next) + ", where the one before it ends");
      }
      next = tensor.offset + tensor.bytes;
      tensor.offset += data;
      by_name_.emplace(tensor.name, static_cast<std::size_t>(&tensor - tensors_.data()));
    }
    if (next != room) {
      at_.refuse("is damaged: its tensors end at byte " + std::to_string(next) +
                 " of the data, which have " + std::to_string(room));
    }
  }

  data::place at_;
  std::shared_ptr<void const> keeps_;
  std::span<std::byte const> bytes_;
  std::map<std::string, std::string> metadata_;
  std::vector<tensor_entry> tensors_;
  std::unordered_map<std::string, std::size_t> by_name_;
};

}  // namespace prefer::inline v0_1::lm
