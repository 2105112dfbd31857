// SPDX-License-Identifier: MIT
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/writable.hpp>

#include "voice.hpp"

// What a program leaves behind: tables on standard output, files, and the certainty before the work that both can be had.

namespace program {

/// Nobody reads standard output any more, as behind `| head`. Not an error, and nothing is said.
struct reader_gone {};

namespace inside {

[[noreturn]] inline void no_standard_output(int reason) {
  if (reason == EPIPE) throw reader_gone();
  prefer::refuse(prefer::backend_error("program", "standard output",
                                       std::string("cannot write: ") + std::strerror(reason)));
}

}  // namespace inside

/// Writes text to standard output. Errors  backend_error, at the latest in `flush`; reader_gone
inline void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
    inside::no_standard_output(errno);
  }
}

/// What was printed is where it should be.
inline void flush() {
  bool const failed = std::ferror(stdout) != 0;
  if (std::fflush(stdout) != 0) inside::no_standard_output(errno);
  if (failed) inside::no_standard_output(EIO);
}

/// Finds out before the work whether standard output takes anything; a full device says so to nothing at all.
inline void expect_standard_output() {
  struct stat found = {};
  if (::fstat(STDOUT_FILENO, &found) != 0) inside::no_standard_output(errno);
  if (S_ISCHR(found.st_mode) && ::write(STDOUT_FILENO, "", 0) < 0) {
    inside::no_standard_output(errno);
  }
}

/// Makes a folder for results, with those that it lies in.
inline void make_folder(std::string const& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    prefer::refuse(
        prefer::backend_error("program", path, "cannot create this folder: " + error.message()));
  }
}

/// About what a table and a picture take.
inline constexpr std::size_t room_for_a_report = std::size_t{64} << 10;

/// Finds out before the work whether its reports can be written: the folder is made, and each file has its place and room.
/// Errors  backend_error with the path and the system's reason
inline void expect_folder(std::string const& folder, std::initializer_list<char const*> files) {
  make_folder(folder);
  for (char const* const file : files) {
    prefer::expect_writable(folder + "/" + file, room_for_a_report);
  }
  expect_standard_output();
}

/// Tells where the reports are: below the table, or on standard error where standard output is for a machine.
inline void wrote(std::vector<std::string> const& paths) {
  for (auto const& path : paths) {
    if (as_json) {
      say("wrote " + path);
    } else if (!quiet) {
      print("wrote " + path + "\n");
    }
  }
}

/// Hands over what hours of work have made, one piece after another: where one piece cannot be had, the others still can.
class handover {
 public:
  /// Runs `piece`; what it throws is said by `finish`.
  template <class Piece>
  void attempt(Piece const& piece) {
    try {
      piece();
    } catch (reader_gone const&) {
      reader_gone_ = true;
    } catch (prefer::backend_error const& error) {
      std::string const sentence = error.what();
      faults_.push_back(sentence.substr(sentence.find(error.place())));
    } catch (std::exception const& error) {
      faults_.emplace_back(error.what());
    }
  }
  void fault(std::string sentence) { faults_.push_back(std::move(sentence)); }

  /// Says what is missing. The exit code: 0 if nothing is. Errors  reader_gone
  [[nodiscard]] int finish() const {
    for (auto const& fault : faults_)
      std::fprintf(stderr, "%s: %s\n", own_name.c_str(), fault.c_str());
    if (!faults_.empty()) return 1;
    if (reader_gone_) throw reader_gone();
    return 0;
  }

 private:
  std::vector<std::string> faults_;
  bool reader_gone_ = false;
};

}  // namespace program
