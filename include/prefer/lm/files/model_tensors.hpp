// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <prefer/lm/files/config_gguf.hpp>
#include <prefer/lm/files/config_json.hpp>
#include <prefer/lm/files/gguf.hpp>
#include <prefer/lm/files/safetensors.hpp>
#include <prefer/lm/files/tensor_names.hpp>

namespace prefer::inline v0_1::lm::detail {

/// A tensor of a model where it lies.
struct stored_tensor {
  tensor_type type = tensor_type::f32;
  std::vector<std::size_t> shape;
  std::span<std::byte const> bytes;
  std::shared_ptr<void const> keeps;
};

/// What one file format, or one folder, says that a model is: its configuration and its tensors by the file's own names.
struct model_contents {
  data::place at;
  llama_config config;
  std::optional<gguf_file> gguf;
  std::filesystem::path folder;  // with config.json; empty for GGUF
  std::unordered_map<std::string, stored_tensor> tensors;
};

inline void add_tensors(model_contents& model, safetensors_file const& file) {
  for (tensor_entry const& each : file.tensors()) {
    stored_tensor tensor{each.type, each.shape, file.bytes(each), file.keeps()};
    if (!model.tensors.emplace(each.name, std::move(tensor)).second) {
      file.at().refuse("tensor " + data::in_quotes(each.name) +
                       " is in another file of the model too");
    }
  }
}

/// The files that a model.safetensors.index.json names, each once.
[[nodiscard]] inline std::vector<std::string> shards_of(
    std::filesystem::path const& index, std::map<std::string, std::string>& shard_of) {
  auto const bytes = read_bytes(index.string());
  data::place const at{"safetensors", index.string(), 0};
  auto const object = parse_json_object(
      std::string_view(reinterpret_cast<char const*>(bytes.data()), bytes.size()), at);
  auto const map = object.find("weight_map");
  if (map == object.end() || !map->is_object()) {
    at.refuse("field \"weight_map\" is missing; expected an object of tensors and their files");
  }
  std::vector<std::string> files;
  for (auto const& [tensor, file] : map->items()) {
    auto const name = file.is_string() ? file.get<std::string>() : std::string();
    if (name.empty() || std::filesystem::path(name).filename() != name) {
      at.refuse("tensor " + data::in_quotes(tensor) + " is said to lie in " +
                data::in_quotes(name) + ", expected the name of a file beside the index");
    }
    shard_of[tensor] = name;
    files.push_back(name);
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()), files.end());
  return files;
}

inline void read_shards(model_contents& model, std::filesystem::path const& index) {
  std::map<std::string, std::string> shard_of;
  for (auto const& name : shards_of(index, shard_of)) {
    safetensors_file const file((model.folder / name).string());
    for (tensor_entry const& each : file.tensors()) {
      auto const said = shard_of.find(each.name);
      if (said == shard_of.end() || said->second != name) {
        file.at().refuse("holds tensor " + data::in_quotes(each.name) +
                         ", which the index says that it does not");
      }
    }
    add_tensors(model, file);
  }
  for (auto const& [tensor, name] : shard_of) {
    if (model.tensors.count(tensor) == 0) {
      data::place{"safetensors", (model.folder / name).string(), 0}.refuse(
          "has no tensor " + data::in_quotes(tensor) + ", which the index says is there");
    }
  }
}

[[nodiscard]] inline model_contents read_gguf_model(std::filesystem::path const& path) {
  model_contents model;
  model.gguf.emplace(path.string());
  model.at = model.gguf->at();
  model.config = config_from_gguf(*model.gguf);
  for (tensor_entry const& each : model.gguf->tensors()) {
    model.tensors.emplace(each.name, stored_tensor{each.type, each.shape, model.gguf->bytes(each),
                                                   model.gguf->keeps()});
  }
  return model;
}

[[nodiscard]] inline model_contents read_folder(std::filesystem::path const& folder,
                                                std::filesystem::path const& one_file) {
  namespace fs = std::filesystem;
  model_contents model;
  model.folder = folder;
  model.at = {"model", (one_file.empty() ? folder : one_file).string(), 0};
  auto const config = folder / "config.json";
  if (!fs::exists(config)) {
    model.at.refuse("there is no config.json in the folder; expected one beside the safetensors");
  }
  model.config = read_config_json(config.string());
  auto const single = one_file.empty() ? folder / "model.safetensors" : one_file;
  auto const index = folder / "model.safetensors.index.json";
  if (fs::exists(single)) {
    add_tensors(model, safetensors_file(single.string()));
  } else if (fs::exists(index)) {
    read_shards(model, index);
  } else {
    model.at.refuse(
        "there are no weights in the folder; expected model.safetensors or "
        "model.safetensors.index.json");
  }
  return model;
}

[[nodiscard]] inline model_contents read_model(std::filesystem::path const& path) {
  namespace fs = std::filesystem;
  data::place const at{"model", path.string(), 0};
  if (!fs::exists(path)) at.refuse("there is no such file or folder");
  if (fs::is_directory(path)) return read_folder(path, {});
  auto const name = path.filename().string();
  auto const ends_with = [&](std::string_view end) {
    return name.size() >= end.size() && name.substr(name.size() - end.size()) == end;
  };
  if (ends_with(".safetensors")) return read_folder(path.parent_path(), path);
  if (ends_with(".safetensors.index.json")) return read_folder(path.parent_path(), {});
  // By its first letters, since models are also stored under the names of their content.
  return read_gguf_model(path);
}

}  // namespace prefer::inline v0_1::lm::detail
