// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/data/place.hpp>

namespace prefer::inline v0_1::lm {

/// Llama 3's scaling of rotations: planes that turn slowly turn `factor` times more slowly.
///
///   wavelength = 2 pi / frequency
///   divisor = 1                                where wavelength < original_context / high_frequency_factor
///           = factor                           where wavelength > original_context / low_frequency_factor
///           = 1 / ((1 - s) / factor + s)       between, s = (original_context / wavelength - low) / (high - low)
///
/// Source  transformers, modeling_rope_utils.py, _compute_llama3_parameters
struct llama3_rope {
  double factor = 8;
  double low_frequency_factor = 1;
  double high_frequency_factor = 4;
  double original_context = 8192;  // tokens

  [[nodiscard]] double divisor(double frequency) const {
    double const wavelength = 2 * std::numbers::pi / frequency;
    if (wavelength < original_context / high_frequency_factor) return 1;
    if (wavelength > original_context / low_frequency_factor) return factor;
    double const share = (original_context / wavelength - low_frequency_factor) /
                         (high_frequency_factor - low_frequency_factor);
    return 1 / ((1 - share) / factor + share);
  }

  friend bool operator==(llama3_rope const&, llama3_rope const&) = default;
};

/// What a model of the Llama family is made of: its sizes, and what it has that others of the family have not.
struct llama_config {
  std::string architecture;    // llama, mistral, qwen2 or qwen3
  std::size_t vocabulary = 0;  // rows of the embedding
  std::size_t width = 0;       // numbers between layers, for each token
  std::size_t layers = 0;
  std::size_t heads = 0;
  std::size_t key_value_heads = 0;  // each serves heads / key_value_heads heads
  std::size_t head_size = 0;
  std::size_t feed_forward = 0;
  std::size_t context = 0;  // tokens that it was made for
  double norm_epsilon = 1e-6;
  double rope_theta = 10000;
  std::optional<llama3_rope> rope_scaling;
  std::size_t window = 0;    // tokens that a token sees, itself included; 0: all before it
  bool tied_output = false;  // the output matrix is the embedding
  bool query_key_value_bias = false;
  bool query_key_norm = false;  // RMS norm on each head's query and key

