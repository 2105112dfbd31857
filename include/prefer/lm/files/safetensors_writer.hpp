// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <prefer/expects.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/lm/files/declared_tensors.hpp>

namespace prefer::inline v0_1::lm {

/// Writes a safetensors file from front to back, which appears whole or not at all.
///
///   safetensors_writer file("adapter_model.safetensors");
///   file.declare("base_model.model.lm_head.lora_A.weight", tensor_type::f32, {16, 576});
///   file.write(std::as_bytes(std::span(a)));
///   file.commit();
///
/// Errors  precondition_error for a tensor that is there twice, blocks of GGUF, which the format has not, and bytes that are
///         more or less than was declared; backend_error with path and reason where the file cannot be written, and the
///         target keeps its old content
class safetensors_writer {
 public:
  explicit safetensors_writer(std::string path) : file_(std::move(path)) {}

  /// What the file says of itself.
  void add(std::string const& key, std::string value) {
    expects(!tensors_.begun(), "safetensors_writer: metadata were added behind a tensor's bytes");
    metadata_[key] = std::move(value);
  }

  void declare(std::string name, tensor_type type, std::vector<std::size_t> shape) {
    expects(block_values(type) == 1, "safetensors_writer: the format has no blocks of GGUF");
    expects(name != "__metadata__", "safetensors_writer: __metadata__ names no tensor");
    tensors_.declare(std::move(name), type, std::move(shape));
  }

  /// The next bytes of the tensor whose turn it is, in the order of the declarations.
  void write(std::span<std::byte const> bytes) {
    if (bytes.empty()) return;
    if (!tensors_.begun()) write_header();
    tensors_.count(bytes.size());
    file_.write(bytes.data(), bytes.size());
  }

  void commit() {
    tensors_.expect_all_written();
    if (!tensors_.begun()) write_header();
    file_.commit();
  }

 private:
  void write_header() {
    nlohmann::ordered_json::object_t header = {{"__metadata__", metadata_}};
    std::size_t offset = 0;
    for (tensor_entry const& each : tensors_.all()) {
      header.push_back({each.name,
                        {{"dtype", spelling(each.type)},
                         {"shape", each.shape},
                         {"data_offsets", {offset, offset + each.bytes}}}});
      offset += each.bytes;
    }
    std::string text = nlohmann::ordered_json(std::move(header)).dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');  // so that numbers lie where their type may
    auto const length = static_cast<std::uint64_t>(text.size());
    file_.write(&length, sizeof length);
    file_.write(text);
    tensors_.begin();
  }

  atomic_file file_;
  detail::declared_tensors tensors_{"safetensors_writer"};
  std::map<std::string, std::string> metadata_ = {
      {"format", "pt"}};  // loaders of PyTorch ask for it
};

}  // namespace prefer::inline v0_1::lm
