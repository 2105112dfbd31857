// SPDX-License-Identifier: MIT
//
// The programs that show how prefer is put into somebody's code, as their readers run them. One whose library is not here is
// not built.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;

/// The loss at steps 0, 50, 100, 150 and 200.
std::vector<double> losses_of(std::string const& name, std::string const& executable) {
  prefer::test::workplace const here(name, executable);
  auto const run = here.run("");
  INFO(run.out << run.err);
  CHECK(run.code == 0);
  CHECK(run.err.empty());
  std::istringstream lines(run.out);
  std::vector<double> out;
  std::string line;
  while (std::getline(lines, line)) {
    CHECK_THAT(line, Contains("step ") && Contains("  loss "));
    out.push_back(std::stod(line.substr(line.find("loss ") + 5)));
  }
  REQUIRE(out.size() == 5);
  return out;
}

void check_falls(std::vector<double> const& loss, double from, double to) {
  CHECK(loss.front() == Approx(from).margin(6e-5));  // four digits are printed
  CHECK(std::is_sorted(loss.rbegin(), loss.rend()));
  CHECK(loss.back() < to);
}

TEST_CASE("embed_raw: dpo falls from log 2", "[examples][embed]") {
  check_falls(losses_of("embed_raw", PREFER_EXAMPLE_EMBED_RAW), std::log(2.0), 0.3);
}

#if defined(PREFER_EXAMPLE_EMBED_EIGEN)
TEST_CASE("embed_eigen: dpo with flipped labels falls from log 2 to their entropy, not below",
          "[examples][embed]") {
  auto const loss = losses_of("embed_eigen", PREFER_EXAMPLE_EMBED_EIGEN);
  double const entropy = -0.05 * std::log(0.05) - 0.95 * std::log(0.95);
  check_falls(loss, std::log(2.0), 1.1 * entropy);
  CHECK(loss.back() > entropy);
}
#endif

#if defined(PREFER_EXAMPLE_EMBED_ARMADILLO)
TEST_CASE("embed_armadillo: hinge falls from 1", "[examples][embed]") {
  check_falls(losses_of("embed_armadillo", PREFER_EXAMPLE_EMBED_ARMADILLO), 1.0, 0.3);
}
#endif

TEST_CASE("stub_backend: says what there is to do", "[examples][embed]") {
  prefer::test::workplace const here("stub_backend", PREFER_EXAMPLE_STUB_BACKEND);
  auto const run = here.run("");
  CHECK(run.code == 0);
  CHECK_THAT(run.out, Contains("ascending: throws: ascending is unimplemented\n"));
  CHECK_THAT(run.out, Contains("10 things to do\n"));
}

TEST_CASE("embed: each program has less than 80 lines", "[examples][embed]") {
  std::size_t programs = 0;
  for (auto const& folder : std::filesystem::directory_iterator(PREFER_SOURCE_DIR "/examples")) {
    if (folder.path().filename().string().rfind("embed_", 0) != 0) continue;
    CAPTURE(folder.path());
    std::ifstream file(folder.path() / "main.cpp");
    CHECK(std::count(std::istreambuf_iterator<char>(file), {}, '\n') < 80);
    ++programs;
  }
  CHECK(programs >= 4);
}

}  // namespace
