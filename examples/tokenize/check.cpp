// SPDX-License-Identifier: MIT
#include "check.hpp"

#include <cstdint>
#include <exception>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include <prefer/expects.hpp>
#include <prefer/file/binary_file.hpp>
#include <prefer/lm/text/open_tokenizer.hpp>

namespace tokenize {

namespace {

namespace lm = prefer::lm;
using nlohmann::json;
using tokens = std::vector<std::uint32_t>;

std::string words_of(tokens const& ids) {
  std::string all;
  for (std::uint32_t const id : ids) all += (all.empty() ? "" : " ") + std::to_string(id);
  return all;
}

/// A golden file and what is found wrong with our tokens.
class checker {
 public:
  checker(std::string const& path, lm::tokenizer const& words) : words_(words) {
    result_.path = path;
  }

  [[nodiscard]] check_result run(json const& golden) && {
    bool const parsed = !golden.is_object() || golden.value("special_tokens_parsed", true);
    bool known = golden.is_array();
    if (known) texts(golden, parsed);
    for (char const* const name : {"cases", "tokenizer"}) {
      if (!golden.is_object() || !golden.contains(name)) continue;
      known = true;
      texts(golden[name], parsed);
    }
    if (golden.is_object() && golden.contains("rows")) {
      for (json const& row : list(golden["rows"], "rows")) {
        if (!row.is_object() || !row.contains("prompt_ids")) continue;
        known = true;
        chat(row);
      }
    }
    if (!known) {
      fail(
          "is of no form that is known; expected \"cases\" or \"tokenizer\" with \"text\" and "
          "\"ids\", or \"rows\" with \"prompt_ids\"");
    }
    return std::move(result_);
  }

 private:
  [[noreturn]] void fail(std::string const& reason) const {
    prefer::refuse(prefer::backend_error("tokenize", result_.path, reason));
  }
  json const& list(json const& value, char const* name) const {
    if (!value.is_array()) fail('"' + std::string(name) + "\" is no list");
    return value;
  }
  json const& member(json const& of, char const* name) const {
    if (!of.is_object() || !of.contains(name)) {
      fail("text " + std::to_string(result_.texts + 1) + " has no \"" + name + '"');
    }
    return of[name];
  }
  std::string text(json const& of, char const* name) const {
    json const& value = member(of, name);
    if (!value.is_string()) {
      fail("text " + std::to_string(result_.texts + 1) + ": \"" + name + "\" is no string");
    }
    return value.get<std::string>();
  }
  tokens ids(json const& of, char const* name) const {
    tokens out;
    for (json const& each : list(member(of, name), name)) {
      if (!each.is_number_unsigned()) {
        fail("text " + std::to_string(result_.texts + 1) + ": \"" + name + "\" holds no token");
      }
      out.push_back(each.get<std::uint32_t>());
    }
    return out;
  }

  /// Compares tokens; what this library refuses to encode counts as a difference, not as the end.
  template <class Encode>
  std::optional<tokens> compare(std::string const& what, tokens const& expected,
                                Encode const& encode) {
    ++result_.texts;
    tokens found;
    try {
      encode(found);
    } catch (prefer::backend_error const& error) {
      result_.mismatches.push_back({what, words_of(expected), error.what()});
      return std::nullopt;
    }
    if (found != expected) {
      result_.mismatches.push_back({what, words_of(expected), words_of(found)});
    }
    return found;
  }

  void texts(json const& cases, bool parsed) {
    for (json const& each : list(cases, "cases")) {
      std::string const written = text(each, "text");
      tokens const expected = ids(each, "ids");
      compare(written, expected, [&](tokens& into) {
        if (parsed) {
          words_.encode_parsed(written, into);
        } else {
          words_.encode(written, into);
        }
      });
      if (!each.contains("decoded")) continue;
      for (std::uint32_t const id : expected) {
        if (id >= words_.vocabulary()) return;
      }
      std::string const back = words_.decode(expected);
      if (back != text(each, "decoded")) {
        result_.mismatches.push_back({written, text(each, "decoded"), back});
      }
    }
  }

  void chat(json const& row) {
    using prefer::data::conversation;
    using prefer::data::turn_part;
    std::string const prompt = text(row, "prompt");
    compare(prompt, ids(row, "prompt_ids"), [&](tokens& into) {
      words_.encode(conversation{{"user", prompt}}, turn_part::prompt, into);
    });
    for (char const* const side : {"chosen", "rejected"}) {
      if (!row.contains(side)) continue;
      std::string const answer = text(row[side], "text");
      compare(answer, ids(row[side], "ids"), [&](tokens& into) {
        words_.encode(conversation{{"assistant", answer}}, turn_part::completion, into);
      });
    }
  }

  lm::tokenizer const& words_;
  check_result result_;
};

}  // namespace

check_result check(std::string const& path, std::string const& model,
                   lm::tokenizer_options const& options) {
  auto const bytes = prefer::read_bytes(path);
  json const golden = json::parse(bytes.begin(), bytes.end(), nullptr, false);
  if (golden.is_discarded()) {
    prefer::refuse(prefer::backend_error("tokenize", path, "is no JSON"));
  }
  auto const folder = std::filesystem::path(path).parent_path();
  bool const beside = golden.is_object() && golden.contains("tokenizer") &&
                      std::filesystem::exists(folder / "tokenizer.json");
  if (model.empty() && !beside) {
    prefer::refuse("--check " + path + ": expected --model beside it, whose tokenizer it is about");
  }
  // A tiny model's file is about the model that it lies beside.
  lm::tokenizer const words =
      lm::open_tokenizer(beside ? (folder.empty() ? "." : folder.string()) : model, options);
  return checker(path, words).run(golden);
}

}  // namespace tokenize
