// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <prefer/data/json_lines.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/file/binary_file.hpp>
#include <prefer/lm/files/json_file.hpp>
#include <prefer/lm/files/model_file.hpp>
#include <prefer/lm/text/tokenizer_gguf.hpp>
#include <prefer/lm/text/tokenizer_writing.hpp>

namespace prefer::inline v0_1::lm {

// What transformers reads beside the weights of a model that is written as a folder.

/// The tokens that a config.json names besides: of a folder as its own has them, of GGUF as its metadata.
[[nodiscard]] inline json tokens_of_config(model_file const& model) {
  json out = json::object();
  if (auto const* const gguf = model.gguf()) {
    for (auto const& [key, name] : {std::pair("tokenizer.ggml.bos_token_id", "bos_token_id"),
                                    std::pair("tokenizer.ggml.eos_token_id", "eos_token_id"),
                                    std::pair("tokenizer.ggml.padding_token_id", "pad_token_id")}) {
      if (auto const id = gguf->whole_number(key)) out[name] = *id;
    }
    return out;
  }
  auto const config = read_json_object("config", model.beside("config.json")->string());
  for (char const* const name : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
    if (auto const* const value = data::find_field(config, name)) out[name] = *value;
  }
  return out;
}

/// Writes the model's tokenizer into a folder: of a folder copies of its own files, of GGUF files made from its metadata. What was
/// written; tokenizer.json is not among it where the model has none.
///
/// Errors  backend_error where a file cannot be read or written
[[nodiscard]] inline std::vector<std::string> write_tokenizer_beside(
    std::filesystem::path const& folder, model_file const& model) {
  namespace fs = std::filesystem;
  std::vector<std::string> written;
  if (auto const* const gguf = model.gguf()) {
    if (!gguf->has_key("tokenizer.ggml.tokens")) return written;
    write_tokenizer_folder(folder.string(), read_tokenizer_gguf(*gguf), model.config().context);
    for (char const* const name :
         {"tokenizer.json", "tokenizer_config.json", "generation_config.json"}) {
      written.push_back((folder / name).string());
    }
    return written;
  }
  for (char const* const name :
       {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja",
        "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt"}) {
    auto const from = model.beside(name);
    if (!from) continue;
    auto const to = folder / name;
    if (fs::exists(to) && fs::equivalent(*from, to)) continue;
    auto const bytes = read_bytes(from->string());
    atomic_file file(to.string());
    file.write(bytes.data(), bytes.size());
    file.commit();
    written.push_back(to.string());
  }
  return written;
}

}  // namespace prefer::inline v0_1::lm
