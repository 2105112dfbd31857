// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include "source_tree.hpp"

TEST_CASE("header lists: reading them gives each component its headers", "[tree][header_lists]") {
  auto const lists = tree::header_lists(
      "set(prefer_core_headers\n  a.hpp\n  b/c.hpp\n)\n\nset(prefer_fmt_headers\n)\n");
  REQUIRE(lists.size() == 2);
  REQUIRE(lists.at("core") == std::vector<std::string>{"a.hpp", "b/c.hpp"});
  REQUIRE(lists.at("fmt").empty());
}

TEST_CASE("header lists: cmake/headers.cmake lists exactly the headers on disk, sorted",
          "[tree][header_lists]") {
  std::vector<std::string> listed;
  for (auto const& [component, headers] : tree::header_lists()) {
    INFO("prefer_" << component << "_headers");
    CHECK(std::is_sorted(headers.begin(), headers.end()));
    listed.insert(listed.end(), headers.begin(), headers.end());
  }
  std::sort(listed.begin(), listed.end());
  auto const on_disk = tree::public_headers();
  std::vector<std::string> not_listed;
  std::set_difference(on_disk.begin(), on_disk.end(), listed.begin(), listed.end(),
                      std::back_inserter(not_listed));
  std::vector<std::string> not_there;
  std::set_difference(listed.begin(), listed.end(), on_disk.begin(), on_disk.end(),
                      std::back_inserter(not_there));
  CHECK(not_listed == std::vector<std::string>{});
  CHECK(not_there == std::vector<std::string>{});
}

TEST_CASE("header lists: every header begins with the licence and the include guard",
          "[tree][header_lists]") {
  for (std::string const& header : tree::public_headers()) {
    INFO("include/prefer/" << header);
    auto const lines = tree::lines_of(tree::read(tree::header_root / header));
    REQUIRE(lines.size() > 2);
    CHECK(lines[0] == "// SPDX-License-Identifier: MIT");
    CHECK(lines[1] == "#pragma once");
  }
}

TEST_CASE("header lists: every header says which dialect it is in, before anything of that dialect",
          "[tree][header_lists]") {
  for (std::string const& header : tree::public_headers()) {
    if (header == "dialect.hpp") continue;
    INFO("include/prefer/" << header);
    bool includes_one_of_ours = false;
    for (std::string const& each : tree::includes_of(tree::read(tree::header_root / header))) {
      includes_one_of_ours = includes_one_of_ours || each.rfind("prefer/", 0) == 0;
    }
    CHECK(includes_one_of_ours);  // dialect.hpp where there is no other
  }
}

TEST_CASE("header lists: every header for CUDA is a system header, but to its own builds",
          "[tree][header_lists]") {
  std::size_t looked_at = 0;
  for (std::string const& header : tree::public_headers()) {
    if (header.rfind("adapters/cuda", 0) != 0) continue;
    ++looked_at;
    INFO("include/prefer/" << header);
    std::string const text = tree::read(tree::header_root / header);
    auto const at =
        text.find("#if !defined(PREFER_SHOW_WARNINGS)\n#pragma GCC system_header\n#endif\n");
    CHECK(at < text.find("\n#include"));
  }
  CHECK(looked_at > 9);
}
