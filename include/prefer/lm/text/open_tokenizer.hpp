// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>

#include <prefer/lm/files/gguf.hpp>
#include <prefer/lm/text/tokenizer.hpp>
#include <prefer/lm/text/tokenizer_folder.hpp>
#include <prefer/lm/text/tokenizer_gguf.hpp>

namespace prefer::inline v0_1::lm {

/// The tokenizer of a model on disk: of a .gguf, of a folder with tokenizer.json, or of the folder in which a
/// tokenizer.json, a .safetensors or any other .json lies.
///
/// Errors  backend_error with the file and what was expected there; precondition_error for a chat template that the
///         options name and there is not
[[nodiscard]] inline tokenizer open_tokenizer(std::filesystem::path const& path,
                                              tokenizer_options const& options = {}) {
  bool const has_folder = std::filesystem::is_directory(path) || path.extension() == ".json" ||
                          path.extension() == ".safetensors";
  if (!has_folder) return tokenizer(read_tokenizer_gguf(gguf_file(path.string())), options);
  bool const names_it = path.extension() == ".json" && path.filename() != "config.json" &&
                        path.stem().extension() != ".safetensors";
  bool const itself = std::filesystem::is_directory(path) || names_it;
  return tokenizer(read_tokenizer_folder(itself ? path : path.parent_path()), options);
}

}  // namespace prefer::inline v0_1::lm
