// SPDX-License-Identifier: MIT
//
// tokenize: texts to the tokens of a language model and back, and how rows are fed to it. See --help.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include <prefer/data/preference.hpp>
#include <prefer/lm/text/open_tokenizer.hpp>
#include <prefer/report/table.hpp>

#include "../language/as_chat.hpp"
#include "../program.hpp"
#include "../reading_options.hpp"
#include "check.hpp"
#include "view.hpp"

namespace {

namespace data = prefer::data;
namespace lm = prefer::lm;
using program::json;

constexpr char const* description =
    R"(Texts to the tokens of a language model and back, and, token by token, how a row
of preferences is fed to it: what is prompt, what is scored, what both completions
share, and what the chat template added.)";

constexpr char const* examples =
    R"(  tokenize --model SmolLM2-135M-Instruct.gguf "Hello, world!" "two  spaces"
  tokenize --model folder-of-a-model --ids 19556 28 905 17
  tokenize --model SmolLM2-135M-Instruct.gguf --data pairs.jsonl --texts chat --rows 1
  tokenize --model SmolLM2-135M-Instruct.gguf --check tokenizer.json

A model is a .gguf file, or a folder with tokenizer.json. Control tokens that a text
spells out ("<|im_end|>") are text, unless --special.

Of a row:
  part       prompt; chosen or rejected; shared: what both completions begin with,
             which is computed once
  by         who wrote it: the row, or the chat template with the tokenizer's begin
             and end
  scored     every token of a completion is, and none of a prompt
  cut        truncation left it out

--check compares golden files with this library's tokens and ends with 1 if one
differs: {"cases": [{"text", "ids", "decoded"}]}, the "tokenizer" of a tiny model's
golden.json, which needs no --model, or "rows" of chats with "prompt_ids".
)";

struct arguments {
  std::string model;
  std::vector<std::string> texts;
  std::vector<std::string> ids;
  bool special = false;
  lm::tokenizer_options tokens;
  std::string data;
  program::reading_options rows;
  bool labels = false;
  std::string as = "plain";
  std::size_t most_rows = 3;
  data::truncation limits;
  std::vector<std::string> check;
};

void declare(CLI::App& app, arguments& given) {
  app.add_option("--model", given.model, "A .gguf file, or a folder with tokenizer.json")
      ->type_name("FILE")
      ->check(program::path());
  app.add_option("TEXT", given.texts, "Texts to encode")->type_name("");
  app.add_option("--ids", given.ids, "Tokens to decode")
      ->type_name("N...")
      ->delimiter(',')
      ->check(program::whole(0, UINT32_MAX));
  app.add_flag("--special", given.special, "Control tokens that a text spells out are parsed");
  app.add_option("--chat-template", given.tokens.chat_template,
                 "A family of chat templates by name, in place of what the model's file says")
      ->type_name("NAME")
      ->check(program::not_empty("the name of a family of chat templates"));
  app.add_flag("--thinks", given.tokens.thinks,
               "Answers of a model that can think have their thoughts, which are scored");
  app.add_option("--data", given.data, "Rows of preferences to be shown as they are fed")
      ->type_name("FILE")
      ->check(program::path());
  app.add_option("--rows", given.most_rows, "Rows that are shown")
      ->check(program::whole(1, 1000000))
      ->capture_default_str();
  app.add_flag("--labels", given.labels, "Rows are completions with a label, not pairs");
  app.add_option("--texts", given.as,
                 "Rows that are texts and no messages: plain, as they stand, or chat, as what a "
                 "user and the assistant say")
      ->check(program::one_of({"plain", "chat"}))
      ->capture_default_str();
  program::add_columns_option(app, given.rows);
  program::add_form_options(app, given.rows);
  app.add_option("--max-prompt", given.limits.prompt, "Most tokens of a prompt, the last ones")
      ->type_name("N")
      ->check(program::whole(2));
  app.add_option("--max-completion", given.limits.completion,
                 "Most tokens of a completion, the first ones")
      ->type_name("N")
      ->check(program::whole(1));
  app.add_option("--max-length", given.limits.total, "Most tokens of both together")
      ->type_name("N")
      ->check(program::whole(2));
  app.add_option("--check", given.check, "Golden files to compare with")
      ->type_name("FILE...")
      ->check(program::path());
}

// ---- texts and tokens

void show_texts(arguments const& given, lm::tokenizer const& words, json& document) {
  for (std::string const& text : given.texts) {
    std::vector<std::uint32_t> tokens;
    if (given.special) {
      words.encode_parsed(text, tokens);
    } else {
      words.encode(text, tokens);
    }
    json pieces = json::array();
    prefer::report::table table({{.header = "token", .align = prefer::report::align::right},
                                 {.header = "text", .align = prefer::report::align::left}});
    for (std::uint32_t const id : tokens) {
      pieces.push_back(tokenize::text_of(words, id));
      table.add_row({std::to_string(id),
                     program::in_quotes(tokenize::on_one_line(tokenize::text_of(words, id)))});
    }
    if (program::as_json) {
      document["texts"].push_back({{"text", text}, {"ids", tokens}, {"pieces", pieces}});
      continue;
    }
    std::string ids;
    for (std::uint32_t const id : tokens) ids += (ids.empty() ? "" : " ") + std::to_string(id);
    program::print(program::quiet ? ids + "\n" : ids + "\n\n" + table.text() + "\n");
  }
}

