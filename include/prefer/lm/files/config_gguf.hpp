// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/lm/files/gguf.hpp>
#include <prefer/lm/files/llama_config.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

inline std::size_t gguf_count(gguf_file const& file, std::string const& key) {
  auto const value = file.whole_number(key);
  if (!value) {
    file.at().refuse("metadata " + data::in_quotes(key) + " is missing; expected a whole number");
  }
  return static_cast<std::size_t>(*value);
}

/// Some scaling of Llama 3's form by `factor` that divides these frequencies so, or nothing. Between its two ends the share
/// that is left of a frequency is linear in it, so two planes there give both ends; fewer leave a choice that changes nothing.
[[nodiscard]] inline llama3_rope scaling_through(std::vector<double> const& frequencies,
                                                 std::vector<float> const& divisors, double factor,
                                                 double context) {
  constexpr double edge = 1e-6;
  struct plane {
    double turns = 0;  // in the context
    double share = 0;  // 0: divided by the factor; 1: left as it is
  };
  std::vector<plane> between;
  double slow = 0;                                        // most turns of a plane that is divided
  double fast = std::numeric_limits<double>::infinity();  // fewest of one that is left as it is
  for (std::size_t i = 0; i != frequencies.size(); ++i) {
    double const turns = context * frequencies[i] / (2 * std::numbers::pi);
    double const share = (1 / static_cast<double>(divisors[i]) - 1 / factor) / (1 - 1 / factor);
    if (share <= edge) slow = std::fmax(slow, turns);
    if (share >= 1 - edge) fast = std::fmin(fast, turns);
    if (share > edge && share < 1 - edge) between.push_back({turns, share});
  }
  llama3_rope out{.factor = factor, .original_context = context};
  if (between.size() > 1) {
    plane const a = between.front();
    plane const b = between.back();
    double const width = (a.turns - b.turns) / (a.share - b.share);
    out.low_frequency_factor = b.turns - b.share * width;
    out.high_frequency_factor = out.low_frequency_factor + width;
  } else if (between.size() == 1) {
    plane const a = between.front();
    double const below = (a.turns - slow) / a.share;
    double const above = (fast - a.turns) / (1 - a.share);
    double const width = 0.5 * std::fmin(below, above);
    out.low_frequency_factor = a.turns - a.share * width;
    out.high_frequency_factor = out.low_frequency_factor + width;
  } else {
    double const most = std::isfinite(fast) ? fast : 4 * slow;
    out.low_frequency_factor = slow + (most - slow) / 3;
    out.high_frequency_factor = slow + 2 * (most - slow) / 3;
  }
  return out;
}

/// GGUF has no words for Llama 3's scaling, only the divisors of the frequencies that it comes to: the scaling that gives
/// them, the published one if there is such a one.
[[nodiscard]] inline std::optional<llama3_rope> scaling_of_divisors(
    std::vector<double> const& frequencies, std::vector<float> const& divisors,
    std::optional<double> original_context) {
  double factor = 1;
  for (float const each : divisors) factor = std::fmax(factor, static_cast<double>(each));
  auto const gives_them = [&](llama3_rope const& scaling) {
    for (std::size_t i = 0; i != frequencies.size(); ++i) {
      double const expected = scaling.divisor(frequencies[i]);
      if (!(std::fabs(static_cast<double>(divisors[i]) - expected) <= 1e-4 * expected))
        return false;
    }
    return true;
  };
  std::vector<double> contexts = {8192};
  if (original_context) contexts.insert(contexts.begin(), *original_context);
  for (double tokens = 32; tokens <= 1 << 20; tokens *= 2) contexts.push_back(tokens);
  for (double const tokens : contexts) {
    llama3_rope const scaling{.factor = factor, .original_context = tokens};
    if (gives_them(scaling)) return scaling;
  }
  llama3_rope const scaling = scaling_through(frequencies, divisors, factor, contexts.front());
  if (gives_them(scaling)) return scaling;
  return std::nullopt;
}

inline void read_gguf_rope(gguf_file const& file, std::string const& of, llama_config& config) {
  config.rope_theta = file.number(of + "rope.freq_base").value_or(10000);
  auto const rotated = file.whole_number(of + "rope.dimension_count").value_or(config.head_size);
  if (rotated != config.head_size) {
    file.at().refuse("of a head's " + std::to_string(config.head_size) + " numbers " +
                     std::to_string(rotated) + " are rotated, expected all");
  }
  auto const type = file.text(of + "rope.scaling.type").value_or("none");
  if (type != "none") {
    file.at().refuse("metadata " + data::in_quotes(of + "rope.scaling.type") + " is " +
                     data::in_quotes(type) + ", expected none, or Llama 3's in rope_freqs.weight");
  }
  for (std::string const key : {"rope.scaling.factor", "rope.scale_linear"}) {
    if (file.number(of + key).value_or(1) != 1) {
      file.at().refuse("metadata " + data::in_quotes(of + key) +
                       " divides all frequencies, expected 1");
    }
  }
  auto const* const tensor = file.find("rope_freqs.weight");
  if (tensor == nullptr) return;
  std::size_t const planes = config.head_size / 2;
  if (tensor->shape != std::vector<std::size_t>{planes}) {
    file.at().refuse("tensor \"rope_freqs.weight\" has the shape " + shape_text(tensor->shape) +
                     ", expected [" + std::to_string(planes) + "]");
  }
  std::vector<float> divisors(planes);
  dequantise<float>(tensor->type, file.bytes(*tensor), divisors);
  config.rope_scaling = scaling_of_divisors(
      rope_frequencies(config), divisors, file.number(of + "rope.scaling.original_context_length"));
  if (!config.rope_scaling) {
    file.at().refuse(
        "tensor \"rope_freqs.weight\" holds divisors that Llama 3's scaling does not give");
  }
}

