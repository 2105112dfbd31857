// SPDX-License-Identifier: MIT
#include "view.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include <prefer/text/utf8.hpp>

namespace sample {

namespace {

/// Puts words into lines.
class wrapping {
 public:
  explicit wrapping(std::size_t width) : width_(width) {}

  void word(std::string_view word) {
    std::size_t const cells = prefer::text::display_width(word);
    if (!line_.empty() && used_ + 1 + cells > width_) end_line();
    if (!line_.empty()) {
      line_ += ' ';
      ++used_;
    }
    for (std::size_t at = 0; at < word.size();) {
      auto const c = prefer::text::decode(word, at);
      std::size_t const takes = prefer::text::display_width(c.value);
      if (used_ + takes > width_ && used_ != 0) end_line();
      line_ += word.substr(at, c.bytes);
      used_ += takes;
      at += c.bytes;
    }
  }
  [[nodiscard]] std::vector<std::string> lines() {
    if (!line_.empty()) end_line();
    return std::move(lines_);
  }

 private:
  void end_line() {
    lines_.push_back(std::move(line_));
    line_.clear();
    used_ = 0;
  }

  std::size_t width_;
  std::vector<std::string> lines_;
  std::string line_;
  std::size_t used_ = 0;
};

// Those below 32, DEL, and those from 128 to 159, which are two bytes.
std::string without_controls(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    auto const c = prefer::text::decode(text, at);
    bool const control = c.value < 32 || (c.value >= 127 && c.value < 160);
    out += control ? " " : text.substr(at, c.bytes);
    at += c.bytes;
  }
  return out;
}

std::string padded(std::string text, std::size_t width) {
  std::size_t const cells = prefer::text::display_width(text);
  return cells < width ? text + std::string(width - cells, ' ') : text;
}

}  // namespace

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::string const clean = without_controls(text);
  wrapping out(std::max<std::size_t>(width, 2));
  for (std::size_t at = clean.find_first_not_of(' '); at != std::string::npos;) {
    std::size_t const end = std::min(clean.find(' ', at), clean.size());
    out.word(std::string_view(clean).substr(at, end - at));
    at = clean.find_first_not_of(' ', end);
  }
  return out.lines();
}

std::string side_by_side(std::string_view left_heading, std::string_view left,
                         std::string_view right_heading, std::string_view right,
                         std::size_t width) {
  std::size_t const column = (std::max<std::size_t>(width, 9) - 5) / 2;
  std::string out;
  auto const row = [&](std::string const& a, std::string const& b) {
    out += "  " + padded(a, column) + (b.empty() ? " |" : " | " + b) + "\n";
  };
  auto const rows = [&](std::string_view a, std::string_view b) {
    auto const l = wrapped(a, column);
    auto const r = wrapped(b, column);
    for (std::size_t i = 0; i != std::max(l.size(), r.size()); ++i) {
      row(i < l.size() ? l[i] : "", i < r.size() ? r[i] : "");
    }
  };
  rows(left_heading, right_heading);
  row(std::string(column, '-'), std::string(column, '-'));
  rows(left, right);
  return out;
}

std::string shown(prefer::data::turns const& prompt) {
  return prompt.is_text() ? prompt.text() : prompt.messages().back().content.plain();
}

std::size_t terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return std::clamp<std::size_t>(size.ws_col, 40, 120);
}

}  // namespace sample
