// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <prefer/file/fingerprint.hpp>
#include <prefer/lm/files/large_memory.hpp>
#include <prefer/lm/files/model_tensors.hpp>
#include <prefer/lm/files/weight_matrix.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/scalar/half.hpp>

namespace prefer::inline v0_1::lm {

/// How weights are to be held: as numbers of the policy's type, rounded to bfloat16, or as the file holds them.
enum class weight_storage { values, bf16, as_stored };

/// A model on disk: a .gguf, a .safetensors beside its config.json, or a folder with config.json and one or several of them.
/// Names of tensors and the order of rows are Hugging Face's, whatever the file's are.
///
///   model_file const file("SmolLM2-135M-Instruct.gguf");
///   auto const output = file.matrix<float>("model.layers.0.mlp.up_proj.weight", weight_storage::values);
///
/// Every tensor that the configuration asks for is there and has its shape, and no other is, but for those that a reader
/// needs nothing of: an output matrix beside `tie_word_embeddings`, and tabulated rotations. A folder may hold a reward model, as
/// transformers saves a sequence classifier with one label: a head beside the tensors, and then no output matrix is asked for.
///
/// Errors  backend_error with the file, what was found and what was expected
class model_file {
 public:
  explicit model_file(std::filesystem::path const& path) : contents_(detail::read_model(path)) {
    auto const& config = contents_.config;
    if (config.layers > contents_.tensors.size()) {
      contents_.at.refuse("is said to have " + std::to_string(config.layers) + " layers and has " +
                          std::to_string(contents_.tensors.size()) + " tensors");
    }
    head_ = !contents_.gguf && contents_.tensors.count(std::string(detail::name_of_head)) != 0;
    // Nothing of the output layer is computed for a score.
    if (head_ && contents_.tensors.count("lm_head.weight") == 0)
      contents_.config.tied_output = true;
    expected_ = expected_tensors(config);
    for (std::size_t i = 0; i != expected_.size(); ++i) {
      by_name_.emplace(expected_[i].name, i);
      check_tensor(expected_[i]);
    }
    if (head_) check_tensor(head_of(config));
    check_strangers();
  }

  [[nodiscard]] llama_config const& config() const& noexcept { return contents_.config; }
  [[nodiscard]] llama_config config() && { return std::move(contents_.config); }
  /// Where it was read from, for messages about it.
  [[nodiscard]] data::place const& at() const& noexcept { return contents_.at; }

  /// What the file calls the model, or the folder's name.
  [[nodiscard]] std::string name() const {
    if (contents_.gguf) return std::string(contents_.gguf->text("general.name").value_or("model"));
    auto const folder = std::filesystem::absolute(contents_.folder).lexically_normal();
    return (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  }
  /// The metadata of a GGUF file, tokenizer among them; null for a folder.
  [[nodiscard]] gguf_file const* gguf() const& noexcept {
    return contents_.gguf ? &*contents_.gguf : nullptr;
  }
  /// A file that lies beside a folder's config.json, such as tokenizer.json; nothing where it does not, and for GGUF.
  [[nodiscard]] std::optional<std::filesystem::path> beside(std::string_view name) const {
    if (contents_.gguf) return std::nullopt;
    auto path = contents_.folder / name;
    if (!std::filesystem::exists(path)) return std::nullopt;
    return path;
  }

  /// Of every tensor that the configuration asks for, in the order of the forward pass.
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (auto const& each : expected_) all.push_back(each.name);
    return all;
  }
  [[nodiscard]] bool has(std::string_view name) const {
    return by_name_.count(std::string(name)) != 0;
  }
  [[nodiscard]] std::vector<std::size_t> const& shape(std::string_view name) const& {
    return require(name).shape;
  }
  [[nodiscard]] tensor_type type(std::string_view name) const { return stored(require(name)).type; }

  /// Whether it is a reward model, see prefer::scalar_head.
  [[nodiscard]] bool has_head() const noexcept { return head_; }
  /// The head of a reward model [width].
  template <std::floating_point T>
  [[nodiscard]] std::vector<T> head() const {
    expects(head_, "model_file::head: it is no reward model");
    std::vector<T> out(config().width);
    auto const& tensor = stored(head_of(config()));
    dequantise<T>(tensor.type, tensor.bytes, out);
    return out;
  }

