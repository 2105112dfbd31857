// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/train/adamw.hpp>

namespace prefer {

/// Where a run is: what its steps and evaluations change, besides the parameters.
template <class T, class Memory>
struct training_progress {
  adamw<T> optimizer;
  Memory memory = {};                                      ///< of the loss
  std::uint64_t step = 0;                                  ///< that is done
  bool stopped = false;                                    ///< for want of improvement
  double best = -std::numeric_limits<double>::infinity();  ///< evaluation so far
  std::uint64_t stale = 0;                                 ///< evaluations since then
  std::vector<std::vector<T>> best_values = {};  ///< parameters then, where they are to be restored
};

/// What a checkpoint must agree with to be continued.
struct checkpoint_identity {
  std::uint64_t run = 0;   ///< of everything that results depend on, see run_fingerprint
  std::uint64_t data = 0;  ///< of the source of examples
};

/// Writes all that `read_checkpoint` needs, whole or not at all.
template <class T, class Memory, class Beta, class R>
void write_checkpoint(std::string const& path, checkpoint_identity const& identity,
                      std::span<parameter<T> const> parameters,
                      training_progress<T, Memory> const& now, Beta& beta, R& reference) {
  static_assert(std::is_trivially_copyable_v<Memory>);
  archive_writer file;
  file.add("format", "prefer trainer 1");
  file.add("run", identity.run);
  file.add("data", identity.data);
  file.add("step", now.step);
  file.add("stopped", std::uint64_t{now.stopped ? 1u : 0u});
  file.add("best", now.best);
  file.add("stale", now.stale);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    file.add("value/" + std::string(parameters[i].name), parameters[i].value);
    if (!now.best_values.empty()) {
      file.add("best/" + std::string(parameters[i].name), now.best_values[i]);
    }
  }
  now.optimizer.save(file, "optimizer/");
  file.add("memory", std::string_view(reinterpret_cast<char const*>(&now.memory), sizeof(Memory)));
  if constexpr (requires { beta.save(file); }) beta.save(file);
  if constexpr (requires { reference.save(file); }) reference.save(file);
  file.write(path);
}

/// Puts parameters, progress, beta rule and reference back to where a checkpoint was written.
///
/// Errors  backend_error for a file that is damaged, or of another run or data set; nothing changes then
template <class T, class Memory, class Beta, class R>
void read_checkpoint(archive const& file, checkpoint_identity const& identity,
                     std::span<parameter<T> const> parameters, training_progress<T, Memory>& now,
                     Beta& beta, R& reference) {
  static_assert(std::is_trivially_copyable_v<Memory>);
  auto const refuse = [&](char const* reason) {
    detail::fail(backend_error("resume", file.path(), reason));
  };
  if (!file.contains("format") || file.text("format") != "prefer trainer 1") {
    refuse("this file is not a trainer's checkpoint");
  }
  if (file.number<std::uint64_t>("data") != identity.data) {
    refuse("this checkpoint belongs to another data set");
  }
  if (file.number<std::uint64_t>("run") != identity.run) {
    refuse(
        "this checkpoint was made with another loss, reference, seed, batch size, learning rate or "
        "optimizer");
  }
  std::string const memory = file.text("memory");
  if (memory.size() != sizeof(Memory)) refuse("the loss's memory has another size");

  // Everything is read before anything is replaced; the reference comes last because only it replaces as
  // it reads. A beta rule with a state is tried on a copy first.
  training_progress<T, Memory> then{.optimizer = adamw<T>(now.optimizer.options()),
                                    .step = file.number<std::uint64_t>("step"),
                                    .stopped = file.number<std::uint64_t>("stopped") != 0,
                                    .best = file.number<double>("best"),
                                    .stale = file.number<std::uint64_t>("stale")};
  std::memcpy(&then.memory, memory.data(), sizeof(Memory));
  bool const has_best =
      !parameters.empty() && file.contains("best/" + std::string(parameters[0].name));
  std::vector<std::vector<T>> values;
  for (auto const& each : parameters) {
    std::string const name(each.name);
    values.emplace_back(each.value.size());
    file.copy_to("value/" + name, std::span<T>(values.back()));
    if (!has_best) continue;
    then.best_values.emplace_back(each.value.size());
    file.copy_to("best/" + name, std::span<T>(then.best_values.back()));
  }
  then.optimizer.load(file, parameters, "optimizer/");
  if constexpr (requires { beta.load(file); }) Beta(beta).load(file);
  if constexpr (requires { reference.load(file); }) reference.load(file);
  if constexpr (requires { beta.load(file); }) beta.load(file);

  now = std::move(then);
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (std::size_t k = 0; k < values[i].size(); ++k) parameters[i].value[k] = values[i][k];
  }
}

}  // namespace prefer
