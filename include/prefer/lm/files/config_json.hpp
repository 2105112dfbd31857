// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <prefer/lm/files/json_file.hpp>
#include <prefer/lm/files/llama_config.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

/// A field must be missing, null, or this.
inline void expect_flag(json_row const& row, std::string_view name, bool only, char const* reason) {
  if (flag(row, name, only) == only) return;
  data::refuse_field(row, name, std::string("found ") + (only ? "false" : "true") + ": " + reason);
}

inline void read_rope_scaling(json_row const& rope, std::string_view field, llama_config& config) {
  auto type = data::optional_text(rope, "rope_type");
  if (!type) type = data::optional_text(rope, "type");
  if (!type || *type == "default") return;
  if (*type != "llama3") {
    data::refuse_field(rope, "rope_type",
                       "found " + data::in_quotes(*type) + " in " + data::in_quotes(field) +
                           "; expected default or llama3");
  }
  config.rope_scaling =
      llama3_rope{.factor = data::number(rope, "factor"),
                  .low_frequency_factor = data::number(rope, "low_freq_factor"),
                  .high_frequency_factor = data::number(rope, "high_freq_factor"),
                  .original_context = data::number(rope, "original_max_position_embeddings")};
}

/// Whole heads are rotated.
inline void expect_whole_heads(json_row const& row) {
  if (data::optional_number(row, "partial_rotary_factor").value_or(1) != 1) {
    data::refuse_field(row, "partial_rotary_factor", "expected 1: whole heads are rotated");
  }
}

/// Both forms: "rope_parameters" with everything in it, as transformers writes it from version 5 on; "rope_theta" beside
/// "rope_scaling" before. transformers reads one as it does the other.
inline void read_rope(json_row const& row, llama_config& config) {
  auto const theta = data::optional_number(row, "rope_theta");
  config.rope_theta = theta.value_or(config.rope_theta);
  std::optional<llama_config> before;
  for (std::string_view const name : {"rope_scaling", "rope_parameters"}) {
    auto const* const value = data::find_field(row, name);
    if (value == nullptr) continue;
    if (!value->is_object()) {
      data::refuse_field(row, name,
                         "found " + data::detail::kind_of(*value) + "; expected an object");
    }
    json_row const rope{row.at, *value};
    for (auto const& [kind, parameters] : value->items()) {
      if (!parameters.is_object()) continue;
      data::refuse_field(row, name,
                         "has rotations of its own for " + data::in_quotes(kind, 40) +
                             "; expected the same for all layers");
    }
    auto const own = data::optional_number(rope, "rope_theta");
    if (theta && own && *theta != *own) {
      data::refuse_field(row, "rope_theta", "contradicts the one in " + data::in_quotes(name));
    }
    config.rope_theta = own.value_or(config.rope_theta);
    config.rope_scaling.reset();
    read_rope_scaling(rope, name, config);
    expect_whole_heads(rope);
    bool const scaled = before && before->rope_scaling;
    if (scaled && before->rope_scaling != config.rope_scaling) {
      data::refuse_field(row, "rope_scaling", "contradicts \"rope_parameters\"");
    }
    before = config;
  }
  expect_whole_heads(row);
}

