// SPDX-License-Identifier: MIT
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace prefer::test {

/// What became of a program.
struct outcome {
  int code = -1;  // -1: it was killed
  std::string out;
  std::string err;

  [[nodiscard]] std::size_t lines() const {
    return static_cast<std::size_t>(std::count(out.begin(), out.end(), '\n'));
  }
};

/// A folder of its own in which a program runs; gone with the test.
class workplace {
 public:
  explicit workplace(std::string const& program)
      : folder_(std::filesystem::temp_directory_path() /
                ("prefer-" + program + "-" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  workplace(workplace const&) = delete;
  workplace& operator=(workplace const&) = delete;
  ~workplace() { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::filesystem::path operator/(std::string const& name) const {
    return folder_ / name;
  }
  [[nodiscard]] std::string path(std::string const& name) const {
    return (folder_ / name).string();
  }
  [[nodiscard]] bool has(std::string const& name) const {
    return std::filesystem::exists(folder_ / name);
  }
  void file(std::string const& name, std::string_view content) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << content;
  }
  [[nodiscard]] std::string content(std::string const& name) const {
    std::ifstream stream(folder_ / name, std::ios::binary);
    std::ostringstream out;
    out << stream.rdbuf();
    return out.str();
  }

  /// Runs the executable `program` here. `arguments` and `before` are pieces of shell: they may quote and redirect.
  [[nodiscard]] outcome run(std::string const& program, std::string const& arguments,
                            std::string const& before = "", std::string_view input = "") const {
    file(".in", input);
    int const code = shell(before + " '" + program + "' <.in >.out 2>.err " + arguments);
    return {code, content(".out"), content(".err")};
  }
  /// The exit code of a shell command run here; -1 if it was killed.
  int shell(std::string const& command) const {
    int const status = std::system(("cd '" + folder_.string() + "' && " + command).c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  std::filesystem::path folder_;
};

}  // namespace prefer::test
