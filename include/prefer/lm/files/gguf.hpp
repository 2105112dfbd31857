// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/data/place.hpp>
#include <prefer/lm/files/byte_cursor.hpp>
#include <prefer/lm/files/gguf_contents.hpp>
#include <prefer/lm/files/gguf_type.hpp>
#include <prefer/lm/files/memory_map.hpp>
#include <prefer/lm/files/tensor_entry.hpp>
#include <prefer/text/number.hpp>

namespace prefer::inline v0_1::lm {

/// A GGUF file of version 2 or 3, every length, count, type, shape and offset of it checked. Its texts and tensors lie in
/// the mapped file and live as long as any copy of this object, or of `keeps()`.
///
///   gguf_file const file("model.gguf");
///   auto const tokens = file.texts("tokenizer.ggml.tokens");   // nothing where there is no such key
///   auto const bytes = file.bytes(*file.find("token_embd.weight"));
///
/// Errors  backend_error naming the file and what is wrong where: not a GGUF file, another version or byte order,
///         truncated, counts and lengths beyond the file, duplicate names, types that are not read, an alignment that is no
///         power of two, tensors that overlap or go past the end; a key whose value is of another type than asked for
/// Source  https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
class gguf_file {
 public:
  explicit gguf_file(std::string const& path) : at_{"gguf", path, 0} {
    auto const map = std::make_shared<memory_map const>(path);
    bytes_ = map->bytes();
    keeps_ = map;
    contents_ = detail::gguf_parser(bytes_, at_).parse();
  }
  /// From bytes that the caller keeps alive; `source` stands for the path in messages.
  gguf_file(std::span<std::byte const> bytes, std::string source)
      : at_{"gguf", std::move(source), 0}, bytes_(bytes) {
    contents_ = detail::gguf_parser(bytes_, at_).parse();
  }

  [[nodiscard]] data::place const& at() const& noexcept { return at_; }
  [[nodiscard]] std::shared_ptr<void const> keeps() const noexcept { return keeps_; }
  [[nodiscard]] std::uint32_t version() const noexcept { return contents_.version; }
  [[nodiscard]] std::size_t alignment() const noexcept { return contents_.alignment; }

  /// In the order of the file, as are the tensors.
  [[nodiscard]] std::vector<gguf_entry> const& metadata() const& noexcept {
    return contents_.metadata;
  }
  [[nodiscard]] std::vector<tensor_entry> const& tensors() const& noexcept {
    return contents_.tensors;
  }

  [[nodiscard]] tensor_entry const* find(std::string_view tensor) const& {
    auto const found = contents_.tensor_by_name.find(tensor);
    return found == contents_.tensor_by_name.end() ? nullptr : &contents_.tensors[found->second];
  }
  [[nodiscard]] std::span<std::byte const> bytes(tensor_entry const& tensor) const& {
    return bytes_.subspan(tensor.offset, tensor.bytes);
  }

  [[nodiscard]] gguf_entry const* find_key(std::string_view key) const& {
    auto const found = contents_.entry_by_key.find(key);
    return found == contents_.entry_by_key.end() ? nullptr : &contents_.metadata[found->second];
  }
  [[nodiscard]] bool has_key(std::string_view key) const { return find_key(key) != nullptr; }

  [[nodiscard]] std::optional<std::string_view> text(std::string_view key) const& {
    auto const* const entry = find_key(key);
    if (entry == nullptr) return std::nullopt;
    if (entry->type != gguf_type::text) refuse_type(*entry, "a text");
    return detail::byte_cursor(entry->value, at_).text(key);
  }
  [[nodiscard]] std::optional<bool> flag(std::string_view key) const {
    auto const* const entry = find_key(key);
    if (entry == nullptr) return std::nullopt;
    if (entry->type != gguf_type::boolean) refuse_type(*entry, "true or false");
    return entry->value[0] != std::byte{0};
  }
  /// A whole number that is not negative, of any width.
  [[nodiscard]] std::optional<std::uint64_t> whole_number(std::string_view key) const {
    auto const* const entry = find_key(key);
    if (entry == nullptr) return std::nullopt;
    auto const value = integer_at(entry->type, entry->value.data());
    if (!value) refuse_type(*entry, "a whole number");
    if (entry->type != gguf_type::uint64 && *value < 0) {
      at_.refuse("metadata " + data::in_quotes(key) + " is " + std::to_string(*value) +
                 ", expected a number that is not negative");
    }
    return static_cast<std::uint64_t>(*value);
  }
  /// A number of any type. A float32 is read as the decimal number that whoever wrote it most likely meant: the shortest
  /// one which rounds to it, 1e-05 and not 9.99999974737875e-06.
  [[nodiscard]] std::optional<double> number(std::string_view key) const {
    auto const* const entry = find_key(key);
    if (entry == nullptr) return std::nullopt;
    auto const value = number_at(entry->type, entry->value.data());
    if (!value) refuse_type(*entry, "a number");
    return value;
  }
  [[nodiscard]] std::optional<std::vector<std::string_view>> texts(std::string_view key) const& {
    auto const* const entry = find_array(key);
    if (entry == nullptr) return std::nullopt;
    if (entry->element != gguf_type::text) refuse_type(*entry, "an array of texts");
    std::vector<std::string_view> all;
    all.reserve(entry->count);
    detail::byte_cursor cursor(entry->value.subspan(detail::gguf_array_header), at_);
    while (all.size() != entry->count) all.push_back(cursor.text(key));
    return all;
  }
  [[nodiscard]] std::optional<std::vector<std::int64_t>> integers(std::string_view key) const {
    return elements<std::int64_t>(key, "an array of integers", integer_at);
  }
  [[nodiscard]] std::optional<std::vector<double>> numbers(std::string_view key) const {
    return elements<double>(key, "an array of numbers", number_at);
  }