  /// Threads share what has to be converted.
  template <std::floating_point T>
  [[nodiscard]] weight_matrix<T> matrix(std::string_view name, weight_storage storage,
                                        executor threads = {}) const {
    auto const& expected = require(name);
    auto const& tensor = stored(expected);
    if (expected.shape.size() != 2) {
      refuse("model_file::matrix: " + expected.name + " is no matrix");
    }
    auto const found = in_our_order<T>(expected, tensor);
    switch (storage) {
      case weight_storage::as_stored:
        return found;
      case weight_storage::values:
        return found.has_values() ? found : as_values(found, threads);
      case weight_storage::bf16:
        return found.type() == tensor_type::bf16 ? found : rounded_to_bf16(found, threads);
    }
    return found;
  }

  template <std::floating_point T>
  [[nodiscard]] std::vector<T> vector(std::string_view name) const {
    auto const& expected = require(name);
    auto const& tensor = stored(expected);
    if (expected.shape.size() != 1) {
      refuse("model_file::vector: " + expected.name + " is no vector");
    }
    std::vector<T> read(expected.shape.front());
    dequantise<T>(tensor.type, tensor.bytes, read);
    if (!interleaved(expected)) return read;
    std::vector<T> ours(read.size());
    for (std::size_t i = 0; i != ours.size(); ++i) {
      ours[i] = read[interleaved_row(i, config().head_size)];
    }
    return ours;
  }

  /// Stands for the model in whatever form its matrices are stored: for the shapes of all tensors and the numbers of its vectors,
  /// which no form rounds.
  [[nodiscard]] std::uint64_t identity_of_vectors() const {
    fingerprint out;
    for (auto const& each : expected_) {
      out.add(std::string_view(each.name));
      for (std::size_t const size : each.shape) out.add(static_cast<std::uint64_t>(size));
      if (each.shape.size() == 1) {
        for (float const number : vector<float>(each.name)) out.add(static_cast<double>(number));
      }
    }
    return out.value();
  }
  /// Fingerprint of the configuration and of every tensor, by name and bytes. Reads the whole file, once.
  [[nodiscard]] std::uint64_t identity() const {
    fingerprint sum;
    auto const& c = config();
    sum.add(c.architecture).add(c.heads).add(c.key_value_heads).add(c.head_size);
    sum.add(c.norm_epsilon).add(c.rope_theta).add(c.window).add(c.rope_scaling.has_value());
    if (c.rope_scaling) {
      sum.add(c.rope_scaling->factor).add(c.rope_scaling->low_frequency_factor);
      sum.add(c.rope_scaling->high_frequency_factor).add(c.rope_scaling->original_context);
    }
    auto const add = [&](expected_tensor const& expected) {
      auto const& tensor = stored(expected);
      sum.add(expected.name).add(tensor.type);
      auto const* const bytes = reinterpret_cast<unsigned char const*>(tensor.bytes.data());
      sum.add(std::span<unsigned char const>(bytes, tensor.bytes.size()));
    };
    for (auto const& expected : expected_) add(expected);
    if (head_) add(head_of(c));
    return sum.value();
  }

  // What leads into the file is not had of a temporary, which ends with the statement.
  void at() const&& = delete;
  void gguf() const&& = delete;
  void shape(std::string_view) const&& = delete;

 private:
  [[nodiscard]] static expected_tensor head_of(llama_config const& config) {
    return {.name = std::string(detail::name_of_head), .gguf = {}, .shape = {1, config.width}};
  }
  [[nodiscard]] std::string const& name_in_file(expected_tensor const& expected) const {
    return contents_.gguf ? expected.gguf : expected.name;
  }
  [[nodiscard]] bool interleaved(expected_tensor const& expected) const {
    return contents_.gguf && expected.rotated_heads != 0 && config().architecture == "llama";
  }

  [[nodiscard]] expected_tensor const& require(std::string_view name) const {
    auto const found = by_name_.find(std::string(name));
    if (found == by_name_.end()) {
      contents_.at.refuse("has no tensor " + data::in_quotes(name, 80));
    }
    return expected_[found->second];
  }
  [[nodiscard]] detail::stored_tensor const& stored(expected_tensor const& expected) const {
    return contents_.tensors.find(name_in_file(expected))->second;
  }

