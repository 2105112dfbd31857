// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/lm/text/template_expression.hpp>
#include <prefer/lm/text/template_parser.hpp>

namespace prefer::inline v0_1::lm::detail {

/// A piece of a template's source: text, or what stands between the marks of a tag, and which of its sides takes white
/// space away.
struct template_tag {
  enum class kind { text, print, statement, comment } is = kind::text;
  std::string text;
};

/// A chat template in Jinja, as transformers runs it (trim_blocks, lstrip_blocks): loops, branches and assignments. It is
/// run to be compared with; who reads templates for what they say is chat_detection.hpp. A template with anything else in
/// it ends as template_end::beyond, and so does one that takes too long or writes too much.
class template_program {
 public:
  struct outcome {
    template_end end = template_end::beyond;
    std::string text;
  };

  explicit template_program(std::string_view jinja) {
    known_ = cut(jinja);
    std::string end;
    if (known_) program_ = block(0, end);
    known_ = known_ && end.empty() && next_ == tags_.size();
  }

  [[nodiscard]] outcome run(template_value const& variables) const {
    outcome out;
    if (!known_) return out;
    template_state state;
    for (auto const& [name, value] : variables.items()) state.scopes.front()[name] = value;
    (void)run(program_, state, out.text);
    out.end = state.end;
    return out;
  }

 private:
  using tag_kind = template_tag::kind;

  enum class control { on, next, stop };
  struct node {
    enum class kind { text, print, set, set_block, branch, loop, body, next, stop };
    kind is = kind::text;
    std::string text = {};
    std::vector<std::string> names = {};
    template_expression value = {};
    template_expression filter = {};
    std::vector<node> body = {};
    std::vector<node> otherwise = {};
  };

  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

  /// Cuts the source into tags. False where one does not end.
  bool cut(std::string_view given) {
    std::string jinja;
    for (std::size_t i = 0; i != given.size(); ++i) {
      if (given[i] != '\r') jinja += given[i];
      if (given[i] == '\r' && given.substr(i + 1, 1) != "\n") jinja += '\n';
    }
    if (!jinja.empty() && jinja.back() == '\n') jinja.pop_back();
    std::string_view const all = jinja;
    std::string_view before;  // what the last tag's end does to the text behind it
    bool line_begins = true;  // before that text
    for (std::size_t at = 0; at <= all.size();) {
      std::size_t open = at;
      while (open < all.size() &&
             !(all[open] == '{' && open + 1 < all.size() &&
               std::string_view("{%#").find(all[open + 1]) != std::string_view::npos)) {
        ++open;
      }
      std::string text(all.substr(at, open - at));
      if (before == "-") text.erase(0, std::min(text.find_first_not_of(" \t\n"), text.size()));
      if (before == "\n" && !text.empty() && text.front() == '\n') {
        text.erase(0, 1);
        line_begins = true;
      }
      bool const ends = open >= all.size();
      char const opening = ends ? ' ' : all[open + 1];
      std::size_t inner = open + 2;
      char const mark = inner < all.size() ? all[inner] : ' ';
      if (!ends && mark == '-') {
        while (!text.empty() && is_space(text.back())) text.pop_back();
      } else if (!ends && opening != '{' && mark != '+') {
        std::size_t const line = text.find_last_not_of(" \t");
        bool const begins = line == std::string::npos ? line_begins : text[line] == '\n';
        if (begins) text.resize(line == std::string::npos ? 0 : line + 1);
      }
      if (!text.empty()) tags_.push_back({tag_kind::text, std::move(text)});
      if (ends) return true;
      if (mark == '-' || mark == '+') ++inner;
      std::size_t const close = end_of(all, inner, opening);
      if (close == std::string_view::npos) return false;
      std::string_view code = all.substr(inner, close - inner);
      before = opening == '{' ? "" : "\n";
      line_begins = false;
      if (!code.empty() && (code.back() == '-' || code.back() == '+')) {
        before = code.back() == '-' ? "-" : "";
        code.remove_suffix(1);
      }
      if (opening != '#') {
        tags_.push_back(
            {opening == '{' ? tag_kind::print : tag_kind::statement, std::string(code)});
      }
      at = close + 2;
    }
    return true;
  }

