// SPDX-License-Identifier: MIT
#include "results.hpp"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/file/atomic_file.hpp>
#include <prefer/file/writable.hpp>
#include <prefer/text/number.hpp>

#include "../program/json.hpp"
#include "../program/kept_rows.hpp"
#include "../program/output.hpp"
#include "../program/signals.hpp"
#include "../program/voice.hpp"

namespace {

using program::json;

constexpr std::size_t rows_in_a_piece =
    256;  // as many are lost at most where the program is killed
constexpr std::string_view state_begins = "{\"rows\":";

json json_of(prefer::sum_and_count const& value) {
  return {program::number(value.sum), program::number(value.count)};
}

double number_of(json const& value) {
  if (value.is_number()) return value.get<double>();
  auto const text = value.get<std::string>();
  double out = 0.0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}
prefer::sum_and_count sum_of(json const& value) {
  return {number_of(value.at(0)), number_of(value.at(1))};
}

[[noreturn]] void refuse(std::string const& path, std::string const& reason) {
  prefer::refuse(prefer::backend_error("losses", path, reason));
}

}  // namespace

std::string json_number(double value) {
  std::string const text = prefer::text::shortest(value);
  return std::isfinite(value) ? text : '"' + text + '"';
}

std::string json_list(std::span<double const> values) {
  std::string out = "[";
  for (double const value : values) out += (out.size() == 1 ? "" : ", ") + json_number(value);
  return out + "]";
}

void summary::print(named_loss const& of) const {
  using prefer::text::fixed;
  auto const rows = static_cast<std::size_t>(loss.count);
  if (program::as_json) {
    json out = {{"loss", of.label}, {"rows", rows}, {"mean_loss", program::number(loss.mean())}};
    auto const mean = [](prefer::sum_and_count rewards) {
      return rewards.count > 0 ? program::number(rewards.mean()) : json();
    };
    if (of.kind == example_kind::unpaired) {
      out["mean_reward_desirable"] = mean(reward_desirable);
      out["mean_reward_undesirable"] = mean(reward_undesirable);
    } else {
      out["accuracy"] = mean(accuracy);
      out["mean_reward_margin"] = mean(margin);
    }
    program::print_json({{"summary", std::move(out)}});
    return;
  }
  if (program::quiet) return;
  std::string text = of.label + ": " + std::to_string(rows) + (rows == 1 ? " row" : " rows") +
                     ", mean loss " + fixed(loss.mean(), 6);
  if (of.kind == example_kind::unpaired) {
    auto const mean = [](prefer::sum_and_count rewards) {
      return rewards.count > 0 ? fixed(rewards.mean(), 6) : std::string("- (no rows)");
    };
    text += ", mean reward of desirable " + mean(reward_desirable) + ", of undesirable " +
            mean(reward_undesirable);
  } else if (accuracy.count > 0) {
    text += ", accuracy " + fixed(accuracy.mean(), 4) + ", mean reward margin " +
            fixed(margin.mean(), 6);
  }
  std::fprintf(stderr, "%s\n", text.c_str());
}

result_sink::result_sink(std::string path, std::string const& settings) : path_(std::move(path)) {
  if (path_.empty()) {
    program::expect_standard_output();
    return;
  }
  prefer::expect_writable(path_, program::room_for_a_report);
  auto const target = prefer::writable_target(path_);
  if (!target) {
    stream_.emplace(path_);
    return;
  }
  alone_.emplace(path_);
  unfinished_ = *target + ".unfinished";
  read_unfinished(settings);
  open_unfinished(settings);
}

result_sink::~result_sink() {
  if (journal_ != nullptr) std::fclose(journal_);
  // What a bad row ended begins anew: it will be another file of rows that is read then.
  if (!unfinished_.empty() && !complete_ && !keep_) std::remove(unfinished_.c_str());
}