  friend bool operator==(llama_config const&, llama_config const&) = default;
};

/// Radians per position of each of a head's head_size / 2 planes:
///
///   frequency_i = theta^(-2 i / head_size), divided as rope_scaling says
[[nodiscard]] inline std::vector<double> rope_frequencies(llama_config const& config) {
  std::vector<double> all;
  for (std::size_t i = 0; i != config.head_size / 2; ++i) {
    double const exponent = 2 * static_cast<double>(i) / static_cast<double>(config.head_size);
    double const frequency = std::pow(config.rope_theta, -exponent);
    all.push_back(config.rope_scaling ? frequency / config.rope_scaling->divisor(frequency)
                                      : frequency);
  }
  return all;
}

namespace detail {

/// Why a model is none of the family that is computed here, by what its file calls it.
struct foreign_architecture {
  std::string_view name, reason;
};
inline constexpr std::array foreign_architectures = {
    foreign_architecture{"gemma",
                         "Gemma scales its embedding and adds one to the weights of its norms"},
    foreign_architecture{"mixtral", "it is a mixture of experts"},
    foreign_architecture{"qwen2_moe", "it is a mixture of experts"},
    foreign_architecture{"qwen2moe", "it is a mixture of experts"},
    foreign_architecture{"qwen3_moe", "it is a mixture of experts"},
    foreign_architecture{"qwen3moe", "it is a mixture of experts"},
    foreign_architecture{"deepseek", "it is a mixture of experts with latent attention"},
    foreign_architecture{"phi",
                         "Phi keeps query, key and value, and gate and up, in one matrix each"},
    foreign_architecture{
        "gpt", "GPT has layer norms with a mean, and positions that are learned or its own"},
    foreign_architecture{"gpt_oss", "it is a mixture of experts"},
    foreign_architecture{"gpt-oss", "it is a mixture of experts"},
    foreign_architecture{"olmo", "OLMo has other norms"},
    foreign_architecture{"cohere", "Cohere's layers run attention and feed-forward side by side"},
    foreign_architecture{"command", "Cohere's layers run attention and feed-forward side by side"},
    foreign_architecture{"falcon", "Falcon's layers run attention and feed-forward side by side"},
    foreign_architecture{"granite",
                         "Granite multiplies embedding, residuals, attention and logits"},
    foreign_architecture{"minicpm", "MiniCPM multiplies embedding, residuals and logits"},
    foreign_architecture{"mamba", "it is a state space model"},
    foreign_architecture{"smollm3", "SmolLM3 leaves rotations out in some layers"},
    foreign_architecture{"llama4", "it is a mixture of experts"},
    foreign_architecture{"mistral3", "Mistral 3 is wrapped in a model of pictures"},
    foreign_architecture{"clip", "it is a model of pictures"},
    foreign_architecture{"bert", "BERT reads in both directions"}};

/// Throws backend_error for an architecture that is none of `read`, with the reason where there is a known one.
[[noreturn]] inline void refuse_architecture(data::place const& at, std::string_view found) {
  std::string sentence = "is of the architecture " + data::in_quotes(found);
  std::string_view best;
  for (auto const& each : foreign_architectures) {
    // The longest beginning that is known: "mistral3" before "mistral".
    if (found.substr(0, each.name.size()) == each.name && each.name.size() > best.size()) {
      best = each.name;
    }
  }
  for (auto const& each : foreign_architectures) {
    if (each.name == best) sentence += ": " + std::string(each.reason);
  }
  at.refuse(sentence + "; expected one of llama, mistral, qwen2, qwen3");
}

/// Refuses sizes that make no model of the family.
inline void check_config(data::place const& at, llama_config const& config) {
  struct size {
    char const* name;
    std::size_t value;
  };
  // Large enough for any such model, and so small that no product of two overflows.
  constexpr std::size_t most = std::size_t{1} << 31;
  for (auto const& each :
       {size{"the vocabulary", config.vocabulary}, size{"the width", config.width},
        size{"the number of layers", config.layers}, size{"the number of heads", config.heads},
        size{"the number of key/value heads", config.key_value_heads},
        size{"the size of a head", config.head_size},
        size{"the width of the feed-forward part", config.feed_forward},
        size{"the context", config.context}}) {
    if (each.value == 0 || each.value > most) {
      at.refuse(std::string(each.name) + " is " + std::to_string(each.value) + ", expected 1 to " +
                std::to_string(most));
    }
  }
  if (config.heads % config.key_value_heads != 0) {
    at.refuse("there are " + std::to_string(config.heads) + " heads and " +
              std::to_string(config.key_value_heads) +
              " key/value heads, expected a divisor of the former");
  }
  if (config.head_size % 2 != 0) {
    at.refuse("a head has " + std::to_string(config.head_size) +
              " numbers, expected an even number, whose halves are rotated");
  }
  if (!(config.norm_epsilon >= 0 && config.norm_epsilon < 1)) {
    at.refuse("the epsilon of its norms is " + std::to_string(config.norm_epsilon) +
              ", expected a number from 0 on and below 1");
  }
  if (!(config.rope_theta > 0 && std::isfinite(config.rope_theta))) {
    at.refuse("the base of its rotations is " + std::to_string(config.rope_theta) +
              ", expected a positive number");
  }
  if (config.rope_scaling) {
    auto const& scaling = *config.rope_scaling;
    if (!(scaling.factor >= 1 && scaling.low_frequency_factor > 0 &&
          scaling.high_frequency_factor > scaling.low_frequency_factor &&
          scaling.original_context > 0 && std::isfinite(scaling.factor))) {
      at.refuse("the scaling of its rotations has factor " + std::to_string(scaling.factor) +
                ", frequency factors " + std::to_string(scaling.low_frequency_factor) + " and " +
                std::to_string(scaling.high_frequency_factor) +
                "; expected at least 1, and two positive ones that grow");
    }
  }
}

}  // namespace detail

}  // namespace prefer::inline v0_1::lm
