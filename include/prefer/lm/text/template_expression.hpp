// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <prefer/lm/text/chat_rendering.hpp>

// Expressions of Jinja, as far as chat templates use them.

namespace prefer::inline v0_1::lm::detail {

/// A value of a template; a discarded one is what Jinja calls undefined.
using template_value = nlohmann::json;
inline template_value undefined() { return template_value(template_value::value_t::discarded); }

/// How a template ended: it wrote its text, raised an exception of its own, or has something that is not known here.
enum class template_end { written, raised, beyond };

/// The names and their values, innermost last, and what is left of the work that one template may make.
struct template_state {
  std::vector<std::map<std::string, template_value>> scopes = {{}};
  template_end end = template_end::written;
  std::size_t steps = 20000;

  [[nodiscard]] bool goes_on() {
    if (steps == 0) end = template_end::beyond;
    if (steps != 0) --steps;
    return end == template_end::written;
  }
  template_value beyond() {
    if (end == template_end::written) end = template_end::beyond;
    return undefined();
  }
  [[nodiscard]] template_value* find(std::string const& name) {
    for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope) {
      if (auto const found = scope->find(name); found != scope->end()) return &found->second;
    }
    return nullptr;
  }
};

using template_expression = std::function<template_value(template_state&)>;

inline bool holds(template_value const& value) {
  if (value.is_discarded() || value.is_null()) return false;
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>() != 0;
  if (value.is_string()) return !value.get_ref<std::string const&>().empty();
  return !value.empty();
}

/// A value, unless it has grown too large: a hostile template doubles what it has at every step.
inline std::size_t weight(template_value const& of) {
  if (of.is_string()) return 1 + of.get_ref<std::string const&>().size() / 16;
  std::size_t all = 1;
  if (of.is_structured()) {
    for (auto const& each : of) all += weight(each);
  }
  return all;
}
inline template_value bounded(template_value value, template_state& state) {
  constexpr std::size_t most = 4096;
  return weight(value) <= most ? std::move(value) : state.beyond();
}

/// What is written of a value.
inline std::string written(template_value const& value, template_state& state) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_discarded()) return "";
  if (value.is_null()) return "None";
  if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
  if (value.is_number_integer()) return value.dump();
  state.beyond();
  return "";
}

inline bool equal(template_value const& a, template_value const& b) {
  return !a.is_discarded() && !b.is_discarded() && a == b;
}
inline std::optional<bool> contains(template_value const& whole, template_value const& part) {
  if (whole.is_string() && part.is_string()) {
    return whole.get_ref<std::string const&>().find(part.get_ref<std::string const&>()) !=
           std::string::npos;
  }
  if (whole.is_object() && part.is_string()) return whole.contains(part.get<std::string>());
  if (!whole.is_array()) return std::nullopt;
  for (auto const& each : whole) {
    if (equal(each, part)) return true;
  }
  return false;
}

inline template_value member(template_value const& of, template_value const& key) {
  if (of.is_object() && key.is_string()) {
    auto const found = of.find(key.get<std::string>());
    return found == of.end() ? undefined() : *found;
  }
  if ((of.is_array() || of.is_string()) && key.is_number_integer()) {
    auto const size =
        static_cast<std::int64_t>(of.is_array() ? of.size() : of.get<std::string>().size());
    auto at = key.get<std::int64_t>();
    if (at < 0) at += size;
    if (at < 0 || at >= size) return undefined();
    if (of.is_array()) return of[static_cast<std::size_t>(at)];
    return std::string(1, of.get<std::string>()[static_cast<std::size_t>(at)]);
  }
  return undefined();
}

/// A part of a list or a text, as Python's slices: its ends may be missing.
inline template_value slice(template_value const& of, template_value const& from,
                            template_value const& to, template_value const& by,
                            template_state& state) {
  bool const text = of.is_string();
  if (!text && !of.is_array()) return state.beyond();
  auto const size = static_cast<std::int64_t>(text ? of.get<std::string>().size() : of.size());
  std::int64_t const step = by.is_number_integer() ? by.get<std::int64_t>() : 1;
  if (step != 1 && step != -1) return state.beyond();
  auto const place = [&](template_value const& at, std::int64_t otherwise) {
    if (!at.is_number_integer()) return otherwise;
    std::int64_t const given = at.get<std::int64_t>();
    std::int64_t const positive = given < 0 ? given + size : given;
    std::int64_t const least = step < 0 ? -1 : 0;
    std::int64_t const most = step < 0 ? size - 1 : size;
    return positive < least ? least : positive > most ? most : positive;
  };
  std::int64_t const end = place(to, step < 0 ? -1 : size);
  template_value out = text ? template_value("") : template_value::array();
  for (std::int64_t at = place(from, step < 0 ? size - 1 : 0); step < 0 ? at > end : at < end;
       at += step) {
    if (text) {
      out.get_ref<std::string&>() += of.get<std::string>()[static_cast<std::size_t>(at)];
    } else {
      out.push_back(of[static_cast<std::size_t>(at)]);
    }
  }
  return out;
}

