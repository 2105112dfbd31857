// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <prefer/data/preference.hpp>

// Rows of messages with anything in them, and the law that each is kept whole or refused.
namespace any_row {

using prefer::data::json;

/// Choices from bytes; 0 behind their end.
class choices {
 public:
  explicit choices(std::string_view bytes) : bytes_(bytes) {}
  std::size_t below(std::size_t sides) {
    return at_ < bytes_.size() ? static_cast<unsigned char>(bytes_[at_++]) % sides : 0;
  }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
};

inline json any_text(choices& from) {
  static constexpr std::string_view texts[] = {
      "",          "a",    "Hi",         "The sky is blue", "\xC3\xA9\xF0\x9F\x98\x80",
      "{\"a\":1}", "null", "line\nline", "\"\\/",           "\xE4\xB8\xAD"};
  return texts[from.below(std::size(texts))];
}

/// Any JSON tree of limited depth, names in any order and any number that survives.
inline json any_tree(choices& from, std::size_t depth) {
  switch (from.below(depth == 0 ? 6 : 8)) {
    case 0:
      return nullptr;
    case 1:
      return from.below(2) == 0;
    case 2:
      return static_cast<std::int64_t>(static_cast<std::uint64_t>(from.below(256)) << 56U);
    case 3:
      return 0.1 * static_cast<double>(from.below(256)) - 3;
    case 4:
      return static_cast<double>(from.below(4));  // written 1.0, which is another text than 1
    case 5:
      return any_text(from);
    case 6: {
      json list = json::array();
      for (std::size_t n = from.below(4); n > 0; --n) list.push_back(any_tree(from, depth - 1));
      return list;
    }
    default: {
      json object = json::object();
      for (std::size_t n = from.below(4); n > 0; --n) {
        object["k" + std::to_string(from.below(9))] = any_tree(from, depth - 1);
      }
      return object;
    }
  }
}

inline json any_message(choices& from) {
  static constexpr std::string_view roles[] = {"user", "assistant", "system", "tool", "developer"};
  static constexpr std::string_view names[] = {
      "tool_calls", "tool_call_id", "name",  "reasoning_content",
      "thinking",   "weight",       "train", "function_call"};
  json out = json::object();
  bool const role_first = from.below(2) == 0;
  if (role_first) out["role"] = roles[from.below(std::size(roles))];
  switch (from.below(6)) {
    case 0:
      out["content"] = nullptr;
      break;
    case 1:
      break;
    case 2: {
      out["content"] = json::array();
      for (std::size_t n = from.below(3) + 1; n > 0; --n) {
        json part = {{"type", "text"}, {"text", any_text(from)}};
        if (from.below(2) == 0) part["cache_control"] = any_tree(from, 2);
        out["content"].push_back(part);
      }
      break;
    }
    default:
      out["content"] = any_text(from);
  }
  for (std::size_t n = from.below(3); n > 0; --n) {
    out[std::string(names[from.below(std::size(names))])] = any_tree(from, 3);
  }
  if (!role_first) out["role"] = roles[from.below(std::size(roles))];
  return out;
}

inline json any_messages(choices& from, std::size_t least) {
  json out = json::array();
  for (std::size_t n = from.below(3) + least; n > 0; --n) out.push_back(any_message(from));
  return out;
}

inline json any(choices& from) {
  json out = json::object();
  json const shared = any_messages(from, 1);
  bool const whole = from.below(3) == 0;
  if (!whole) out["prompt"] = shared;
  for (auto const* const side : {"chosen", "rejected"}) {
    json messages = whole ? shared : json::array();
    for (json const& each : any_messages(from, 1)) messages.push_back(each);
    out[side] = messages;
  }
  if (from.below(2) == 0) out["tools"] = any_tree(from, 3);
  for (std::size_t n = from.below(3); n > 0; --n) out["x" + std::to_string(n)] = any_tree(from, 3);
  return out;
}

/// Every scalar of a tree, with its name, and every empty list or object.
inline void leaves(json const& tree, std::string const& name, std::set<std::string>& into) {
  if (tree.is_structured() && !tree.empty()) {
    for (auto const& [key, value] : tree.items()) leaves(value, tree.is_array() ? name : key, into);
  } else {
    into.insert(name + "=" + tree.dump());
  }
}

enum class fate { kept, refused };

/// Reads the row and holds it against the law; logic_error where it is thinned, or is not read again as it was written.
inline fate follow(json const& row) {
  namespace data = prefer::data;
  data::preference_pair pair;
  try {
    pair = *data::pairs_in(row.dump()).begin();
  } catch (prefer::backend_error const&) {
    return fate::refused;
  }
  std::string const written = data::to_json(pair);
  std::set<std::string> before;
  std::set<std::string> after;
  leaves(row, "", before);
  leaves(json::parse(written), "", after);
  for (std::string const& each : before) {
    // An absent `tools` and one that is null are the same to a template.
    if (after.count(each) == 0 && each != "tools=null") throw std::logic_error("lost: " + each);
  }
  if (data::to_json(*data::pairs_in(written).begin()) != written) {
    throw std::logic_error("read again it is another row: " + written);
  }
  return fate::kept;
}

}  // namespace any_row
