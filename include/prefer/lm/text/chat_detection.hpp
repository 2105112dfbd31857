// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <prefer/expects.hpp>
#include <prefer/lm/text/chat_form.hpp>

namespace prefer::inline v0_1::lm {

namespace detail {

/// Looks for marks in the Jinja text of a chat template; it is not run.
class template_text {
 public:
  explicit template_text(std::string_view text) : text_(text) {}

  [[nodiscard]] bool has(std::string_view mark) const {
    return text_.find(mark) != std::string_view::npos;
  }
  /// The same for text with line ends in it, which stand as they are or as \n.
  [[nodiscard]] bool says(std::string const& plain) const {
    return has(plain) || has(escaped(plain));
  }

  /// The literal in which `mark` first stands alone between quotes and spaces: of `'[INST] ' + ...` "[INST] ".
  [[nodiscard]] std::optional<std::string> literal_with(std::string_view mark) const {
    for (std::size_t at = text_.find(mark); at != std::string_view::npos;
         at = text_.find(mark, at + 1)) {
      std::size_t first = at;
      while (first > 0 && text_[first - 1] == ' ') --first;
      std::size_t last = at + mark.size();
      while (last < text_.size() && text_[last] == ' ') ++last;
      auto const quote = [&](std::size_t i) {
        return i < text_.size() && (text_[i] == '\'' || text_[i] == '"');
      };
      if (first > 0 && quote(first - 1) && quote(last)) {
        return std::string(text_.substr(first, last - first));
      }
    }
    return std::nullopt;
  }

  /// What a string literal behind `name =` says.
  [[nodiscard]] std::optional<std::string> assigned(std::string_view name) const {
    for (std::size_t at = text_.find(name); at != std::string_view::npos;
         at = text_.find(name, at + 1)) {
      std::size_t next = skip_spaces(at + name.size());
      if (next >= text_.size() || text_[next] != '=') continue;
      next = skip_spaces(next + 1);
      if (next >= text_.size() || (text_[next] != '\'' && text_[next] != '"')) continue;
      std::size_t end = next + 1;
      while (end < text_.size() && text_[end] != text_[next]) end += text_[end] == '\\' ? 2 : 1;
      if (end >= text_.size()) continue;
      // "..." + x is more than the literal
      std::size_t const behind = skip_spaces(end + 1);
      if (behind < text_.size() && (text_[behind] == '+' || text_[behind] == '~')) continue;
      return unescaped(text_.substr(next + 1, end - next - 1));
    }
    return std::nullopt;
  }

  /// What stands between `opening` and `closing` as fixed text, in any of their places.
  [[nodiscard]] std::optional<std::string> fixed_between(std::string_view opening,
                                                         std::string_view closing) const {
    for (std::size_t at = text_.find(opening); at != std::string_view::npos;
         at = text_.find(opening, at + 1)) {
      std::size_t first = at + opening.size();
      if (text_.substr(first, 1) == "\n") {
        first += 1;
      } else if (text_.substr(first, 2) == "\\n") {
        first += 2;
      } else {
        continue;
      }
      std::size_t const end = text_.find(closing, first);
      if (end == std::string_view::npos) continue;
      std::string_view const between = text_.substr(first, end - first);
      bool fixed = true;
      for (std::string_view const code : {"{{", "}}", "{%", "' +", "\" +", "'+", "\"+", "' ~",
                                          "\" ~", "' }", "\" }", "'}", "\"}"}) {
        fixed = fixed && between.find(code) == std::string_view::npos;
      }
      if (fixed) return unescaped(between);
    }
    return std::nullopt;
  }

  /// What stands between two marks that follow each other, or nothing.
  [[nodiscard]] std::string_view between(std::string_view from, std::string_view to) const {
    std::size_t const first = text_.find(from);
    if (first == std::string_view::npos) return {};
    std::size_t const end = text_.find(to, first + from.size());
    return text_.substr(first + from.size(),
                        end == std::string_view::npos ? end : end - first - from.size());
  }

