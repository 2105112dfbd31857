// SPDX-License-Identifier: MIT
#include "scorers.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include <prefer/data/byte_source.hpp>
#include <prefer/data/first_bytes.hpp>
#include <prefer/data/line_limits.hpp>
#include <prefer/data/lines.hpp>
#include <prefer/expects.hpp>

#include "../program/arguments.hpp"
#include "../program/signals.hpp"
#include "sentiment.hpp"

namespace scoring {

namespace {

namespace data = prefer::data;

double sentiment_score(std::string_view completion) { return sentiment_of(completion).score(); }

double words_in(std::string_view completion) {
  double words = 0;
  bool within = false;
  for (char const c : completion) {
    bool const space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space && !within) ++words;
    within = !space;
  }
  return words;
}

std::optional<double> score_in(std::string_view line) {
  auto const number = program::read_number<double>(line);
  if (number) return number;
  auto const row = nlohmann::json::parse(line, nullptr, false);
  if (!row.is_object()) return std::nullopt;
  auto const score = row.find("score");
  if (score == row.end() || !score->is_number()) return std::nullopt;
  return score->get<double>();
}

std::vector<double> scores_of(std::unique_ptr<data::byte_source> source, data::place const& at,
                              std::size_t expected) {
  std::vector<double> out;
  data::line_reader lines(
      std::make_unique<data::plain_bytes>(std::move(source), at, data::decoders{}), at,
      "one score a line", data::line_limits{}.bytes);
  while (lines.next()) {
    std::string_view line = lines.line();
    while (line.ends_with(' ') || line.ends_with('\r')) line.remove_suffix(1);
    auto const score = score_in(line);
    if (!score || !std::isfinite(*score)) {
      lines.at().refuse("found " + program::in_quotes(line.substr(0, 60)) +
                        "; expected a finite number, or an object that has one as \"score\"");
    }
    out.push_back(*score);
  }
  if (out.size() != expected) {
    data::place whole = at;
    whole.line = 0;
    whole.refuse(std::to_string(out.size()) + " scores for " + std::to_string(expected) +
                 " completions; expected one a completion, in their order");
  }
  return out;
}

[[noreturn]] void command_failed(std::string const& command, std::string const& reason) {
  prefer::refuse(prefer::backend_error("scorer", "--scorer-command " + command, reason));
}

struct closing {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using file_handle = std::unique_ptr<std::FILE, closing>;

// What the command reads lies in a file, so that it may write before it has read all, or read nothing.
file_handle file_of(std::vector<std::string> const& rows, std::string const& command) {
  file_handle file(std::tmpfile());
  if (!file) command_failed(command, std::string("no temporary file: ") + std::strerror(errno));
  for (std::string const& row : rows) {
    if (std::fputs(row.c_str(), file.get()) < 0 || std::fputc('\n', file.get()) < 0) {
      command_failed(command, std::string("cannot write its input: ") + std::strerror(errno));
    }
  }
  if (std::fflush(file.get()) != 0 || std::fseek(file.get(), 0, SEEK_SET) != 0) {
    command_failed(command, std::string("cannot write its input: ") + std::strerror(errno));
  }
  return file;
}

std::string all_of(int descriptor) {
  std::string text;
  std::array<char, 1 << 16> piece{};
  for (;;) {
    auto const count = ::read(descriptor, piece.data(), piece.size());
    if (count > 0) {
      text.append(piece.data(), static_cast<std::size_t>(count));
    } else if (count == 0 || errno != EINTR || program::interrupted) {
      return text;
    }
  }
}

}  // namespace

std::vector<std::string> const& scorer_names() {
  static std::vector<std::string> const names = {"sentiment", "lengths"};
  return names;
}

scorer scorer_named(std::string_view name) {
  if (name == "sentiment") return sentiment_score;
  prefer::expects(name == "lengths", "scorer_named: expected sentiment or lengths");
  return words_in;
}

std::vector<double> scores_in_file(std::string const& path, std::size_t expected) {
  data::place const at{"scores_in_file", path, 0};
  return scores_of(std::make_unique<data::file_bytes>(at), at, expected);
}

std::vector<double> scores_by_command(std::string const& command,
                                      std::vector<std::string> const& rows) {
  file_handle const input = file_of(rows, command);
  std::array<int, 2> answer{};
  if (::pipe(answer.data()) != 0) command_failed(command, std::strerror(errno));
  pid_t const child = ::fork();
  if (child < 0) command_failed(command, std::strerror(errno));
  if (child == 0) {
    ::dup2(::fileno(input.get()), STDIN_FILENO);
    ::dup2(answer[1], STDOUT_FILENO);
    ::close(answer[0]);
    ::close(answer[1]);
    ::signal(SIGPIPE, SIG_DFL);
    ::signal(SIGXFSZ, SIG_DFL);
    ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::close(answer[1]);
  std::string const text = all_of(answer[0]);
  ::close(answer[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (program::interrupted) return {};
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    command_failed(command, WIFEXITED(status)
                                ? "it ended with " + std::to_string(WEXITSTATUS(status))
                                : "it was ended by signal " + std::to_string(WTERMSIG(status)));
  }
  data::place const at{"scores_by_command", "--scorer-command " + command, 0};
  return scores_of(std::make_unique<data::text_bytes>(text), at, rows.size());
}

}  // namespace scoring
