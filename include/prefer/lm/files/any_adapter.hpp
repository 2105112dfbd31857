// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <filesystem>

#include <prefer/lm/files/adapter.hpp>
#include <prefer/lm/files/gguf_adapter.hpp>
#include <prefer/lm/files/peft_adapter.hpp>

namespace prefer::inline v0_1::lm {

/// Reads an adapter for a model of this configuration: a .gguf file as llama.cpp loads it, or a folder as PEFT saves it.
///
/// Errors  backend_error as read_gguf_adapter, read_peft_adapter and expect_fits say
template <std::floating_point T>
[[nodiscard]] adapter<T> read_adapter(std::filesystem::path const& path,
                                      llama_config const& config) {
  if (path.extension() == ".gguf") return read_gguf_adapter<T>(path.string(), config);
  auto adapter = read_peft_adapter<T>(path);
  expect_fits({"adapter", path.string(), 0}, adapter, config);
  return adapter;
}

}  // namespace prefer::inline v0_1::lm
