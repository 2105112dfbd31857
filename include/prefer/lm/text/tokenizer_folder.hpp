// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <prefer/expects.hpp>
#include <prefer/file/binary_file.hpp>
#include <prefer/lm/text/tokenizer_data.hpp>
#include <prefer/lm/text/tokenizer_json.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

inline std::string text_of_file(std::filesystem::path const& path) {
  auto const bytes = read_bytes(path.string());
  return {bytes.begin(), bytes.end()};
}

/// The object of a file beside tokenizer.json, or null where there is no such file.
inline nlohmann::json object_beside(std::filesystem::path const& folder, char const* name) {
  auto const path = folder / name;
  if (!std::filesystem::exists(path)) return nullptr;
  std::string const text = text_of_file(path);
  auto found = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (!found.is_object()) {
    refuse(backend_error("lm::tokenizer", path.string(), "is no JSON object"));
  }
  return found;
}

inline std::optional<std::uint32_t> token_called(tokenizer_data const& data,
                                                 std::string const& text) {
  auto const found = std::find(data.tokens.begin(), data.tokens.end(), text);
  if (text.empty() || found == data.tokens.end()) return std::nullopt;
  return static_cast<std::uint32_t>(found - data.tokens.begin());
}

/// The text of a member that is a string or {"content": string, ...}.
inline std::string token_text(nlohmann::json const& object, char const* name) {
  if (!object.is_object() || !object.contains(name)) return "";
  nlohmann::json const& value = object[name];
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("content") && value["content"].is_string()) {
    return value["content"].get<std::string>();
  }
  return "";
}

/// The ids of a member that is a number or a list of numbers.
inline std::vector<std::uint32_t> token_ids(nlohmann::json const& object, char const* name) {
  std::vector<std::uint32_t> all;
  if (!object.is_object() || !object.contains(name)) return all;
  nlohmann::json const& value = object[name];
  auto const add = [&](nlohmann::json const& each) {
    if (each.is_number_unsigned() && each.get<std::uint64_t>() < UINT32_MAX) {
      all.push_back(each.get<std::uint32_t>());
    }
  };
  if (value.is_array()) {
    for (auto const& each : value) add(each);
  } else {
    add(value);
  }
  return all;
}

/// A template that is a string, or a list of named ones of which the default counts.
inline std::string template_in(nlohmann::json const& object) {
  if (!object.is_object() || !object.contains("chat_template")) return "";
  nlohmann::json const& value = object["chat_template"];
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return "";
  for (auto const& each : value) {
    if (each.is_object() && each.value("name", "") == "default") return each.value("template", "");
  }
  return "";
}

}  // namespace detail

/// A tokenizer.json, by its path or its folder's, with what the files beside it say: the begin and end tokens of
/// tokenizer_config.json, generation_config.json or config.json, and the template of chat_template.jinja or
/// tokenizer_config.json.
///
/// Errors  backend_error: a file that cannot be read or is no JSON, and whatever parse_tokenizer_json refuses
[[nodiscard]] inline tokenizer_data read_tokenizer_folder(std::filesystem::path const& path) {
  bool const is_folder = std::filesystem::is_directory(path);
  auto const folder = is_folder ? path : path.parent_path();
  auto const file = is_folder ? path / "tokenizer.json" : path;
  tokenizer_data data = parse_tokenizer_json(detail::text_of_file(file), file.string());

  auto const said = detail::object_beside(folder, "tokenizer_config.json");
  auto const generation = detail::object_beside(folder, "generation_config.json");
  auto const model = detail::object_beside(folder, "config.json");

  if (!data.begin) data.begin = detail::token_called(data, detail::token_text(said, "bos_token"));
  auto const begin_ids = detail::token_ids(model, "bos_token_id");
  if (!data.begin && !said.is_object() && !begin_ids.empty()) data.begin = begin_ids.front();
  if (said.is_object() && said.contains("add_bos_token") && said["add_bos_token"].is_boolean()) {
    data.adds_begin = said["add_bos_token"].get<bool>();
  }

  auto const add_end = [&](std::uint32_t id) {
    if (std::find(data.ends.begin(), data.ends.end(), id) == data.ends.end()) {
      data.ends.push_back(id);
    }
  };
  auto const named = detail::token_called(data, detail::token_text(said, "eos_token"));
  if (named) add_end(*named);
  for (std::uint32_t const id : detail::token_ids(generation, "eos_token_id")) add_end(id);
  if (data.ends.empty()) {
    for (std::uint32_t const id : detail::token_ids(model, "eos_token_id")) add_end(id);
  }

  data.chat_template = detail::template_in(said);
  auto const jinja = folder / "chat_template.jinja";
  if (std::filesystem::exists(jinja)) data.chat_template = detail::text_of_file(jinja);
  return data;
}

}  // namespace prefer::inline v0_1::lm
