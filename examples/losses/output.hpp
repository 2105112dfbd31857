// SPDX-License-Identifier: MIT
#pragma once

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <optional>
#include <span>
#include <string>

#include <prefer/expects.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/text/number.hpp>

#include "named_loss.hpp"

/// Where result lines go: standard output, or a file that appears when it is complete.
class line_sink {
 public:
  explicit line_sink(std::string const& path) {
    if (!path.empty()) file_.emplace(path);
  }
  void write(std::string const& line) {
    if (file_) return file_->write(line);
    if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size()) refuse();
  }
  void finish() {
    if (file_) return file_->commit();
    if (std::fflush(stdout) != 0) refuse();
  }

 private:
  [[noreturn]] static void refuse() {
    prefer::refuse(prefer::backend_error("losses", "standard output",
                                         std::string("cannot write: ") + std::strerror(errno)));
  }
  std::optional<prefer::atomic_file> file_;
};

/// JSON has no infinity and no NaN; they are written as the strings "inf", "-inf" and "nan".
inline std::string json_number(double value) {
  std::string const text = prefer::text::shortest(value);
  return std::isfinite(value) ? text : '"' + text + '"';
}

inline std::string json_list(std::span<double const> values) {
  std::string out = "[";
  for (double const value : values) out += (out.size() == 1 ? "" : ", ") + json_number(value);
  return out + "]";
}

/// What standard error says at the end.
struct summary {
  prefer::sum_and_count loss;
  prefer::sum_and_count accuracy;  // strict: a tie is a miss
  prefer::sum_and_count margin;
  prefer::sum_and_count reward_desirable;
  prefer::sum_and_count reward_undesirable;

  void print(named_loss const& of) const {
    using prefer::text::fixed;
    std::string text = of.label + ": " + std::to_string(static_cast<std::size_t>(loss.count)) +
                       (loss.count == 1 ? " row" : " rows") + ", mean loss " +
                       fixed(loss.mean(), 6);
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
};
