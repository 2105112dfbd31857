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
#include <prefer/file/archive_writer.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/train/adamw.hpp>
#include <prefer/train/options.hpp>

namespace prefer::inline v0_1 {

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

  /// Takes in an evaluation of these parameters.
  void judge(double score, evaluation_plan const& plan, std::span<parameter<T> const> parameters) {
    if (score > best + plan.min_improvement) {
      best = score;
      stale = 0;
      if (!plan.restore_best) return;
      best_values.resize(parameters.size());
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        if (parameters[i].frozen) continue;
        best_values[i].assign(parameters[i].value.begin(), parameters[i].value.end());
      }
    } else if (++stale >= plan.patience && plan.patience != 0) {
      stopped = true;
    }
  }

  /// Writes the best parameters back, if there are any.
  bool restore_best(std::span<parameter<T> const> parameters) const {
    for (std::size_t i = 0; i < best_values.size(); ++i) {
      for (std::size_t k = 0; k < best_values[i].size(); ++k) {
        parameters[i].value[k] = best_values[i][k];
      }
    }
    return !best_values.empty();
  }
};

/// What a checkpoint must agree with to be continued.
struct checkpoint_identity {
  std::uint64_t run = 0;        ///< of options, loss and beta rule, see run_fingerprint
  std::uint64_t data = 0;       ///< of the source of examples
  std::uint64_t reference = 0;  ///< see identity_of_reference
  std::uint64_t base = 0;       ///< of what is not trained of the policy, see identity_of_base
};

namespace detail {

// An object of an empty class has a byte that nobody has written, and a file must not depend on it.
template <class Memory>
inline constexpr std::size_t bytes_to_keep = std::is_empty_v<Memory> ? 0 : sizeof(Memory);

}  // namespace detail

/// Writes all that `read_checkpoint` needs, whole or not at all: of the parameters those that are not frozen. Numbers go
/// from where they are to the file, so that no copy of them is in memory. `save_optimizer(file, prefix)` adds the state
/// of the optimizer, part of which another process may have.
template <class T, class Memory, class Beta, class R, class SaveOptimizer>
void write_checkpoint(std::string const& path, checkpoint_identity const& identity,
                      std::span<parameter<T> const> parameters,
                      training_progress<T, Memory> const& now, Beta& beta, R& reference,
                      SaveOptimizer&& save_optimizer) {
  static_assert(std::is_trivially_copyable_v<Memory>);
  archive_writer file(path);
  file.add("format", "prefer trainer 3");
  file.add("run", identity.run);
  file.add("data", identity.data);
  file.add("reference", identity.reference);
  file.add("base", identity.base);
  file.add("step", now.step);
  file.add("stopped", std::uint64_t{now.stopped ? 1u : 0u});
  file.add("best", now.best);
  file.add("stale", now.stale);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].frozen) continue;
    file.add("value/" + std::string(parameters[i].name), parameters[i].value);
    if (!now.best_values.empty()) {
      file.add("best/" + std::string(parameters[i].name), now.best_values[i]);
    }
  }
  save_optimizer(file, "optimizer/");
  file.add("memory", std::string_view(reinterpret_cast<char const*>(&now.memory),
                                      detail::bytes_to_keep<Memory>));
  if constexpr (requires { beta.save(file); }) beta.save(file);
  if constexpr (requires { reference.save(file); }) reference.save(file);
  file.commit();
}

/// Puts trained parameters, progress, beta rule and reference back to where a checkpoint was written.
/// `load_optimizer(optimizer, file, prefix)` reads what `save_optimizer` has added.
///
/// Errors  backend_error for a file that is damaged, or of another run, data set, reference or base; nothing changes then
template <class T, class Memory, class Beta, class R, class LoadOptimizer>
void read_checkpoint(archive const& file, checkpoint_identity const& identity,
                     std::span<parameter<T> const> parameters, training_progress<T, Memory>& now,
                     Beta& beta, R& reference, LoadOptimizer&& load_optimizer) {
  static_assert(std::is_trivially_copyable_v<Memory>);
  auto const refuse = [&](char const* reason) {
    detail::fail(backend_error("resume", file.path(), reason));
  };
  if (!file.contains("format") || file.text("format") != "prefer trainer 3") {
    refuse("this file is not a trainer's checkpoint");
  }
  if (file.number<std::uint64_t>("data") != identity.data) {
    refuse("this checkpoint belongs to another data set");
  }
  if (file.number<std::uint64_t>("run") != identity.run) {
    refuse(
        "this checkpoint was made with another loss, beta rule, seed, batch size, learning rate, "
        "optimizer or set of trained parameters");
  }
  if (file.number<std::uint64_t>("reference") != identity.reference) {
    refuse(
        "this checkpoint was made with another reference: of another kind, with other settings, "
        "or with other numbers in it");
  }
  if (file.number<std::uint64_t>("base") != identity.base) {
    refuse(
        "this checkpoint continues another base: it holds what was trained only, and what is not "
        "trained of this policy (its frozen parameters, or what its identity() stands for) "
        "differs");
  }
  std::string const memory = file.text("memory");
  if (memory.size() != detail::bytes_to_keep<Memory>) refuse("the loss's memory has another size");

  // Everything is read or looked at before anything is replaced; the reference comes last because only it replaces
  // as it reads. A beta rule with a state is tried on a copy first.
  training_progress<T, Memory> then{.optimizer = adamw<T>(now.optimizer.options()),
                                    .step = file.number<std::uint64_t>("step"),
                                    .stopped = file.number<std::uint64_t>("stopped") != 0,
                                    .best = file.number<double>("best"),
                                    .stale = file.number<std::uint64_t>("stale")};
  std::memcpy(&then.memory, memory.data(), memory.size());
  bool has_best = false;
  for (auto const& each : parameters) {
    has_best = has_best || (!each.frozen && file.contains("best/" + std::string(each.name)));
  }
  if (has_best) then.best_values.resize(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].frozen) continue;
    std::string const name(parameters[i].name);
    file.expect<T>("value/" + name, parameters[i].value.size());
    if (!has_best) continue;
    then.best_values[i].resize(parameters[i].value.size());
    file.copy_to("best/" + name, std::span<T>(then.best_values[i]));
  }
  load_optimizer(then.optimizer, file, "optimizer/");
  if constexpr (requires { beta.load(file); }) Beta(beta).load(file);
  if constexpr (requires { reference.load(file); }) reference.load(file);
  if constexpr (requires { beta.load(file); }) beta.load(file);

  now = std::move(then);
  for (auto const& each : parameters) {
    if (!each.frozen) file.copy_to("value/" + std::string(each.name), each.value);
  }
}

}  // namespace prefer::inline v0_1
