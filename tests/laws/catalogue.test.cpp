// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

#include <prefer/loss/catalogue.hpp>

#include "laws/subject.hpp"

namespace {

using namespace prefer::test;

/// The contents of a file.
std::string text_of(std::filesystem::path const& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_CASE("laws: every loss header is in the catalogue, and every loss of it is a subject here",
          "[laws][loss]") {
  std::set<std::string> catalogued;
  prefer::for_each_loss([&](auto const& loss, auto const&) { catalogued.insert(loss.name); });
  std::set<std::string> tested;
  for (auto const& loss : subjects()) tested.insert(loss.name);
  CHECK(tested == catalogued);

  std::set<std::string> written;
  std::regex const name("constexpr char const\\* (?:loss_)?name = \"([^\"]*)\"");
  for (auto const& entry :
       std::filesystem::directory_iterator(PREFER_SOURCE_DIR "/include/prefer/loss")) {
    std::string const text = text_of(entry.path());
    std::string const tests =
        text_of(PREFER_SOURCE_DIR "/tests/loss/" + entry.path().stem().string() + ".test.cpp");
    for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at) {
      std::string const loss = (*at)[1];
      written.insert(loss);
      // Whether TRL has it or not, a formula of its own stands in the tests, under its name.
      INFO(loss << " of " << entry.path());
      CHECK(std::regex_search(tests, std::regex("TEST_CASE\\(\\s*\"" + loss + ": ")));
    }
  }
  // Policy gradients read who wrote a completion, which rows of preferences do not say: they are no rows of the catalogue.
  for (char const* const each :
       {"clipped_surrogate", "clipped_value", "grpo", "reinforce", "rloo"}) {
    CHECK(written.erase(each) == 1);
  }
  CHECK(written == catalogued);
}

}  // namespace
