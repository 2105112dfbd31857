// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <filesystem>
#include <prefer/file/atomic_file.hpp>
#include <report/temporary_folder.hpp>
#include <string>
#include <type_traits>

using prefer::atomic_file;

namespace {

void write_whole(std::string const& path, std::string const& content) {
  atomic_file file(path);
  file.write(content);
  file.commit();
}

template <class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (prefer::backend_error const& error) {
    return error.what();
  }
  return "";
}

}  // namespace

static_assert(!std::is_copy_constructible_v<atomic_file>);
static_assert(!std::is_move_constructible_v<atomic_file>);

TEST_CASE("atomic_file: keeps its target's old content until commit", "[file][atomic_file]") {
  temporary_folder folder;
  std::string const path = folder / "report";
  write_whole(path, "old");
  atomic_file file(path);
  file.write("new ");
  file.write(std::string(100000, 'x'));
  CHECK(content_of(path) == "old");
  file.commit();
  CHECK(content_of(path) == "new " + std::string(100000, 'x'));
  CHECK(folder.count() == 1);
}

TEST_CASE("atomic_file: appears only with commit", "[file][atomic_file]") {
  temporary_folder folder;
  { atomic_file(folder / "report").write("half"); }
  CHECK(folder.count() == 0);
  write_whole(folder / "report", "");
  CHECK(content_of(folder / "report").empty());
}

TEST_CASE("atomic_file: bytes are written as they are", "[file][atomic_file]") {
  temporary_folder folder;
  std::string const bytes("\r\n\0\xff\x1a\n", 6);
  write_whole(folder / "report", bytes);
  CHECK(content_of(folder / "report") == bytes);
}

TEST_CASE("atomic_file: a folder that is not there is refused with path and reason",
          "[file][atomic_file]") {
  temporary_folder folder;
  std::string const path = folder / "missing/report";
  CHECK(message_of([&] { atomic_file file(path); }) ==
        "atomic_file: " + path + ": cannot create file: No such file or directory");
  try {
    atomic_file file(path);
    FAIL("it was created");
  } catch (prefer::backend_error const& error) {
    CHECK(error.place() == path);
  }
}

TEST_CASE("atomic_file: a full disk is noticed by write or commit, and nothing is left",
          "[file][atomic_file]") {
  if (!std::filesystem::exists("/dev/full")) return;
  // A few bytes wait in the stream's buffer until commit; many do not fit into it.
  for (std::size_t const size : {std::size_t{3}, std::size_t{1} << 22}) {
    temporary_folder folder;
    std::string const path = folder / "report";
    write_whole(path, "old");
    std::filesystem::create_symlink("/dev/full", path + ".partial");
    std::string const content(size, 'x');
    CHECK(message_of([&] { write_whole(path, content); }) ==
          "atomic_file: " + path + (size == 3 ? ": cannot finish writing: " : ": cannot write: ") +
              "No space left on device");
    CHECK(content_of(path) == "old");
    CHECK(folder.count() == 1);
  }
}

TEST_CASE("atomic_file: a target that cannot be replaced stays, and nothing is left",
          "[file][atomic_file]") {
  temporary_folder folder;
  std::string const path = folder / "report";
  std::filesystem::create_directory(path);
  CHECK(message_of([&] { write_whole(path, "new"); }) ==
        "atomic_file: " + path + ": cannot finish writing: Is a directory");
  CHECK(std::filesystem::is_directory(path));
  CHECK(folder.count() == 1);
}

TEST_CASE("atomic_file: refuses work after commit or after it has failed", "[file][atomic_file]") {
  temporary_folder folder;
  atomic_file file(folder / "report");
  file.commit();
  CHECK_THROWS_AS(file.write("more"), prefer::precondition_error);
  CHECK_THROWS_AS(file.commit(), prefer::precondition_error);

  if (!std::filesystem::exists("/dev/full")) return;
  std::filesystem::create_symlink("/dev/full", folder / "other.partial");
  atomic_file failed(folder / "other");
  failed.write("x");
  CHECK_THROWS_AS(failed.commit(), prefer::backend_error);
  CHECK_THROWS_AS(failed.write("more"), prefer::precondition_error);
  CHECK_THROWS_AS(failed.commit(), prefer::precondition_error);
  CHECK_FALSE(std::filesystem::exists(folder / "other"));
}

TEST_CASE("atomic_file: what an earlier crash left beside the target is no hindrance",
          "[file][atomic_file]") {
  temporary_folder folder;
  write_whole(folder / "report.partial", "left by a crash, and longer than what follows");
  write_whole(folder / "report", "new");
  CHECK(content_of(folder / "report") == "new");
  CHECK(folder.count() == 1);
}
