// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/data/example.hpp>
#include <prefer/data/json_row.hpp>
#include <prefer/data/message.hpp>
#include <prefer/data/place.hpp>
#include <prefer/data/reading.hpp>

namespace prefer::inline v0_1::data {

/// Reads the messages of one field of a row: {"role", "content"}, or {"from", "value"} as sharegpt has them.
///
/// Errors  backend_error with the field and the number of the message: what is no message, a role that is missing or
///         empty, content that is neither a string nor a list of parts nor null beside a call, a part that is no text
///         unless it is to be passed over
class message_reader {
 public:
  message_reader(json_row const& row, std::string_view field, other_parts others,
                 happened& passed_over)
      : row_(row), field_(field), others_(others), passed_over_(passed_over) {}

  /// A string, a list of messages, or one message.
  [[nodiscard]] turns read(json const& value) {
    if (value.is_string()) return turns(value.get_ref<std::string const&>());
    return turns(messages(value));
  }

  [[nodiscard]] conversation messages(json const& value) {
    conversation out;
    if (value.is_object() && (value.contains("role") || value.contains("from"))) {
      out.push_back(one(value));
      return out;
    }
    if (!value.is_array()) {
      refuse_field(row_, field_,
                   "found " + detail::kind_of(value) + "; expected a string or a list of messages");
    }
    out.reserve(value.size());
    for (json const& each : value) out.push_back(one(each));
    return out;
  }

 private:
  [[noreturn]] void refuse(std::string const& reason) const {
    refuse_field(row_, field_, "message " + std::to_string(number_) + ": " + reason);
  }
  [[nodiscard]] std::string expected() const {
    return in_quotes(role_) + ", " + in_quotes(content_);
  }

  message one(json const& entry) {
    ++number_;
    if (!entry.is_object()) {
      refuse("found " + detail::kind_of(entry) +
             "; expected an object with \"role\" and \"content\"");
    }
    bool const sharegpt = entry.contains("from") && !entry.contains("role");
    role_ = sharegpt ? "from" : "role";
    content_ = sharegpt ? "value" : "content";
    message out;
    json const* content = nullptr;
    bool has_role = false;
    for (auto const& [name, value] : entry.items()) {
      if (name == role_) {
        if (!value.is_string()) {
          refuse(in_quotes(name) + ": found " + detail::kind_of(value) + "; expected a string");
        }
        out.role = value.get_ref<std::string const&>();
        has_role = true;
      } else if (name == content_) {
        content = &value;
      } else {
        out.further.push_back({name, value.dump()});
      }
    }
    if (!has_role) refuse(in_quotes(role_) + " is missing; expected " + expected());
    if (out.role.empty()) refuse(in_quotes(role_) + " is empty");
    if (content != nullptr) out.content = content_of(*content);
    if (sharegpt) translate(out);
    if (out.content.is_absent() && !out.calls()) {
      refuse(in_quotes(content_) + " is missing; expected " + expected());
    }
    if (out.content.is_null() && !out.calls()) {
      refuse(in_quotes(content_) +
             ": found null; expected a string, a list of parts, or null beside \"tool_calls\"");
    }
    return out;
  }

  message_content content_of(json const& value) {
    if (value.is_string()) return value.get_ref<std::string const&>();
    if (value.is_null()) return message_content::null();
    if (!value.is_array()) {
      refuse(in_quotes(content_) + ": found " + detail::kind_of(value) +
             "; expected a string or a list of parts");
    }
    std::vector<content_part> parts;
    std::size_t number = 0;
    for (json const& each : value) {
      std::string const which = "part " + std::to_string(++number) + ": ";
      auto const type = each.is_object() ? each.find("type") : each.end();
      if (type == each.end() || !type->is_string()) {
        refuse(which + "expected an object with \"type\" and \"text\"");
      }
      std::string const& name = type->get_ref<std::string const&>();
      if (name != "text" && name != "input_text" && name != "output_text") {
        if (others_ == other_parts::refused) {
          refuse(which + "found " + in_quotes(name) +
                 "; expected a text (--parts skip passes others over, and counts them)");
        }
        passed_over_.add(row_.at.line);
        continue;
      }
      auto const text = each.find("text");
      if (text == each.end() || !text->is_string()) refuse(which + "\"text\" is no string");
      content_part part{name, text->get_ref<std::string const&>()};
      for (auto const& [key, member] : each.items()) {
        if (key != "type" && key != "text") part.further.push_back({key, member.dump()});
      }
      parts.push_back(std::move(part));
    }
    return parts;
  }