void result_sink::read_unfinished(std::string const& settings) {
  std::ifstream stream(unfinished_, std::ios::binary);
  std::string line;
  if (!stream || !std::getline(stream, line)) return;
  std::string const reason = program::not_ours(line, !stream.eof(), settings);
  if (!reason.empty()) refuse(unfinished_, reason);
  if (stream.eof()) return;
  auto whole = stream.tellg();
  auto end = whole;
  while (std::getline(stream, line) && !stream.eof()) {
    end = stream.tellg();
    if (line.rfind(state_begins, 0) != 0) continue;
    auto const read = json::parse(line, nullptr, false);
    if (read.is_discarded()) continue;
    before_ = {.rows = read.at("rows").get<std::size_t>(),
               .input = read.at("input").get<std::uint64_t>(),
               .total = {.loss = sum_of(read.at("loss")),
                         .accuracy = sum_of(read.at("accuracy")),
                         .margin = sum_of(read.at("margin")),
                         .reward_desirable = sum_of(read.at("desirable")),
                         .reward_undesirable = sum_of(read.at("undesirable"))}};
    whole = end;
  }
  stream.close();
  // Lines behind the last state are of rows that will be evaluated again.
  std::error_code error;
  std::filesystem::resize_file(unfinished_, static_cast<std::uintmax_t>(whole), error);
  if (error) refuse(unfinished_, "cannot write: " + error.message());
}

void result_sink::open_unfinished(std::string const& settings) {
  journal_ = std::fopen(unfinished_.c_str(), before_.rows == 0 ? "wb" : "ab");
  if (journal_ == nullptr) {
    refuse(unfinished_, std::string("cannot create file: ") + std::strerror(errno));
  }
  if (before_.rows == 0) append(settings + "\n");
}

bool result_sink::has(nlohmann::ordered_json const& row, summary& total) {
  if (journal_ == nullptr) return false;
  input_.add(row.dump());
  ++rows_;
  if (rows_ > before_.rows) return false;
  if (rows_ == before_.rows) {
    if (input_.value() != before_.input) {
      keep_ = true;
      refuse(unfinished_, "the first " + std::to_string(rows_) +
                              " rows are not those whose results are here; give another --output, "
                              "or move the file away");
    }
    total = before_.total;
    rows_kept_ = rows_;
  }
  return true;
}

void result_sink::write(std::string const& line) {
  if (journal_ != nullptr) return append(line);
  if (stream_) return stream_->write(line);
  program::print(line);
}

void result_sink::append(std::string const& text) {
  if (std::fwrite(text.data(), 1, text.size(), journal_) != text.size()) cannot_write();
}

void result_sink::cannot_write() {
  keep_ = true;
  refuse(unfinished_, std::string("cannot write: ") + std::strerror(errno));
}

void result_sink::row_done(summary const& total) {
  if (journal_ != nullptr && rows_ % rows_in_a_piece == 0) write_state(total);
}

void result_sink::write_state(summary const& total) {
  if (rows_kept_ == rows_) return;
  json const now = {{"rows", rows_},
                    {"input", input_.value()},
                    {"loss", json_of(total.loss)},
                    {"accuracy", json_of(total.accuracy)},
                    {"margin", json_of(total.margin)},
                    {"desirable", json_of(total.reward_desirable)},
                    {"undesirable", json_of(total.reward_undesirable)}};
  append(now.dump() + "\n");
  if (std::fflush(journal_) != 0) cannot_write();
  rows_kept_ = rows_;
}

void result_sink::finish() {
  if (stream_) return stream_->commit();
  if (journal_ == nullptr) return program::flush();
  if (before_.rows > rows_) {
    keep_ = true;
    refuse(unfinished_, "here are results of " + std::to_string(before_.rows) +
                            " rows, and the input has " + std::to_string(rows_) +
                            "; give another --output, or move the file away");
  }
  if (std::fclose(std::exchange(journal_, nullptr)) != 0) cannot_write();
  std::ifstream stream(unfinished_, std::ios::binary);
  prefer::atomic_file file(path_);
  std::string line;
  std::getline(stream, line);  // the settings
  while (std::getline(stream, line)) {
    if (line.rfind(state_begins, 0) != 0) file.write(line + "\n");
  }
  if (stream.bad()) refuse(unfinished_, "cannot read file");
  file.commit();
  complete_ = true;
  std::remove(unfinished_.c_str());
}

std::string result_sink::keep(summary const& total) {
  if (journal_ != nullptr) {
    write_state(total);
    keep_ = true;
    return "results of " + std::to_string(rows_kept_) + " rows are in " + unfinished_;
  }
  if (stream_) {
    stream_->commit();
    return "the results so far are in " + path_;
  }
  program::flush();
  return "the results so far are on standard output; with --output FILE they would be kept";
}
