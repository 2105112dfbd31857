// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <cctype>
#include <set>
#include <string>
#include <string_view>

#include "source_tree.hpp"

// A header of ours may be included after one that defines macros for everyday words: ours does not use these words, so
// that it means the same there. (min and max are everyday words of C++: prefer/dialect.hpp refuses such macros.)

namespace {

std::set<std::string_view> const macros = {
    "I",       "complex", "imaginary",                          // <complex.h> under -std=gnu++20
    "near",    "far",     "small",     "hyper",   "interface",  // Windows
    "IN",      "OUT",     "OPTIONAL",  "ERROR",   "DELETE",    "DIFFERENCE", "STRICT",   "PURE",
    "THIS",    "CONST",   "VOID",      "TRUE",    "FALSE",     "NO_ERROR",   "ABSOLUTE", "RELATIVE",
    "cdecl",   "pascal",  "None",      "Bool",    "Status",    "True",       "False",  // X11
    "Success", "Always",  "Above",     "Below",   "Unsorted",  "Complex",    "signals",  "slots",
    "emit",    "foreach", "forever",               // Qt
    "unix",    "linux",   "i386",                  // g++ under -std=gnu++20
    "B0",      "B50",     "B110",      "makedev",  // terminals and devices
    "CHECK",   "DCHECK",  "LOG",       "TRACE",   "DEBUG",     "INFO",
};

bool begins_a_word(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; }
bool goes_on_a_word(char c) {
  return begins_a_word(c) || std::isdigit(static_cast<unsigned char>(c)) != 0;
}

/// The words of a header that a macro would replace: outside of comments, strings and directives.
std::set<std::string> words_of(std::string const& text) {
  std::set<std::string> words;
  for (std::string const& line : tree::lines_of(text)) {
    auto const first = line.find_first_not_of(' ');
    if (first != std::string::npos && line[first] == '#') continue;
    for (std::size_t at = 0; at < line.size();) {
      if (line.compare(at, 2, "//") == 0) break;
      if (line[at] == '"') {
        for (++at; at < line.size() && line[at] != '"'; ++at) at += line[at] == '\\' ? 1 : 0;
        ++at;
      } else if (begins_a_word(line[at])) {
        std::size_t const from = at;
        while (at < line.size() && goes_on_a_word(line[at])) ++at;
        words.insert(line.substr(from, at - from));
      } else if (std::isdigit(static_cast<unsigned char>(line[at])) != 0) {
        while (at < line.size() && goes_on_a_word(line[at])) ++at;  // the suffix of a number
      } else {
        ++at;
      }
    }
  }
  return words;
}

}  // namespace

TEST_CASE("foreign macros: words are found in code alone", "[tree][foreign_macros]") {
  CHECK(words_of("#define near\n  int near_by = 2U; // far\n f(\"small \\\" I\"); near_by") ==
        std::set<std::string>{"int", "near_by", "f"});
  CHECK(words_of("template <I... At> near(x)") ==
        std::set<std::string>{"template", "I", "At", "near", "x"});
}

TEST_CASE("foreign macros: no header uses a word that is a macro elsewhere",
          "[tree][foreign_macros]") {
  std::size_t words = 0;
  for (std::string const& header : tree::public_headers()) {
    auto const here = words_of(tree::read(tree::header_root / header));
    words += here.size();
    for (std::string const& word : here) {
      INFO(header << ": " << word << " is a macro elsewhere");
      CHECK(macros.count(word) == 0);
    }
  }
  CHECK(words > 20000);
}