 private:
  [[nodiscard]] std::size_t skip_spaces(std::size_t at) const {
    while (at < text_.size() && text_[at] == ' ') ++at;
    return at;
  }
  static std::string escaped(std::string const& plain) {
    std::string out;
    for (char const c : plain) out += c == '\n' ? std::string("\\n") : std::string(1, c);
    return out;
  }
  static std::string unescaped(std::string_view literal) {
    std::string out;
    for (std::size_t at = 0; at < literal.size(); ++at) {
      if (literal[at] != '\\' || at + 1 == literal.size()) {
        out += literal[at];
        continue;
      }
      char const c = literal[++at];
      out += c == 'n' ? '\n' : c == 't' ? '\t' : c;
    }
    return out;
  }

  std::string_view text_;
};

inline chat_form unknown_form(std::string why) {
  chat_form form;
  form.unknown = std::move(why);
  return form;
}

/// What the template has of thoughts; nothing if it writes them in a way of its own.
inline std::optional<thought> detect_thoughts(template_text const& text) {
  if (!text.has("think>")) return thought::none;
  bool const opens = text.says("<|im_start|>assistant\n<think>\n'") ||
                     text.says("<|im_start|>assistant\n<think>\n\"");
  bool const forgets = text.has("split('</think>')") || text.has("split(\"</think>\")");
  if (opens && forgets && !text.has("enable_thinking")) return thought::always;
  bool const closes = text.has("enable_thinking") && text.says("{{- '<think>\n\n</think>\n\n' }}");
  if (closes && forgets && text.has("last_query_index")) return thought::either;
  return std::nullopt;
}

inline chat_form detect_chatml(template_text const& text) {
  auto const unlike = [](std::string const& what) {
    return unknown_form("has <|im_start|> as the family chatml and " + what);
  };
  if (!text.has("<|im_end|>")) return unlike("no <|im_end|>");
  for (std::string_view const mark :
       {"strftime_now", "<|im_sep|>", "<|im_middle|>", "## Metadata", "macro"}) {
    if (text.has(mark)) return unlike("more than that: \"" + std::string(mark) + '"');
  }
  chat_form form;
  form.family = chat_family::chatml;
  form.writes_begin = text.has("bos_token");
  for (std::string_view const content : {"['content']", "[\"content\"]", ".content"}) {
    form.trims = form.trims || text.has(std::string(content) + " | trim") ||
                 text.has(std::string(content) + "|trim");
  }
  if (!form.trims && text.has("trim")) return unlike("trims what messages say in a way of its own");
  auto said = text.fixed_between("<|im_start|>system", "<|im_end|>");
  if (!said) said = text.assigned("system_message");
  form.has_default_system = said.has_value();
  form.default_system = said.value_or("");
  if (text.has("tool_response")) form.refused_roles.emplace_back("tool");
  auto const thoughts = detect_thoughts(text);
  if (!thoughts) return unlike("writes thoughts in a way of its own");
  form.thoughts = *thoughts;
  return form;
}

inline chat_form detect_llama3(template_text const& text) {
  chat_form form;
  form.family = chat_family::llama3;
  form.writes_begin = text.has("bos_token") || text.has("<|begin_of_text|>");
  form.trims = text.has("trim");
  form.refused_roles = {"tool", "ipython"};
  if (text.has("Cutting Knowledge Date")) {
    auto const knowledge = text.between("Cutting Knowledge Date: ", "\\n");
    auto const today = text.assigned("date_string");
    if (!today || knowledge.size() > 40 || !text.has("Today Date: ")) {
      return unknown_form("is of the family llama3 and writes dates in another way");
    }
    // The day of the run would be another text every day: the day that the template itself falls back to is taken.
    form.system_preamble =
        "Cutting Knowledge Date: " + std::string(text.between("Cutting Knowledge Date: ", "\\n"));
    std::size_t const line = form.system_preamble.find('\n');
    if (line != std::string::npos) form.system_preamble.resize(line);
    form.system_preamble += "\nToday Date: " + *today + "\n\n";
    form.has_default_system = true;
  }
  return form;
}

inline chat_form detect_mistral(template_text const& text) {
  if (text.has("<<SYS>>")) return unknown_form("is of Llama 2, for vocabularies of SentencePiece");
  auto const before = text.literal_with("[INST]");
  auto const after = text.literal_with("[/INST]");
  if (!before || !after) return unknown_form("writes [INST] in another way than Mistral's do");
  chat_form form;
  form.family = chat_family::mistral;
  form.writes_begin = text.has("bos_token");
  form.before_user = *before;
  form.after_user = *after;
  bool const answer_spaced = text.has("' ' + message") || text.has("\" \" + message");
  form.before_answer = answer_spaced ? " " : "";
  form.after_answer = text.has("eos_token + ' '") || text.has("eos_token + \" \"") ? " " : "";
  form.trims_answers = text.has("content']|trim + eos") || text.has("content\"]|trim + eos") ||
                       text.has("content'] | trim + eos") || text.has("content\"] | trim + eos");
  if (auto const own = text.literal_with("[SYSTEM_PROMPT]")) {
    form.before_system = *own;
    form.after_system = text.literal_with("[/SYSTEM_PROMPT]").value_or("[/SYSTEM_PROMPT]");
    if (text.has("default_system_message")) {
      return unknown_form("says what the day is where the system says nothing");
    }
  } else if (!text.has("system")) {
    form.system = system_place::refused;
  } else {
    bool const last =
        text.has("loop.last and") || text.has("user_messages[-1]") || text.has("last_user_message");
    form.system = last ? system_place::last_user : system_place::first_user;
  }
  return form;
}

inline chat_form detect_zephyr(template_text const& text) {
  // Other families have these marks, too, and end a user's turn by something else than the end token.
  if (text.between("<|user|>", "<|").find("eos_token") == std::string_view::npos) {
    return unknown_form("has <|user|> and ends that turn in another way than Zephyr's");
  }
  chat_form form;
  form.family = chat_family::zephyr;
  form.writes_begin = text.has("bos_token");
  return form;
}

}  // namespace detail

/// The form of a chat template, by marks in its text: the control tokens of its family, and in what it differs. The
/// template is not run; one that is not known has family none and the reason, and is an error only where messages are
/// to be encoded.
[[nodiscard]] inline chat_form detect_chat(std::string_view jinja) {
  detail::template_text const text(jinja);
  if (jinja.empty()) return detail::unknown_form("is missing");
  if (text.has("<|im_start|>")) return detail::detect_chatml(text);
  if (text.has("<|start_header_id|>")) return detail::detect_llama3(text);
  if (text.has("[INST]")) return detail::detect_mistral(text);
  if (text.has("<|user|>") && text.has("<|assistant|>")) return detail::detect_zephyr(text);
  return detail::unknown_form("is of no family that is known here");
}

/// The plain form of a family, for models whose file has no template or another one.
///
/// Errors  precondition_error for a name that is none
[[nodiscard]] inline chat_form chat_named(std::string_view name) {
  for (chat_family_name const& each : chat_families) {
    if (each.name != name) continue;
    chat_form form;
    form.family = each.family;
    form.writes_begin = each.family == chat_family::llama3 || each.family == chat_family::mistral;
    form.trims = each.family == chat_family::llama3;
    if (each.family == chat_family::mistral) {
      form.before_user = "[INST] ";
      form.after_user = " [/INST]";
      form.system = system_place::first_user;
    }
    return form;
  }
  refuse("found the chat template \"" + std::string(name) + "\"; expected " +
         names_of_chat_families());
}

}  // namespace prefer::inline v0_1::lm
