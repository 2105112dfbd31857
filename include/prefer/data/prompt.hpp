// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/data/example.hpp>
#include <prefer/data/form.hpp>
#include <prefer/data/json_row.hpp>
#include <prefer/data/place.hpp>
#include <prefer/data/reading.hpp>
#include <prefer/text/utf8.hpp>
#include <prefer/text/words.hpp>

namespace prefer::inline v0_1::data {

/// Finds the prompt of a row, and sees to it that no completion repeats it.
///
/// Without a prompt it is what all completions begin with: of texts at least two words and ten columns wide, ending
/// between two words; of lists their equal leading messages. A row that has a field by which a prompt usually goes is
/// refused instead, with that field's name.
///
/// An explicit prompt that every completion begins with is taken once, and counted: a text that is a prompt in the same
/// sense; a list of messages; or a string that is one of the user messages which all completions share, where all that
/// they share becomes the prompt. What repeats a prompt in any other way (one completion alone, with other white space,
/// behind other text) is refused.
///
/// Errors  backend_error
class prompt_finder {
 public:
  prompt_finder(json_row const& row, reading const& how, reading_report& report)
      : row_(row), how_(how), report_(report) {}

  void settle(row_content& content) {
    content_ = &content;
    for (std::size_t i = 1; i < content.completions.size(); ++i) {
      same_form(name(0), content.completions[0], name(i), content.completions[i]);
    }
    if (how_.texts == text_use::names) {
      if (!content.prompt) refuse_without_prompt(row_);
      same_form("prompt", *content.prompt, name(0), content.completions[0]);
      return;
    }
    if (!content.prompt) {
      take_common();
    } else if (content.prompt->is_text() && !content.completions[0].is_text()) {
      string_beside_messages();
    } else {
      same_form("prompt", *content.prompt, name(0), content.completions[0]);
      if (begins_every_completion()) take_once();
    }
    if (content.system) add_system();
    content.prompt->is_text() ? refuse_repeating_texts() : refuse_repeating_messages();
  }

  /// Throws: the field "prompt" is missing, or goes by another name.
  [[noreturn]] static void refuse_without_prompt(json_row const& row) {
    if (auto const other = prompt_by_another_name(row)) refuse_misnamed(row, *other);
    refuse_missing(row, "prompt", "it, because a program that takes texts for names needs one");
  }

 private:
  [[nodiscard]] std::string const& name(std::size_t i) const { return content_->fields[i]; }
  [[nodiscard]] std::vector<turns>& completions() const { return content_->completions; }
  [[nodiscard]] std::string both() const {
    return completions().size() == 1 ? in_quotes(name(0))
           : completions().size() == 2 && name(0) != name(1)
               ? in_quotes(name(0)) + " and " + in_quotes(name(1))
               : "the completions";
  }

  void same_form(std::string_view one, turns const& part, std::string_view other,
                 turns const& part_of_other) const {
    auto const form_of = [](turns const& of) {
      return of.is_text() ? " is a string" : " is a list of messages";
    };
    if (part.is_text() == part_of_other.is_text()) return;
    row_.at.refuse(in_quotes(one) + form_of(part) + " and " + in_quotes(other) +
                   form_of(part_of_other) + "; expected the same form");
  }

  [[noreturn]] static void refuse_misnamed(json_row const& row, std::string const& other) {
    row.at.refuse("field \"prompt\" is missing; " + in_quotes(other) +
                  " looks like it: read it under that name (--columns prompt=" + other +
                  "), or as one of the forms that have it (--format)");
  }
  [[noreturn]] void refuse_repeat(std::string const& how) const {
    refuse_field(row_, "prompt",
                 how +
                     "; expected completions that do not repeat the prompt, or that all begin "
                     "with it, word for word");
  }
  [[noreturn]] void nothing_left(std::size_t i) const {
    std::size_t const other = i == 0 ? completions().size() - 1 : 0;
    row_.at.refuse(in_quotes(name(i)) + " is the beginning of " + in_quotes(name(other)) +
                   ", so that nothing is left of it behind the common prompt");
  }

