// SPDX-License-Identifier: MIT
//
// Where results go: known to be possible before the work begins, one writer at a time, and none lost for another's sake.

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "workplace.hpp"

namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using namespace prefer::test;

/// A program that would work for minutes, were its output possible; and one that ends at once.
struct writer {
  std::string name;
  std::string executable;
  std::string slow;
  std::string quick;
  std::vector<std::string> files;  // in its folder; empty: the output is a file
};

std::vector<writer> const writers = {
    {"recommend",
     PREFER_EXAMPLE_RECOMMEND,
     "--ratings ratings.inter --start-epochs 10000 --output ",
     "--ratings ratings.inter --factors 2 --start-epochs 1 --epochs 1 --pairs 2 --beta 1 --seeds 1 "
     "--output ",
     {"recommend.csv", "recommend_who_gains.csv", "recommend_beta.svg", "recommend_frontier.svg"}},
    {"sweep",
     PREFER_EXAMPLE_SWEEP,
     "--seeds 1000 --steps 100000 --output ",
     "--beta 1 --reference start --seeds 1 --steps 1 --actions 4 --pairs 9 --output ",
     {"sweep.csv", "sweep.csv.journal", "sweep.html"}},
    {"diffusion",
     PREFER_EXAMPLE_DIFFUSION,
     "--start-steps 100000 --output ",
     "--modes 2 --preferred 0 --points 16 --hidden 2 --noise-levels 2 --batch-size 4 "
     "--start-steps 1 --steps 1 --samples 4 --beta 1 --output ",
     {"diffusion.csv", "diffusion.svg"}},
    {"losses",
     PREFER_EXAMPLE_LOSSES,
     "--loss dpo endless --output ",
     "--loss dpo in.jsonl --output ",
     {}},
    {"losses", PREFER_EXAMPLE_LOSSES, "--loss dpo --plot ", "--loss dpo --plot ", {}},
};

constexpr char const* pair =
    R"({"policy_chosen": -12, "policy_rejected": -15, "ref_chosen": -13, "ref_rejected": -14})"
    "\n";

struct desk : workplace {
  explicit desk(writer const& who) : workplace(who.name, who.executable) {
    file("ratings.inter", tiny_ratings());
    file("in.jsonl", pair);
    CHECK(shell("mkfifo endless") == 0);  // nobody writes into it: reading it never ends
  }
};

/// Runs a script in a namespace of its own, in which the folder `disk` is a disk of this size. -1: there are no namespaces here.
int on_a_disk_of(workplace const& place, std::string const& size, std::string const& script) {
  if (place.shell("unshare -rm true 2>/dev/null") != 0) return -1;
  std::filesystem::create_directories(place / "disk");
  place.file("on_disk.sh", "mount -t tmpfs -o size=" + size + " none disk\n" + script);
  return place.shell("unshare -rm timeout 120 sh on_disk.sh");
}

bool has_full_device() { return std::filesystem::exists("/dev/full"); }

}  // namespace

TEST_CASE("programs: an output that cannot be written is refused before the work",
          "[examples][outputs]") {
  for (auto const& each : writers) {
    desk const place(each);
    place.file("a_file", "mine");
    auto const refused = [&](std::string const& output, std::string const& named,
                             std::string const& reason, std::string const& before = "") {
      INFO(each.name << ' ' << each.slow << output);
      auto const run = place.run(each.slow + output, "", before + "timeout 20");
      CHECK(run.code == 1);
      CHECK(run.out.empty());
      CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
      CHECK_THAT(run.err, StartsWith(each.name + ": " + named) && Contains(reason));
    };
    if (each.files.empty()) {
      std::filesystem::create_directories(place / "folder");
      refused("folder", "folder", "Is a directory");
      refused("nowhere/out", "nowhere/out", "No such file");
      refused("a_file/out", "a_file/out", "Not a directory");
      if (has_full_device()) refused("/dev/full", "/dev/full", "No space left on device");
      refused("out", "out", "File too large", "ulimit -f 1; ");
      CHECK_FALSE(place.has("out"));
    } else {
      refused("a_file", "a_file", "cannot create this folder");
      refused("a_file/out", "a_file/out", "cannot create this folder");
      for (auto const& name : each.files) {
        std::filesystem::create_directories(place / "out" / name);
        refused("out", "out/" + name, "Is a directory");
        std::filesystem::remove(place / "out" / name);
        if (!has_full_device()) continue;
        std::filesystem::create_symlink("/dev/full", place / "out" / name);
        refused("out", "out/" + name, "No space left on device");
        std::filesystem::remove(place / "out" / name);
      }
      refused("out", "out/" + each.files.front(), "File too large", "ulimit -f 1; ");
      if (has_full_device()) refused("out >/dev/full", "standard output", "No space left");
    }
    CHECK(place.content("a_file") == "mine");
  }
}

