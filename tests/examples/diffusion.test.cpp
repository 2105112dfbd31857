// SPDX-License-Identifier: MIT
//
// The program `diffusion` as its users run it, on models that take a tenth of a second.

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <diffusion/study.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using namespace prefer::test;

struct study_folder : workplace {
  study_folder() : workplace("diffusion", PREFER_EXAMPLE_DIFFUSION) {}
};

std::string const quick =
    " --modes 4 --preferred 0 --points 512 --hidden 24 --noise-levels 20 --batch-size 128"
    " --start-steps 400 --steps 60 --samples 1000 ";

}  // namespace

TEST_CASE("diffusion: the ring is where it says", "[examples][diffusion]") {
  diffusion::ring const modes(4, {3});
  CHECK(modes.centre(1).x == Approx(0).margin(1e-12));
  CHECK(modes.centre(1).y == Approx(1.4));
  CHECK(modes.nearest({-1.0, 0.3}) == 2);
  CHECK(modes.prefers(modes.nearest({0.1, -9})));
  CHECK(!modes.prefers(0));
  CHECK(modes.holds({1.4 + 0.44, 0}));
  CHECK(!modes.holds({1.4 + 0.46, 0}));
}

TEST_CASE("diffusion: samples follow the preferences, the more the smaller beta",
          "[examples][diffusion]") {
  study_folder const folder;
  auto const run = folder.run("--output new/out --beta 200 20" + quick);
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK(run.err.empty());
  for (char const* name : {"diffusion.csv", "diffusion.svg"}) {
    CHECK_THAT(run.out, Contains(std::string("wrote new/out/") + name));
  }
  CHECK_THAT(run.out, StartsWith("model"));
  CHECK_THAT(folder.content("new/out/diffusion.svg"),
             Contains("</svg>") && Contains("beta 20: ") && Contains("start: "));

  auto const csv = folder.content("new/out/diffusion.csv");
  CHECK_THAT(csv, StartsWith("model,beta,preferred,on_data,implicit_accuracy,error_chosen,"
                             "error_rejected,kl_start,seconds\n"));
  auto const rows = rows_of(csv);
  REQUIRE(rows.size() == 3);
  auto const& start = rows[0];
  CHECK(start.at("model") == "start");
  CHECK(start.at("implicit_accuracy") == "0");  // a tie is a miss
  CHECK(start.at("kl_start") == "0");           // the divergence from itself
  CHECK(rows[1].at("beta") == "200");
  CHECK(rows[2].at("beta") == "20");
  // A quarter of the start's samples; a share of 1000 has a deviation below 0.016, a difference 0.023.
  CHECK(std::fabs(number(start, "preferred") - 0.25) < 0.1 + 5 * 0.016);
  CHECK(number(rows[1], "preferred") > number(start, "preferred") + 5 * 0.023);
  CHECK(number(rows[2], "preferred") > number(rows[1], "preferred") + 5 * 0.023);
  // Held-out pairs have margins of the right sign more often than a coin's: 256 and more of them.
  for (std::size_t const i : {std::size_t{1}, std::size_t{2}}) {
    CHECK(number(rows[i], "implicit_accuracy") > 0.5 + 5 * 0.5 / 16);
    CHECK(number(rows[i], "error_rejected") > number(rows[i], "error_chosen"));  // has grown
    CHECK(number(rows[i], "kl_start") > 0);
  }
  CHECK(number(rows[2], "kl_start") > number(rows[1], "kl_start"));
}

TEST_CASE("diffusion: gives the same numbers again, with any number of threads",
          "[examples][diffusion][slow]") {
  study_folder const folder;
  std::vector<std::vector<csv_row>> results;
  std::vector<std::string> pictures;
  for (std::string const name : {"one", "two", "again"}) {
    std::string const threads = name == "one" ? "1" : "2";
    REQUIRE(folder.run("--beta 50 --threads " + threads + " --output " + name + quick).code == 0);
    results.push_back(without(rows_of(folder.content(name + "/diffusion.csv")), {"seconds"}));
    pictures.push_back(folder.content(name + "/diffusion.svg"));
  }
  REQUIRE(results[0].size() == 2);
  CHECK(results[0] == results[1]);
  CHECK(results[1] == results[2]);
  CHECK(pictures[0] == pictures[1]);
  CHECK(pictures[1] == pictures[2]);
  REQUIRE(folder.run("--beta 50 --seed 2 --output other" + quick).code == 0);
  CHECK(folder.content("other/diffusion.svg") != pictures[0]);
}

TEST_CASE("diffusion: arguments that make no sense are named in one sentence",
          "[examples][diffusion]") {
  study_folder const folder;
  auto const refused = [&](std::string const& arguments, std::string const& named) {
    folder.check_refused(arguments + " --output refused", named, 2);
    CHECK_FALSE(folder.has("refused"));
  };
  refused("--beta 0", "--beta");
  refused("--beta nan", "--beta");
  refused("--rate inf", "--rate");
  refused("--samples 0", "--samples");
  refused("--noise-levels 1", "--noise-levels");
  refused("--seed -1", "--seed");
  refused("--preferred -1", "--preferred");
  refused("--speed 9", "--speed");
  refused("--modes 4 --preferred 4", "preferred mode 4 is not one of 0 to 3");
  refused("--modes 2 --preferred 0 1", "at least one mode must not be preferred");
  refused("--modes 30 --points 50", "points must be at least two per mode");
  refused("--start-steps 1 --steps 1000000 --batch-size 1000000", "1000000 steps of 1000000");
}

TEST_CASE("diffusion: an output folder that cannot be made is named", "[examples][diffusion]") {
  study_folder const folder;
  folder.file("taken", "content");
  auto const run = folder.run("--output taken/out" + quick);
  CHECK(run.code == 1);
  CHECK_THAT(run.err, Contains("taken/out") && Contains("cannot create this folder"));
  CHECK(folder.content("taken") == "content");
}

TEST_CASE(
    "diffusion: a report that leads to a full device is refused by name, and the device stays",
    "[examples][diffusion]") {
  if (!std::filesystem::exists("/dev/full")) return;
  study_folder const folder;
  std::string const few =
      quick.substr(0, quick.find(" --start-steps")) + " --start-steps 5 --steps 2";
  std::filesystem::create_directories(folder / "out");
  for (std::string const name : {"diffusion.csv", "diffusion.svg"}) {
    INFO(name);
    std::filesystem::create_symlink("/dev/full", folder / ("out/" + name));
    auto const run = folder.run("--output out --beta 50" + few);
    CHECK(run.code == 1);
    CHECK_THAT(run.err, Contains(name) && Contains("No space left on device"));
    CHECK(std::filesystem::is_symlink(folder / ("out/" + name)));
    CHECK(std::filesystem::is_character_file("/dev/full"));
    std::filesystem::remove(folder / ("out/" + name));
  }
}

TEST_CASE("diffusion: --help shows how it is called", "[examples][diffusion]") {
  study_folder const folder;
  auto const run = folder.run("--help");
  CHECK(run.code == 0);
  CHECK(run.err.empty());
  CHECK_THAT(run.out, Contains("diffusion --preferred") && Contains("--beta") &&
                          Contains("implicit accuracy") && Contains("--seed"));
}
