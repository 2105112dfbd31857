// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <prefer/expects.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/lm/files/gguf_writer.hpp>
#include <prefer/lm/text/pre_tokenizer_table.hpp>
#include <prefer/lm/text/tokenizer_data.hpp>
#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

using written_json = nlohmann::ordered_json;

[[nodiscard]] inline bool begins_by_itself(tokenizer_data const& data) {
  pre_tokenizer const* const known = find_pre_tokenizer(data.pre_tokenizer);
  return data.begin && data.adds_begin.value_or(known != nullptr && known->adds_begin);
}
[[nodiscard]] inline bool puts_into_normal_form_c(tokenizer_data const& data) {
  pre_tokenizer const* const known = find_pre_tokenizer(data.pre_tokenizer);
  return data.normal_form_c.value_or(known != nullptr && known->normal_form_c);
}
[[nodiscard]] inline token_kind kind_of_token(tokenizer_data const& data, std::size_t id) {
  return data.kinds.empty() ? token_kind::normal : data.kinds[id];
}

[[noreturn]] inline void refuse_tokenizer(tokenizer_data const& data, std::string const& reason) {
  refuse(backend_error("tokenizer", data.place, reason));
}

// In the words that their own files use.
[[nodiscard]] inline written_json pre_tokenizer_steps(tokenizer_data const& data) {
  auto const split = [](std::string_view pattern) {
    return written_json{{"type", "Split"},
                        {"pattern", {{"Regex", pattern}}},
                        {"behavior", "Isolated"},
                        {"invert", false}};
  };
  pre_tokenizer const* const known = find_pre_tokenizer(data.pre_tokenizer);
  if (known == nullptr) {
    refuse_tokenizer(data, "the pre-tokenizer is \"" + data.pre_tokenizer + "\", expected " +
                               names_of_pre_tokenizers());
  }
  written_json steps = written_json::array();
  if (known->name == "smollm") {
    steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
    steps.push_back(split(gpt2_pattern));
  } else {
    steps.push_back(split(known->pattern));
  }
  steps.push_back({{"type", "ByteLevel"},
                   {"add_prefix_space", false},
                   {"trim_offsets", true},
                   {"use_regex", false}});
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

[[nodiscard]] inline written_json begin_processor(tokenizer_data const& data) {
  if (!begins_by_itself(data)) return nullptr;
  std::string const& begin = data.tokens[*data.begin];
  written_json const token = {{"SpecialToken", {{"id", begin}, {"type_id", 0}}}};
  auto const text = [](char const* name, int type) {
    return written_json{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  written_json tokens = written_json::object();
  tokens[begin] = {{"id", begin},
                   {"ids", written_json::array({*data.begin})},
                   {"tokens", written_json::array({begin})}};
  return {{"type", "TemplateProcessing"},
          {"single", {token, text("A", 0)}},
          {"pair", {token, text("A", 0), token, text("B", 1)}},
          {"special_tokens", tokens}};
}

}  // namespace detail

/// A tokenizer as the text of a tokenizer.json.
///
/// Errors  backend_error with the tokenizer's place: two tokens of one text, or one that is no UTF-8, which the format
///         cannot hold
[[nodiscard]] inline std::string tokenizer_to_json(tokenizer_data const& data) {
  using detail::written_json;
  written_json::array_t added;
  written_json::object_t vocabulary;
  std::unordered_set<std::string_view> seen;
  std::unordered_set<std::size_t> const found_after(data.found_after.begin(),
                                                    data.found_after.end());
  for (std::size_t id = 0; id != data.tokens.size(); ++id) {
    std::string const& token = data.tokens[id];
    if (prefer::text::first_invalid_utf8(token)) {
      detail::refuse_tokenizer(
          data, "token " + std::to_string(id) + " is no UTF-8, which JSON cannot hold");
    }
    if (!seen.insert(token).second) {
      detail::refuse_tokenizer(
          data, "token " + std::to_string(id) + ", \"" + token +
                    "\", has the text of another one, which a tokenizer.json cannot hold");
    }
    vocabulary.push_back({token, id});
    auto const kind = detail::kind_of_token(data, id);
    if (kind != token_kind::control && kind != token_kind::user_defined &&
        kind != token_kind::unknown) {
      continue;
    }
    added.push_back({{"id", id},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", found_after.count(id) != 0},
                     {"special", kind != token_kind::user_defined}});
  }
  written_json::array_t merges;
  for (auto const& [left, right] : data.merges)
    merges.push_back(written_json::array({left, right}));
  pre_tokenizer const* const known = find_pre_tokenizer(data.pre_tokenizer);
  bool const whole = data.whole_tokens.value_or(known != nullptr && known->whole_tokens);
  written_json const root = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", std::move(added)},
      {"normalizer", detail::puts_into_normal_form_c(data) ? written_json{{"type", "NFC"}}
                                                           : written_json(nullptr)},
      {"pre_tokenizer", detail::pre_tokenizer_steps(data)},
      {"post_processor", detail::begin_processor(data)},
      {"decoder",
       {{"type", "ByteLevel"},
        {"add_prefix_space", true},
        {"trim_offsets", true},
        {"use_regex", true}}},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"ignore_merges", whole},
        {"vocab", written_json(std::move(vocabulary))},
        {"merges", std::move(merges)}}}};
  return root.dump(1) + "\n";
}

