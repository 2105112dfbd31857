// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include <prefer/batch/each_column.hpp>
#include <prefer/loss/catalogue.hpp>

#include "tree/source_tree.hpp"

// docs/methods.md is kept by hand; here it is held against the catalogue and the tree.

namespace {

using cells = std::vector<std::string>;

std::string trimmed(std::string const& text) {
  auto const begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? ""
                                    : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

// The cells of the tables' rows, without heads and rules.
std::vector<cells> rows_of(std::string const& text) {
  std::vector<cells> rows;
  auto const lines = tree::lines_of(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (lines[i].rfind("| ", 0) != 0) continue;
    if (i + 1 < lines.size() && lines[i + 1].rfind("|---", 0) == 0) continue;
    cells row;
    for (std::size_t at = 1; at < lines[i].size();) {
      auto const end = lines[i].find('|', at);
      row.push_back(trimmed(lines[i].substr(at, end - at)));
      at = end == std::string::npos ? lines[i].size() : end + 1;
    }
    rows.push_back(row);
  }
  return rows;
}

// What stands between two marks, each time they come.
std::vector<std::string> all_between(std::string const& text, std::string const& open,
                                     std::string const& close) {
  std::vector<std::string> found;
  for (auto at = text.find(open); at != std::string::npos; at = text.find(open, at)) {
    at += open.size();
    auto const end = text.find(close, at);
    if (end == std::string::npos) break;
    found.push_back(text.substr(at, end - at));
    at = end + close.size();
  }
  return found;
}

std::string const document = tree::read(tree::source_root / "docs" / "methods.md");

bool is_loss_row(cells const& row) { return row.size() == 6; }

}  // namespace

TEST_CASE("methods: the tables are read as they are written", "[docs][methods]") {
  auto const rows = rows_of(
      "text\n\n| a | b |\n|---|---|\n| one | two words |\n| `x` | |\n\n| c |\n|---|\n| d |\n");
  CHECK(rows == std::vector<cells>{{"one", "two words"}, {"`x`", ""}, {"d"}});
  CHECK(all_between("a [b](c) and [d](e)", "](", ")") == std::vector<std::string>{"c", "e"});
}

TEST_CASE(
    "methods: every loss of the catalogue has one row, with its file, TRL's name, paper and "
    "columns",
    "[docs][methods]") {
  using prefer::column_name;
  std::map<std::string, std::vector<cells>> by_name;
  std::size_t losses = 0;
  for (auto const& row : rows_of(document)) {
    if (!is_loss_row(row)) continue;
    ++losses;
    auto const name = all_between(row[1], "[`", "`]");
    REQUIRE(name.size() == 1);
    by_name[name[0]].push_back(row);
  }
  std::size_t known = 0;
  prefer::for_each_loss([&]<prefer::Loss L>(L const& loss, prefer::loss_info const& info) {
    ++known;
    CAPTURE(L::name);
    REQUIRE(by_name[L::name].size() == 1);
    cells const& row = by_name[L::name][0];
    CHECK(!row[0].empty());
    auto const file = all_between(row[1], "](../", ")");
    REQUIRE(file.size() == 1);
    CHECK(tree::read(tree::source_root / file[0]).find("name = \"" + std::string(L::name) + "\"") !=
          std::string::npos);
    CHECK(row[2] == (*info.trl == '\0' ? "" : "`" + std::string(info.trl) + "`"));
    CHECK(row[3] == info.paper);
    CHECK(row[4] ==
          to_string(prefer::reads(loss) - (column_name::beta | column_name::target_margin)));
    CHECK(row[5] == info.batch_statistic);
  });
  CHECK(losses == known);  // and no row for what is not there
}

TEST_CASE("methods: every file that is linked is there", "[docs][methods]") {
  auto const links = all_between(document, "](", ")");
  CHECK(links.size() > 67);
  for (auto const& link : links) {
    CAPTURE(link);
    CHECK(tree::fs::exists(tree::source_root / "docs" / link.substr(0, link.find('#'))));
  }
}

TEST_CASE("methods: the parts that other methods are made of exist by their names",
          "[docs][methods]") {
  std::string headers;
  for (auto const& header : tree::files_below(tree::header_root, ".hpp")) {
    headers += tree::read(tree::header_root / header);
  }
  std::size_t names = 0;
  for (auto const& row : rows_of(document)) {
    if (is_loss_row(row)) continue;
    REQUIRE(row.size() == 4);
    CAPTURE(row[0]);
    for (auto const& code : all_between(row[1], "`", "`")) {
      // The first word of the code, and of each term of a sum, is a name of ours.
      for (std::size_t at = 0; at != std::string::npos;) {
        std::string const name = code.substr(at, code.find_first_of("{ ", at) - at);
        CAPTURE(name);
        bool const is_number = name.find_first_not_of("0123456789.") == std::string::npos;
        CHECK((is_number || headers.find(name) != std::string::npos));
        ++names;
        auto const plus = code.find(" + ", at);
        at = plus == std::string::npos ? plus : plus + 3;
      }
    }
    for (auto const& file : all_between(row[2], "](../", ")")) {
      CHECK(tree::fs::exists(tree::source_root / file));
    }
  }
  CHECK(names > 20);
}
