// SPDX-License-Identifier: MIT
#include "row_file.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <utility>

#include <prefer/expects.hpp>
#include <prefer/file/atomic_file.hpp>

namespace sweep {

namespace {

[[noreturn]] void refuse(std::string const& path, std::size_t line, std::string const& reason) {
  prefer::refuse(prefer::backend_error(
      "results", line == 0 ? path : path + ":" + std::to_string(line), reason));
}

/// Where field number `count` begins, or npos if there are not so many.
std::size_t field_begin(std::string const& line, std::size_t count) {
  std::size_t at = 0;
  for (; count > 0; --count) {
    at = line.find(',', at);
    if (at == std::string::npos) return at;
    ++at;
  }
  return at;
}

}  // namespace

std::vector<std::string_view> fields_of(std::string_view row) {
  std::vector<std::string_view> out;
  for (;;) {
    std::size_t const end = row.find(',');
    out.push_back(row.substr(0, end));
    if (end == std::string_view::npos) return out;
    row.remove_prefix(end + 1);
  }
}

std::optional<double> number_in_field(std::string_view text) {
  if (text.empty()) return std::nullopt;
  double value = 0.0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool const whole = error == std::errc{} && end == text.data() + text.size();
  return whole ? value : std::numeric_limits<double>::quiet_NaN();
}

row_file::row_file(std::string path, std::string header, std::size_t key_fields,
                   std::string settings)
    : path_(std::move(path)),
      header_(std::move(header) + "\n"),
      key_fields_(key_fields),
      fields_(static_cast<std::size_t>(std::count(header_.begin(), header_.end(), ',')) + 1),
      settings_(std::move(settings)) {
  read(path_, false);
  read(path_ + ".journal", true);
  open_journal();
}

row_file::~row_file() {
  if (journal_ != nullptr) std::fclose(journal_);
}

void row_file::read(std::string const& path, bool journal) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    if (errno == ENOENT) return;
    refuse(path, 0, std::string("cannot open file: ") + std::strerror(errno));
  }
  std::ostringstream all;
  all << stream.rdbuf();
  std::string const text = all.str();
  std::size_t line = 1;
  for (std::size_t begin = 0; begin < text.size(); ++line) {
    std::size_t const end = text.find('\n', begin);
    if (end == std::string::npos) {
      if (journal) return;  // cut off in the middle of its last line
      refuse(path, line, "the last line has no end; the file was cut off");
    }
    std::string const line_text = text.substr(begin, end - begin);
    begin = end + 1;
    if (line == 1) {
      if (line_text + "\n" == header_) continue;
      refuse(path, 1,
             "these are not the columns that this version of sweep writes; give another "
             "--output, or move the file away");
    }
    std::size_t const split = field_begin(line_text, key_fields_);
    if (split == std::string::npos || field_begin(line_text, fields_ - 1) == std::string::npos ||
        field_begin(line_text, fields_) != std::string::npos) {
      refuse(path, line, "expected " + std::to_string(fields_) + " fields");
    }
    std::string const theirs = line_text.substr(0, line_text.find(','));
    if (theirs != settings_) {
      refuse(path, line,
             "made with other settings, \"" + theirs + "\" where these are \"" + settings_ +
                 "\"; give another --output, or move the file away");
    }
    std::string const name = line_text.substr(0, split - 1);
    if (numbers_.insert_or_assign(name, line_text.substr(split)).second) order_.push_back(name);
  }
}

void row_file::open_journal() {
  // Begun anew, so that it ends with a whole line.
  std::string const path = path_ + ".journal";
  prefer::atomic_file whole(path);
  whole.write(header_);
  for (auto const& name : order_) whole.write(name + "," + numbers_[name] + "\n");
  whole.commit();
  journal_ = std::fopen(path.c_str(), "ab");
  if (journal_ == nullptr) {
    refuse(path, 0, std::string("cannot open file: ") + std::strerror(errno));
  }
}

std::string const* row_file::find(std::string const& key) const {
  auto const found = numbers_.find(key);
  return found == numbers_.end() ? nullptr : &found->second;
}

void row_file::add(std::vector<row> const& rows) {
  std::string lines;
  std::lock_guard const lock(mutex_);
  for (auto const& each : rows) {
    lines += each.key + "," + each.numbers + "\n";
    if (numbers_.insert_or_assign(each.key, each.numbers).second) order_.push_back(each.key);
  }
  if (std::fwrite(lines.data(), 1, lines.size(), journal_) != lines.size() ||
      std::fflush(journal_) != 0) {
    refuse(path_ + ".journal", 0, std::string("cannot write: ") + std::strerror(errno));
  }
}

void row_file::finish(
    std::function<void(std::function<void(std::string const&)> const&)> const& visit) {
  prefer::atomic_file file(path_);
  file.write(header_);
  std::set<std::string> written;
  auto const write = [&](std::string const& name) {
    auto const found = numbers_.find(name);
    if (found == numbers_.end() || !written.insert(name).second) return;
    file.write(name + "," + found->second + "\n");
  };
  visit(write);
  for (auto const& name : order_) write(name);
  file.commit();
  std::fclose(std::exchange(journal_, nullptr));
  std::remove((path_ + ".journal").c_str());
}

}  // namespace sweep