/// What tokenizer_config.json says beside it: begin and end token, and the chat template.
[[nodiscard]] inline std::string tokenizer_config_to_json(tokenizer_data const& data,
                                                          std::size_t context) {
  detail::written_json root = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                               {"add_bos_token", detail::begins_by_itself(data)},
                               {"clean_up_tokenization_spaces", false},
                               {"model_max_length", context}};
  if (data.begin) root["bos_token"] = data.tokens[*data.begin];
  if (!data.ends.empty()) {
    root["eos_token"] = data.tokens[data.ends.front()];
  }
  if (!data.chat_template.empty()) root["chat_template"] = data.chat_template;
  return root.dump(2) + "\n";
}

/// Writes tokenizer.json, tokenizer_config.json and generation_config.json into a folder that is there.
///
/// Errors  backend_error where a file cannot be written; those of tokenizer_to_json
inline void write_tokenizer_folder(std::filesystem::path const& folder, tokenizer_data const& data,
                                   std::size_t context) {
  auto const write = [&](char const* name, std::string const& text) {
    atomic_file file((folder / name).string());
    file.write(text);
    file.commit();
  };
  std::string const tokenizer = tokenizer_to_json(data);
  write("tokenizer.json", tokenizer);
  write("tokenizer_config.json", tokenizer_config_to_json(data, context));
  detail::written_json generation = detail::written_json::object();
  if (data.begin) generation["bos_token_id"] = *data.begin;
  if (!data.ends.empty()) generation["eos_token_id"] = data.ends;
  write("generation_config.json", generation.dump(2) + "\n");
}

/// Adds a tokenizer's metadata to a GGUF file whose embedding has `rows` rows. Rows behind the last token get tokens that
/// nothing is encoded to, since there are as many tokens as rows in GGUF.
///
/// Errors  backend_error with the tokenizer's place for more tokens than rows
inline void add_tokenizer(gguf_writer& file, tokenizer_data const& data, std::size_t rows) {
  if (data.tokens.size() > rows) {
    detail::refuse_tokenizer(data, "the tokenizer has " + std::to_string(data.tokens.size()) +
                                       " tokens, expected at most the " + std::to_string(rows) +
                                       " rows of the embedding");
  }
  auto tokens = data.tokens;
  std::vector<std::int32_t> kinds;
  std::vector<std::string> merges;
  for (std::size_t id = 0; id != tokens.size(); ++id) {
    kinds.push_back(static_cast<std::int32_t>(detail::kind_of_token(data, id)));
  }
  while (tokens.size() != rows) {
    tokens.push_back("[PAD" + std::to_string(tokens.size()) + "]");
    kinds.push_back(static_cast<std::int32_t>(token_kind::unused));
  }
  for (auto const& [left, right] : data.merges) merges.push_back(left + ' ' + right);
  file.add("tokenizer.ggml.model", "gpt2");
  file.add("tokenizer.ggml.pre", data.pre_tokenizer);
  // The format has no key for either; without ours the pre-tokenizer's name stands for the first.
  file.add("prefer.tokenizer.normal_form_c", detail::puts_into_normal_form_c(data));
  if (!data.found_after.empty()) {
    file.add("prefer.tokenizer.found_after",
             std::vector<std::int32_t>(data.found_after.begin(), data.found_after.end()));
  }
  file.add("tokenizer.ggml.tokens", tokens);
  file.add("tokenizer.ggml.token_type", kinds);
  file.add("tokenizer.ggml.merges", merges);
  file.add("tokenizer.ggml.add_bos_token", detail::begins_by_itself(data));
  if (data.begin) file.add("tokenizer.ggml.bos_token_id", *data.begin);
  constexpr char const* ends[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                  "tokenizer.ggml.eom_token_id"};
  for (std::size_t i = 0; i != std::min(data.ends.size(), std::size(ends)); ++i) {
    file.add(ends[i], data.ends[i]);
  }
  if (!data.chat_template.empty()) file.add("tokenizer.chat_template", data.chat_template);
}

}  // namespace prefer::inline v0_1::lm
