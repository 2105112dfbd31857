// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <prefer/lm/files/gguf.hpp>
#include <prefer/lm/text/pre_tokenizer_table.hpp>
#include <prefer/lm/text/tokenizer_data.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

inline std::optional<std::uint32_t> token_of_key(gguf_file const& file, std::string_view key,
                                                 std::size_t tokens) {
  auto const id = file.whole_number(key);
  if (!id) return std::nullopt;
  if (*id >= tokens) {
    file.at().refuse("metadata " + data::in_quotes(key) + " is " + std::to_string(*id) +
                     ", expected less than the " + std::to_string(tokens) + " tokens");
  }
  return static_cast<std::uint32_t>(*id);
}

inline std::string why_not_bytes(std::string_view model) {
  if (model == "llama" || model == "t5") return " (SentencePiece, which comes later)";
  if (model == "bert") return " (WordPiece)";
  return "";
}

}  // namespace detail

/// The tokenizer that a GGUF file carries, from its metadata under `tokenizer.ggml` and `tokenizer.chat_template`.
///
/// Errors  backend_error with the file and the key: no vocabulary, one that is not of bytes, lists of other lengths than
///         the tokens', a pre-tokenizer that is missing or not known, an id that is no token's
[[nodiscard]] inline tokenizer_data read_tokenizer_gguf(gguf_file const& file) {
  tokenizer_data data;
  data.place = file.at().source;
  auto const model = file.text("tokenizer.ggml.model");
  if (model != "gpt2") {
    file.at().refuse(
        "metadata \"tokenizer.ggml.model\" is " +
        (model ? data::in_quotes(*model) + detail::why_not_bytes(*model) : std::string("missing")) +
        ", expected \"gpt2\", byte-pair encoding of bytes");
  }
  auto const pre = file.text("tokenizer.ggml.pre");
  if (!pre || find_pre_tokenizer(*pre) == nullptr) {
    file.at().refuse("metadata \"tokenizer.ggml.pre\" is " +
                     (pre ? data::in_quotes(*pre) : std::string("missing")) + ", expected " +
                     names_of_pre_tokenizers());
  }
  data.pre_tokenizer = std::string(*pre);

  auto const tokens = file.texts("tokenizer.ggml.tokens");
  auto const merges = file.texts("tokenizer.ggml.merges");
  if (!tokens || tokens->empty() || !merges) {
    file.at().refuse("has no \"tokenizer.ggml.tokens\" with \"tokenizer.ggml.merges\"");
  }
  data.tokens.assign(tokens->begin(), tokens->end());
  if (auto const kinds = file.integers("tokenizer.ggml.token_type")) {
    for (std::int64_t const kind : *kinds) {
      if (kind < 1 || kind > 6) {
        file.at().refuse("metadata \"tokenizer.ggml.token_type\" has a " + std::to_string(kind) +
                         ", expected 1 to 6");
      }
      data.kinds.push_back(static_cast<token_kind>(kind));
    }
  }
  for (std::string_view const each : *merges) {
    std::size_t const space = each.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == each.size()) {
      file.at().refuse("metadata \"tokenizer.ggml.merges\": " + data::in_quotes(each) +
                       " is no pair with a space between");
    }
    data.merges.emplace_back(each.substr(0, space), each.substr(space + 1));
  }

  data.normal_form_c = file.flag("prefer.tokenizer.normal_form_c");
  constexpr char const* found_after = "prefer.tokenizer.found_after";
  for (std::int64_t const id : file.integers(found_after).value_or(std::vector<std::int64_t>{})) {
    if (id < 0 || static_cast<std::uint64_t>(id) >= data.tokens.size()) {
      file.at().refuse("metadata " + data::in_quotes(found_after) + " has " + std::to_string(id) +
                       ", expected less than the " + std::to_string(data.tokens.size()) +
                       " tokens");
    }
    data.found_after.push_back(static_cast<std::uint32_t>(id));
  }
  data.adds_begin = file.flag("tokenizer.ggml.add_bos_token");
  data.begin = detail::token_of_key(file, "tokenizer.ggml.bos_token_id", data.tokens.size());
  for (char const* const key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                "tokenizer.ggml.eom_token_id"}) {
    auto const id = detail::token_of_key(file, key, data.tokens.size());
    if (id && std::find(data.ends.begin(), data.ends.end(), *id) == data.ends.end()) {
      data.ends.push_back(*id);
    }
  }
  data.chat_template = std::string(file.text("tokenizer.chat_template").value_or(""));
  return data;
}

}  // namespace prefer::inline v0_1::lm