  /// A field that is no part of a form, by a name that prompts go by.
  static std::optional<std::string> prompt_by_another_name(json_row const& row) {
    static constexpr std::string_view names[] = {
        "instruction",  "instructions",  "question", "query",   "queries", "user",
        "input",        "inputs",        "context",  "history", "message", "messages",
        "conversation", "conversations", "problem",  "request", "prompts", "person",
        "customer",     "prompt",        "dialogue", "dialog",  "post"};
    // What is about a prompt is none: prompt_id, question_type.
    static constexpr std::string_view about[] = {
        "id",       "ids",   "hash",     "len",   "length", "tokens", "source",    "type",
        "category", "lang",  "language", "name",  "index",  "idx",    "uuid",      "count",
        "url",      "score", "rating",   "model", "topic",  "level",  "difficulty"};
    auto const among = [](auto const& list, std::string_view word) {
      return std::find(std::begin(list), std::end(list), word) != std::end(list);
    };
    for (auto const& [written, value] : row.fields.items()) {
      if (value.is_null() || written == "prompt") continue;
      auto const words = prefer::text::words_of_name(written);
      if (words.empty() || among(about, words.back())) continue;
      for (std::string const& word : words) {
        if (among(names, word)) return written;
      }
    }
    return std::nullopt;
  }

  /// How many messages all completions begin with.
  [[nodiscard]] std::size_t shared_messages() const {
    conversation const& first = completions()[0].messages();
    std::size_t shared = first.size();
    for (turns const& each : completions()) {
      conversation const& other = each.messages();
      std::size_t const both = std::min(shared, other.size());
      shared = static_cast<std::size_t>(
          std::mismatch(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(both),
                        other.begin())
              .first -
          first.begin());
    }
    return shared;
  }
  /// Cuts that many messages off every completion.
  void cut_messages(std::size_t count) {
    conversation const& first = completions()[0].messages();
    auto const end = static_cast<std::ptrdiff_t>(count);
    content_->prompt = conversation(first.begin(), first.begin() + end);
    for (std::size_t i = 0; i < completions().size(); ++i) {
      conversation const& whole = completions()[i].messages();
      if (whole.size() == count) nothing_left(i);
      turns rest = conversation(whole.begin() + end, whole.end());
      completions()[i] = std::move(rest);
    }
  }
  [[nodiscard]] std::size_t shared_bytes() const {
    std::string_view shared = completions()[0].text();
    for (turns const& each : completions()) {
      shared = shared.substr(0, prefer::text::common_prefix(shared, each.text()));
    }
    return shared.size();
  }
  void cut_text(std::size_t count) {
    for (turns& each : completions()) each = each.text().substr(count);
  }

  void take_common() {
    auto const misnamed = content_->prompt_is_shared ? std::nullopt : prompt_by_another_name(row_);
    auto const nothing_common = [&](char const* what) {
      if (misnamed) refuse_misnamed(row_, *misnamed);
      refuse_missing(row_, "prompt", "it, or " + both() + " that begin with the same " + what);
    };
    report_.implicit.add(row_.at.line);
    if (!completions()[0].is_text()) {
      std::size_t const shared = shared_messages();
      if (shared == 0) nothing_common("messages");
      if (misnamed && !is_shared_question(*misnamed, shared)) refuse_misnamed(row_, *misnamed);
      return cut_messages(shared);
    }
    if (misnamed) refuse_misnamed(row_, *misnamed);
    std::size_t length = shared_bytes();
    if (length == 0) nothing_common("text");
    for (std::size_t i = 0; i < completions().size(); ++i) {
      if (completions()[i].text().size() == length) nothing_left(i);
    }
    std::string const prompt = completions()[0].text().substr(0, length);
    char const* fault = nullptr;
    for (turns const& each : completions()) {
      if (prefer::text::inside_word(each.text(), length)) fault = ", which ends inside a word";
    }
    if (!prefer::text::is_a_few_words(prompt)) fault = ", which is too short to be one";
    if (fault != nullptr) {
      row_.at.refuse("field \"prompt\" is missing, and " + both() + " both begin with " +
                     in_quotes(prompt) + fault +
                     "; expected a prompt that they share, or the field");
    }
    if (how_.space == prompt_space::joins_completion && prompt.back() == ' ') --length;
    content_->prompt = prompt.substr(0, length);
    cut_text(length);
  }

  /// Whether the field's string is one of the user messages that all completions share.
  [[nodiscard]] bool is_shared_question(std::string const& field, std::size_t shared) const {
    json const& value = row_.fields.at(field);
    return !value.is_string() || is_question(value.get_ref<std::string const&>(), shared);
  }
  [[nodiscard]] bool is_question(std::string const& text, std::size_t shared) const {
    conversation const& first = completions()[0].messages();
    return !text.empty() &&
           std::any_of(first.begin(), first.begin() + static_cast<std::ptrdiff_t>(shared),
                       [&](message const& each) {
                         return each.role == "user" && each.content.plain() == text;
                       });
  }

