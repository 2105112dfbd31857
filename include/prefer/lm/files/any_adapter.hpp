// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>
#include <filesystem>

#include <prefer/lm/files/adapter.hpp>
#include <prefer/lm/files/gguf_adapter.hpp>
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

}  // namespace prefer::inline v0_1::lm