  // What leads into the file is not had of a temporary, which ends with the statement.
  void at() const&& = delete;
  void metadata() const&& = delete;
  void tensors() const&& = delete;
  void find(std::string_view) const&& = delete;
  void bytes(tensor_entry const&) const&& = delete;
  void find_key(std::string_view) const&& = delete;
  void text(std::string_view) const&& = delete;
  void texts(std::string_view) const&& = delete;

 private:
  [[noreturn]] void refuse_type(gguf_entry const& entry, std::string const& expected) const {
    at_.refuse(
        "metadata " + data::in_quotes(entry.key) + " is of type " +
        std::string(spelling(entry.type)) +
        (entry.type == gguf_type::array ? " of " + std::string(spelling(entry.element)) : "") +
        ", expected " + expected);
  }

  [[nodiscard]] gguf_entry const* find_array(std::string_view key) const {
    auto const* const entry = find_key(key);
    if (entry != nullptr && entry->type != gguf_type::array) refuse_type(*entry, "an array");
    return entry;
  }
  template <class N, class At>
  std::optional<std::vector<N>> elements(std::string_view key, char const* expected,
                                         At const& element_at) const {
    auto const* const entry = find_array(key);
    if (entry == nullptr) return std::nullopt;
    std::vector<N> all;
    all.reserve(entry->count);
    std::byte const* from = entry->value.data() + detail::gguf_array_header;
    for (std::size_t i = 0; i != entry->count; ++i, from += value_bytes(entry->element)) {
      auto const value = element_at(entry->element, from);
      if (!value) refuse_type(*entry, expected);
      all.push_back(*value);
    }
    return all;
  }

  // Calls action(N{}) with the type of a plain value; nothing for texts and arrays.
  template <class Action>
  static auto with_type(gguf_type type, Action const& action) -> decltype(action(double{})) {
    switch (type) {
      case gguf_type::uint8:
        return action(std::uint8_t{});
      case gguf_type::int8:
        return action(std::int8_t{});
      case gguf_type::uint16:
        return action(std::uint16_t{});
      case gguf_type::int16:
        return action(std::int16_t{});
      case gguf_type::uint32:
        return action(std::uint32_t{});
      case gguf_type::int32:
        return action(std::int32_t{});
      case gguf_type::uint64:
        return action(std::uint64_t{});
      case gguf_type::int64:
        return action(std::int64_t{});
      case gguf_type::float32:
        return action(float{});
      case gguf_type::float64:
        return action(double{});
      default:
        return std::nullopt;
    }
  }
  // Of a uint64 the bits.
  static std::optional<std::int64_t> integer_at(gguf_type type, std::byte const* value) {
    return with_type(type, [&](auto n) -> std::optional<std::int64_t> {
      using number_type = decltype(n);
      if constexpr (std::floating_point<number_type>) {
        return std::nullopt;
      } else {
        return static_cast<std::int64_t>(detail::number_at<number_type>(value));
      }
    });
  }
  static std::optional<double> number_at(gguf_type type, std::byte const* value) {
    return with_type(type, [&](auto n) -> std::optional<double> {
      using number_type = decltype(n);
      auto const number = detail::number_at<number_type>(value);
      if constexpr (!std::is_same_v<number_type, float>) {
        return static_cast<double>(number);
      }
      std::string const decimal = text::shortest(static_cast<float>(number));
      double meant = static_cast<double>(number);
      std::from_chars(decimal.data(), decimal.data() + decimal.size(), meant);
      return meant;
    });
  }

  data::place at_;
  std::shared_ptr<void const> keeps_;
  std::span<std::byte const> bytes_;
  detail::gguf_contents contents_;
};

}  // namespace prefer::inline v0_1::lm
