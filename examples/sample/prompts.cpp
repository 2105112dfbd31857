// SPDX-License-Identifier: MIT
#include "prompts.hpp"

#include <unistd.h>
#include <algorithm>
#include <cstddef>
#include <istream>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include <prefer/data/byte_source.hpp>
#include <prefer/data/first_bytes.hpp>
#include <prefer/data/json_lines.hpp>
#include <prefer/data/lines.hpp>
#include <prefer/data/message_json.hpp>
#include <prefer/expects.hpp>

#include "../program.hpp"
#include "../reading_options.hpp"

namespace sample {

namespace {

namespace data = prefer::data;

std::string all_of(std::string const& path) {
  data::place const at{"prompts", path == "-" ? "standard input" : path, 0};
  program::interruptible_input from_stdin(STDIN_FILENO);
  std::istream stream(&from_stdin);
  std::unique_ptr<data::byte_source> source;
  if (path == "-") {
    source = std::make_unique<data::stream_bytes>(stream, at);
  } else {
    source = std::make_unique<data::file_bytes>(at);
  }
  data::plain_bytes bytes(std::move(source), at, program::decoders_here());
  std::string text;
  std::string piece(1 << 16, '\0');
  while (std::size_t const count = bytes.read(piece.data(), piece.size()))
    text.append(piece, 0, count);
  return text;
}

bool is_json(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  auto const first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && (text[first] == '{' || text[first] == '[');
}

/// Turns what a file or an argument says into a prompt of the form that was asked for.
class maker {
 public:
  explicit maker(prompt_options const& given) : given_(given) {}

  [[nodiscard]] data::turns of_text(std::string text) const {
    if (given_.raw) return text;
    return with_system({data::message{"user", std::move(text)}});
  }

  [[nodiscard]] data::turns of_row(data::json_row const& row) {
    for (char const* const name : {"tools", "documents", "chat_template_kwargs"}) {
      if (data::find_field(row, name) != nullptr) {
        data::refuse_field(row, name, "is not given to chat templates here");
      }
    }
    char const* const name = data::find_field(row, "prompt") != nullptr ? "prompt" : "messages";
    data::json const* const value = data::find_field(row, name);
    if (value == nullptr) data::refuse_missing(row, "prompt", "a text or messages");
    for (auto const& [field, ignored] : row.fields.items()) {
      if (field != name) not_read_.insert(field);
    }
    data::happened passed_over;
    data::turns part =
        data::message_reader(row, name, data::other_parts::refused, passed_over).read(*value);
    if (part.blank()) data::refuse_field(row, name, "is empty");
    if (part.is_text()) return of_text(part.text());
    if (given_.raw) {
      data::refuse_field(row, name, "holds messages, and --raw takes texts alone");
    }
    if (part.messages().back().role == "assistant") {
      data::refuse_field(row, name, "ends in an answer; expected messages that ask for one");
    }
    return with_system(part.messages());
  }

  /// Fields of rows that were passed over.
  [[nodiscard]] std::set<std::string> const& not_read() const { return not_read_; }

 private:
  [[nodiscard]] data::conversation with_system(data::conversation messages) const {
    if (!given_.system.empty()) {
      if (messages.front().role == "system") {
        prefer::refuse("--system: a prompt has a system message of its own already");
      }
      messages.insert(messages.begin(), data::message{"system", given_.system});
    }
    return messages;
  }

  prompt_options const& given_;
  std::set<std::string> not_read_;
};

std::vector<data::turns> in_file(prompt_options const& given) {
  std::string const name = given.file == "-" ? "standard input" : given.file;
  std::string const text = all_of(given.file);
  if (program::interrupted) return {};
  std::vector<data::turns> out;
  maker make(given);
  if (is_json(text)) {
    for (data::json_row const& row : data::json_lines_in(text, name))
      out.push_back(make.of_row(row));
  } else {
    data::place const at{"prompts", name, 0};
    data::line_reader lines(std::make_unique<data::text_bytes>(text), at, "a prompt a line",
                            data::line_limits{}.bytes);
    while (lines.next()) {
      std::string_view line = lines.line();
      if (line.ends_with('\r')) line.remove_suffix(1);
      out.push_back(make.of_text(std::string(line)));
    }
  }
  if (!make.not_read().empty()) {
    std::string fields;
    for (auto const& each : make.not_read()) fields += (fields.empty() ? "" : ", ") + each;
    program::say(name + ": fields that nothing is read from: " + fields);
  }
  return out;
}

}  // namespace

void add_prompt_options(CLI::App& app, prompt_options& given) {
  app.add_option("prompt", given.texts, "Prompts, each an argument")->type_name("TEXT");
  add_prompt_file_options(app, given);
}

void add_prompt_file_options(CLI::App& app, prompt_options& given) {
  app.add_option(
         "--prompts", given.file,
         "File of prompts: one a line, or JSON lines with \"prompt\" or \"messages\"; - for "
         "standard input")
      ->type_name("FILE")
      ->check(program::path());
  app.add_option("--system", given.system, "A system message before every prompt")
      ->type_name("TEXT")
      ->check(program::not_empty("a text"));
  app.add_flag("--raw", given.raw, "Prompts are texts to go on with, without a chat template");
}

std::vector<data::turns> read_prompts(prompt_options const& given) {
  if (given.raw && !given.system.empty()) {
    prefer::refuse("--system does not go with --raw, which has no messages");
  }
  if (given.texts.empty() == given.file.empty()) {
    prefer::refuse(given.file.empty()
                       ? "there is no prompt; give one as an argument, or --prompts FILE"
                       : "prompts stand behind --prompts and as arguments; give them in one place");
  }
  if (!given.file.empty()) return in_file(given);
  maker const make(given);
  std::vector<data::turns> out;
  for (std::string const& text : given.texts) {
    if (text.empty()) prefer::refuse("a prompt is empty");
    out.push_back(make.of_text(text));
  }
  return out;
}

}  // namespace sample