/// Heads of a layer may differ in GGUF, and then the number is an array.
inline void refuse_arrays(gguf_file const& file, std::string const& of) {
  for (std::string const key :
       {"attention.head_count", "attention.head_count_kv", "feed_forward_length"}) {
    auto const* const entry = file.find_key(of + key);
    if (entry != nullptr && entry->type == gguf_type::array) {
      file.at().refuse("metadata " + data::in_quotes(of + key) +
                       " is an array, expected one number for all layers");
    }
  }
}

}  // namespace detail

/// What the metadata of a GGUF file and the names of its tensors say. Mistral's models are of the architecture llama there.
///
/// Errors  backend_error naming key, found and expected; another architecture, or what this one is not computed with here,
///         by name
[[nodiscard]] inline llama_config config_from_gguf(gguf_file const& file) {
  namespace d = detail;
  auto const& at = file.at();
  auto const type = file.text("general.type").value_or("model");
  if (type != "model") {
    at.refuse("metadata \"general.type\" is " + data::in_quotes(type) + ", expected a model");
  }
  if (auto const parts = file.whole_number("split.count").value_or(1); parts > 1) {
    at.refuse("is one of " + std::to_string(parts) +
              " files of a model, expected one file (llama.cpp's gguf-split --merge makes it)");
  }
  auto const architecture = file.text("general.architecture");
  if (!architecture) at.refuse("metadata \"general.architecture\" is missing; expected a text");
  if (*architecture != "llama" && *architecture != "qwen2" && *architecture != "qwen3") {
    d::refuse_architecture(at, *architecture);
  }
  llama_config config;
  config.architecture = *architecture;
  std::string const of = config.architecture + ".";
  if (file.whole_number(of + "expert_count").value_or(0) != 0) {
    at.refuse("metadata " + data::in_quotes(of + "expert_count") +
              " is not 0: it is a mixture of experts");
  }
  d::refuse_arrays(file, of);
  config.width = d::gguf_count(file, of + "embedding_length");
  config.layers = d::gguf_count(file, of + "block_count");
  config.heads = d::gguf_count(file, of + "attention.head_count");
  config.key_value_heads = static_cast<std::size_t>(
      file.whole_number(of + "attention.head_count_kv").value_or(config.heads));
  config.feed_forward = d::gguf_count(file, of + "feed_forward_length");
  config.context = d::gguf_count(file, of + "context_length");
  config.head_size =
      static_cast<std::size_t>(file.whole_number(of + "attention.key_length")
                                   .value_or(config.heads == 0 ? 0 : config.width / config.heads));
  auto const value_size =
      file.whole_number(of + "attention.value_length").value_or(config.head_size);
  if (value_size != config.head_size) {
    at.refuse("keys have " + std::to_string(config.head_size) + " numbers and values " +
              std::to_string(value_size) + ", expected as many");
  }
  auto const epsilon = file.number(of + "attention.layer_norm_rms_epsilon");
  if (!epsilon) {
    at.refuse("metadata " + data::in_quotes(of + "attention.layer_norm_rms_epsilon") +
              " is missing; expected a number");
  }
  config.norm_epsilon = *epsilon;
  config.window =
      static_cast<std::size_t>(file.whole_number(of + "attention.sliding_window").value_or(0));
  auto const* const embedding = file.find("token_embd.weight");
  if (embedding == nullptr) at.refuse("has no tensor \"token_embd.weight\", the embedding");
  config.vocabulary = embedding->shape.front();
  auto const stated = file.whole_number(of + "vocab_size").value_or(config.vocabulary);
  auto const* const tokens = file.find_key("tokenizer.ggml.tokens");
  auto const named = tokens == nullptr ? config.vocabulary : tokens->count;
  if (stated != config.vocabulary || named != config.vocabulary) {
    at.refuse("the embedding has " + std::to_string(config.vocabulary) +
              " rows, the metadata say " + std::to_string(stated) + ", and there are " +
              std::to_string(named) + " tokens; expected the same number");
  }
  config.tied_output = file.find("output.weight") == nullptr;
  config.query_key_value_bias = file.find("blk.0.attn_q.bias") != nullptr;
  config.query_key_norm = file.find("blk.0.attn_q_norm.weight") != nullptr;
  d::check_config(at, config);
  d::read_gguf_rope(file, of, config);
  d::check_config(at, config);
  return config;
}

}  // namespace prefer::inline v0_1::lm