TEST_CASE("programs: a disk without room for a report is refused before the work",
          "[examples][outputs]") {
  for (auto const& each : writers) {
    desk const place(each);
    INFO(each.name << ' ' << each.slow);
    int const code = on_a_disk_of(place, "16k",
                                  "timeout 20 '" + each.executable + "' " + each.slow +
                                      "disk/out >out 2>err\n"
                                      "echo $? >code; ls -A disk/out >left 2>/dev/null; true\n");
    if (code == -1) {
      WARN("skipped: no namespaces here");
      return;
    }
    CHECK(place.content("code") == "1\n");
    CHECK(place.content("out").empty());
    std::string const said = place.content("err");
    CHECK(std::count(said.begin(), said.end(), '\n') == 1);
    CHECK_THAT(said, StartsWith(each.name + ": disk/out") && Contains("No space left on device"));
    CHECK(place.content("left").empty());
  }
}

TEST_CASE(
    "programs: a disk that fills up during the work keeps what is done, and more room goes on",
    "[examples][outputs]") {
  struct long_work {
    std::string name;
    std::string executable;
    std::string arguments;
    std::string file;
  };
  std::string rows;
  for (int i = 0; i < 4000; ++i) rows += pair;
  for (long_work const& each :
       {long_work{"losses", PREFER_EXAMPLE_LOSSES, "--loss dpo in.jsonl --output ", "out"},
        long_work{"sweep", PREFER_EXAMPLE_SWEEP,
                  "--beta 1 --reference start --seeds 2500 --steps 1 --actions 16 --pairs 20 "
                  "--threads 1 --output ",
                  "out/sweep.csv"}}) {
    workplace const place(each.name, each.executable);
    place.file("in.jsonl", rows);
    INFO(each.name);
    std::string const run = "'" + each.executable + "' " + each.arguments;
    int const code = on_a_disk_of(place, "256k",
                                  run +
                                      "disk/out >first.out 2>first.err\n"
                                      "echo $? >first.code\n"
                                      "test ! -e disk/" +
                                      each.file + " && echo none >first.file\n" +
                                      "mount -o remount,size=16m disk\n" + run +
                                      "disk/out >second.out 2>second.err\n"
                                      "echo $? >second.code\n"
                                      "cp disk/" +
                                      each.file + " second.file\n");
    if (code == -1) {
      WARN("skipped: no namespaces here");
      return;
    }
    INFO(place.content("first.err") << place.content("second.err"));
    CHECK(place.content("first.code") == "1\n");
    CHECK(place.content("first.file") == "none\n");
    CHECK_THAT(place.content("first.err"),
               StartsWith(each.name + ": disk/out") && Contains("No space left on device"));
    CHECK(place.content("second.code") == "0\n");
    CHECK(place.run(each.arguments + "whole").code == 0);
    std::string const whole = each.file == "out" ? "whole" : "whole/sweep.csv";
    if (each.name == "losses") {
      CHECK(place.content("second.file") == place.content(whole));
    } else {
      CHECK(rows_of(place.content("second.file")).size() == rows_of(place.content(whole)).size());
    }
  }
}

