// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "source_tree.hpp"

// A file that cannot be read in one sitting wants to be two.

namespace {

constexpr std::size_t most_lines = 450;

/// Data and pictures are not read.
std::set<std::string> const kinds = {".hpp", ".cpp", ".cuh", ".cu", ".cmake",
                                     ".md",  ".txt", ".py",  ".sh", ""};

}  // namespace

TEST_CASE("file length: no file has more than 450 lines", "[tree][file_length]") {
  std::size_t looked_at = 0;
  for (std::string const folder :
       {"bench", "cmake", "docs", "examples", "include", "scripts", "tests"}) {
    for (auto const& entry : tree::fs::recursive_directory_iterator(tree::source_root / folder)) {
      if (!entry.is_regular_file() || kinds.count(entry.path().extension().string()) == 0) continue;
      ++looked_at;
      auto const name = entry.path().lexically_relative(tree::source_root).generic_string();
      auto const lines = tree::lines_of(tree::read(entry.path())).size();
      INFO(name << " has " << lines << " lines");
      CHECK(lines <= most_lines);
    }
  }
  CHECK(looked_at > 400);
}
