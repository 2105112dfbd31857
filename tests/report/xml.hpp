// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace xml {

/// One element in document order, with its attributes and the text directly inside it.
struct element {
  std::string name = {};
  std::map<std::string, std::string> attributes = {};
  std::string text = {};

  [[nodiscard]] double number(std::string const& attribute) const {
    return std::stod(attributes.at(attribute));
  }
};

/// Reads the subset of XML that our pictures use, strictly: throws std::runtime_error on anything
/// that is not well-formed. Shares no code with the writer.
class reader {
 public:
  explicit reader(std::string_view document) : rest_(document) {
    if (rest_.substr(0, 5) == "<?xml") rest_.remove_prefix(find("?>") + 2);
    std::vector<std::size_t> open;
    bool seen_root = false;
    while (!rest_.empty()) {
      if (rest_.front() != '<') {
        std::string const text = unescaped(rest_.substr(0, rest_.find('<')));
        rest_.remove_prefix(std::min(rest_.size(), rest_.find('<')));
        if (!open.empty()) elements[open.back()].text += text;
        if (open.empty() && text.find_first_not_of(" \n") != std::string::npos)
          fail("text outside");
      } else if (rest_.substr(0, 2) == "</") {
        std::string const name(rest_.substr(2, find(">") - 2));
        if (open.empty() || elements[open.back()].name != name) fail("closes " + name);
        open.pop_back();
        rest_.remove_prefix(find(">") + 1);
      } else {
        if (open.empty() && seen_root) fail("second root");
        seen_root = true;
        if (start_tag()) open.push_back(elements.size() - 1);
      }
    }
    if (!open.empty() || !seen_root) fail("left open");
  }

  std::vector<element> elements;

  [[nodiscard]] std::vector<element> with_class(std::string const& name) const {
    std::vector<element> result;
    for (auto const& e : elements) {
      auto const found = e.attributes.find("class");
      if (found != e.attributes.end() && found->second == name) result.push_back(e);
    }
    return result;
  }
  [[nodiscard]] std::vector<std::string> texts(std::string const& class_name) const {
    std::vector<std::string> result;
    for (auto const& e : with_class(class_name)) result.push_back(e.text);
    return result;
  }

 private:
  [[noreturn]] static void fail(std::string const& why) { throw std::runtime_error("xml: " + why); }

  [[nodiscard]] std::size_t find(std::string_view what) const {
    std::size_t const at = rest_.find(what);
    if (at == std::string_view::npos) fail("missing " + std::string(what));
    return at;
  }

  static std::string unescaped(std::string_view text) {
    static std::map<std::string, char> const entities = {
        {"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
    std::string result;
    while (!text.empty()) {
      auto const c = static_cast<unsigned char>(text.front());
      if (c < 0x20 && c != '\n' && c != '\t' && c != '\r') fail("control character");
      if (c == '<') fail("< in text");
      if (c != '&') {
        result += text.front();
        text.remove_prefix(1);
        continue;
      }
      std::size_t const end = text.find(';');
      if (end == std::string_view::npos) fail("bare &");
      auto const entity = entities.find(std::string(text.substr(1, end - 1)));
      if (entity == entities.end()) fail("unknown entity");
      result += entity->second;
      text.remove_prefix(end + 1);
    }
    return result;
  }

  /// Whether the element stays open.
  bool start_tag() {
    rest_.remove_prefix(1);
    element e;
    e.name = std::string(rest_.substr(0, rest_.find_first_of(" />")));
    if (e.name.empty()) fail("nameless element");
    rest_.remove_prefix(e.name.size());
    while (!rest_.empty() && rest_.front() == ' ') {
      rest_.remove_prefix(1);
      std::size_t const equals = find("=\"");
      std::string const name(rest_.substr(0, equals));
      if (name.empty() || name.find_first_of(" <>\"/") != std::string::npos)
        fail("attribute " + name);
      rest_.remove_prefix(equals + 2);
      std::size_t const end = find("\"");
      if (!e.attributes.emplace(name, unescaped(rest_.substr(0, end))).second)
        fail("twice " + name);
      rest_.remove_prefix(end + 1);
    }
    elements.push_back(e);
    bool const leaf = rest_.substr(0, 2) == "/>";
    if (!leaf && rest_.substr(0, 1) != ">") fail("unfinished tag " + e.name);
    rest_.remove_prefix(leaf ? 2 : 1);
    return !leaf;
  }

  std::string_view rest_;
};

}  // namespace xml