TEST_CASE("programs: what nobody reads ends them silently, as it ends others, and files are there",
          "[examples][outputs]") {
  for (auto const& each : writers) {
    if (each.files.empty()) continue;
    desk const place(each);
    // bash, because the exit codes of all parts of a pipe are asked for.
    CHECK(place.shell("bash -c \"'" + each.executable + "' " + each.quick +
                      "out 2>err | true; echo \\${PIPESTATUS[0]} >code\"") == 0);
    CHECK(place.content("code") == "141\n");
    CHECK(place.content("err").empty());
    // What recommend says of the data comes before the work, and may end it.
    if (each.name == "recommend") continue;
    CHECK(place.has("out/" + each.files.front()));
    CHECK(place.has("out/" + each.files.back()));
  }
  desk const place(writers[3]);
  CHECK(place.shell("bash -c \"yes '{\\\"policy_chosen\\\": -12, \\\"policy_rejected\\\": -15, "
                    "\\\"ref_chosen\\\": -13, \\\"ref_rejected\\\": -14}' | head -n 20000 | '" +
                    writers[3].executable +
                    "' --loss dpo 2>err | head -n 1 >first; echo \\${PIPESTATUS[2]} >code\"") == 0);
  CHECK(place.content("code") == "141\n");
  CHECK(place.content("err").empty());
  CHECK_THAT(place.content("first"), StartsWith("{\"loss\": "));
}

TEST_CASE("programs: a disk that fills up behind the help or the list is noticed",
          "[examples][outputs]") {
  if (!has_full_device()) return;
  for (auto const& each : writers) {
    workplace const place(each.name, each.executable);
    auto const help = place.run("--help >/dev/full");
    CHECK(help.code == 1);
    CHECK_THAT(help.err, Contains("standard output: cannot write: No space left on device"));
  }
  workplace const place("losses", PREFER_EXAMPLE_LOSSES);
  CHECK(place.run("--list >/dev/full").code == 1);
  CHECK(place.run("--list --json >/dev/full").code == 1);
  CHECK(place.run("--check '" PREFER_GOLDEN_DIR "'/dpo.json >/dev/full").code == 1);
}

TEST_CASE(
    "programs: of two writers of one output the second is refused, and a lock of the dead is "
    "none",
    "[examples][outputs]") {
  for (auto const& each : writers) {
    if (each.slow == each.quick) continue;  // a plot is drawn in no time
    desk const place(each);
    std::string const lock =
        each.files.empty() ? ".out.lock" : "out/." + each.files.front() + ".lock";
    place.file("two.sh", "'" + each.executable + "' " + each.slow +
                             "out >first.out 2>first.err &\n"
                             "first=$!\n"
                             "while [ ! -s " +
                             lock +
                             " ]; do sleep 0.02; done\n"
                             "'" +
                             each.executable + "' " + each.quick +
                             "out >second.out 2>second.err\n"
                             "echo $? >second.code\n"
                             "kill -KILL $first\nwait $first\ntrue\n");
    INFO(each.name);
    CHECK(place.shell("timeout 60 sh two.sh 2>/dev/null") == 0);
    CHECK(place.content("second.code") == "1\n");
    CHECK(place.content("second.out").empty());
    CHECK_THAT(place.content("second.err"),
               StartsWith(each.name + ": out") && Contains("another program (process ") &&
                   Contains("is writing this; wait until it ends, or give another --output\n"));
    CHECK(place.has(lock));                             // left by the one that was killed
    std::filesystem::remove(place / "out.unfinished");  // its rows are of another command
    std::filesystem::remove(place / "out/sweep.csv.journal");
    std::filesystem::remove(place / "out/recommend.csv.unfinished");
    auto const again = place.run(each.quick + "out");
    INFO(again.err);
    CHECK(again.code == 0);
    CHECK_FALSE(place.has(lock));
  }
}
