// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <prefer/file/atomic_file.hpp>
#include <string>
#include <support/temporary_folder.hpp>
#include <thread>

#include "write_whole.hpp"

namespace fs = std::filesystem;
using Catch::Contains;
using Catch::StartsWith;

namespace {

::mode_t mode_of(std::string const& path) {
  struct stat what = {};
  REQUIRE(::lstat(path.c_str(), &what) == 0);
  return what.st_mode & 07777;
}

/// Acts as a user without rights while it lives, where we are the one who has all.
class nobody {
 public:
  nobody() : was_(::geteuid()) {
    if (was_ == 0) REQUIRE(::seteuid(65534) == 0);
  }
  nobody(nobody const&) = delete;
  nobody& operator=(nobody const&) = delete;
  ~nobody() {
    if (was_ == 0 && ::seteuid(0) != 0) std::abort();
  }

 private:
  ::uid_t was_;
};

/// A character device of our own: 1, 3 is the one that forgets, 1, 7 the one that is always full.
bool made_device(std::string const& path, unsigned minor) {
  if (::mknod(path.c_str(), S_IFCHR | 0666, makedev(1, minor)) != 0) {
    WARN("skipped: this user may not make devices");
    return false;
  }
  // A file system may hold devices that cannot be opened.
  int const opened = ::open(path.c_str(), O_WRONLY);
  if (opened < 0) {
    WARN("skipped: devices in the temporary folder cannot be opened");
    return false;
  }
  ::close(opened);
  return true;
}

}  // namespace

TEST_CASE("atomic_file: a device is written to and stays a device", "[file][destination]") {
  temporary_folder folder;
  std::string const path = folder / "null";
  if (!made_device(path, 3)) return;
  write_whole(path, "gone");
  CHECK(fs::is_character_file(path));
  CHECK(folder.count() == 1);
  fs::create_symlink("null", folder / "link");
  write_whole(folder / "link", "gone");
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(fs::is_character_file(path));
}

TEST_CASE("atomic_file: a device without room says so and stays a device", "[file][destination]") {
  temporary_folder folder;
  std::string const path = folder / "full";
  if (!made_device(path, 7)) return;
  CHECK(message_of([&] { write_whole(path, "x"); }) ==
        "atomic_file: " + path + ": cannot finish writing: No space left on device");
  CHECK(message_of([&] { write_whole(path, std::string(1 << 20, 'x')); }) ==
        "atomic_file: " + path + ": cannot write: No space left on device");
  CHECK(fs::is_character_file(path));
  CHECK(folder.count() == 1);
}

TEST_CASE("atomic_file: a pipe gets the bytes, and its reader the end", "[file][destination]") {
  temporary_folder folder;
  std::string const path = folder / "pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  std::string read;
  std::thread reader([&] { read = content_of(path); });
  write_whole(path, "through the pipe");
  reader.join();
  CHECK(read == "through the pipe");
  CHECK(fs::is_fifo(path));
  CHECK(folder.count() == 1);
}

