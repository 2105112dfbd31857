// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/text/number.hpp>
#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::report {

/// `text` for use between tags and inside attributes of an XML document. A character that XML 1.0 does not allow and a
/// byte that is not UTF-8 become U+FFFD, so that the document is well-formed whatever comes in.
[[nodiscard]] inline std::string xml_escaped(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    auto const c = prefer::text::decode(text, at);
    bool const control = c.value < 0x20 && c.value != '\t' && c.value != '\n' && c.value != '\r';
    bool const malformed = c.value == 0xFFFD && c.bytes == 1;
    if (control || malformed || c.value == 0xFFFE || c.value == 0xFFFF) {
      result += "\uFFFD";
    } else if (c.value == '<') {
      result += "&lt;";
    } else if (c.value == '>') {
      result += "&gt;";
    } else if (c.value == '&') {
      result += "&amp;";
    } else if (c.value == '"') {
      result += "&quot;";
    } else if (c.value == '\'') {
      result += "&apos;";
    } else {
      result += text.substr(at, c.bytes);
    }
    at += c.bytes;
  }
  return result;
}

/// A length in an SVG document: at most two digits behind the point, which is finer than any screen or printer.
[[nodiscard]] inline std::string svg_number(double value) {
  std::string text = prefer::text::fixed(value, 2);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

/// Name and value of an attribute; a number is written by svg_number.
struct svg_attribute {
  svg_attribute(char const* attribute_name, std::string_view text)
      : name(attribute_name), value(text) {}
  svg_attribute(char const* attribute_name, double number)
      : name(attribute_name), value(svg_number(number)) {}
  char const* name;
  std::string value;
};

/// Writes SVG elements; every text is escaped and every element that was opened is closed, by `finish` at the latest.
class svg_writer {
 public:
  using attributes = std::initializer_list<svg_attribute>;

  svg_writer(double width, double height) {
    text_ = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    open("svg", {{"xmlns", "http://www.w3.org/2000/svg"},
                 {"width", width},
                 {"height", height},
                 {"viewBox", "0 0 " + svg_number(width) + ' ' + svg_number(height)},
                 {"font-family", "Helvetica, Arial, 'DejaVu Sans', sans-serif"}});
    leaf("rect", {{"width", "100%"}, {"height", "100%"}, {"fill", "white"}});
  }

  void open(char const* name, attributes list) {
    start(name, list);
    text_ += ">\n";
    open_.push_back(name);
  }
  void leaf(char const* name, attributes list) {
    start(name, list);
    text_ += "/>\n";
  }
  void text(attributes list, std::string_view content) {
    start("text", list);
    text_ += '>' + xml_escaped(content) + "</text>\n";
  }
  void close() {
    std::string const name = open_.back();
    open_.pop_back();
    indent();
    text_ += "</" + name + ">\n";
  }
  [[nodiscard]] std::string finish() && {
    while (!open_.empty()) close();
    return std::move(text_);
  }

 private:
  void indent() { text_.append(2 * open_.size(), ' '); }
  void start(char const* name, attributes list) {
    indent();
    text_ += '<';
    text_ += name;
    for (auto const& attribute : list) {
      text_ += ' ';
      text_ += attribute.name;
      text_ += "=\"" + xml_escaped(attribute.value) + '"';
    }
  }

  std::string text_;
  std::vector<char const*> open_;
};

}  // namespace prefer::inline v0_1::report
