// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <prefer/report/progress.hpp>

#include "voice.hpp"

namespace program {

/// Says how far a program is, and that it is alive while it has nothing new to say: on a terminal one line that is redrawn
/// each second, elsewhere a line every quarter of a minute. What takes less than a second leaves no line. Thread-safe.
class progress {
 public:
  /// `total` units of work; 0 if nobody knows how many.
  explicit progress(std::size_t total, std::string doing = "") {
    if (quiet) return;
    bar_.emplace(prefer::report::progress_options{.total = total,
                                                  .title = own_name,
                                                  .delay_seconds = 1.0,
                                                  .plain_seconds = 15.0,
                                                  .text = std::move(doing)});
    beat_ = std::thread([this] { beat(); });
  }
  progress(progress const&) = delete;
  progress& operator=(progress const&) = delete;
  ~progress() { finish(); }

  /// `units` more are done, and `text` says which, or what comes now.
  void advance(std::size_t units, std::string_view text) {
    std::lock_guard const lock(mutex_);
    if (bar_) bar_->advance(units, text);
  }
  /// What is at work now.
  void doing(std::string_view text) { advance(0, text); }

  void finish() {
    {
      std::lock_guard const lock(mutex_);
      if (!bar_ || over_) return;
      over_ = true;
      bar_->finish();
    }
    woken_.notify_all();
    beat_.join();
  }

 private:
  void beat() {
    std::unique_lock lock(mutex_);
    while (!woken_.wait_for(lock, std::chrono::seconds(1), [&] { return over_; })) bar_->advance(0);
  }

  std::mutex mutex_;
  std::condition_variable woken_;
  bool over_ = false;
  std::optional<prefer::report::progress_bar> bar_;
  std::thread beat_;
};

}  // namespace program