  static std::size_t end_of(std::string_view all, std::size_t at, char opening) {
    std::string const mark = {opening == '{' ? '}' : opening, '}'};
    char quote = 0;
    for (; at < all.size(); ++at) {
      if (quote == 0 && all.substr(at, 2) == mark) return at;
      if (opening == '#') continue;
      if (quote != 0 && all[at] == '\\') {
        ++at;
      } else if (all[at] == '\'' || all[at] == '"') {
        quote = quote == 0 ? all[at] : quote == all[at] ? '\0' : quote;
      }
    }
    return std::string_view::npos;
  }

  template_parser parser_of(std::string const& code) {
    auto words = words_of(code);
    known_ = known_ && words.has_value();
    return template_parser(words ? std::move(*words) : std::vector<template_word>{});
  }
  void expect(bool holds) { known_ = known_ && holds; }
  void expect_done(template_parser const& parser) { expect(!parser.failed() && parser.at_end()); }

  /// The nodes up to a statement that begins with "end", "elif" or "else", which becomes `end`.
  std::vector<node> block(std::size_t depth, std::string& end) {
    std::vector<node> out;
    end.clear();
    if (depth > 40) known_ = false;
    while (known_ && next_ < tags_.size()) {
      template_tag const& tag = tags_[next_++];
      if (tag.is == tag_kind::text) {
        out.push_back({.is = node::kind::text, .text = tag.text});
      } else if (tag.is == tag_kind::print) {
        auto parser = parser_of(tag.text);
        out.push_back({.is = node::kind::print, .value = parser.expression()});
        expect_done(parser);
      } else if (!statement(tag.text, depth, out, end)) {
        return out;
      }
    }
    return out;
  }

  /// One statement; false for one that ends a block.
  bool statement(std::string const& code, std::size_t depth, std::vector<node>& out,
                 std::string& end) {
    auto parser = parser_of(code);
    std::string const word = parser.take_name();
    if (word.substr(0, 3) == "end" || word == "else" || word == "elif") {
      end = code;
      return false;
    }
    std::string closing;
    node made;
    if (word == "if") {
      out.push_back(branch(parser, depth));
    } else if (word == "for") {
      made.is = node::kind::loop;
      made.names = names_of(parser);
      expect(parser.take("in"));
      made.value = parser.disjunction();
      if (parser.take("if")) made.filter = parser.disjunction();
      expect_done(parser);
      made.body = block(depth + 1, closing);
      expect(first_word(closing) == "endfor");
      out.push_back(std::move(made));
    } else if (word == "set") {
      made.is = node::kind::set;
      made.names.push_back(parser.take_name());
      if (parser.take(".")) made.names.push_back(parser.take_name());
      if (parser.take("=")) {
        made.value = parser.expression();
        expect_done(parser);
      } else {
        expect_done(parser);
        made.is = node::kind::set_block;
        made.body = block(depth + 1, closing);
        expect(first_word(closing) == "endset");
      }
      out.push_back(std::move(made));
    } else if (word == "generation") {
      made.is = node::kind::body;
      made.body = block(depth + 1, closing);
      expect(first_word(closing) == "endgeneration");
      out.push_back(std::move(made));
    } else if (word == "break" || word == "continue") {
      out.push_back({.is = word == "break" ? node::kind::stop : node::kind::next});
    } else {
      known_ = false;
    }
    return true;
  }

  static std::vector<std::string> names_of(template_parser& parser) {
    std::vector<std::string> out;
    do {
      out.push_back(parser.take_name());
    } while (!parser.failed() && parser.take(","));
    return out;
  }
  std::string first_word(std::string const& code) { return parser_of(code).take_name(); }

