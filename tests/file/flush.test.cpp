// SPDX-License-Identifier: MIT
//
// What reaches the disk, and in which order. A loss of power cannot be had in a test; the system's own call, which
// this program puts itself in front of, can be seen.
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <prefer/file/atomic_file.hpp>
#include <string>
#include <support/temporary_folder.hpp>
#include <utility>
#include <vector>

#include "write_whole.hpp"

namespace {

struct flush {
  bool folder = false;
  long size = 0;        // of the file at that moment
  std::string content;  // of `watched` at that moment
};

std::string watched;
std::vector<flush> flushes;
int next_error = 0;

}  // namespace

extern "C" int fsync(int descriptor) {
  if (next_error != 0) {
    errno = std::exchange(next_error, 0);
    return -1;
  }
  if (!watched.empty()) {
    struct stat what = {};
    ::fstat(descriptor, &what);
    flushes.push_back({.folder = S_ISDIR(what.st_mode),
                       .size = static_cast<long>(what.st_size),
                       .content = content_of(watched)});
  }
  return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

TEST_CASE("atomic_file: the content is flushed before the rename, the folder after it",
          "[file][atomic_file]") {
  temporary_folder folder;
  std::string const path = folder / "report";
  write_whole(path, "old");
  watched = path;
  flushes.clear();
  write_whole(path, "the new one");
  watched.clear();
  REQUIRE(flushes.size() == 2);
  CHECK_FALSE(flushes[0].folder);
  CHECK(flushes[0].size == 11);
  CHECK(flushes[0].content == "old");
  CHECK(flushes[1].folder);
  CHECK(flushes[1].content == "the new one");
}

TEST_CASE("atomic_file: a disk that fails while it is flushed keeps the old content",
          "[file][atomic_file]") {
  temporary_folder folder;
  std::string const path = folder / "report";
  write_whole(path, "old");
  next_error = EIO;
  CHECK(message_of([&] { write_whole(path, "new"); }) ==
        "atomic_file: " + path + ": cannot finish writing: Input/output error");
  CHECK(content_of(path) == "old");
  CHECK(folder.count() == 1);
}

TEST_CASE(
    "atomic_file: an interrupted flush is taken up again, and a place without flush needs none",
    "[file][atomic_file]") {
  temporary_folder folder;
  std::string const path = folder / "report";
  for (int const reason : {EINTR, EINVAL}) {
    next_error = reason;
    write_whole(path, std::to_string(reason));
    CHECK(content_of(path) == std::to_string(reason));
  }
}
