// SPDX-License-Identifier: MIT
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/lm/files/declared_tensors.hpp>
#include <prefer/lm/files/gguf_contents.hpp>

namespace prefer::inline v0_1::lm {

/// Writes a GGUF file of version 3 from front to back, which appears whole or not at all. What llama.cpp demands of one
/// holds: every tensor begins at the padded running sum of those before it, names have less than 64 bytes, tensors at most
/// four dimensions, the alignment is a power of two.
///
///   gguf_writer file("tuned.gguf");
///   file.add("general.architecture", "llama");
///   file.declare("token_embd.weight", tensor_type::f32, {49152, 576});
///   file.write(std::as_bytes(std::span(embedding)));
///   file.commit();
///
/// Errors  precondition_error for a key or a tensor that is there twice, names and shapes that the format has not, and bytes
///         that are more or less than was declared; backend_error with path and reason where the file cannot be written,
///         and the target keeps its old content
class gguf_writer {
 public:
  explicit gguf_writer(std::string path) : file_(std::move(path)) {}

  void add(std::string_view key, std::string_view value) {
    begin_entry(key, gguf_type::text);
    append_text(value);
  }
  void add(std::string_view key, char const* value) { add(key, std::string_view(value)); }
  void add(std::string_view key, bool value) {
    begin_entry(key, gguf_type::boolean);
    append(static_cast<std::uint8_t>(value ? 1 : 0));
  }
  void add(std::string_view key, std::uint32_t value) {
    if (key == "general.alignment") set_alignment(value);
    begin_entry(key, gguf_type::uint32);
    append(value);
  }
  void add(std::string_view key, std::uint64_t value) {
    begin_entry(key, gguf_type::uint64);
    append(value);
  }
  void add(std::string_view key, float value) {
    begin_entry(key, gguf_type::float32);
    append(value);
  }
  void add(std::string_view key, std::vector<std::string> const& values) {
    begin_array(key, gguf_type::text, values.size());
    for (auto const& each : values) append_text(each);
  }
  void add(std::string_view key, std::vector<std::int32_t> const& values) {
    begin_array(key, gguf_type::int32, values.size());
    for (auto const each : values) append(each);
  }
  /// An entry of another file, as it stands there.
  void add(gguf_entry const& entry) {
    if (entry.key == "general.alignment") {
      set_alignment(detail::number_at<std::uint32_t>(entry.value.data()));
    }
    begin_entry(entry.key, entry.type);
    metadata_.insert(metadata_.end(), entry.value.begin(), entry.value.end());
  }

  void declare(std::string name, tensor_type type, std::vector<std::size_t> shape) {
    if (name.size() >= detail::gguf_longest_name) {
      refuse("gguf_writer: tensor " + data::in_quotes(name, 100) + " has a name of " +
             std::to_string(name.size()) + " bytes, expected less than 64");
    }
    if (shape.empty() || shape.size() > detail::gguf_most_dimensions) {
      refuse("gguf_writer: tensor " + data::in_quotes(name, 100) + " has the shape " +
             shape_text(shape) + ", expected one to four dimensions");
    }
    tensors_.declare(std::move(name), type, std::move(shape));
  }

  /// The next bytes of the tensor whose turn it is, in the order of the declarations.
  void write(std::span<std::byte const> bytes) {
    if (bytes.empty()) return;
    if (!tensors_.begun()) write_header();
    bool const last = tensors_.count(bytes.size());
    file_.write(bytes.data(), bytes.size());
    written_ += bytes.size();
    if (last) pad();
  }

  void commit() {
    tensors_.expect_all_written();
    if (!tensors_.begun()) write_header();
    file_.commit();
  }

 private:
  [[nodiscard]] std::size_t padded(std::size_t bytes) const noexcept {
    return (bytes + alignment_ - 1) / alignment_ * alignment_;
  }

  void set_alignment(std::uint32_t value) {
    expects(std::has_single_bit(value), "gguf_writer: general.alignment is no power of two");
    alignment_ = value;
  }

  void begin_entry(std::string_view key, gguf_type type) {
    expects(!tensors_.begun(), "gguf_writer: metadata were added behind a tensor's bytes");
    if (key.empty() || key.size() > detail::gguf_longest_key ||
        !keys_.insert(std::string(key)).second) {
      refuse("gguf_writer: metadata " + data::in_quotes(key) + ", expected a key of its own");
    }
    append_text(key);
    append(static_cast<std::uint32_t>(type));
  }
  void begin_array(std::string_view key, gguf_type element, std::size_t count) {
    begin_entry(key, gguf_type::array);
    append(static_cast<std::uint32_t>(element));
    append(static_cast<std::uint64_t>(count));
  }

  template <class N>
  void append(N number) {
    static_assert(std::is_arithmetic_v<N>);
    std::byte bytes[sizeof(N)];
    std::memcpy(bytes, &number, sizeof number);
    metadata_.insert(metadata_.end(), bytes, bytes + sizeof number);
  }
  void append_text(std::string_view text) {
    append(static_cast<std::uint64_t>(text.size()));
    auto const* const bytes = reinterpret_cast<std::byte const*>(text.data());
    metadata_.insert(metadata_.end(), bytes, bytes + text.size());
  }

  void write_header() {
    std::vector<std::byte> const entries = std::exchange(metadata_, {});
    auto const* const magic = reinterpret_cast<std::byte const*>(detail::gguf_magic.data());
    metadata_.assign(magic, magic + detail::gguf_magic.size());
    append(std::uint32_t{3});
    append(static_cast<std::uint64_t>(tensors_.all().size()));
    append(static_cast<std::uint64_t>(keys_.size()));
    metadata_.insert(metadata_.end(), entries.begin(), entries.end());
    std::size_t offset = 0;
    for (tensor_entry const& each : tensors_.all()) {
      append_text(each.name);
      append(static_cast<std::uint32_t>(each.shape.size()));
      for (std::size_t i = each.shape.size(); i != 0; --i) {
        append(static_cast<std::uint64_t>(each.shape[i - 1]));
      }
      append(detail::gguf_number_of(each.type));
      append(static_cast<std::uint64_t>(offset));
      offset += padded(each.bytes);
    }
    file_.write(metadata_.data(), metadata_.size());
    written_ = metadata_.size();
    if (!tensors_.all().empty()) pad();
    tensors_.begin();
  }

  void pad() {
    std::vector<std::byte> const zeros(padded(written_) - written_);
    file_.write(zeros.data(), zeros.size());
    written_ += zeros.size();
  }

  atomic_file file_;
  detail::declared_tensors tensors_{"gguf_writer"};
  std::vector<std::byte> metadata_;
  std::unordered_set<std::string> keys_;
  std::size_t alignment_ = detail::gguf_default_alignment;
  std::size_t written_ = 0;
};

}  // namespace prefer::inline v0_1::lm
