// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/lm/files/adapter.hpp>
#include <prefer/lm/files/dequantise.hpp>
#include <prefer/lm/files/gguf.hpp>
#include <prefer/lm/files/gguf_writer.hpp>
#include <prefer/lm/files/tensor_names.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

/// What GGUF calls a model of this configuration.
[[nodiscard]] inline std::string gguf_architecture(llama_config const& config) {
  return config.architecture == "mistral" ? "llama" : config.architecture;
}

/// Rows [rows, columns] between Hugging Face's order and GGUF's.
template <class T>
[[nodiscard]] std::vector<T> interleave_rows(std::vector<T> const& from, std::size_t columns,
                                             std::size_t head_size, bool to_gguf) {
  std::vector<T> to(from.size());
  for (std::size_t row = 0; row != from.size() / columns; ++row) {
    std::size_t const other = interleaved_row(row, head_size);
    auto const [source, target] = to_gguf ? std::pair(row, other) : std::pair(other, row);
    for (std::size_t i = 0; i != columns; ++i)
      to[target * columns + i] = from[source * columns + i];
  }
  return to;
}
template <class T>
[[nodiscard]] std::vector<T> transposed(std::vector<T> const& from, std::size_t rows) {
  std::size_t const columns = from.size() / rows;
  std::vector<T> to(from.size());
  for (std::size_t i = 0; i != rows; ++i) {
    for (std::size_t j = 0; j != columns; ++j) to[j * rows + i] = from[i * columns + j];
  }
  return to;
}

/// A weight that an adapter may change, by either name.
[[nodiscard]] inline std::vector<expected_tensor> adaptable_tensors(llama_config config) {
  config.tied_output = false;
  auto all = expected_tensors(config);
  std::erase_if(all, [](auto const& each) { return each.shape.size() != 2; });
  return all;
}

}  // namespace detail

/// Writes an adapter as a GGUF file that llama.cpp loads with --lora, beside a GGUF of its base, whose configuration this is.
///
/// There the sum is W + alpha / rank * B A with one alpha for all maps, so that alpha becomes the first map's scale times its
/// rank, rank stabilised or not, and what another map's scale differs by is multiplied into its B. Rows of B for queries and
/// keys are in the order of the base's; of the embedding A is transposed.
///
/// Errors  precondition_error for an adapter of an output matrix or of an embedding that are one in the base: there they
///         cannot differ, merge instead; backend_error where the file cannot be written
/// Source  llama.cpp, llama-adapter.cpp
template <std::floating_point T>
void write_gguf_adapter(std::string const& path, adapter<T> const& from,
                        llama_config const& config) {
  data::place const at{"write_gguf_adapter", path, 0};
  expect_fits(at, from, config);
  expects(!from.pairs.empty(), "write_gguf_adapter: the adapter changes nothing");
  expect_no_head(at, from);
  for (auto const& pair : from.pairs) {
    if (config.tied_output && (pair.is_embedding() || pair.module == "lm_head")) {
      refuse("write_gguf_adapter: the adapter changes " + data::in_quotes(pair.module) +
             ", and the model's output matrix is its embedding, which one adapter in GGUF cannot "
             "make two: merge instead");
    }
  }
  double scale = 0;  // per unit of B A, of the first map that changes anything
  std::size_t rank = 1;
  for (auto const& pair : from.pairs) {
    if (scale == 0 && pair.scale != 0) {
      scale = pair.scale;
      rank = pair.rank;
    }
  }
  // llama.cpp takes an alpha of 0 for none, and adds B A as it is: then B is 0 below.
  double const alpha = scale == 0 ? 1 : scale * static_cast<double>(rank);

  gguf_writer file(path);
  file.add("general.type", "adapter");
  file.add("general.architecture", detail::gguf_architecture(config));
  file.add("adapter.type", "lora");
  file.add("adapter.lora.alpha", static_cast<float>(alpha));
  if (from.base_identity) file.add("prefer.base_identity", *from.base_identity);
  if (from.base_vectors) file.add("prefer.base_vectors", *from.base_vectors);

  std::vector<std::vector<float>> matrices;
  for (auto const& each : detail::adaptable_tensors(config)) {
    for (auto const& pair : from.pairs) {
      if (pair.module + ".weight" != each.name) continue;
      double const there = alpha / static_cast<double>(pair.rank);
      std::vector<float> a(pair.a.begin(), pair.a.end());
      std::vector<float> b;
      for (T const value : pair.b) {
        bool const same = std::fabs(pair.scale - there) <= 1e-6 * std::fabs(there);
        b.push_back(static_cast<float>(same ? value : value * static_cast<T>(pair.scale / there)));
      }
      if (pair.is_embedding()) a = detail::transposed(a, pair.rank);
      if (each.rotated_heads != 0 && detail::gguf_architecture(config) == "llama") {
        b = detail::interleave_rows(b, pair.rank, config.head_size, true);
      }
      file.declare(
          each.gguf + ".lora_a", tensor_type::f32,
          pair.is_embedding() ? std::vector{pair.in, pair.rank} : std::vector{pair.rank, pair.in});
      file.declare(each.gguf + ".lora_b", tensor_type::f32, {pair.out, pair.rank});
      matrices.push_back(std::move(a));
      matrices.push_back(std::move(b));
    }
  }
  for (auto const& each : matrices) file.write(std::as_bytes(std::span(each)));
  file.commit();
}