  void check_tensor(expected_tensor const& expected) const {
    std::string const what = "tensor " + data::in_quotes(name_in_file(expected), 80);
    auto const found = contents_.tensors.find(name_in_file(expected));
    if (found == contents_.tensors.end()) {
      contents_.at.refuse(what + " is missing; expected one of shape " +
                          shape_text(expected.shape));
    }
    if (found->second.shape != expected.shape) {
      contents_.at.refuse(what + " has the shape " + shape_text(found->second.shape) +
                          ", expected " + shape_text(expected.shape));
    }
  }

  // A tensor that is not computed with, such as a bias, would make another model of this one.
  void check_strangers() const {
    std::unordered_map<std::string_view, bool> known;
    for (auto const& each : expected_) known.emplace(name_in_file(each), true);
    for (auto const& [name, tensor] : contents_.tensors) {
      bool const tied_output = name == "lm_head.weight" && config().tied_output;
      std::string_view const rotations = "rotary_emb.inv_freq";
      bool const tabulated =
          name == "rope_freqs.weight" ||
          (name.size() > rotations.size() &&
           std::string_view(name).substr(name.size() - rotations.size()) == rotations);
      bool const head = head_ && name == detail::name_of_head;
      if (known.count(name) == 0 && !tied_output && !tabulated && !head) {
        contents_.at.refuse("tensor " + data::in_quotes(name, 80) + " of shape " +
                            shape_text(tensor.shape) + " is of no model of the architecture " +
                            config().architecture + " with this configuration");
      }
    }
  }

  template <std::floating_point T>
  [[nodiscard]] weight_matrix<T> in_our_order(expected_tensor const& expected,
                                              detail::stored_tensor const& tensor) const {
    std::size_t const rows = expected.shape[0];
    std::size_t const columns = expected.shape[1];
    if (!interleaved(expected)) {
      return {tensor.type, rows, columns, tensor.bytes, tensor.keeps};
    }
    std::size_t const size = row_bytes(tensor.type, columns);
    std::vector<std::byte> bytes(tensor.bytes.size());
    for (std::size_t row = 0; row != rows; ++row) {
      std::memcpy(bytes.data() + row * size,
                  tensor.bytes.data() + interleaved_row(row, config().head_size) * size, size);
    }
    return {tensor.type, rows, columns, std::move(bytes)};
  }

  template <std::floating_point T>
  [[nodiscard]] static weight_matrix<T> as_values(weight_matrix<T> const& from, executor threads) {
    std::size_t const columns = from.columns();
    return converted<T, T>(from, type_of_values<T>, threads,
                           [&](std::size_t first, std::size_t count, T* to) {
                             from.read_rows(first, count, to, columns);
                           });
  }

  template <std::floating_point T>
  [[nodiscard]] static weight_matrix<T> rounded_to_bf16(weight_matrix<T> const& from,
                                                        executor threads) {
    std::size_t const columns = from.columns();
    return converted<T, bfloat16>(from, tensor_type::bf16, threads,
                                  [&](std::size_t first, std::size_t count, bfloat16* to) {
                                    std::vector<T> row(columns);
                                    for (std::size_t r = 0; r != count; ++r) {
                                      from.read_rows(first + r, 1, row.data(), columns);
                                      for (std::size_t i = 0; i != columns; ++i)
                                        to[r * columns + i] = bfloat16(row[i]);
                                    }
                                  });
  }

  // The matrix in memory of its own, held as `type`: convert(first row, rows, to).
  template <std::floating_point T, class Number, class Convert>
  [[nodiscard]] static weight_matrix<T> converted(weight_matrix<T> const& from, tensor_type type,
                                                  executor threads, Convert const& convert) {
    constexpr std::size_t rows_of_block = 64;
    std::size_t const numbers = from.rows() * from.columns();
    auto const memory = std::make_shared<large_memory<Number>>();
    Number* const to = memory->reserve(numbers);
    threads.for_each_block(from.rows(), rows_of_block, [&](std::size_t begin, std::size_t end) {
      convert(begin, end - begin, to + begin * from.columns());
    });
    return {type, from.rows(), from.columns(), std::as_bytes(std::span<Number const>(to, numbers)),
            memory};
  }

  detail::model_contents contents_;
  std::vector<expected_tensor> expected_;
  std::unordered_map<std::string, std::size_t> by_name_;
  bool head_ = false;
};

}  // namespace prefer::inline v0_1::lm
