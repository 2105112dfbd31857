// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <regex>

#include "source_tree.hpp"

// What the documents promise about themselves and about the tree.

namespace {

/// The names of the test cases of a source, those put together from several literals as one.
std::set<std::string> test_names(std::string const& source) {
  static std::regex const joint("\"\\s*\n\\s*\"");
  static std::regex const test_case("TEST_CASE\\(\\s*\"([^\"]*)\"");
  std::string const text = std::regex_replace(source, joint, "");
  std::set<std::string> names;
  for (std::sregex_iterator found(text.begin(), text.end(), test_case), end; found != end;
       ++found) {
    names.insert((*found)[1]);
  }
  return names;
}

/// One row of a table of customisation points: what is called, and the test that holds it.
struct held_point {
  std::string called, test, file;
};

std::vector<held_point> held_points(std::string const& markdown) {
  static std::regex const row(R"(\| `([^`]+)` \|.*\| \[([^\]]+)\]\(\.\./([^)]+)\) \|)");
  std::vector<held_point> points;
  for (std::string const& line : tree::lines_of(markdown)) {
    std::smatch found;
    if (std::regex_match(line, found, row)) points.push_back({found[1], found[2], found[3]});
  }
  return points;
}

/// Rows of tables whose header begins with "called".
std::size_t rows_of_points(std::string const& markdown) {
  std::size_t rows = 0;
  for (std::string const& line : tree::lines_of(markdown)) rows += line.rfind("| `", 0) == 0;
  return rows;
}

}  // namespace

TEST_CASE("documents: the names of tests are read, also those in pieces", "[tree][documents]") {
  CHECK(test_names(
            "TEST_CASE(\"a: b\", \"[t]\") {}\nTEST_CASE(\n    \"c: d \"\n    \"e\", \"[t]\")") ==
        std::set<std::string>{"a: b", "c: d e"});
}

TEST_CASE("documents: README ends within 170 lines", "[tree][documents]") {
  CHECK(tree::lines_of(tree::read(tree::source_root / "README.md")).size() <= 170);
}

TEST_CASE("documents: every point of customisation names a test that exists", "[tree][documents]") {
  std::string const page = tree::read(tree::source_root / "docs" / "customisation.md");
  auto const points = held_points(page);
  CHECK(points.size() == rows_of_points(page));
  CHECK(points.size() > 20);
  for (held_point const& point : points) {
    INFO(point.called << ": " << point.test << " in " << point.file);
    REQUIRE(tree::fs::exists(tree::source_root / point.file));
    CHECK(test_names(tree::read(tree::source_root / point.file)).count(point.test) == 1);
  }
}

TEST_CASE("documents: every table of figures is between markers that its script knows",
          "[tree][documents]") {
  std::string const page = tree::read(tree::source_root / "docs" / "performance.md");
  std::string const script = tree::read(tree::source_root / "bench" / "figures");
  static std::regex const marker("<!-- figures: ([a-z_]+) -->");
  std::size_t tables = 0;
  for (std::sregex_iterator found(page.begin(), page.end(), marker), end; found != end; ++found) {
    ++tables;
    INFO("figures: " << (*found)[1]);
    CHECK(script.find("\"" + (*found)[1].str() + "\": ") != std::string::npos);
  }
  CHECK(tables > 0);
  bool inside = false;
  for (std::string const& line : tree::lines_of(page)) {
    if (line.rfind("<!-- figures: ", 0) == 0) inside = true;
    if (line.rfind("<!-- /figures", 0) == 0) inside = false;
    INFO(line);
    CHECK((inside || line.rfind("|", 0) != 0));
  }
}

TEST_CASE("documents: a label of a docstring begins its line, and what follows is under its text",
          "[tree][documents]") {
  static std::regex const label("\\s*/// (Reads|Units|Errors|Source|Keeps|Needs)  +\\S.*");
  static std::regex const any_label("\\s*/// [A-Z][A-Za-z ]*(  +|: )\\S.*");
  static std::regex const inside_a_line("\\s*///.*[.a-z)] +(Errors|Source|Units|Reads)  +\\S.*");
  for (std::string const& header : tree::files_below(tree::header_root, ".hpp")) {
    auto const lines = tree::lines_of(tree::read(tree::header_root / header));
    bool under_label = false;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      auto const start = lines[i].find_first_not_of(' ');
      bool const docstring = start != std::string::npos && lines[i].compare(start, 4, "/// ") == 0;
      if (!docstring) {
        under_label = false;
        continue;
      }
      INFO("include/prefer/" << header << ":" << i + 1 << ": " << lines[i]);
      CHECK_FALSE(std::regex_match(lines[i], inside_a_line));
      bool const continues = lines[i].compare(start, 5, "///  ") == 0;
      if (under_label) CHECK((continues || std::regex_match(lines[i], any_label)));
      under_label = std::regex_match(lines[i], label) || (under_label && continues);
    }
  }
}

TEST_CASE("documents: programs and snippets need nothing from detail", "[tree][documents]") {
  std::size_t files = 0;
  auto const look_at = [&](tree::fs::path const& folder, std::string_view extension) {
    for (std::string const& file : tree::files_below(folder, extension)) {
      INFO((folder / file).string());
      CHECK(tree::read(folder / file).find("detail::") == std::string::npos);
      ++files;
    }
  };
  for (char const* extension : {".cpp", ".hpp"}) {
    look_at(tree::source_root / "examples", extension);
    look_at(tree::source_root / "tests" / "docs", extension);
  }
  look_at(tree::source_root / "docs", ".md");
  CHECK(files > 60);
  for (char const* page : {"README.md", "CONTRIBUTING.md"}) {
    CHECK(tree::read(tree::source_root / page).find("detail::") == std::string::npos);
  }
}
