// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/parallel/communicator.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/policy/policy.hpp>
#include <prefer/train/adamw.hpp>
#include <prefer/train/clip.hpp>
#include <prefer/train/options.hpp>
#include <prefer/train/several_processes.hpp>

namespace prefer::inline v0_1::detail {

/// The parameters of a policy and their gradient from step to step: begun, added to by `backward`, completed over all
/// processes, used by an optimizer, cleared.
template <class P>
class policy_gradient {
 public:
  using parameter_type = parameter_type_t<P>;

  explicit policy_gradient(P& policy) : policy_(policy), parameters_(policy.parameters()) {}

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

  /// After the last backward of a step: the sum over all processes.
  void complete(Communicator auto const& processes) {
    if constexpr (requires { policy_.finish_backward(); }) policy_.finish_backward();
    sum_gradients(parameters(), processes, room_);
  }

  /// Shortens it to at most the norm that the options allow; gives the norm that it had. NaN where none was asked for.
  ///
  /// Errors  precondition_error for a norm that is not finite
  double clip(train_options const& options, std::uint64_t step) {
    if (options.max_gradient_norm == std::numeric_limits<double>::infinity()) {
      return std::numeric_limits<double>::quiet_NaN();
    }
    double const norm =
        clip_gradient_norm(parameters_, options.max_gradient_norm, norm_room_, options.threads);
    if (std::isfinite(norm)) return norm;
    broken("trainer: at step " + std::to_string(step) + " the gradient is not finite");
  }

  /// After the optimizer has used it. With several processes it holds what others' backward has written.
  template <bool Several>
  void clear() {
    if constexpr (!Several && requires { policy_.clear_gradient(); }) {
      policy_.clear_gradient();
    } else {
      zero_gradients(parameters());
    }
    is_clear_ = true;
  }

  /// Tells the policy that its parameters have been written.
  void parameters_moved() {
    if constexpr (requires { policy_.parameters_moved(); }) policy_.parameters_moved();
  }

 private:
  P& policy_;
  std::vector<parameter<parameter_type>> parameters_;
  bool is_clear_ = false;

  // Working memory, kept from step to step.
  gradient_norm_memory norm_room_;
  std::vector<parameter_type> room_;
};

}  // namespace prefer::inline v0_1::detail
