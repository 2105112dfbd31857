// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/lm/text/template_expression.hpp>

namespace prefer::inline v0_1::lm::detail {

/// A word of an expression: a name, a text, a whole number, or a sign.
struct template_word {
  enum class kind { name, text, number, sign } is = kind::sign;
  std::string text;
};

/// The words of what stands between the marks of a tag; nothing where a character is none of them.
inline std::optional<std::vector<template_word>> words_of(std::string_view code) {
  using kind = template_word::kind;
  auto const letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  auto const digit = [](char c) { return c >= '0' && c <= '9'; };
  constexpr std::size_t most = 2000;  // a value is found by recursion
  std::vector<template_word> out;
  for (std::size_t at = 0; at < code.size();) {
    if (out.size() == most) return std::nullopt;
    char const c = code[at];
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r') {
      ++at;
    } else if (letter(c) || digit(c)) {
      std::size_t end = at;
      while (end < code.size() && (digit(code[end]) || (letter(c) && letter(code[end])))) ++end;
      out.push_back(
          {letter(c) ? kind::name : kind::number, std::string(code.substr(at, end - at))});
      if (!letter(c) && end - at > 9) return std::nullopt;
      at = end;
    } else if (c == '\'' || c == '"') {
      std::string text;
      for (++at; at < code.size() && code[at] != c; ++at) {
        if (code[at] != '\\' || at + 1 == code.size()) {
          text += code[at];
          continue;
        }
        char const next = code[++at];
        constexpr std::string_view plain = "\\'\"";
        if (next == 'n' || next == 't' || next == 'r') {
          text += next == 'n' ? '\n' : next == 't' ? '\t' : '\r';
        } else if (plain.find(next) != std::string_view::npos) {
          text += next;
        } else {
          return std::nullopt;
        }
      }
      if (at == code.size()) return std::nullopt;
      ++at;
      out.push_back({kind::text, std::move(text)});
    } else {
      std::string_view const two = code.substr(at, 2);
      bool const pair = two == "==" || two == "!=" || two == "<=" || two == ">=" || two == "//";
      constexpr std::string_view signs = "()[]{}.,:|~+-*/%<>=";
      if (!pair && signs.find(c) == std::string_view::npos) return std::nullopt;
      out.push_back({kind::sign, std::string(pair ? two : code.substr(at, 1))});
      at += pair ? 2 : 1;
    }
  }
  return out;
}