void show_ids(arguments const& given, lm::tokenizer const& words, json& document) {
  if (given.ids.empty()) return;
  std::vector<std::uint32_t> tokens;
  for (std::string const& each : given.ids) {
    tokens.push_back(*program::read_number<std::uint32_t>(each));
    if (tokens.back() >= words.vocabulary()) {
      prefer::refuse("--ids: found " + each + "; the vocabulary has the tokens 0 to " +
                     std::to_string(words.vocabulary() - 1));
    }
  }
  std::string const text = words.decode(tokens);
  if (program::as_json) {
    document["text"] = text;
  } else {
    program::print(text + "\n");
  }
}

// ---- rows

json json_of(std::vector<tokenize::fed_token> const& tokens) {
  json out = json::array();
  for (auto const& each : tokens) {
    out.push_back(
        {{"id", each.id}, {"text", each.text}, {"by", spelling(each.by)}, {"cut", each.cut}});
  }
  return out;
}
json json_of(tokenize::fed_row const& row) {
  json out = {{"line", row.line}, {"shared", row.shared}, {"prompt", json_of(row.prompt)}};
  for (std::size_t i = 0; i < row.names.size(); ++i) {
    out[row.names[i]] = json_of(row.completions[i]);
  }
  return out;
}

std::size_t kept(std::vector<tokenize::fed_token> const& tokens) {
  std::size_t count = 0;
  for (auto const& each : tokens) count += each.cut ? 0 : 1;
  return count;
}

void add_rows(prefer::report::table& table, std::vector<tokenize::fed_token> const& tokens,
              std::string const& part, bool scored, std::size_t shared) {
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    auto const& each = tokens[i];
    table.add_row({std::to_string(each.id), program::in_quotes(tokenize::on_one_line(each.text)),
                   i < shared ? part + ", shared" : part, std::string(spelling(each.by)),
                   each.cut ? "cut"
                   : scored ? "scored"
                            : ""});
  }
}

void show_row(tokenize::fed_row const& row, json& document) {
  if (program::as_json) {
    document["rows"].push_back(json_of(row));
    return;
  }
  std::string sentence = "line " + std::to_string(row.line) + ": a prompt of " +
                         std::to_string(kept(row.prompt)) + " tokens";
  for (std::size_t i = 0; i < row.names.size(); ++i) {
    sentence += ", " + row.names[i] + " " + std::to_string(kept(row.completions[i]));
  }
  if (row.names.size() == 2) sentence += ", shared " + std::to_string(row.shared);
  using prefer::report::align;
  prefer::report::table table({{.header = "token", .align = align::right},
                               {.header = "text", .align = align::left},
                               {.header = "part", .align = align::left},
                               {.header = "by", .align = align::left},
                               {.header = "", .align = align::left}});
  add_rows(table, row.prompt, "prompt", false, 0);
  for (std::size_t i = 0; i < row.names.size(); ++i) {
    add_rows(table, row.completions[i], row.names[i], true, row.shared);
  }
  program::print(sentence + "\n\n" + table.text() + "\n");
}

void show_data(arguments const& given, lm::tokenizer const& words, json& document) {
  if (given.data.empty()) return;
  data::reading_report report;
  auto const show = [&](auto&& rows) {
    std::size_t shown = 0;
    for (auto row : rows) {
      if (given.as == "chat") language::as_chat(row);
      show_row(tokenize::view_of(row, words, given.limits), document);
      if (++shown == given.most_rows) break;
    }
  };
  auto const how = program::reading_of(given.rows);
  if (given.labels) {
    show(data::unpaired(given.data, how, &report));
  } else {
    show(data::pairs(given.data, how, &report));
  }
  if (!program::quiet) program::say_reading("tokenize", report);
}

// ---- golden files

int check_files(arguments const& given) {
  json document = program::results_document();
  document["checks"] = json::array();
  bool differs = false;
  for (std::string const& path : given.check) {
    auto const result = tokenize::check(path, given.model, given.tokens);
    differs = differs || !result.mismatches.empty();
    json mismatches = json::array();
    std::string lines =
        path + ": " + std::to_string(result.texts) + " texts, " +
        (result.mismatches.empty() ? "all agree"
                                   : std::to_string(result.mismatches.size()) + " differences") +
        "\n";
    for (auto const& each : result.mismatches) {
      mismatches.push_back(
          {{"text", each.text}, {"expected", each.expected}, {"found", each.found}});
      lines += "  text      " + program::in_quotes(tokenize::on_one_line(each.text)) +
               "\n  expected  " + tokenize::on_one_line(each.expected) + "\n  found     " +
               tokenize::on_one_line(each.found) + "\n";
    }
    if (!program::as_json) program::print(lines);
    document["checks"].push_back(
        {{"file", path}, {"texts", result.texts}, {"mismatches", mismatches}});
  }
  if (program::as_json) program::print_json(document);
  return differs ? 1 : 0;
}

int run(arguments const& given) {
  bool const shows = !given.texts.empty() || !given.ids.empty() || !given.data.empty();
  if (!given.check.empty()) {
    if (shows) prefer::refuse("--check does not go with texts, --ids or --data");
    return check_files(given);
  }
  if (given.model.empty()) prefer::refuse("--model: found nothing; expected the model's file");
  if (!shows) prefer::refuse("found nothing to do; expected a text, --ids, --data or --check");
  lm::tokenizer const words = lm::open_tokenizer(given.model, given.tokens);
  json document = program::results_document();
  show_texts(given, words, document);
  show_ids(given, words, document);
  show_data(given, words, document);
  if (program::as_json) program::print_json(document);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return program::run<arguments>(argc, argv, {"tokenize", description, examples}, declare, run);
}