  node branch(template_parser& parser, std::size_t depth) {
    node made{.is = node::kind::branch, .value = parser.expression()};
    expect_done(parser);
    std::string end;
    made.body = block(depth + 1, end);
    auto next = parser_of(end);
    std::string const word = next.take_name();
    if (word == "elif") {
      made.otherwise.push_back(branch(next, depth + 1));
    } else if (word == "else") {
      made.otherwise = block(depth + 1, end);
      expect(first_word(end) == "endif");
    } else {
      expect(word == "endif");
    }
    return made;
  }

  static control run(std::vector<node> const& all, template_state& state, std::string& out) {
    for (node const& each : all) {
      if (!state.goes_on()) return control::stop;
      auto const after = run(each, state, out);
      if (after != control::on) return after;
      if (out.size() > std::size_t{1} << 20) state.beyond();
    }
    return control::on;
  }

  static control run(node const& each, template_state& state, std::string& out) {
    switch (each.is) {
      case node::kind::text:
        out += each.text;
        break;
      case node::kind::print:
        out += written(each.value(state), state);
        break;
      case node::kind::set:
        set(each, bounded(each.value(state), state), state);
        break;
      case node::kind::set_block: {
        std::string text;
        auto const after = run(each.body, state, text);
        set(each, bounded(std::move(text), state), state);
        return after;
      }
      case node::kind::branch:
        return run(holds(each.value(state)) ? each.body : each.otherwise, state, out);
      case node::kind::body:
        return run(each.body, state, out);
      case node::kind::loop:
        return loop(each, state, out);
      case node::kind::next:
        return control::next;
      case node::kind::stop:
        return control::stop;
    }
    return control::on;
  }

  static void set(node const& each, template_value value, template_state& state) {
    if (each.names.size() == 1) {
      state.scopes.back()[each.names[0]] = std::move(value);
      return;
    }
    auto* const of = state.find(each.names[0]);
    if (of == nullptr || !of->is_object()) {
      state.beyond();
    } else {
      (*of)[each.names[1]] = std::move(value);
    }
  }

  static control loop(node const& each, template_state& state, std::string& out) {
    template_value const over = each.value(state);
    if (!over.is_array()) {
      state.beyond();
      return control::stop;
    }
    state.scopes.emplace_back();
    std::vector<template_value const*> kept;
    for (auto const& item : over) {
      bind(each.names, item, state);
      if (!each.filter || holds(each.filter(state))) kept.push_back(&item);
    }
    for (std::size_t i = 0; i != kept.size() && state.goes_on(); ++i) {
      auto& scope = state.scopes.back();
      scope.clear();
      bool const last = i + 1 == kept.size();
      scope["loop"] = {{"index", i + 1},
                       {"index0", i},
                       {"first", i == 0},
                       {"last", last},
                       {"length", kept.size()},
                       {"revindex", kept.size() - i},
                       {"revindex0", kept.size() - i - 1}};
      if (i != 0) scope["loop"]["previtem"] = *kept[i - 1];
      if (!last) scope["loop"]["nextitem"] = *kept[i + 1];
      bind(each.names, *kept[i], state);
      if (run(each.body, state, out) == control::stop) break;
    }
    state.scopes.pop_back();
    return control::on;
  }
  static void bind(std::vector<std::string> const& names, template_value const& item,
                   template_state& state) {
    auto& scope = state.scopes.back();
    if (names.size() == 1) {
      scope[names[0]] = item;
      return;
    }
    if (!item.is_array() || item.size() != names.size()) {
      state.beyond();
      return;
    }
    for (std::size_t i = 0; i != names.size(); ++i) scope[names[i]] = item[i];
  }

  std::vector<template_tag> tags_;
  std::size_t next_ = 0;
  bool known_ = true;
  std::vector<node> program_;
};

}  // namespace prefer::inline v0_1::lm::detail
