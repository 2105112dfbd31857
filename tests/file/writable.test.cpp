// SPDX-License-Identifier: MIT
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <prefer/file/writable.hpp>
#include <string>
#include <support/file_size_limit.hpp>
#include <support/temporary_folder.hpp>

#include "write_whole.hpp"

using prefer::expect_writable;

TEST_CASE("expect_writable: leaves no trace where something can be written", "[file][writable]") {
  temporary_folder folder;
  write_whole(folder / "old", "mine");
  expect_writable(folder / "old", 100000);
  expect_writable(folder / "new", 100000);
  expect_writable("/dev/null", 100000);
  CHECK(content_of(folder / "old") == "mine");
  CHECK(folder.count() == 1);
}

TEST_CASE("expect_writable: says what an atomic_file would say, before there is anything to write",
          "[file][writable]") {
  temporary_folder folder;
  auto const refused = [&](std::string const& path, std::string const& reason) {
    CHECK(message_of([&] { expect_writable(path, 1); }) == "atomic_file: " + path + ": " + reason);
  };
  refused(folder / "missing/report", "cannot create file: No such file or directory");
  std::filesystem::create_directories(folder / "taken");
  refused(folder / "taken", "cannot create file: Is a directory");
  if (std::filesystem::exists("/dev/full")) {
    std::filesystem::create_symlink("/dev/full", folder / "full");
    refused(folder / "full", "cannot write: No space left on device");
  }
  CHECK(std::filesystem::is_directory(folder / "taken"));
}

TEST_CASE("expect_writable: a limit on the size of files is met before the work",
          "[file][writable]") {
  temporary_folder folder;
  std::string const path = folder / "report";
  {
    file_size_limit const limit(4096);
    expect_writable(path, 4096);
    CHECK(message_of([&] { expect_writable(path, 4097); }) ==
          "atomic_file: " + path + ": cannot write: File too large");
  }
  CHECK(folder.count() == 0);
}

TEST_CASE("expect_writable: a pipe is not asked, since its reader would see it close",
          "[file][writable]") {
  temporary_folder folder;
  std::string const path = folder / "pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  expect_writable(path, 1);  // opening it would wait for a reader
  CHECK(prefer::writable_target(path) == std::nullopt);
}

TEST_CASE("writable_target: is where links lead", "[file][writable]") {
  temporary_folder folder;
  std::filesystem::create_symlink("target", folder / "link");
  CHECK(prefer::writable_target(folder / "link") == folder / "target");
  CHECK(prefer::writable_target(folder / "plain") == folder / "plain");
  CHECK(prefer::writable_target("/dev/null") == std::nullopt);
}