  void string_beside_messages() {
    std::string const said = content_->prompt->text();
    std::size_t const shared = shared_messages();
    if (is_question(said, shared)) {
      report_.repeated.add(row_.at.line);
      return cut_messages(shared);
    }
    bool const answers_alone =
        std::all_of(completions().begin(), completions().end(), [](turns const& each) {
          return std::none_of(each.messages().begin(), each.messages().end(), [](message const& m) {
            return m.role == "user" || m.role == "system";
          });
        });
    if (!answers_alone) {
      refuse_repeat("the string is none of the user messages that " + both() + " share");
    }
    report_.asked.add(row_.at.line);
    content_->prompt = detail::said("user", said);
  }

  /// A prompt that says something and that every completion begins with, where no word goes on.
  [[nodiscard]] bool begins_every_completion() const {
    turns const& prompt = *content_->prompt;
    if (!prompt.is_text() && prompt.messages().empty()) return false;
    return repeating() == completions().size() &&
           (!prompt.is_text() || prefer::text::is_a_few_words(prompt.text()));
  }
  /// How many completions begin with the prompt.
  [[nodiscard]] std::size_t repeating() const {
    turns const& prompt = *content_->prompt;
    return static_cast<std::size_t>(
        std::count_if(completions().begin(), completions().end(), [&](turns const& each) {
          if (prompt.is_text()) {
            return each.text().starts_with(prompt.text()) &&
                   !prefer::text::inside_word(each.text(), prompt.text().size());
          }
          conversation const& whole = each.messages();
          conversation const& first = prompt.messages();
          return whole.size() >= first.size() &&
                 std::equal(first.begin(), first.end(), whole.begin());
        }));
  }
  void take_once() {
    report_.repeated.add(row_.at.line);
    if (!content_->prompt->is_text()) return cut_messages(content_->prompt->messages().size());
    std::size_t const length = content_->prompt->text().size();
    for (std::size_t i = 0; i < completions().size(); ++i) {
      if (completions()[i].text().size() != length) continue;
      refuse_field(row_, name(i), "nothing is left of it behind the repeated prompt");
    }
    cut_text(length);
  }

  /// What is left repeats the prompt nowhere, so that the row is read again as it is written.
  void refuse_repeating_messages() const {
    conversation const& prompt = content_->prompt->messages();
    if (prompt.empty()) return;
    if (repeating() > 0) refuse_repeat("only one completion repeats it, or one repeats it twice");
    for (turns const& each : completions()) {
      // A question that was asked before, without all that stood before it.
      conversation const& whole = each.messages();
      if (!whole.empty() && whole.front().role != "assistant" && whole.front().role != "tool" &&
          std::find(prompt.begin(), prompt.end(), whole.front()) != prompt.end()) {
        refuse_repeat("a completion begins by repeating a part of it");
      }
    }
  }
  void refuse_repeating_texts() const {
    std::string const& prompt = content_->prompt->text();
    if (prompt.empty()) return;
    std::size_t const count = repeating();
    char const* how = nullptr;
    for (turns const& each : completions()) {
      if (prefer::text::begins_with_words_of(each.text(), prompt)) {
        how = "a completion repeats it with other white space";
      }
    }
    if (completions().size() > 1 &&
        std::string_view(completions()[0].text()).substr(0, shared_bytes()).find(prompt) !=
            std::string_view::npos) {
      how = "every completion repeats it, behind the same other text";
    }
    if (count > 0) how = "only one completion repeats it, or one repeats it twice";
    if (how == nullptr) return;
    if (prefer::text::is_a_few_words(prompt)) refuse_repeat(how);
    // One answer may begin with a word of the question, all of them prove nothing.
    if (count > 1 && count == completions().size()) {
      refuse_repeat("every completion repeats it, and it is too short for a proof");
    }
  }

  void add_system() {
    std::string const& system = *content_->system;
    if (content_->prompt->is_text()) {
      content_->prompt = detail::said("user", content_->prompt->text());
      for (turns& each : completions()) each = detail::answer(std::move(each));
    }
    if (system.empty()) return;
    conversation with = content_->prompt->messages();
    if (!with.empty() && with.front().role == "system") {
      if (with.front().content.plain() == system) return;
      refuse_field(row_, "system", "the messages begin with another system message");
    }
    with.insert(with.begin(), message{"system", system});
    content_->prompt = std::move(with);
  }

  json_row const& row_;
  reading const& how_;
  reading_report& report_;
  row_content* content_ = nullptr;
};

}  // namespace prefer::inline v0_1::data
