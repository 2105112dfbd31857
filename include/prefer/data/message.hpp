// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <prefer/expects.hpp>

namespace prefer::inline v0_1::data {

/// A member of an object for which the library has no name: its value is JSON text without white space, with members in
/// the order of the file, because a chat template prints them in that order.
struct member {
  std::string name;
  std::string json;
  friend bool operator==(member const&, member const&) = default;
};
using members = std::vector<member>;

/// The JSON text of a member, or nullptr.
[[nodiscard]] inline std::string const* find_member(members const& all, std::string_view name) {
  for (member const& each : all) {
    if (each.name == name) return &each.json;
  }
  return nullptr;
}

/// A piece of a message whose content is a list: {"type": "text", "text": ...}, with what else it has.
struct content_part {
  std::string type;  // "text", "input_text" or "output_text"
  std::string text;
  members further = {};
  friend bool operator==(content_part const&, content_part const&) = default;
};

/// What a message says, in the form its file gave it: a text, a list of parts, null, or no such member at all. A chat
/// template tells these apart.
///
/// Errors  `text` and `parts` of another form are precondition_error: ask first, or take `plain`
class message_content {
 public:
  message_content() = default;
  message_content(std::string text) : form_(std::move(text)) {}
  message_content(char const* text) : form_(std::string(text)) {}
  message_content(std::vector<content_part> parts) : form_(std::move(parts)) {}
  [[nodiscard]] static message_content null() {
    message_content none;
    none.form_ = nothing{};
    return none;
  }

  [[nodiscard]] bool is_absent() const noexcept { return form_.index() == 0; }
  [[nodiscard]] bool is_null() const noexcept { return form_.index() == 1; }
  [[nodiscard]] bool is_text() const noexcept { return form_.index() == 2; }
  [[nodiscard]] bool is_parts() const noexcept { return form_.index() == 3; }
  [[nodiscard]] std::string const& text() const {
    expects(is_text(), "message_content::text: this content is no string");
    return *std::get_if<std::string>(&form_);
  }
  [[nodiscard]] std::vector<content_part> const& parts() const {
    expects(is_parts(), "message_content::parts: this content is no list");
    return *std::get_if<std::vector<content_part>>(&form_);
  }
  /// The text of any form: of a list its parts one after the other, of null nothing.
  [[nodiscard]] std::string plain() const {
    if (is_text()) return text();
    std::string all;
    if (is_parts()) {
      for (content_part const& each : parts()) all += each.text;
    }
    return all;
  }
  [[nodiscard]] bool blank() const noexcept {
    if (auto const* const one = std::get_if<std::string>(&form_)) return one->empty();
    if (auto const* const list = std::get_if<std::vector<content_part>>(&form_)) {
      for (content_part const& each : *list) {
        if (!each.text.empty()) return false;
      }
    }
    return true;
  }
  friend bool operator==(message_content const&, message_content const&) = default;

 private:
  struct absent {
    friend bool operator==(absent, absent) = default;
  };
  struct nothing {
    friend bool operator==(nothing, nothing) = default;
  };
  std::variant<absent, nothing, std::string, std::vector<content_part>> form_;
};

/// One turn of a conversation; `role` is as the file has it ("system", "user", "assistant", "tool", ...). Whatever else
/// a chat template may look at is in `further`, and two messages are equal if all of it is.
struct message {
  std::string role;
  message_content content;
  members further = {};  // tool_calls, tool_call_id, name, reasoning_content, ...
  friend bool operator==(message const&, message const&) = default;

  /// True if the message calls a tool: content may be null then, or left out.
  [[nodiscard]] bool calls() const { return has_value("tool_calls") || has_value("function_call"); }
  /// True of a further member that a model reads as it reads content: a call, or reasoning.
  [[nodiscard]] static bool is_read(std::string_view name) {
    return name == "tool_calls" || name == "function_call" || name == "reasoning_content" ||
           name == "reasoning" || name == "thinking";
  }
  /// True if nothing of it would reach the model: no content, no call and no reasoning.
  [[nodiscard]] bool blank() const {
    if (!content.blank()) return false;
    for (member const& each : further) {
      if (is_read(each.name) && says_something(each.json)) return false;
    }
    return true;
  }

 private:
  [[nodiscard]] bool has_value(std::string_view name) const {
    std::string const* const value = find_member(further, name);
    return value != nullptr && says_something(*value);
  }
  [[nodiscard]] static bool says_something(std::string_view value) {
    return value != "null" && value != "[]" && value != "{}" && value != "\"\"";
  }
};

using conversation = std::vector<message>;

}  // namespace prefer::inline v0_1::data
