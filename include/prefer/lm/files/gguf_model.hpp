// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/lm/files/gguf_adapter.hpp>
#include <prefer/lm/files/gguf_writer.hpp>
#include <prefer/lm/files/model_output.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

/// llama.cpp's number for files whose matrices are mostly of a type.
[[nodiscard]] constexpr std::uint32_t gguf_file_type(tensor_type type) noexcept {
  switch (type) {
    case tensor_type::f16:
      return 1;
    case tensor_type::q4_0:
      return 2;
    case tensor_type::q4_1:
      return 3;
    case tensor_type::q8_0:
      return 7;
    case tensor_type::q4_k:
      return 15;
    case tensor_type::q6_k:
      return 18;
    case tensor_type::bf16:
      return 32;
    default:
      return 0;
  }
}

inline void add_config(gguf_writer& file, llama_config const& config) {
  auto const architecture = gguf_architecture(config);
  std::string const of = architecture + ".";
  auto const number = [](std::size_t n) { return static_cast<std::uint32_t>(n); };
  file.add(of + "block_count", number(config.layers));
  file.add(of + "context_length", number(config.context));
  file.add(of + "embedding_length", number(config.width));
  file.add(of + "feed_forward_length", number(config.feed_forward));
  file.add(of + "attention.head_count", number(config.heads));
  file.add(of + "attention.head_count_kv", number(config.key_value_heads));
  file.add(of + "attention.key_length", number(config.head_size));
  file.add(of + "attention.value_length", number(config.head_size));
  file.add(of + "attention.layer_norm_rms_epsilon", static_cast<float>(config.norm_epsilon));
  if (config.window != 0) file.add(of + "attention.sliding_window", number(config.window));
  file.add(of + "rope.dimension_count", number(config.head_size));
  file.add(of + "rope.freq_base", static_cast<float>(config.rope_theta));
  if (config.rope_scaling) {
    file.add(of + "rope.scaling.original_context_length",
             number(static_cast<std::size_t>(config.rope_scaling->original_context)));
  }
  file.add(of + "vocab_size", number(config.vocabulary));
}

/// Divisors of the frequencies, GGUF's form of Llama 3's scaling.
[[nodiscard]] inline std::vector<float> rope_divisors(llama_config config) {
  auto const scaling = config.rope_scaling;
  config.rope_scaling.reset();
  std::vector<float> all;
  for (double const each : rope_frequencies(config)) {
    all.push_back(static_cast<float>(scaling->divisor(each)));
  }
  return all;
}

}  // namespace detail

/// Writes a model as one GGUF file: `base` with `changes`. Metadata are those of the base where that is GGUF too, tokenizer
/// among them; of a folder they are made from its configuration, and add_tokenizer(file) adds the tokenizer's.
///
/// Errors  backend_error with path and reason where the file cannot be written, and the target keeps its old content
template <WeightChanges Changes, class AddTokenizer>
written_model write_gguf_model(std::string const& path, model_file const& base,
                               Changes const& changes, model_output const& output,
                               AddTokenizer const& add_tokenizer) {
  namespace d = detail;
  expects(output.head.empty(), "write_gguf_model: GGUF has no place for a head");
  auto const plan = d::plan_output(base, changes, output.matrices, true);
  gguf_writer file(path);
  // The embedding's type stands for all.
  tensor_type type = plan.tensors.front().type;
  bool blocks = false;
  for (auto const& each : plan.tensors) {
    if (each.expected.gguf == "blk.0.ffn_up.weight") type = each.type;
    blocks = blocks || block_values(each.type) != 1;
  }
  if (auto const* const from = base.gguf()) {
    for (gguf_entry const& each : from->metadata()) {
      if (each.key == "general.file_type" || each.key == "general.quantization_version") continue;
      file.add(each);
    }
  } else {
    file.add("general.architecture", d::gguf_architecture(plan.config));
    file.add("general.type", "model");
    file.add("general.name", base.name());
    d::add_config(file, plan.config);
    add_tokenizer(file);
  }
  file.add("general.file_type", d::gguf_file_type(type));
  if (blocks) file.add("general.quantization_version", std::uint32_t{2});

  for (auto const& each : plan.tensors) {
    file.declare(each.expected.gguf, each.type, each.expected.shape);
  }
  if (plan.config.rope_scaling) {
    file.declare("rope_freqs.weight", tensor_type::f32, {plan.config.head_size / 2});
  }
  written_model written{0, 0, plan.not_in_blocks, {path}};
  auto const write = [&](std::span<std::byte const> bytes) {
    file.write(bytes);
    ++written.tensors;
    written.bytes += bytes.size();
  };
  bool const interleaved = d::gguf_architecture(plan.config) == "llama";
  for (auto const& each : plan.tensors) {
    write(d::bytes_of(each, base, changes, interleaved, output));
  }
  if (plan.config.rope_scaling) {
    auto const divisors = d::rope_divisors(plan.config);
    write(std::as_bytes(std::span(divisors)));
  }
  file.commit();
  return written;
}

}  // namespace prefer::inline v0_1::lm