inline std::string replaced(std::string const& text, std::string const& from,
                            std::string const& to) {
  if (from.empty()) return text;
  std::string out;
  std::size_t done = 0;
  constexpr std::size_t most = std::size_t{1} << 20;
  for (std::size_t at = text.find(from); at != std::string::npos && out.size() < most;
       at = text.find(from, done)) {
    out += text.substr(done, at - done) + to;
    done = at + from.size();
  }
  return out + text.substr(done);
}

/// Letters of ASCII alone; nothing where there are others.
inline std::optional<std::string> in_case(std::string text, bool upper) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return std::nullopt;
    if (upper && c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (!upper && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

/// Python's strip, lstrip and rstrip: white space, or characters of ASCII.
inline std::string stripped_of(std::string const& text, std::string const& characters, bool left,
                               bool right) {
  std::string_view const all = text;
  std::size_t first = 0;
  std::size_t last = text.size();
  if (characters.empty()) {
    std::string_view const inner = stripped(all);
    if (inner.empty()) return "";
    first = static_cast<std::size_t>(inner.data() - all.data());
    last = first + inner.size();
  } else {
    first = std::min(text.find_first_not_of(characters), text.size());
    last = first == text.size() ? first : text.find_last_not_of(characters) + 1;
  }
  if (!left) first = 0;
  if (!right) last = text.size();
  return text.substr(first, last - first);
}

inline template_value pieces_of(std::string const& text, std::string const& separator) {
  template_value out = template_value::array();
  std::size_t done = 0;
  for (std::size_t at = text.find(separator); at != std::string::npos;
       at = text.find(separator, done)) {
    out.push_back(text.substr(done, at - done));
    done = at + separator.size();
  }
  out.push_back(text.substr(done));
  return out;
}

using template_arguments = std::vector<template_value>;

/// A method of a text or of a mapping.
inline template_value method(template_value const& of, std::string const& name,
                             template_arguments const& given, template_state& state) {
  auto const text_of = [&](std::size_t i) {
    return i < given.size() && given[i].is_string() ? given[i].get<std::string>() : std::string();
  };
  if (of.is_object() && name == "items" && given.empty()) {
    template_value out = template_value::array();
    for (auto const& [key, value] : of.items()) out.push_back({key, value});
    return out;
  }
  if (of.is_object() && name == "get" && !given.empty()) {
    auto const found = member(of, given[0]);
    if (!found.is_discarded()) return found;
    return given.size() > 1 ? given[1] : template_value(nullptr);
  }
  for (auto const& each : given) {
    if (!each.is_string()) return state.beyond();
  }
  if (!of.is_string()) return state.beyond();
  auto const& text = of.get_ref<std::string const&>();
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    return stripped_of(text, text_of(0), name != "rstrip", name != "lstrip");
  }
  std::string const first = text_of(0);
  if (name == "startswith") return text.substr(0, first.size()) == first;
  if (name == "endswith") {
    return text.size() >= first.size() && text.substr(text.size() - first.size()) == first;
  }
  if (name == "split" && given.size() == 1 && !first.empty()) return pieces_of(text, first);
  if (name == "replace" && given.size() == 2) {
    return bounded(replaced(text, first, text_of(1)), state);
  }
  if ((name == "upper" || name == "lower") && given.empty()) {
    if (auto const out = in_case(text, name == "upper")) return *out;
  }
  return state.beyond();
}

/// A filter, behind a bar.
inline template_value filtered(template_value const& of, std::string const& name,
                               template_arguments const& given, template_state& state) {
  if (name == "trim") {
    if (of.is_string() && given.empty()) return stripped_of(of.get<std::string>(), "", true, true);
    return of.is_discarded() ? template_value("") : state.beyond();
  }
  if ((name == "length" || name == "count") && !of.is_discarded()) {
    if (of.is_array() || of.is_object()) return of.size();
    if (!of.is_string()) return state.beyond();
    std::size_t characters = 0;
    for (char const c : of.get_ref<std::string const&>()) {
      characters += (static_cast<unsigned char>(c) & 0xC0) != 0x80 ? 1u : 0u;
    }
    return characters;
  }
  if (name == "string") return written(of, state);
  if (name == "safe") return of;
  if (name == "list" && of.is_array()) return of;
  if (name == "first") return member(of, 0);
  if (name == "last") return member(of, -1);
  if (name == "default" || name == "d") {
    bool const also_empty = given.size() > 1 && holds(given[1]);
    bool const there = also_empty ? holds(of) : !of.is_discarded();
    return there || given.empty() ? of : given[0];
  }
  if (name == "tojson" && of.is_string() && given.empty()) return of.dump();
  if (name == "join" && of.is_array()) {
    std::string out;
    for (std::size_t i = 0; i != of.size(); ++i) {
      if (i != 0 && !given.empty()) out += written(given[0], state);
      out += written(of[i], state);
    }
    return bounded(std::move(out), state);
  }
  if ((name == "selectattr" || name == "rejectattr") && of.is_array() && given.size() == 3 &&
      (given[1] == "equalto" || given[1] == "eq" || given[1] == "==")) {
    template_value out = template_value::array();
    for (auto const& each : of) {
      if (equal(member(each, given[0]), given[2]) == (name == "selectattr")) out.push_back(each);
    }
    return out;
  }
  if (name == "upper" || name == "lower" || name == "replace") {
    return method(of, name, given, state);
  }
  return state.beyond();
}

/// A test, behind "is".
inline template_value tested(template_value const& of, std::string const& name,
                             template_arguments const& given, template_state& state) {
  if (name == "defined") return !of.is_discarded();
  if (name == "undefined") return of.is_discarded();
  if (name == "none") return of.is_null();
  if (name == "string") return of.is_string();
  if (name == "mapping") return of.is_object();
  if (name == "sequence" || name == "iterable") {
    return of.is_array() || of.is_object() || of.is_string();
  }
  if (name == "number") return of.is_number();
  if (name == "boolean") return of.is_boolean();
  if (name == "true") return of == true;
  if (name == "false") return of == false;
  if ((name == "even" || name == "odd") && of.is_number_integer()) {
    return (of.get<std::int64_t>() % 2 == 0) == (name == "even");
  }
  if ((name == "equalto" || name == "eq") && given.size() == 1) return equal(of, given[0]);
  if (name == "in" && given.size() == 1) {
    if (auto const in = contains(given[0], of)) return *in;
  }
  return state.beyond();
}

/// A sum, a difference or a remainder; texts and lists are put together by +.
inline template_value calculated(template_value const& a, std::string const& by,
                                 template_value const& b, template_state& state) {
  if (by == "~") return bounded(written(a, state) + written(b, state), state);
  if (by == "+" && a.is_string() && b.is_string()) {
    return bounded(a.get_ref<std::string const&>() + b.get_ref<std::string const&>(), state);
  }
  if (by == "+" && a.is_array() && b.is_array()) {
    template_value out = a;
    for (auto const& each : b) out.push_back(each);
    return bounded(std::move(out), state);
  }
  if (!a.is_number_integer() || !b.is_number_integer()) return state.beyond();
  constexpr std::int64_t most = std::int64_t{1} << 30;
  auto const x = a.get<std::int64_t>();
  auto const y = b.get<std::int64_t>();
  if (x > most || x < -most || y > most || y < -most) return state.beyond();
  if (by == "+") return x + y;
  if (by == "-") return x - y;
  if (by == "*") return x * y;
  if (by == "%" && y > 0) return (x % y + y) % y;
  return state.beyond();
}

inline template_value compared(template_value const& a, std::string const& by,
                               template_value const& b, template_state& state) {
  if (by == "==") return equal(a, b);
  if (by == "!=") return !equal(a, b);
  if (by == "in" || by == "not in") {
    auto const found = contains(b, a);
    return found ? template_value(*found == (by == "in")) : state.beyond();
  }
  bool const alike = (a.is_number() && b.is_number()) || (a.is_string() && b.is_string());
  if (!alike) return state.beyond();
  if (by == "<") return a < b;
  if (by == ">") return b < a;
  return by == "<=" ? !(b < a) : !(a < b);
}

}  // namespace prefer::inline v0_1::lm::detail
