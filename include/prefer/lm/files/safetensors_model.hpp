// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <prefer/file/atomic_file.hpp>
#include <prefer/lm/files/json_file.hpp>
#include <prefer/lm/files/model_output.hpp>
#include <prefer/lm/files/safetensors_writer.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

/// A config.json that transformers reads, version 4 (rope_theta, rope_scaling) and 5 (rope_parameters).
[[nodiscard]] inline json config_to_json(llama_config const& config, tensor_type type) {
  std::map<std::string, std::string> const classes = {{"llama", "LlamaForCausalLM"},
                                                      {"mistral", "MistralForCausalLM"},
                                                      {"qwen2", "Qwen2ForCausalLM"},
                                                      {"qwen3", "Qwen3ForCausalLM"}};
  std::map<tensor_type, std::string> const types = {{tensor_type::f64, "float64"},
                                                    {tensor_type::f32, "float32"},
                                                    {tensor_type::f16, "float16"},
                                                    {tensor_type::bf16, "bfloat16"}};
  json rope = {{"rope_type", "default"}};
  if (config.rope_scaling) {
    rope = {{"rope_type", "llama3"},
            {"factor", config.rope_scaling->factor},
            {"low_freq_factor", config.rope_scaling->low_frequency_factor},
            {"high_freq_factor", config.rope_scaling->high_frequency_factor},
            {"original_max_position_embeddings",
             static_cast<std::size_t>(config.rope_scaling->original_context)}};
  }
  // GGUF knows Mistral's models as Llama's, which have no window.
  bool const mistral = config.architecture == "llama" && config.window != 0;
  std::string const architecture = mistral ? "mistral" : config.architecture;
  json written = {{"architectures", {classes.at(architecture)}},
                  {"model_type", architecture},
                  {"attention_bias", false},
                  {"hidden_act", "silu"},
                  {"vocab_size", config.vocabulary},
                  {"hidden_size", config.width},
                  {"num_hidden_layers", config.layers},
                  {"num_attention_heads", config.heads},
                  {"num_key_value_heads", config.key_value_heads},
                  {"head_dim", config.head_size},
                  {"intermediate_size", config.feed_forward},
                  {"max_position_embeddings", config.context},
                  {"rms_norm_eps", config.norm_epsilon},
                  {"rope_theta", config.rope_theta},
                  {"tie_word_embeddings", config.tied_output},
                  {"dtype", types.at(type)},
                  {"torch_dtype", types.at(type)}};
  written["rope_scaling"] = config.rope_scaling ? rope : json(nullptr);
  rope["rope_theta"] = config.rope_theta;
  written["rope_parameters"] = rope;
  if (architecture == "qwen2" || architecture == "qwen3") {
    written["use_sliding_window"] = config.window != 0;
    written["max_window_layers"] = config.window != 0 ? 0 : config.layers;
  }
  written["sliding_window"] = config.window != 0 ? json(config.window) : json(nullptr);
  return written;
}

/// The same of a reward model.
inline void make_classifier(json& config) {
  std::string name = config["architectures"][0];
  std::string const writes = "ForCausalLM";
  name.replace(name.find(writes), writes.size(), "ForSequenceClassification");
  config["architectures"] = {name};
  config["id2label"] = {{"0", "LABEL_0"}};
  config["label2id"] = {{"LABEL_0", 0}};
}

inline void write_text(std::filesystem::path const& path, std::string const& text) {
  atomic_file file(path.string());
  file.write(text);
  file.commit();
}

/// First tensor of every shard, and one past the last tensor.
[[nodiscard]] inline std::vector<std::size_t> shard_ends(std::vector<std::size_t> const& sizes,
                                                         std::size_t most) {
  std::vector<std::size_t> begins = {0};
  std::size_t bytes = 0;
  for (std::size_t i = 0; i != sizes.size(); ++i) {
    if (bytes != 0 && sizes[i] > most - std::min(most, bytes)) {
      begins.push_back(i);
      bytes = 0;
    }
    bytes += sizes[i];
  }
  begins.push_back(sizes.size());
  return begins;
}

}  // namespace detail

/// Writes a model as a folder with config.json and model.safetensors, or, where the tensors take more than `shard_bytes`,
/// several files with model.safetensors.index.json: `base` with `changes`. The folder is made where it is not there. The
/// configuration is written last, with `more` set in it, so that one is never beside weights that are not whole; a
/// tokenizer's files are for others to write.
///
/// Errors  backend_error with path and reason where a file cannot be written
template <WeightChanges Changes>
written_model write_safetensors_model(std::filesystem::path const& folder, model_file const& base,
                                      Changes const& changes, model_output const& output,
                                      json const& more = json::object(),
                                      std::size_t shard_bytes = 5'000'000'000) {
  namespace d = detail;
  auto const plan = d::plan_output(base, changes, output.matrices, false);
  std::filesystem::create_directories(folder);
  written_model written{0, 0, plan.not_in_blocks, {}};
  std::vector<std::size_t> sizes;
  for (auto const& each : plan.tensors) {
    sizes.push_back(d::bytes_of_plan(each));
  }
  std::size_t const head = sizes.size();  // behind them
  if (!output.head.empty()) sizes.push_back(output.head.size_bytes());
  auto const begins = d::shard_ends(sizes, shard_bytes);
  std::size_t const shards = begins.size() - 1;
  json map = json::object();
  for (std::size_t shard = 0; shard != shards; ++shard) {
    char name[64] = "model.safetensors";
    if (shards > 1) {
      std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", shard + 1, shards);
    }
    safetensors_writer file((folder / name).string());
    for (std::size_t i = begins[shard]; i != begins[shard + 1]; ++i) {
      if (i == head) {
        file.declare(std::string(d::name_of_head), tensor_type::f32, {1, output.head.size()});
        map[std::string(d::name_of_head)] = name;
        continue;
      }
      file.declare(plan.tensors[i].expected.name, plan.tensors[i].type,
                   plan.tensors[i].expected.shape);
      map[plan.tensors[i].expected.name] = name;
    }
    for (std::size_t i = begins[shard]; i != begins[shard + 1]; ++i) {
      auto const bytes = i == head ? std::vector<std::byte>()
                                   : d::bytes_of(plan.tensors[i], base, changes, false, output);
      file.write(i == head ? std::as_bytes(output.head) : std::span<std::byte const>(bytes));
      ++written.tensors;
      written.bytes += sizes[i];
    }
    file.commit();
    written.files.push_back((folder / name).string());
  }
  if (shards > 1) {
    json index = {{"metadata", {{"total_size", written.bytes}}}, {"weight_map", map}};
    d::write_text(folder / "model.safetensors.index.json", index.dump(2) + "\n");
    written.files.push_back((folder / "model.safetensors.index.json").string());
  }
  // Of an earlier model, which readers would take for this one.
  std::filesystem::remove(folder /
                          (shards > 1 ? "model.safetensors" : "model.safetensors.index.json"));
  json config = d::config_to_json(plan.config, plan.tensors.front().type);
  if (!output.head.empty()) d::make_classifier(config);
  for (auto const& [name, value] : more.items()) config[name] = value;
  d::write_text(folder / "config.json", config.dump(2) + "\n");
  written.files.push_back((folder / "config.json").string());
  return written;
}

}  // namespace prefer::inline v0_1::lm
