// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <prefer/expects.hpp>
#include <prefer/lm/text/pre_tokenizer_table.hpp>
#include <prefer/lm/text/tokenizer_data.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

using tokenizer_object = nlohmann::json;

/// What a tokenizer.json says, piece by piece; whatever changes tokens and is not known is refused by name.
class tokenizer_json_reader {
 public:
  tokenizer_json_reader(tokenizer_object const& root, std::string const& place) : root_(root) {
    data_.place = place;
  }

  [[nodiscard]] tokenizer_data read() && {
    if (!root_.is_object()) refuse_file("is no JSON object; expected a tokenizer.json");
    read_model();
    read_added_tokens();
    data_.normal_form_c = false;
    read_normalizer(member(root_, "normalizer"));
    read_pre_tokenizer();
    read_post_processor(member(root_, "post_processor"));
    if (!data_.adds_begin) data_.adds_begin = false;
    expect_decoder();
    return std::move(data_);
  }

 private:
  [[noreturn]] void refuse_file(std::string const& reason) const {
    refuse(backend_error("lm::tokenizer", data_.place, reason));
  }

  /// A member, or null where there is none.
  static tokenizer_object const& member(tokenizer_object const& object, char const* name) {
    static tokenizer_object const null;
    if (!object.is_object()) return null;
    auto const found = object.find(name);
    return found == object.end() ? null : *found;
  }
  static std::string word(tokenizer_object const& object, char const* name) {
    auto const& value = member(object, name);
    return value.is_string() ? value.get<std::string>() : std::string();
  }
  static bool flag(tokenizer_object const& object, char const* name, bool otherwise = false) {
    auto const& value = member(object, name);
    return value.is_boolean() ? value.get<bool>() : otherwise;
  }
  [[nodiscard]] std::uint32_t token_id(tokenizer_object const& value,
                                       std::string const& what) const {
    constexpr std::uint64_t most = std::uint64_t{1} << 24;
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() >= most) {
      refuse_file(what + " has no id; expected a whole number below 2^24");
    }
    return value.get<std::uint32_t>();
  }

  void place_token(std::string text, std::uint32_t id, token_kind kind) {
    if (id >= data_.tokens.size()) {
      data_.tokens.resize(id + std::size_t{1});
      data_.kinds.resize(id + std::size_t{1}, token_kind::unused);
    }
    data_.tokens[id] = std::move(text);
    data_.kinds[id] = kind;
  }

  void read_model() {
    auto const& model = member(root_, "model");
    std::string const type = word(model, "type");
    // Files of before 2020 do not name it.
    if (type != "BPE" && !(type.empty() && model.contains("merges"))) {
      refuse_file("the model is \"" + type +
                  "\"; expected \"BPE\" of bytes (vocabularies of SentencePiece and WordPiece are "
                  "not read)");
    }
    if (flag(model, "byte_fallback")) {
      refuse_file("\"byte_fallback\" is true, as with SentencePiece; expected BPE of bytes");
    }
    for (char const* const part : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!word(model, part).empty()) {
        refuse_file('"' + std::string(part) + "\" is \"" + word(model, part) +
                    "\"; expected none, as in BPE of bytes");
      }
    }
    data_.whole_tokens = flag(model, "ignore_merges");
    auto const& vocabulary = member(model, "vocab");
    if (!vocabulary.is_object()) refuse_file("\"model\" has no \"vocab\"; expected tokens by name");
    std::size_t const most = 4 * vocabulary.size() + 65536;  // ids may leave room, not everything
    for (auto const& [text, id] : vocabulary.items()) {
      std::uint32_t const number = token_id(id, "token \"" + text + '"');
      if (number >= most) {
        refuse_file("token \"" + text + "\" has the id " + std::to_string(number) + " of " +
                    std::to_string(vocabulary.size()) + " tokens");
      }
      place_token(text, number, token_kind::normal);
    }
    read_merges(member(model, "merges"));
  }

  void read_merges(tokenizer_object const& merges) {
    if (!merges.is_array()) refuse_file("\"model\" has no \"merges\"; expected a list");
    data_.merges.reserve(merges.size());
    for (auto const& each : merges) {
      if (each.is_array() && each.size() == 2 && each[0].is_string() && each[1].is_string()) {
        data_.merges.emplace_back(each[0].get<std::string>(), each[1].get<std::string>());
        continue;
      }
      std::string const text = each.is_string() ? each.get<std::string>() : std::string();
      std::size_t const space = text.find(' ', 1);
      if (text.empty() || space == std::string::npos || space + 1 == text.size()) {
        refuse_file("merge " + std::to_string(data_.merges.size() + 1) +
                    " is no pair; expected [\"a\", \"b\"] or \"a b\"");
      }
      data_.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
    }
  }

  void read_added_tokens() {
    auto const& added = member(root_, "added_tokens");
    if (!added.is_array()) return;
    std::size_t const most = data_.tokens.size() + 2 * added.size() + 65536;
    for (auto const& each : added) {
      std::string const text = word(each, "content");
      std::uint32_t const id = token_id(member(each, "id"), "added token \"" + text + '"');
      if (id >= most) {
        refuse_file("added token \"" + text + "\" has the id " + std::to_string(id) + " of about " +
                    std::to_string(data_.tokens.size()) + " tokens");
      }
      for (char const* const part : {"single_word", "lstrip", "rstrip"}) {
        if (flag(each, part)) {
          refuse_file("added token \"" + text + "\" has \"" + part +
                      "\", which is not done here; expected tokens that take nothing with them");
        }
      }
      bool const special = flag(each, "special");
      if (!special && flag(each, "normalized", true)) data_.found_after.push_back(id);
      place_token(text, id, special ? token_kind::control : token_kind::user_defined);
    }
  }

  /// A sequence of sequences is read by recursion, and a hostile one has a million of them.
  void expect_shallow(std::size_t depth) const {
    if (depth > 8) refuse_file("has a \"Sequence\" in nine others; expected a list of steps");
  }

  void read_normalizer(tokenizer_object const& node, std::size_t depth = 0) {
    if (node.is_null()) return;
    std::string const type = word(node, "type");
    if (type == "Sequence") {
      expect_shallow(depth);
      for (auto const& each : member(node, "normalizers")) read_normalizer(each, depth + 1);
      return;
    }
    if (type != "NFC") refuse_file("the normalizer is \"" + type + "\"; expected none or NFC");
    data_.normal_form_c = true;
  }

  /// The steps of the pre-tokenizer as words: "digits", "gpt2", "llama3", "qwen2" and "bytes".
  [[nodiscard]] std::vector<std::string> steps(tokenizer_object const& node,
                                               std::size_t depth = 0) const {
    std::string const type = word(node, "type");
    if (type == "Sequence") {
      expect_shallow(depth);
      std::vector<std::string> all;
      for (auto const& each : member(node, "pretokenizers")) {
        for (std::string& step : steps(each, depth + 1)) all.push_back(std::move(step));
      }
      return all;
    }
    if (type == "ByteLevel") {
      if (flag(node, "add_prefix_space")) {
        refuse_file("the pre-tokenizer has \"add_prefix_space\", which is not done here");
      }
      if (flag(node, "use_regex", true)) return {"gpt2", "bytes"};
      return {"bytes"};
    }
    if (type == "Digits") return {flag(node, "individual_digits") ? "digits" : "runs of digits"};
    if (type == "Split") return {split_step(node)};
    return {type.empty() ? "none" : type};
  }
  static std::string split_step(tokenizer_object const& node) {
    std::string const pattern = word(member(node, "pattern"), "Regex");
    std::string const behavior = word(node, "behavior");
    bool const inverted = flag(node, "invert");
    bool const keeps_all = behavior == "Isolated" || (behavior == "Removed" && inverted);
    if (!keeps_all) return "Split " + behavior;
    // The older way to write the same.
    constexpr std::string_view spelled =
        R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
    if (pattern == gpt2_pattern || pattern == spelled) return "gpt2";
    if (pattern == llama3_pattern) return "llama3";
    if (pattern == qwen2_pattern) return "qwen2";
    return "Split by " + pattern;
  }

  void read_pre_tokenizer() {
    auto const found = steps(member(root_, "pre_tokenizer"));
    using list = std::vector<std::string>;
    if (found == list{"gpt2", "bytes"}) {
      data_.pre_tokenizer = "gpt-2";
    } else if (found == list{"digits", "gpt2", "bytes"}) {
      data_.pre_tokenizer = "smollm";
    } else if (found == list{"llama3", "bytes"}) {
      data_.pre_tokenizer = data_.whole_tokens.value_or(false) ? "llama-bpe" : "smaug-bpe";
    } else if (found == list{"qwen2", "bytes"}) {
      data_.pre_tokenizer = "qwen2";
    } else {
      std::string all;
      for (std::string const& each : found) all += (all.empty() ? "" : ", then ") + each;
      refuse_file("the pre-tokenizer is " + all + "; expected that of " +
                  names_of_pre_tokenizers());
    }
  }

  void read_post_processor(tokenizer_object const& node, std::size_t depth = 0) {
    std::string const type = word(node, "type");
    if (node.is_null() || type == "ByteLevel") return;
    if (type == "Sequence") {
      expect_shallow(depth);
      for (auto const& each : member(node, "processors")) read_post_processor(each, depth + 1);
      return;
    }
    if (type != "TemplateProcessing") {
      refuse_file("the post-processor is \"" + type +
                  "\"; expected none, ByteLevel or TemplateProcessing");
    }
    bool text_seen = false;
    for (auto const& piece : member(node, "single")) {
      if (piece.contains("Sequence")) {
        text_seen = true;
        continue;
      }
      std::string const name = word(member(piece, "SpecialToken"), "id");
      auto const& ids = member(member(member(node, "special_tokens"), name.c_str()), "ids");
      if (text_seen || data_.adds_begin.has_value() || !ids.is_array() || ids.size() != 1) {
        refuse_file("the post-processor adds \"" + name +
                    "\"; expected one token before a text and none behind it");
      }
      data_.begin = token_id(ids[0], "token \"" + name + '"');
      data_.adds_begin = true;
    }
  }

  void expect_decoder() const {
    auto const& decoder = member(root_, "decoder");
    std::string const type = word(decoder, "type");
    if (!decoder.is_null() && type != "ByteLevel") {
      refuse_file("the decoder is \"" + type + "\"; expected ByteLevel");
    }
  }

  tokenizer_object const& root_;
  tokenizer_data data_;
};

}  // namespace detail

/// The vocabulary, merges and steps of a tokenizer.json, as its text; what other files say of it is in
/// read_tokenizer_folder.
///
/// Errors  backend_error with `place`: no JSON; a model, normalizer, pre-tokenizer, post-processor or decoder that is
///         not known, by name
[[nodiscard]] inline tokenizer_data parse_tokenizer_json(std::string_view text,
                                                         std::string const& place) {
  auto const root = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (root.is_discarded()) {
    refuse(backend_error("lm::tokenizer", place, "is no JSON; expected a tokenizer.json"));
  }
  return detail::tokenizer_json_reader(root, place).read();
}

}  // namespace prefer::inline v0_1::lm
