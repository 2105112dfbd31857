// SPDX-License-Identifier: MIT
#pragma once

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <prefer/text/number.hpp>
#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::report {

/// Seconds of a clock that never runs backwards.
[[nodiscard]] inline double steady_seconds() {
  using clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(clock::now().time_since_epoch()).count();
}

/// What a progress_bar counts and where it draws.
struct progress_options {
  std::size_t total =
      0;  // units of work; 0 if nobody knows, then there is no percentage and no ETA
  std::string title = {};             // stands in front
  std::FILE* stream = nullptr;        // not owned; nullptr is stderr
  std::optional<bool> terminal = {};  // instead of asking the stream
  std::size_t width =
      0;  // cells of a terminal line; 0 asks the terminal, and takes 80 if it is silent
  double redraw_seconds = 0.1;  // least time between two drawings
  double delay_seconds = 0;     // nothing is drawn before; a loop that ends sooner leaves no line
  double plain_seconds = 0;     // between two plain lines on anything but a terminal; 0: none there
  std::string text = {};        // stands at the end until `advance` gives another
  double (*seconds)() = &steady_seconds;  // instead of the real clock
};

/// One line on a terminal that says how far a loop is:
///
///   train [#######-------------]  36%  360/1000  118/s  ETA 5s  loss 0.512
///
/// The rate is the mean since construction. On anything but a terminal nothing is written, or with `plain_seconds` a line
/// of its own from time to time, without a bar. The line ends with `finish` or with the object. Not thread-safe.
class progress_bar {
 public:
  explicit progress_bar(progress_options options)
      : options_(std::move(options)),
        stream_(options_.stream != nullptr ? options_.stream : stderr),
        text_(options_.text) {
    plain_ = options_.terminal ? !*options_.terminal : ::isatty(::fileno(stream_)) == 0;
    quiet_ = plain_ && !(options_.plain_seconds > 0);
    if (quiet_) return;
    start_ = options_.seconds();
    drawn_ = start_;
    if (!plain_ && !(options_.delay_seconds > 0)) draw(start_);
  }
  progress_bar(progress_bar const&) = delete;
  progress_bar& operator=(progress_bar const&) = delete;
  ~progress_bar() { finish(); }

  /// `units` more are done.
  void advance(std::size_t units = 1) {
    done_ += units;
    redraw();
  }

  /// `units` more are done; `text` stands at the end of the line from now on.
  void advance(std::size_t units, std::string_view text) {
    if (!quiet_) text_ = text;
    advance(units);
  }

  /// Draws the last state, whatever the time, and ends the line; what follows is ignored.
  void finish() {
    if (quiet_ || finished_) return;
    finished_ = true;
    double const now = options_.seconds();
    // What came of it is said elsewhere.
    if (plain_ || now - start_ < options_.delay_seconds) return;
    draw(now);
    std::fputc('\n', stream_);
    std::fflush(stream_);
  }

  [[nodiscard]] std::size_t done() const noexcept { return done_; }
  [[nodiscard]] bool quiet() const noexcept { return quiet_; }

 private:
  void redraw() {
    if (quiet_ || finished_) return;
    double const now = options_.seconds();
    if (now - start_ < options_.delay_seconds) return;
    if (now - drawn_ < (plain_ ? options_.plain_seconds : options_.redraw_seconds)) return;
    if (plain_) {
      write_line(now);
    } else {
      draw(now);
    }
  }

  void write_line(double now) {
    drawn_ = now;
    std::string const line = describe(now - start_) + '\n';
    std::fwrite(line.data(), 1, line.size(), stream_);
    std::fflush(stream_);
  }

  void draw(double now) {
    drawn_ = now;
    std::string line = shortened(describe(now - start_), line_width());
    std::size_t const width = prefer::text::display_width(line);
    // Spaces wipe what a longer line left; an escape sequence would show up on a dumb terminal.
    std::string const wipe(last_width_ > width ? last_width_ - width : 0, ' ');
    last_width_ = width;
    line = '\r' + line + wipe;
    std::fwrite(line.data(), 1, line.size(), stream_);
    std::fflush(stream_);
  }

  [[nodiscard]] std::string describe(double elapsed) const {
    std::string line = options_.title.empty() ? "" : options_.title + ' ';
    auto const done = static_cast<double>(done_);
    auto const total = static_cast<double>(options_.total);
    if (options_.total != 0) {
      double const share = std::min(1.0, done / total);
      auto const filled = static_cast<std::size_t>(share * bar_cells);
      if (!plain_) {
        line += '[' + std::string(filled, '#') + std::string(bar_cells - filled, '-') + "] ";
      }
      // Rounded down: 100% is said when all is done and not before.
      std::string const percent = prefer::text::fixed(std::floor(share * 100), 0);
      line += std::string(3 - percent.size(), ' ') + percent + "%  ";
      line += std::to_string(done_) + '/' + std::to_string(options_.total);
    } else {
      line += std::to_string(done_) + " done";
    }
    if (done_ != 0 && elapsed > 0) {
      double const rate = done / elapsed;
      line += rate >= 0.1 ? "  " + three_digits(rate) + "/s"
                          : "  " + three_digits(1 / rate) + " s each";
      if (done_ < options_.total) line += "  ETA " + duration((total - done) / rate);
    }
    if (complete()) {
      line += "  in " + duration(elapsed);
    } else if (done_ == 0 && elapsed >= 1) {
      line += "  for " + duration(elapsed);  // nothing else says that the program is alive
    }
    if (!text_.empty()) line += "  " + text_;
    for (char& c : line) {
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
    }
    return line;
  }

  [[nodiscard]] bool complete() const { return options_.total != 0 && done_ >= options_.total; }

  static std::string three_digits(double value) {
    return prefer::text::fixed(value, value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2);
  }

  /// 45s, 3m05s, 2h03m, 1d02h
  static std::string duration(double seconds) {
    if (!(seconds < 1e9)) return "?";
    auto const whole = static_cast<long>(std::llround(seconds));
    auto const two = [](long value) { return (value < 10 ? "0" : "") + std::to_string(value); };
    if (whole < 60) return std::to_string(whole) + 's';
    if (whole < 3600) return std::to_string(whole / 60) + 'm' + two(whole % 60) + 's';
    if (whole < 86400) return std::to_string(whole / 3600) + 'h' + two(whole / 60 % 60) + 'm';
    return std::to_string(whole / 86400) + 'd' + two(whole / 3600 % 24) + 'h';
  }

  static std::string shortened(std::string line, std::size_t cells) {
    std::size_t width = 0;
    for (std::size_t at = 0; at < line.size();) {
      auto const c = prefer::text::decode(line, at);
      width += prefer::text::display_width(c.value);
      if (width > cells) {
        line.resize(at);
        break;
      }
      at += c.bytes;
    }
    return line;
  }

  [[nodiscard]] std::size_t line_width() const {
    std::size_t columns = options_.width;
    winsize size{};
    if (columns == 0 && ::ioctl(::fileno(stream_), TIOCGWINSZ, &size) == 0) columns = size.ws_col;
    if (columns == 0) columns = 80;
    return columns - 1;  // a full last column would wrap, and \r cannot go back a line
  }

  static constexpr std::size_t bar_cells = 20;
  progress_options options_;
  std::FILE* stream_;
  std::string text_;
  std::size_t done_ = 0;
  std::size_t last_width_ = 0;
  double start_ = 0;
  double drawn_ = 0;
  bool plain_ = false;  // no terminal
  bool quiet_ = true;   // nothing is written at all
  bool finished_ = false;
};

}  // namespace prefer::inline v0_1::report