TEST_CASE("atomic_file: a disk and a socket are refused in a sentence", "[file][destination]") {
  temporary_folder folder;
  std::string const disk = folder / "disk";
  if (::mknod(disk.c_str(), S_IFBLK | 0666, makedev(7, 255)) == 0) {
    CHECK(message_of([&] { write_whole(disk, "x"); }) ==
          "atomic_file: " + disk + ": cannot create file: here is a disk, which is not written to");
    CHECK(fs::is_block_file(disk));
  } else {
    WARN("without a disk: this user may not make devices");
  }
  std::string const path = folder / "socket";
  int const socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  REQUIRE(socket >= 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  REQUIRE(::bind(socket, reinterpret_cast<sockaddr const*>(&address), sizeof address) == 0);
  CHECK_THAT(message_of([&] { write_whole(path, "x"); }), Contains("here is a socket"));
  CHECK(fs::is_socket(path));
  ::close(socket);
}

TEST_CASE("atomic_file: a folder is refused before anything is written", "[file][destination]") {
  temporary_folder folder;
  std::string const path = folder / "reports";
  fs::create_directory(path);
  fs::create_symlink("reports", folder / "link");
  for (std::string const& each : {path, folder / "link"}) {
    CHECK(message_of([&] { prefer::atomic_file file(each); }) ==
          "atomic_file: " + each + ": cannot create file: Is a directory");
  }
  CHECK(fs::is_directory(path));
  CHECK(folder.count() == 2);
}

TEST_CASE("atomic_file: links are followed to the file, which is replaced there",
          "[file][destination]") {
  temporary_folder folder;
  fs::create_directories(folder / "here/below");
  fs::create_directory(folder / "there");
  write_whole(folder / "there/target", "old");
  // A chain: one relative to its own folder, one whole path, one through a folder that is a link itself.
  fs::create_directory_symlink("../there", folder / "here/side");
  fs::create_symlink("../side/target", folder / "here/below/third");
  fs::create_symlink(folder / "here/below/third", folder / "here/second");
  fs::create_symlink("here/second", folder / "first");
  write_whole(folder / "first", "new");
  CHECK(content_of(folder / "there/target") == "new");
  for (std::string const link : {"first", "here/second", "here/below/third", "here/side"}) {
    INFO(link);
    CHECK(fs::is_symlink(folder / link));
  }
  CHECK_FALSE(fs::is_symlink(folder / "there/target"));
  CHECK(std::distance(fs::directory_iterator(folder / "there"), {}) == 1);
}

TEST_CASE("atomic_file: a link that leads to nothing yet gets its file there",
          "[file][destination]") {
  temporary_folder folder;
  fs::create_directory(folder / "there");
  fs::create_symlink("there/target", folder / "link");
  write_whole(folder / "link", "new");
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(content_of(folder / "there/target") == "new");

  fs::create_symlink("nowhere/target", folder / "lost");
  std::string const lost = folder / "lost";
  CHECK(message_of([&] { write_whole(lost, "new"); }) ==
        "atomic_file: " + lost + ": cannot create file: No such file or directory");
  CHECK(fs::is_symlink(lost));
}

TEST_CASE("atomic_file: a circle of links is refused", "[file][destination]") {
  temporary_folder folder;
  fs::create_symlink("b", folder / "a");
  fs::create_symlink("a", folder / "b");
  CHECK_THAT(message_of([&] { write_whole(folder / "a", "x"); }),
             StartsWith("atomic_file: " + folder / "a" + ": cannot create file: Too many"));
  CHECK(folder.count() == 2);
}

TEST_CASE("atomic_file: what a process has open is appended to, not replaced",
          "[file][destination]") {
  if (!fs::exists("/proc/self/fd")) return;
  temporary_folder folder;
  std::string const path = folder / "out";
  write_whole(path, "before, ");
  int const opened = ::open(path.c_str(), O_WRONLY);
  REQUIRE(opened >= 0);
  struct stat before = {};
  REQUIRE(::fstat(opened, &before) == 0);
  write_whole("/proc/self/fd/" + std::to_string(opened), "after");
  struct stat after = {};
  REQUIRE(::stat(path.c_str(), &after) == 0);
  CHECK(after.st_ino == before.st_ino);
  CHECK(content_of(path) == "before, after");
  CHECK(folder.count() == 1);
  ::close(opened);
}

TEST_CASE("atomic_file: the mode of a file that was there stays; a new one follows the umask",
          "[file][destination]") {
  temporary_folder folder;
  std::string const path = folder / "report";
  write_whole(path, "old");
  for (::mode_t const mode : {0640U, 0600U, 0666U, 0755U}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    write_whole(path, "new");
    CHECK(mode_of(path) == mode);
  }
  ::mode_t const before = ::umask(027);
  write_whole(folder / "fresh", "new");
  ::umask(before);
  CHECK(mode_of(folder / "fresh") == 0640);
}

TEST_CASE("atomic_file: the owner of a file that was there stays", "[file][destination]") {
  temporary_folder folder;
  std::string const path = folder / "report";
  write_whole(path, "old");
  if (::chown(path.c_str(), 65534, 65534) != 0) {
    WARN("skipped: this user may not give files away");
    return;
  }
  REQUIRE(::chmod(path.c_str(), 04750) == 0);
  write_whole(path, "new");
  struct stat what = {};
  REQUIRE(::stat(path.c_str(), &what) == 0);
  CHECK(what.st_uid == 65534);
  CHECK(what.st_gid == 65534);
  CHECK(mode_of(path) == 04750);
}

TEST_CASE(
    "atomic_file: nothing is written into a folder that is read-only, nor over a file that is",
    "[file][destination]") {
  temporary_folder folder;
  std::string const path = folder / "report";
  write_whole(path, "old");
  REQUIRE(::chmod(path.c_str(), 0444) == 0);
  REQUIRE(::chmod((folder / "").c_str(), 0777) == 0);
  {
    nobody const without_rights;
    CHECK(message_of([&] { write_whole(path, "new"); }) ==
          "atomic_file: " + path + ": cannot write to this file: Permission denied");
  }
  REQUIRE(::chmod(path.c_str(), 0666) == 0);
  REQUIRE(::chmod((folder / "").c_str(), 0555) == 0);
  {
    nobody const without_rights;
    for (std::string const& each : {path, folder / "fresh"}) {
      CHECK(message_of([&] { write_whole(each, "new"); }) ==
            "atomic_file: " + each + ": cannot create file: Permission denied");
    }
  }
  REQUIRE(::chmod((folder / "").c_str(), 0755) == 0);
  CHECK(content_of(path) == "old");
  CHECK(folder.count() == 1);
}