/// The window is one for all layers, or none. Where a file leaves a field out it is what transformers takes for it, and
/// null is no window.
inline void read_window(json_row const& row, llama_config& config) {
  constexpr std::size_t usual_window = 4096;
  constexpr std::size_t usual_full_layers = 28;
  auto const& fields = row.fields.get_ref<json::object_t const&>();
  bool const said = std::any_of(fields.begin(), fields.end(), [](auto const& member) {
    return member.first == "sliding_window";
  });
  auto const window =
      said ? optional_count(row, "sliding_window") : std::optional<std::size_t>(usual_window);
  bool const qwen = config.architecture == "qwen2" || config.architecture == "qwen3";
  bool const used = qwen ? flag(row, "use_sliding_window", false) && window.value_or(0) != 0
                         : config.architecture == "mistral" && window.value_or(0) != 0;
  std::size_t sliding = used ? config.layers : 0;
  if (used && qwen) {
    // Layers below this number see everything.
    sliding -= std::min(config.layers,
                        optional_count(row, "max_window_layers").value_or(usual_full_layers));
  }
  std::size_t const in_words = sliding;
  if (auto const* const types = data::find_field(row, "layer_types")) {
    sliding = 0;
    for (json const& each : *types) {
      if (each != "full_attention" && each != "sliding_attention") {
        data::refuse_field(row, "layer_types",
                           "found " + data::detail::kind_of(each) +
                               "; expected full_attention or sliding_attention");
      }
      sliding += each == "sliding_attention" ? 1u : 0u;
    }
    if (types->size() != config.layers) {
      data::refuse_field(row, "layer_types",
                         "has " + std::to_string(types->size()) +
                             " elements, expected one for each of " +
                             std::to_string(config.layers) + " layers");
    }
  }
  if (!qwen && sliding != in_words) {
    data::refuse_field(row, "layer_types",
                       "says that " + std::to_string(sliding) +
                           " layers have a window, and by "
                           "\"sliding_window\" " +
                           std::to_string(in_words) + " have");
  }
  if (sliding != 0 && sliding != config.layers) {
    data::refuse_field(row, "sliding_window",
                       "holds for " + std::to_string(sliding) + " of " +
                           std::to_string(config.layers) + " layers; expected for all or none");
  }
  if (sliding != 0 && window.value_or(0) == 0) {
    data::refuse_missing(row, "sliding_window", "the number of tokens that sliding layers see");
  }
  config.window = sliding == 0 ? 0 : *window;
}

}  // namespace detail

/// What a Hugging Face config.json says, in both its forms.
///
/// Errors  backend_error naming field, found and expected; another architecture, or what this one is not computed with
///         here, by name
[[nodiscard]] inline llama_config config_from_json(json_row const& row) {
  namespace d = detail;
  llama_config config;
  config.architecture = data::text(row, "model_type");
  if (config.architecture != "llama" && config.architecture != "mistral" &&
      config.architecture != "qwen2" && config.architecture != "qwen3") {
    d::refuse_architecture(row.at, config.architecture);
  }
  config.vocabulary = count(row, "vocab_size");
  config.width = count(row, "hidden_size");
  config.layers = count(row, "num_hidden_layers");
  config.heads = count(row, "num_attention_heads");
  config.key_value_heads = optional_count(row, "num_key_value_heads").value_or(config.heads);
  config.head_size =
      optional_count(row, "head_dim").value_or(config.heads == 0 ? 0 : config.width / config.heads);
  config.feed_forward = count(row, "intermediate_size");
  config.context = count(row, "max_position_embeddings");
  config.norm_epsilon = data::optional_number(row, "rms_norm_eps").value_or(1e-6);
  config.tied_output = flag(row, "tie_word_embeddings", false);
  config.query_key_value_bias = config.architecture == "qwen2";
  config.query_key_norm = config.architecture == "qwen3";
  d::read_rope(row, config);
  d::read_window(row, config);

  auto const activation = data::optional_text(row, "hidden_act").value_or("silu");
  if (activation != "silu") {
    data::refuse_field(row, "hidden_act",
                       "found " + data::in_quotes(activation) + "; expected silu");
  }
  d::expect_flag(row, "attention_bias", false,
                 "its matrices of attention have biases, with o_proj among them");
  d::expect_flag(row, "mlp_bias", false, "its feed-forward part has biases");
  if (data::find_field(row, "quantization_config") != nullptr) {
    data::refuse_field(row, "quantization_config",
                       "found one: the numbers are packed in a way that is not read here");
  }
  d::check_config(row.at, config);
  return config;
}

[[nodiscard]] inline llama_config read_config_json(std::string const& path) {
  return config_from_json(read_json_object("config", path));
}

}  // namespace prefer::inline v0_1::lm