/// Reads an expression from words. What it does not know makes `failed`.
class template_parser {
 public:
  explicit template_parser(std::vector<template_word> words) : words_(std::move(words)) {}

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] bool at_end() const { return at_ == words_.size(); }
  [[nodiscard]] bool take(std::string_view text) {
    bool const here = is(text);
    at_ += here ? 1u : 0u;
    return here;
  }
  [[nodiscard]] std::string take_name() {
    if (!at_end() && words_[at_].is == kind::name) return words_[at_++].text;
    failed_ = true;
    return "";
  }

  template_expression expression() {
    if (++depth_ > 60) failed_ = true;
    template_expression first = failed_ ? nothing() : disjunction();
    if (!failed_ && take("if")) {
      auto condition = disjunction();
      auto otherwise = take("else") ? expression() : nothing();
      first = [=](template_state& state) {
        return holds(condition(state)) ? first(state) : otherwise(state);
      };
    }
    --depth_;
    return first;
  }
  /// What is looped over may be followed by "if".
  template_expression disjunction() {
    auto left = conjunction();
    while (take("or")) {
      auto right = conjunction();
      left = [=](template_state& state) {
        auto const value = left(state);
        return holds(value) ? value : right(state);
      };
    }
    return left;
  }

 private:
  using kind = template_word::kind;

  [[nodiscard]] bool is(std::string_view text, std::size_t ahead = 0) const {
    return at_ + ahead < words_.size() && words_[at_ + ahead].is != kind::text &&
           words_[at_ + ahead].text == text;
  }
  static template_expression nothing() {
    return [](template_state&) { return undefined(); };
  }
  static template_expression constant(template_value value) {
    return [value = std::move(value)](template_state&) { return value; };
  }
  template_expression fail() {
    failed_ = true;
    return nothing();
  }

  template_expression conjunction() {
    auto left = negation();
    while (take("and")) {
      auto right = negation();
      left = [=](template_state& state) {
        auto const value = left(state);
        return holds(value) ? right(state) : value;
      };
    }
    return left;
  }
  template_expression negation() {
    bool negative = false;
    while (take("not")) negative = !negative;
    auto value = comparison();
    if (!negative) return value;
    return [=](template_state& state) { return template_value(!holds(value(state))); };
  }
  template_expression comparison() {
    auto left = sum();
    for (;;) {
      std::string by;
      for (char const* const sign : {"==", "!=", "<=", ">=", "<", ">", "in"}) {
        if (by.empty() && take(sign)) by = sign;
      }
      if (by.empty() && is("not") && is("in", 1)) {
        at_ += 2;
        by = "not in";
      }
      if (by.empty()) return left;
      auto right = sum();
      left = [=](template_state& state) { return compared(left(state), by, right(state), state); };
    }
  }
  template_expression sum() { return series({"+", "-"}, &template_parser::joined_texts); }
  template_expression joined_texts() { return series({"~"}, &template_parser::term); }
  template_expression term() { return series({"*", "%"}, &template_parser::signed_value); }
  template_expression series(std::vector<std::string> const& signs,
                             template_expression (template_parser::*next)()) {
    auto left = (this->*next)();
    for (;;) {
      std::string by;
      for (auto const& sign : signs) {
        if (by.empty() && take(sign)) by = sign;
      }
      if (by.empty()) return left;
      auto right = (this->*next)();
      left = [=](template_state& state) {
        auto const a = left(state);
        return calculated(a, by, right(state), state);
      };
    }
  }
  template_expression signed_value() {
    if (!take("-")) return behind(primary(), true);
    auto value = behind(primary(), true);
    return [=](template_state& state) { return calculated(0, "-", value(state), state); };
  }

  std::vector<template_expression> arguments() {
    std::vector<template_expression> out;
    while (!failed_ && !take(")")) {
      if (!at_end() && words_[at_].is == kind::name && is("=", 1)) {
        failed_ = true;  // arguments by name are namespace's alone
        return out;
      }
      out.push_back(expression());
      if (!take(",") && !is(")")) failed_ = true;
    }
    return out;
  }
  static template_arguments values_of(std::vector<template_expression> const& given,
                                      template_state& state) {
    template_arguments out;
    for (auto const& each : given) out.push_back(each(state));
    return out;
  }

  template_expression primary() {
    if (failed_ || at_end()) return fail();
    template_word const word = words_[at_++];
    if (word.is == kind::text) return constant(word.text);
    if (word.is == kind::number) {  // of nine digits at most
      std::int64_t number = 0;
      for (char const c : word.text) number = 10 * number + (c - '0');
      return constant(number);
    }
    if (word.is == kind::name) return named(word.text);
    if (word.text == "(") {
      auto inner = expression();
      return take(")") ? inner : fail();
    }
    if (word.text == "[") {
      std::vector<template_expression> items;
      while (!failed_ && !take("]")) {
        items.push_back(expression());
        if (!take(",") && !is("]")) return fail();
      }
      return [=](template_state& state) {
        template_value out = template_value::array();
        for (auto const& each : items) out.push_back(each(state));
        return bounded(std::move(out), state);
      };
    }
    return fail();
  }
  template_expression named(std::string const& name) {
    if (name == "true" || name == "True") return constant(true);
    if (name == "false" || name == "False") return constant(false);
    if (name == "none" || name == "None") return constant(nullptr);
    if (name == "namespace" && take("(")) return new_namespace();
    if (name == "raise_exception" && take("(")) {
      (void)arguments();
      return [](template_state& state) {
        if (state.end == template_end::written) state.end = template_end::raised;
        return undefined();
      };
    }
    if (is("(")) return fail();
    return [name](template_state& state) {
      auto const* const found = state.find(name);
      return found == nullptr ? undefined() : *found;
    };
  }
  template_expression new_namespace() {
    std::vector<std::pair<std::string, template_expression>> all;
    while (!failed_ && !take(")")) {
      std::string name = take_name();
      if (!take("=")) return fail();
      all.emplace_back(std::move(name), expression());
      if (!take(",") && !is(")")) return fail();
    }
    return [=](template_state& state) {
      template_value out = template_value::object();
      for (auto const& [name, value] : all) out[name] = value(state);
      return bounded(std::move(out), state);
    };
  }

  /// Members, slices, calls of methods, filters and tests behind a value.
  template_expression behind(template_expression value, bool tests) {
    while (!failed_) {
      if (take(".")) {
        value = member_or_method(value);
      } else if (take("[")) {
        value = index_or_slice(value);
      } else if (take("|")) {
        std::string const name = take_name();
        auto given = take("(") ? arguments() : std::vector<template_expression>{};
        value = [=](template_state& state) {
          auto const of = value(state);
          return filtered(of, name, values_of(given, state), state);
        };
      } else if (tests && take("is")) {
        bool const negative = take("not");
        std::string const name = take_name();
        std::vector<template_expression> given;
        if (take("(")) {
          given = arguments();
        } else if (!at_end() && words_[at_].is == kind::text) {
          given.push_back(behind(primary(), false));
        }
        value = [=](template_state& state) {
          auto const of = value(state);
          return template_value(holds(tested(of, name, values_of(given, state), state)) !=
                                negative);
        };
      } else {
        break;
      }
    }
    return value;
  }
  template_expression member_or_method(template_expression const& value) {
    std::string const name = take_name();
    if (!take("(")) {
      return [=](template_state& state) { return member(value(state), name); };
    }
    auto given = arguments();
    return [=](template_state& state) {
      auto const of = value(state);
      return method(of, name, values_of(given, state), state);
    };
  }
  template_expression index_or_slice(template_expression const& value) {
    std::array<template_expression, 3> part = {nothing(), nothing(), nothing()};
    std::size_t parts = 0;
    bool sliced = false;
    while (!failed_ && !take("]")) {
      if (take(":")) {
        sliced = true;
        if (++parts == part.size()) return fail();
      } else {
        part[parts] = expression();
      }
    }
    if (!sliced) {
      return [=](template_state& state) {
        auto const of = value(state);
        return member(of, part[0](state));
      };
    }
    return [=](template_state& state) {
      auto const of = value(state);
      return slice(of, part[0](state), part[1](state), part[2](state), state);
    };
  }

  std::vector<template_word> words_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  bool failed_ = false;
};

}  // namespace prefer::inline v0_1::lm::detail
