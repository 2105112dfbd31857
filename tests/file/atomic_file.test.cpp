// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <prefer/file/atomic_file.hpp>
#include <string>
#include <support/file_size_limit.hpp>
#include <support/temporary_folder.hpp>
#include <thread>
#include <type_traits>
#include <vector>

#include "write_whole.hpp"

using prefer::atomic_file;

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
  // A few bytes wait in the stream's buffer until commit; many do not fit into it.
  for (std::size_t const size : {std::size_t{3}, std::size_t{1} << 22}) {
    temporary_folder folder;
    std::string const path = folder / "report";
    write_whole(path, "old");
    {
      file_size_limit const limit(1);
      CHECK(message_of([&] { write_whole(path, std::string(size, 'x')); }) ==
            "atomic_file: " + path +
                (size == 3 ? ": cannot finish writing: " : ": cannot write: ") + "File too large");
    }
    CHECK(content_of(path) == "old");
    CHECK(folder.count() == 1);
  }
}

TEST_CASE("atomic_file: a target that became a folder meanwhile stays, and nothing is left",
          "[file][atomic_file]") {
  temporary_folder folder;
  std::string const path = folder / "report";
  CHECK(message_of([&] {
          atomic_file file(path);
          std::filesystem::create_directory(path);
          file.commit();
        }) == "atomic_file: " + path + ": cannot finish writing: Is a directory");
  CHECK(std::filesystem::is_directory(path));
  CHECK(folder.count() == 1);
}

TEST_CASE("atomic_file: refuses work after commit or after it has failed", "[file][atomic_file]") {
  temporary_folder folder;
  atomic_file file(folder / "report");
  file.commit();
  CHECK_THROWS_AS(file.write("more"), prefer::precondition_error);
  CHECK_THROWS_AS(file.commit(), prefer::precondition_error);

  atomic_file failed(folder / "other");
  failed.write("x");
  {
    file_size_limit const limit(0);
    CHECK_THROWS_AS(failed.commit(), prefer::backend_error);
  }
  CHECK_THROWS_AS(failed.write("more"), prefer::precondition_error);
  CHECK_THROWS_AS(failed.commit(), prefer::precondition_error);
  CHECK_FALSE(std::filesystem::exists(folder / "other"));
}

TEST_CASE("atomic_file: a file beside the target is nobody's temporary, whatever its name",
          "[file][atomic_file]") {
  temporary_folder folder;
  write_whole(folder / "report.partial", "mine");
  // Names that the writer would take first are as good as anybody's.
  std::string const taken = ".prefer-" + std::to_string(::getpid()) + "-0.partial";
  write_whole(folder / taken, "left by a crash");
  write_whole(folder / "report", "new");
  CHECK(content_of(folder / "report.partial") == "mine");
  CHECK(content_of(folder / taken) == "left by a crash");
  CHECK(content_of(folder / "report") == "new");
  CHECK(folder.count() == 3);
}

TEST_CASE("atomic_file: two writers of one path share no temporary, and the last commit wins",
          "[file][atomic_file]") {
  temporary_folder folder;
  std::string const path = folder / "report";
  atomic_file first(path);
  atomic_file second(path);
  first.write("first");
  second.write("the second");
  second.commit();
  CHECK(content_of(path) == "the second");
  first.commit();
  CHECK(content_of(path) == "first");
  CHECK(folder.count() == 1);
}

TEST_CASE("atomic_file: of many threads that write one path, one's whole content stays",
          "[file][atomic_file]") {
  temporary_folder folder;
  std::string const path = folder / "report";
  std::vector<std::thread> writers;
  for (char letter = 'a'; letter < 'i'; ++letter) {
    writers.emplace_back([&path, letter] {
      for (int i = 0; i < 10; ++i) write_whole(path, std::string(5000, letter));
    });
  }
  for (auto& writer : writers) writer.join();
  std::string const content = content_of(path);
  CHECK(content == std::string(5000, content.front()));
  CHECK(folder.count() == 1);
}

TEST_CASE("atomic_file: a name as long as a name may be leaves room for the temporary",
          "[file][atomic_file]") {
  temporary_folder folder;
  std::string const path = folder / std::string(255, 'n');
  write_whole(path, "new");
  CHECK(content_of(path) == "new");
}
