// SPDX-License-Identifier: MIT
#include "view.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include <prefer/data/encode.hpp>
#include <prefer/lm/text/chat_rendering.hpp>
#include <prefer/lm/text/normal_form.hpp>
#include <prefer/lm/text/utf8_stream.hpp>

namespace tokenize {

namespace {

namespace data = prefer::data;
namespace lm = prefer::lm;

/// What a part of a row becomes: tokens, and who wrote each byte of their text.
struct written_part {
  std::vector<std::uint32_t> tokens;
  std::vector<bool> by_template;
};

void add_token(written_part& part, lm::tokenizer const& words, std::optional<std::uint32_t> id) {
  if (!id) return;
  part.tokens.push_back(*id);
  part.by_template.insert(part.by_template.end(), words.bytes(*id).size(), true);
}

/// How many bytes the tokens of a text have, which are those of its normal form where the tokenizer makes it.
std::size_t bytes_of(std::string const& text, lm::tokenizer const& words) {
  return words.puts_into_normal_form_c() ? lm::normal_form_c(text).size() : text.size();
}

written_part part_of(data::turns const& from, data::turn_part which, lm::tokenizer const& words) {
  written_part part;
  bool const prompt = which == data::turn_part::prompt;
  if (from.is_text()) {
    if (prompt) add_token(part, words, words.begin_token());
    words.encode(from.text(), part.tokens);
    part.by_template.resize(part.by_template.size() + bytes_of(from.text(), words), false);
    if (!prompt) add_token(part, words, words.end_token());
    return part;
  }
  lm::chat_text const pieces = prompt ? render_prompt(words.chat(), from.messages())
                                      : render_completion(words.chat(), from.messages());
  words.encode(pieces, part.tokens);
  std::string text;
  for (lm::chat_piece const& each : pieces) {
    text += each.text;
    part.by_template.resize(bytes_of(text, words), each.by_template);
  }
  return part;
}

/// Tokens with their texts and writers; of the whole part those in [first, last) stay.
std::vector<fed_token> fed(written_part const& part, lm::tokenizer const& words, std::size_t begin,
                           std::size_t first, std::size_t last) {
  std::vector<fed_token> out;
  std::size_t at = 0;
  for (std::size_t i = 0; i < part.tokens.size(); ++i) {
    std::size_t const size = words.bytes(part.tokens[i]).size();
    // A token that is found before texts are put into normal form may be longer than that.
    std::size_t const known = part.by_template.size();
    auto const from = part.by_template.begin() + static_cast<std::ptrdiff_t>(std::min(at, known));
    auto const to =
        part.by_template.begin() + static_cast<std::ptrdiff_t>(std::min(at + size, known));
    auto const of_template = std::count(from, to, true);
    writer const by = of_template == 0           ? writer::row
                      : of_template == to - from ? writer::template_
                                                 : writer::both;
    bool const kept = i < begin || (i >= first && i < last);
    out.push_back({part.tokens[i], text_of(words, part.tokens[i]), by, !kept});
    at += size;
  }
  return out;
}

/// The view, of what data::encode makes of the row.
template <class Row>
fed_row view(Row const& row, lm::tokenizer const& words, data::truncation const& limits,
             std::vector<std::pair<char const*, data::turns const*>> const& completions) {
  prefer::token_sequences kept;
  data::encode_report report;
  prefer::choice_data const made = data::encode(std::vector<Row>{row}, words, kept, limits, report);
  fed_row out;
  out.line = row.line;
  written_part const prompt = part_of(row.prompt, data::turn_part::prompt, words);
  std::size_t const begin =
      words.begin_token() && prompt.tokens.front() == *words.begin_token() ? 1 : 0;
  std::size_t const prompt_kept = kept.prompts.tokens(made.prompt[0]).size();
  out.prompt =
      fed(prompt, words, begin, prompt.tokens.size() - (prompt_kept - begin), prompt.tokens.size());
  std::vector<std::span<std::uint32_t const>> tokens;
  for (std::size_t i = 0; i < completions.size(); ++i) {
    written_part const part = part_of(*completions[i].second, data::turn_part::completion, words);
    tokens.push_back(kept.completions.tokens(made.completion[i]));
    out.names.emplace_back(completions[i].first);
    out.completions.push_back(fed(part, words, 0, 0, tokens.back().size()));
  }
  if (tokens.size() == 2) {
    auto const apart =
        std::mismatch(tokens[0].begin(), tokens[0].end(), tokens[1].begin(), tokens[1].end());
    out.shared = static_cast<std::size_t>(apart.first - tokens[0].begin());
  }
  return out;
}

}  // namespace

std::string_view spelling(writer by) {
  return by == writer::row ? "row" : by == writer::template_ ? "template" : "both";
}

fed_row view_of(data::preference_pair const& row, lm::tokenizer const& words,
                data::truncation const& limits) {
  return view(row, words, limits, {{"chosen", &row.chosen}, {"rejected", &row.rejected}});
}
fed_row view_of(data::unpaired_example const& row, lm::tokenizer const& words,
                data::truncation const& limits) {
  return view(row, words, limits, {{row.label ? "desirable" : "undesirable", &row.completion}});
}

std::string on_one_line(std::string_view text) {
  std::string out;
  for (char const c : text) {
    auto const byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7F) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\x%02X", byte);
      out += escape.data();
    } else {
      out += c;
    }
  }
  return out;
}

std::string text_of(lm::tokenizer const& words, std::uint32_t id) {
  lm::utf8_stream stream;
  std::string text = stream.add(words.bytes(id));
  return text + stream.end();
}

}  // namespace tokenize