  /// Roles of the sharegpt form, as chat templates know them; function_call keeps its name, and the call is its text.
  static void translate(message& out) {
    if (out.role == "human") out.role = "user";
    if (out.role == "gpt" || out.role == "chatgpt" || out.role == "model") out.role = "assistant";
    if (out.role == "observation" || out.role == "function_response") out.role = "tool";
  }

  json_row const& row_;
  std::string_view field_;
  other_parts others_;
  happened& passed_over_;
  std::string_view role_ = "role";
  std::string_view content_ = "content";
  std::size_t number_ = 0;
};

namespace detail {

inline std::string json_string(std::string const& text) { return json(text).dump(); }

inline void append_members(std::string& out, members const& all) {
  for (member const& each : all) {
    out += (out.back() == '{' ? "" : ",") + json_string(each.name) + ':' + each.json;
  }
}

}  // namespace detail

/// The JSON text of a message; reading it gives the message again.
[[nodiscard]] inline std::string to_json(message const& from) {
  std::string out = "{\"role\":" + detail::json_string(from.role);
  if (from.content.is_text()) out += ",\"content\":" + detail::json_string(from.content.text());
  if (from.content.is_null()) out += ",\"content\":null";
  if (from.content.is_parts()) {
    out += ",\"content\":[";
    for (content_part const& part : from.content.parts()) {
      if (out.back() != '[') out += ',';
      out += "{\"type\":" + detail::json_string(part.type) +
             ",\"text\":" + detail::json_string(part.text);
      detail::append_members(out, part.further);
      out += '}';
    }
    out += ']';
  }
  detail::append_members(out, from.further);
  return out + '}';
}

/// The JSON text of a prompt or a completion: a string, or a list of messages.
[[nodiscard]] inline std::string to_json(turns const& from) {
  if (from.is_text()) return detail::json_string(from.text());
  std::string out = "[";
  for (message const& each : from.messages()) {
    if (out.back() != '[') out += ',';
    out += to_json(each);
  }
  return out + ']';
}

namespace detail {

class row_text {
 public:
  void part(char const* name, turns const& value) { add(name, to_json(value)); }
  void number(char const* name, std::optional<double> const& value) {
    if (value) add(name, json(*value).dump());
  }
  void add(char const* name, std::string const& value) {
    text_ += (text_.size() == 1 ? "\"" : ",\"") + std::string(name) + "\":" + value;
  }
  [[nodiscard]] std::string with(members const& context, members const& further) {
    append_members(text_, context);
    append_members(text_, further);
    return text_ + '}';
  }

 private:
  std::string text_ = "{";
};

}  // namespace detail

/// One line of JSON Lines, without its end, which `pairs` reads as the same pair.
[[nodiscard]] inline std::string to_json(preference_pair const& pair) {
  detail::row_text out;
  out.part("prompt", pair.prompt);
  out.part("chosen", pair.chosen);
  out.part("rejected", pair.rejected);
  out.number("weight", pair.weight);
  out.number("beta", pair.beta);
  out.number("score_chosen", pair.score_chosen);
  out.number("score_rejected", pair.score_rejected);
  return out.with(pair.context, pair.further);
}
/// One line of JSON Lines, which `unpaired` reads as the same example.
[[nodiscard]] inline std::string to_json(unpaired_example const& example) {
  detail::row_text out;
  out.part("prompt", example.prompt);
  out.part("completion", example.completion);
  out.add("label", example.label ? "true" : "false");
  out.number("weight", example.weight);
  out.number("beta", example.beta);
  return out.with(example.context, example.further);
}

}  // namespace prefer::inline v0_1::data
