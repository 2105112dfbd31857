// SPDX-License-Identifier: MIT
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

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

/// One sentence on standard error that holds `piece`, nothing on standard output, and an exit code that says so.
inline void check_refusal(outcome const& run, std::string const& program,
                          std::string const& piece) {
  INFO(run.err);
  CHECK(run.code > 0);
  CHECK(run.out.empty());
  CHECK(std::count(run.err.begin(), run.err.end(), '\n') == 1);
  CHECK_THAT(run.err,
             Catch::Matchers::StartsWith(program + ": ") && Catch::Matchers::Contains(piece));
}

/// A folder of its own in which a program runs; gone with the test.
class workplace {
 public:
  workplace(std::string name, std::string executable)
      : name_(std::move(name)),
        executable_(std::move(executable)),
        folder_(std::filesystem::temp_directory_path() /
                ("prefer-" + name_ + "-" + std::to_string(::getpid()))) {
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

  /// Runs the program here. `arguments` and `before` are pieces of shell: they may quote and redirect.
  [[nodiscard]] outcome run(std::string const& arguments, std::string_view input = "",
                            std::string const& before = "") const {
    file(".in", input);
    int const code = shell(before + " '" + executable_ + "' <.in >.out 2>.err " + arguments);
    return {code, content(".out"), content(".err")};
  }

  /// Runs the program, which must refuse with this exit code.
  void check_refused(std::string const& arguments, std::string const& sentence, int code) const {
    INFO(name_ << ' ' << arguments);
    auto const result = run(arguments);
    check_refusal(result, name_, sentence);
    CHECK(result.code == code);
  }

  /// The exit code of a shell command run here; -1 if it was killed.
  int shell(std::string const& command) const {
    int const status = std::system(("cd '" + folder_.string() + "' && " + command).c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  std::string name_;
  std::string executable_;
  std::filesystem::path folder_;
};

/// A row of a report, by the names of its columns.
using csv_row = std::map<std::string, std::string>;

inline std::vector<std::string> split(std::string const& line, char separator) {
  std::vector<std::string> out(1);
  for (char const c : line) {
    if (c == separator) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

/// The rows of a CSV file without quotes, header aside.
inline std::vector<csv_row> rows_of(std::string const& csv) {
  auto lines = split(csv, '\n');
  REQUIRE(lines.size() >= 2);
  REQUIRE(lines.back().empty());  // the last line has its end
  lines.pop_back();
  auto const names = split(lines.front(), ',');
  std::vector<csv_row> out;
  for (std::size_t l = 1; l < lines.size(); ++l) {
    auto const fields = split(lines[l], ',');
    REQUIRE(fields.size() == names.size());
    out.emplace_back();
    for (std::size_t f = 0; f < fields.size(); ++f) out.back()[names[f]] = fields[f];
  }
  return out;
}

inline double number(csv_row const& from, std::string const& name) {
  return std::stod(from.at(name));
}

/// What a clock decides is not the same again.
inline std::vector<csv_row> without(std::vector<csv_row> rows,
                                    std::initializer_list<char const*> names) {
  for (auto& row : rows) {
    for (auto const* name : names) REQUIRE(row.erase(name) == 1);
  }
  return rows;
}

inline std::string const ratings_header =
    "user_id:token\titem_id:token\trating:float\ttimestamp:float\n";

/// 12 people who rated 15 of 20 items with 5 or, every third, with 1.
inline std::string tiny_ratings() {
  std::ostringstream out;
  out << ratings_header;
  for (int user = 0; user < 12; ++user) {
    for (int k = 0; k < 15; ++k) {
      int const item = (user * 7 + k * 3) % 20;
      out << 'u' << user << "\ti" << item << '\t' << ((item + user) % 3 != 0 ? 5 : 1) << '\t'
          << 1000 + k << '\n';
    }
  }
  return out.str();
}

}  // namespace prefer::test
