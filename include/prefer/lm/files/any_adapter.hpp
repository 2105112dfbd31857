// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include <prefer/data/place.hpp>
#include <prefer/lm/files/adapter.hpp>
#include <prefer/lm/files/gguf_adapter.hpp>
#include <prefer/lm/files/model_file.hpp>
#include <prefer/lm/files/peft_adapter.hpp>

namespace prefer::inline v0_1::lm {

/// What an adapter is for: a model that writes texts, or one that scores them too, and so may have a head.
enum class adapter_use : std::uint8_t { texts, scores };

/// Reads an adapter for a model of this configuration: a .gguf file as llama.cpp loads it, or a folder as PEFT saves it.
///
/// Errors  backend_error as read_gguf_adapter, read_peft_adapter, expect_fits and expect_no_head say
template <std::floating_point T>
[[nodiscard]] adapter<T> read_adapter(std::filesystem::path const& path, llama_config const& config,
                                      adapter_use use = adapter_use::texts) {
  if (path.extension() == ".gguf") return read_gguf_adapter<T>(path.string(), config);
  auto adapter = read_peft_adapter<T>(path);
  data::place const at{"adapter", path.string(), 0};
  if (use == adapter_use::texts) expect_no_head(at, adapter);
  expect_fits(at, adapter, config);
  return adapter;
}

/// Says in an adapter what it was trained on.
template <std::floating_point T>
void name_base(adapter<T>& trained, model_file const& on) {
  trained.base_identity = on.identity();
  trained.base_vectors = on.identity_of_vectors();
}

/// The one rule of whoever puts an adapter on a model. Of what it was trained on, or where nothing is known of that: nothing. Of
/// the same model in another form, rounded or not: a sentence to warn with, because it adds to other numbers than it was trained
/// with. Any other is refused.
///
/// Errors  backend_error at `at` for an adapter of another model
template <std::floating_point T>
[[nodiscard]] std::optional<std::string> warning_of_base(data::place const& at,
                                                         adapter<T> const& adapter,
                                                         model_file const& model) {
  if (!adapter.base_identity || *adapter.base_identity == model.identity()) return std::nullopt;
  if (adapter.base_vectors != model.identity_of_vectors()) {
    at.refuse("it is an adapter of another model: it was trained on other weights than those of " +
              model.at().source);
  }
  return at.source + " was trained on another form of the same model than " + model.at().source +
         ": it adds to weights that are rounded otherwise";
}

}  // namespace prefer::inline v0_1::lm
