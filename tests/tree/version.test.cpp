// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <regex>
#include <string>

#include <prefer/version.hpp>

#include "source_tree.hpp"

TEST_CASE("version: every header opens namespace prefer with the inline namespace of its version",
          "[tree][version]") {
  std::string const opened = "namespace prefer::inline v" + std::to_string(PREFER_VERSION_MAJOR) +
                             "_" + std::to_string(PREFER_VERSION_MINOR);
  std::regex const opens_prefer(R"(^\s*(inline )?namespace prefer\b.*\{)");
  std::size_t looked_at = 0;
  for (std::string const& header : tree::public_headers()) {
    for (std::string const& line : tree::lines_of(tree::read(tree::header_root / header))) {
      if (!std::regex_search(line, opens_prefer)) continue;
      ++looked_at;
      INFO(header << ": " << line);
      bool const says_version =
          line.rfind(opened + " {", 0) == 0 || line.rfind(opened + "::", 0) == 0;
      CHECK(says_version);
    }
  }
  CHECK(looked_at > 230);
}

TEST_CASE("version: the parts of the version and its spelling are one", "[tree][version]") {
  std::string const spelled = std::to_string(PREFER_VERSION_MAJOR) + "." +
                              std::to_string(PREFER_VERSION_MINOR) + "." +
                              std::to_string(PREFER_VERSION_PATCH);
  CHECK(spelled == PREFER_VERSION_STRING);
}

TEST_CASE("version: changelogs, README and the vcpkg port name the version of the headers",
          "[tree][version]") {
  std::string const version = PREFER_VERSION_STRING;
  std::string const series =
      std::to_string(PREFER_VERSION_MAJOR) + "." + std::to_string(PREFER_VERSION_MINOR);
  auto const file = [](char const* path) { return tree::read(tree::source_root / path); };

  CHECK(file("debian/changelog").rfind("prefer (" + version + ") ", 0) == 0);
  std::string const changes = file("CHANGELOG.md");
  auto const newest = changes.find("\n## ");
  REQUIRE(newest != std::string::npos);
  CHECK(changes.compare(newest + 4, version.size() + 1, version + " ") == 0);

  CHECK(file("packaging/vcpkg/prefer/vcpkg.json").find("\"version\": \"" + version + "\"") !=
        std::string::npos);
  for (char const* path : {"README.md", "tests/package/installed/CMakeLists.txt"}) {
    INFO(path);
    CHECK(file(path).find("find_package(prefer " + series + " ") != std::string::npos);
  }
}
