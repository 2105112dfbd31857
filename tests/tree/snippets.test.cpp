// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "source_tree.hpp"

// A C++ block of a Markdown file follows a comment that names where it lives: `<!-- snippet:
// path/to/file.cpp#region -->` for the lines between `// [region]` and `// [/region]` there, or
// `<!-- snippet: none -->` for one that is no program.

namespace {

struct block {
  int line;            // of the opening fence, from 1
  std::string marker;  // what follows "snippet: ", empty if there is no marker
  std::string text;
};

std::string trimmed(std::string const& text) {
  auto const first = text.find_first_not_of(" \t\r");
  return first == std::string::npos
             ? ""
             : text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::vector<block> cpp_blocks(std::string const& markdown) {
  std::vector<block> blocks;
  std::string marker;
  bool inside = false;
  bool kept = false;
  int number = 0;
  for (std::string const& line : tree::lines_of(markdown)) {
    ++number;
    std::string const content = trimmed(line);
    bool const fence = content.rfind("```", 0) == 0;
    if (inside && fence) {
      inside = kept = false;
      marker.clear();
    } else if (inside) {
      if (kept) blocks.back().text += line + '\n';
    } else if (fence) {
      inside = true;
      kept = content == "```cpp" || content == "```c++";
      if (kept) blocks.push_back({number, marker, ""});
    } else if (content.rfind("<!-- snippet: ", 0) == 0 && content.size() > 18) {
      marker = trimmed(content.substr(14, content.size() - 18));
    } else if (!content.empty()) {
      marker.clear();
    }
  }
  return blocks;
}

std::string dedented(std::vector<std::string> const& lines) {
  auto indent = std::string::npos;
  for (std::string const& line : lines) indent = std::min(indent, line.find_first_not_of(' '));
  std::string text;
  for (std::string const& line : lines)
    text += (line.size() < indent ? "" : line.substr(indent)) + '\n';
  return text;
}

/// The lines between `// [name]` and `// [/name]`, dedented, without the markers of other regions;
/// empty if there is no such region.
std::string region(std::string const& source, std::string const& name) {
  std::vector<std::string> lines;
  bool inside = false;
  for (std::string const& line : tree::lines_of(source)) {
    std::string const content = trimmed(line);
    if (content == "// [/" + name + "]") return dedented(lines);
    bool const some_marker = content.rfind("// [", 0) == 0 && content.back() == ']';
    if (inside && !some_marker) lines.push_back(line);
    if (content == "// [" + name + "]") inside = true;
  }
  return "";
}

std::vector<std::string> markdown_files() {
  std::vector<std::string> files;
  for (auto const& entry : tree::fs::directory_iterator(tree::source_root)) {
    if (entry.path().extension() == ".md") files.push_back(entry.path().filename().string());
  }
  for (std::string const folder : {"docs", "tests", "bench", "examples"}) {
    if (!tree::fs::exists(tree::source_root / folder)) continue;
    for (std::string const& file : tree::files_below(tree::source_root / folder, ".md")) {
      files.push_back(folder + "/" + file);
    }
  }
  return files;
}

/// Targets of relative links, without fragments: `[text](target)` and `![text](target)`, outside of
/// fences.
std::vector<std::string> relative_links(std::string const& markdown) {
  std::vector<std::string> targets;
  bool inside = false;
  for (std::string const& line : tree::lines_of(markdown)) {
    if (trimmed(line).rfind("```", 0) == 0) inside = !inside;
    if (inside) continue;
    for (auto at = line.find("]("); at != std::string::npos; at = line.find("](", at + 2)) {
      std::string target = line.substr(at + 2, line.find(')', at) - at - 2);
      target = target.substr(0, target.find_first_of("# "));
      if (!target.empty() && target.find("://") == std::string::npos) targets.push_back(target);
    }
  }
  return targets;
}

}  // namespace

TEST_CASE("snippets: a block is found with its line and marker", "[tree][snippets]") {
  auto const blocks = cpp_blocks(
      "# A\n<!-- snippet: a/b.cpp#own -->\n```cpp\nint a;\n```\n\n```sh\nls\n```\n```cpp\nint "
      "b;\n```\n");
  REQUIRE(blocks.size() == 2);
  CHECK(blocks[0].line == 3);
  CHECK(blocks[0].marker == "a/b.cpp#own");
  CHECK(blocks[0].text == "int a;\n");
  CHECK(blocks[1].line == 10);
  CHECK(blocks[1].marker == "");
}

TEST_CASE("snippets: a region is dedented, and markers inside it are left out",
          "[tree][snippets]") {
  std::string const source =
      "int a;\n  // [own]\n  struct own {\n    // [inner]\n    int b;\n    // [/inner]\n\n  };\n  "
      "// [/own]\n";
  CHECK(region(source, "own") == "struct own {\n  int b;\n\n};\n");
  CHECK(region(source, "inner") == "int b;\n");
  CHECK(region(source, "other") == "");
}

TEST_CASE("snippets: relative links are found, others and code are not", "[tree][snippets]") {
  CHECK(
      relative_links(
          "![p](docs/a.svg) and [b](b.md#part), [c](#part) [d](https://e.f)\n```\n[x](y)\n```\n") ==
      std::vector<std::string>{"docs/a.svg", "b.md"});
}

TEST_CASE("snippets: every C++ block in a Markdown file is the named region of a source file",
          "[tree][snippets]") {
  for (std::string const& file : markdown_files()) {
    for (block const& found : cpp_blocks(tree::read(tree::source_root / file))) {
      INFO(file << ":" << found.line);
      CHECK(found.marker != "");
      if (found.marker.empty() || found.marker == "none") continue;
      INFO("snippet: " << found.marker);
      auto const hash = found.marker.find('#');
      auto const source = tree::source_root / found.marker.substr(0, hash);
      REQUIRE(hash != std::string::npos);
      REQUIRE(tree::fs::exists(source));
      CHECK(found.text == region(tree::read(source), found.marker.substr(hash + 1)));
    }
  }
}

TEST_CASE("snippets: every relative link in a Markdown file leads to a file", "[tree][snippets]") {
  for (std::string const& file : markdown_files()) {
    auto const folder = (tree::source_root / file).parent_path();
    for (std::string const& target : relative_links(tree::read(tree::source_root / file))) {
      INFO(file << " links to " << target);
      CHECK(tree::fs::exists(folder / target));
    }
  }
}
