// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/train/adamw.hpp>
#include <prefer/train/clip.hpp>
#include <prefer/train/options.hpp>
#include <prefer/train/parameter_shares.hpp>
#include <prefer/train/several_processes.hpp>

namespace prefer::inline v0_1::detail {

/// The parameters of a policy and their gradient from step to step: begun, added to by `backward`, completed over all
/// processes, used by an optimizer, cleared.
///
/// Processes that can share the sums out share out the optimizer too, where each gets a block of parameters at least;
/// in others each process moves all parameters. `all` is the Communicator of the processes, the same in every call.
template <class P, Communicator Processes>
class policy_gradient {
 public:
  using parameter_type = parameter_type_t<P>;
  using optimizer_type = adamw<parameter_type>;

  explicit policy_gradient(P& policy) : policy_(policy), parameters_(policy.parameters()) {}

  /// Before the first step, when it is known what is frozen.
  void share_out([[maybe_unused]] Processes const& processes) {
    if constexpr (shares) {
      std::size_t const even =
          trained_numbers<parameter_type>(parameters()).size() / processes.size();
      if (processes.size() > 1 && even >= gradient_block) {
        shares_.emplace(parameters(), processes.rank(), processes.size());
      }
    }
  }

  [[nodiscard]] std::span<parameter<parameter_type> const> parameters() const {
    return parameters_;
  }

  /// Parameters that the optimizer's groups freeze are so for clipping and checkpoints too.
  void freeze(adamw_options const& options) {
    for (auto& each : parameters_) each.frozen = setting_of(options, each).frozen;
  }

  /// Before a step: discards what the one before has left behind, if it has failed.
  void make_clear() {
    if (!is_clear_) discard();
  }
  /// From here on, until it is cleared, it holds a part of a step.
  void begin() { is_clear_ = false; }

  /// Sets it to 0, whatever earlier calls of backward have left in it or in the policy.
  void discard() {
    if constexpr (requires { policy_.finish_backward(); }) policy_.finish_backward();
    if constexpr (requires { policy_.clear_gradient(); }) policy_.clear_gradient();
    zero_gradients(parameters());
    is_clear_ = true;
  }

  /// After the last backward of a step: the sum over all processes, of what this one moves.
  void complete(auto const& all) {
    if constexpr (requires { policy_.finish_backward(); }) policy_.finish_backward();
    if constexpr (shares) {
      if (shares_) return shares_->sum_gradients(all, room_);
    }
    sum_gradients(parameters(), all, room_);
  }

  /// Lets `move` shorten it to at most the norm that the options allow; gives the norm that it has. NaN where none was asked
  /// for.
  ///
  /// Errors  precondition_error for a norm that is not finite
  double clip(train_options const& options, std::uint64_t step, auto const& all) {
    scale_ = 1.0;
    if (options.max_gradient_norm == std::numeric_limits<double>::infinity()) {
      return std::numeric_limits<double>::quiet_NaN();
    }
    double const norm = norm_of_all(options.threads, all);
    scale_ = clipping_scale(norm, options.max_gradient_norm);
    if (std::isfinite(norm)) return norm;
    broken("trainer: at step " + std::to_string(step) + " the gradient is not finite");
  }

  /// Moves the parameters; no process fails between the others' moves.
  void move(optimizer_type& optimizer, double learning_rate, executor const& threads,
            auto const& all) {
    optimizer.prepare(moved());
    if constexpr (several) all.agree();  // from here on a step completes
    optimizer.step(moved(), learning_rate, threads, scale_);
    if constexpr (shares) {
      if (shares_) shares_->gather_values(all, room_);
    }
    parameters_moved();
  }

  /// After the optimizer has used it. With several processes it holds what others' backward has written.
  void clear(executor const& threads) {
    if constexpr (requires { policy_.clear_gradient(); }) {
      if (!several || shares_) {
        // A handle may have no quicker way than over all of them.
        if constexpr (requires { policy_.clear_gradient(threads); }) {
          policy_.clear_gradient(threads);
        } else {
          policy_.clear_gradient();
        }
        if (shares_) zero_gradients(shares_->own(), threads);
        is_clear_ = true;
        return;
      }
    }
    zero_gradients(parameters(), threads);
    is_clear_ = true;
  }

  /// Tells the policy that its parameters have been written.
  void parameters_moved() {
    if constexpr (requires { policy_.parameters_moved(); }) policy_.parameters_moved();
  }

  /// Adds the optimizer's whole state to the file that one process has; the others give their parts.
  void save(optimizer_type const& optimizer, archive_writer* file, std::string const& prefix,
            auto const& all) const {
    if constexpr (shares) {
      if (shares_) return shares_->save(optimizer, file, prefix, all);
    }
    if (file != nullptr) optimizer.save(*file, prefix);
  }
  /// Reads of a whole state what belongs to this process.
  void load(optimizer_type& optimizer, archive const& file, std::string const& prefix) const {
    if constexpr (shares) {
      if (shares_) return shares_->load(optimizer, file, prefix);
    }
    optimizer.load(file, parameters(), prefix);
  }

 private:
  static constexpr bool several = !std::same_as<Processes, single_process>;
  static constexpr bool shares = several && ShareCommunicator<Processes>;

  [[nodiscard]] std::span<parameter<parameter_type> const> moved() const {
    return shares_ ? shares_->own() : parameters();
  }
  double norm_of_all(executor const& threads, auto const& all) {
    if constexpr (shares) {
      if (shares_) return shares_->norm(norm_room_, all, threads);
    }
    return gradient_norm(parameters_, norm_room_, threads);
  }

  P& policy_;
  std::vector<parameter<parameter_type>> parameters_;
  std::optional<parameter_shares<parameter_type>> shares_;  // over several processes
  bool is_clear_ = false;
  double scale_ = 1.0;  // of clipping

  // Working memory, kept from step to step.
  gradient_norm_memory norm_room_;
  std::vector<parameter_type> room_;
};

}  // namespace prefer::inline v0_1::detail
