// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include <prefer/expects.hpp>

#include "signals.hpp"

namespace program {

/// Somebody asked for the end, and what was at work is kept.
struct stop {};

/// Trainings whose checkpoints outlive the program: the same command goes on from them to the bits of a program that was
/// never stopped. They lie beside the results as STEM.UNIT.unfinished and go when the results are there.
class kept_trainings {
 public:
  explicit kept_trainings(std::string stem) : stem_(std::move(stem)) {}

  /// Runs a training to its end, from its checkpoint if there is one. `unit` tells trainings apart, in a file's name.
  ///
  /// Errors  stop, after the checkpoint was written; backend_error for a checkpoint of other settings
  template <class Trainer, class OnStep>
  void run(Trainer& training, std::string const& unit, OnStep const& on_step) {
    std::string const path = path_of(unit);
    std::error_code ignored;
    if (std::filesystem::exists(path, ignored)) {
      files_.insert(path);
      resume(training, path);
      if (training.done()) return;
    }
    if (interrupted) throw stop();
    training.run([&](auto const& report) {
      on_step(report);
      return !interrupted.load();
    });
    training.save(path);
    files_.insert(path);
    if (!training.done()) throw stop();
  }

  /// Removes the checkpoint of one training, or of all: what came of them is written.
  void forget(std::string const& unit) {
    std::error_code ignored;
    std::filesystem::remove(path_of(unit), ignored);
    files_.erase(path_of(unit));
  }
  void forget() {
    std::error_code ignored;
    for (auto const& path : files_) std::filesystem::remove(path, ignored);
    files_.clear();
  }

 private:
  [[nodiscard]] std::string path_of(std::string const& unit) const {
    return stem_ + "." + unit + ".unfinished";
  }

  template <class Trainer>
  static void resume(Trainer& training, std::string const& path) {
    try {
      training.resume(path);
    } catch (prefer::backend_error const& error) {
      std::string const sentence = error.what();
      std::size_t const reason = sentence.find(path) + path.size() + 2;
      prefer::refuse(prefer::backend_error(
          "resume", path,
          sentence.substr(reason) + "; give another --output, or move the file away"));
    }
  }

  std::string stem_;
  std::set<std::string> files_;
};

}  // namespace program