/// Reads such a file for a base of this configuration.
///
/// Errors  backend_error: another kind of file or adapter, another architecture, matrices of another model, a number that
///         is not finite
template <std::floating_point T>
[[nodiscard]] adapter<T> read_gguf_adapter(std::string const& path, llama_config const& config) {
  gguf_file const file(path);
  auto const expect_text = [&](std::string_view key, std::string const& expected) {
    auto const found = file.text(key).value_or("");
    if (found != expected) {
      file.at().refuse("metadata " + data::in_quotes(key) + " is " + data::in_quotes(found) +
                       ", expected " + data::in_quotes(expected));
    }
  };
  expect_text("general.type", "adapter");
  expect_text("adapter.type", "lora");
  expect_text("general.architecture", detail::gguf_architecture(config));
  auto const alpha = file.number("adapter.lora.alpha");
  if (!alpha) file.at().refuse("metadata \"adapter.lora.alpha\" is missing; expected a number");

  std::vector<detail::adapter_matrix<T>> matrices;
  std::size_t read = 0;
  for (auto const& each : detail::adaptable_tensors(config)) {
    std::string const module = each.name.substr(0, each.name.size() - 7);  // ".weight"
    bool const embedding = module == "model.embed_tokens";
    for (bool const is_a : {true, false}) {
      auto const* const tensor = file.find(each.gguf + (is_a ? ".lora_a" : ".lora_b"));
      if (tensor == nullptr) continue;
      ++read;
      if (tensor->shape.size() != 2) {
        file.at().refuse("tensor " + data::in_quotes(tensor->name, 64) + " has the shape " +
                         shape_text(tensor->shape) + ", expected a matrix");
      }
      std::size_t rows = tensor->shape[0];
      std::size_t columns = tensor->shape[1];
      std::vector<T> values(rows * columns);
      dequantise<T>(tensor->type, file.bytes(*tensor), values);
      if (is_a && embedding) {
        values = detail::transposed(values, rows);
        std::swap(rows, columns);
      }
      if (!is_a && each.rotated_heads != 0 && detail::gguf_architecture(config) == "llama" &&
          rows == each.shape[0]) {
        values = detail::interleave_rows(values, columns, config.head_size, false);
      }
      matrices.push_back({module, is_a, rows, columns, std::move(values)});
    }
  }
  if (read != file.tensors().size()) {
    file.at().refuse("it is an adapter of another model: of its " +
                     std::to_string(file.tensors().size()) + " tensors " + std::to_string(read) +
                     " change this one");
  }
  adapter<T> result;
  result.pairs = detail::pair_up(file.at(), std::move(matrices));
  result.rank = result.pairs.front().rank;
  result.alpha = *alpha;
  for (auto& each : result.pairs) {
    each.scale = *alpha == 0 ? 1 : *alpha / static_cast<double>(each.rank);
  }
  result.base_identity = file.whole_number("prefer.base_identity");
  result.base_vectors = file.whole_number("prefer.base_vectors");
  expect_fits(file.at(), result, config);
  detail::expect_finite_pairs(file.at(), result.pairs);
  // Other layouts name maps by the last part of their names where each layer has them.
  std::map<std::string, std::size_t> layers;
  for (auto const& each : result.pairs) ++layers[each.module.substr(each.module.rfind('.') + 1)];
  for (auto const& [name, count] : layers) {
    bool const in_layers = name != "embed_tokens" && name != "lm_head";
    if (in_layers && count != config.layers) result.in_every_layer = false;
  }
  return result;
}

}  // namespace prefer::inline v0_1::lm
