// SPDX-License-Identifier: MIT
#include "results.hpp"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>
#include <string_view>

#include <prefer/expects.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/text/number.hpp>

namespace sweep {

namespace {

// What identifies a row, then what was measured. No field needs quotes: names of losses carry no comma.
constexpr char const* header =
    "settings,loss,beta,reference,flip,bias,seed,steps,"
    "reward,kl_start,kl_reference,best_reward\n";
constexpr std::size_t key_fields = 8;
constexpr std::size_t fields = 12;

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

/// An absent number is an empty field; a diverged one is nan.
std::optional<double> number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  double value = 0.0;
  auto const [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool const whole = error == std::errc{} && end == text.data() + text.size();
  return whole ? value : std::numeric_limits<double>::quiet_NaN();
}

std::string numbers_of(setting const& what, judgement const& q) {
  using prefer::text::shortest;
  return shortest(q.reward) + "," + shortest(q.kl_start) + "," +
         (what.reference == "none" ? "" : shortest(q.kl_reference)) + "," +
         (q.best_reward ? shortest(*q.best_reward) : "");
}

judgement judgement_of(std::string const& numbers) {
  std::vector<std::optional<double>> values;
  std::size_t begin = 0;
  for (;;) {
    std::size_t const end = numbers.find(',', begin);
    values.push_back(number(std::string_view(numbers).substr(begin, end - begin)));
    if (end == std::string::npos) break;
    begin = end + 1;
  }
  return {.reward = values[0].value_or(NAN),
          .kl_start = values[1].value_or(NAN),
          .kl_reference = values[2].value_or(NAN),
          .best_reward = values[3]};
}

}  // namespace

results::results(std::string path, std::string settings, grid const& all)
    : path_(std::move(path)), settings_(std::move(settings)), all_(all) {
  read(path_, false);
  read(path_ + ".journal", true);
  open_journal();
}

results::~results() {
  if (journal_ != nullptr) std::fclose(journal_);
}

std::string results::key(setting const& what, std::uint64_t seed, std::uint64_t steps) const {
  using prefer::text::shortest;
  return settings_ + "," + all_.losses[what.loss].text + "," +
         (what.beta ? shortest(*what.beta) : "") + "," + what.reference + "," +
         shortest(what.noise.flip) + "," + shortest(what.noise.bias) + "," + std::to_string(seed) +
         "," + std::to_string(steps);
}

void results::read(std::string const& path, bool journal) {
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
    std::string const row = text.substr(begin, end - begin);
    begin = end + 1;
    if (line == 1) {
      if (row + "\n" == header) continue;
      refuse(path, 1,
             "these are not the columns that this version of sweep writes; give another "
             "--output, or move the file away");
    }
    std::size_t const split = field_begin(row, key_fields);
    if (split == std::string::npos || field_begin(row, fields - 1) == std::string::npos ||
        field_begin(row, fields) != std::string::npos) {
      refuse(path, line, "expected " + std::to_string(fields) + " fields");
    }
    std::string const theirs = row.substr(0, row.find(','));
    if (theirs != settings_) {
      refuse(path, line,
             "made with other settings, \"" + theirs + "\" where these are \"" + settings_ +
                 "\"; give another --output, or move the file away");
    }
    std::string const name = row.substr(0, split - 1);
    if (numbers_.insert_or_assign(name, row.substr(split)).second) order_.push_back(name);
  }
}

void results::open_journal() {
  // Begun anew, so that it ends with a whole line.
  std::string const path = path_ + ".journal";
  prefer::atomic_file whole(path);
  whole.write(header);
  for (auto const& name : order_) whole.write(name + "," + numbers_[name] + "\n");
  whole.commit();
  journal_ = std::fopen(path.c_str(), "ab");
  if (journal_ == nullptr) {
    refuse(path, 0, std::string("cannot open file: ") + std::strerror(errno));
  }
}

bool results::has(setting const& what, std::uint64_t seed) const {
  for (auto const steps : all_.steps) {
    if (!numbers_.contains(key(what, seed, steps))) return false;
  }
  return true;
}

void results::add(setting const& what, std::uint64_t seed, std::vector<measurement> const& rows) {
  std::string lines;
  std::lock_guard const lock(mutex_);
  for (auto const& row : rows) {
    std::string const name = key(what, seed, row.steps);
    std::string const numbers = numbers_of(what, row.quality);
    lines += name + "," + numbers + "\n";
    if (numbers_.insert_or_assign(name, numbers).second) order_.push_back(name);
  }
  if (std::fwrite(lines.data(), 1, lines.size(), journal_) != lines.size() ||
      std::fflush(journal_) != 0) {
    refuse(path_ + ".journal", 0, std::string("cannot write: ") + std::strerror(errno));
  }
}

void results::finish() {
  prefer::atomic_file file(path_);
  file.write(header);
  std::set<std::string> written;
  auto const write = [&](std::string const& name) {
    auto const found = numbers_.find(name);
    if (found == numbers_.end() || !written.insert(name).second) return;
    file.write(name + "," + found->second + "\n");
  };
  for (auto const& what : all_.settings()) {
    for (std::uint64_t seed = 1; seed <= all_.seeds; ++seed) {
      for (auto const steps : all_.steps) write(key(what, seed, steps));
    }
  }
  for (auto const& name : order_) write(name);
  file.commit();
  std::fclose(std::exchange(journal_, nullptr));
  std::remove((path_ + ".journal").c_str());
}

std::vector<results::seed_result> results::at(setting const& what, std::uint64_t steps) const {
  std::vector<seed_result> out;
  for (std::uint64_t seed = 1; seed <= all_.seeds; ++seed) {
    auto const found = numbers_.find(key(what, seed, steps));
    if (found != numbers_.end()) out.push_back({seed, judgement_of(found->second)});
  }
  return out;
}

}  // namespace sweep
