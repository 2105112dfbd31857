// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/archive.hpp>
#include <prefer/file/archive_writer.hpp>
#include <prefer/parallel/executor.hpp>
#include <prefer/policy/parameter.hpp>
#include <prefer/policy/parameter_blocks.hpp>
#include <prefer/scalar/lane_math.hpp>

namespace prefer::inline v0_1 {

/// What is different for some parameters. Of several groups that name a parameter the last counts.
struct adamw_group {
  std::string parameters;  ///< a name; or how names begin, and a star: "layer.0.*"
  std::optional<double> weight_decay =
      {};                  ///< else that of all, or 0 where a parameter is not `decayed`
  double rate_factor = 1;  ///< times the learning rate
  bool frozen = false;     ///< as if the parameter itself were frozen
};

/// Hyper-parameters of adamw other than the learning rate. Without weight decay it is Adam.
struct adamw_options {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;  ///< of parameters that are `decayed`: no biases
  std::vector<adamw_group> groups = {};
};

namespace detail {

[[nodiscard]] inline bool names(adamw_group const& group, std::string_view parameter) {
  std::string_view const pattern = group.parameters;
  return pattern.ends_with('*') ? parameter.starts_with(pattern.substr(0, pattern.size() - 1))
                                : parameter == pattern;
}

}  // namespace detail

/// What the options come to for one parameter.
struct adamw_setting {
  double weight_decay = 0;
  double rate_factor = 1;
  bool frozen = false;
};

template <class T>
[[nodiscard]] adamw_setting setting_of(adamw_options const& options, parameter<T> const& each) {
  adamw_setting out{.weight_decay = each.decayed ? options.weight_decay : 0.0,
                    .rate_factor = 1,
                    .frozen = each.frozen};
  for (adamw_group const& group : options.groups) {
    if (!detail::names(group, each.name)) continue;
    out = {.weight_decay = each.decayed ? options.weight_decay : 0.0,
           .rate_factor = group.rate_factor,
           .frozen = each.frozen || group.frozen};
    if (group.weight_decay) out.weight_decay = *group.weight_decay;
  }
  return out;
}

namespace detail {

// What one step applies to every element of one parameter.
struct adamw_factors {
  double shrink;            // 1 - learning_rate * weight_decay
  double gradient_in_mean;  // 1 - beta1
  double beta2;
  double gradient_in_square;  // 1 - beta2
  double step_size;           // learning_rate / (1 - beta1^t)
  double root_scale;          // 1 / sqrt(1 - beta2^t)
  double epsilon;
  double gradient_scale;
};

// The factors, broadcast once: read from memory in the loop, they might change with any store.
template <class T>
class adamw_kernel {
 public:
  // At most 32 bytes: the update waits for memory, and wider registers would not make it wait less.
  using pack = lane<T, (register_bytes < 32 ? register_bytes : 32) / sizeof(T)>;

  explicit adamw_kernel(adamw_factors const& factors)
      : shrink_(factors.shrink),
        gradient_in_mean_(factors.gradient_in_mean),
        beta2_(factors.beta2),
        gradient_in_square_(factors.gradient_in_square),
        step_size_(factors.step_size),
        root_scale_(factors.root_scale),
        epsilon_(factors.epsilon),
        gradient_scale_(factors.gradient_scale) {}

  void operator()(T* value, T const* gradient, T* mean, T* square, std::size_t count) const {
    adamw_kernel const self = *this;
    std::size_t i = 0;
    for (; i + pack::width <= count; i += pack::width) {
      self.update(value + i, gradient + i, mean + i, square + i);
    }
    // The rest goes through the same instructions: an element's bits do not depend on its place.
    if (std::size_t const rest = count - i; rest != 0) {
      T padded[4][pack::width] = {};
      T const* const from[4] = {value + i, gradient + i, mean + i, square + i};
      for (std::size_t k = 0; k != 4; ++k) std::memcpy(padded[k], from[k], rest * sizeof(T));
      self.update(padded[0], padded[1], padded[2], padded[3]);
      std::memcpy(value + i, padded[0], rest * sizeof(T));
      std::memcpy(mean + i, padded[2], rest * sizeof(T));
      std::memcpy(square + i, padded[3], rest * sizeof(T));
    }
  }

 private:
  void update(T* value, T const* gradient, T* mean, T* square) const {
    pack const g = pack::load(gradient) * gradient_scale_;
    pack m = pack::load(mean);
    pack v = pack::load(square);
    m += (g - m) * gradient_in_mean_;
    v = v * beta2_ + g * g * gradient_in_square_;
    pack const move = step_size_ * m / (sqrt(v) * root_scale_ + epsilon_);
    (pack::load(value) * shrink_ - move).store(value);
    m.store(mean);
    v.store(square);
  }

  pack shrink_;
  pack gradient_in_mean_;
  pack beta2_;
  pack gradient_in_square_;
  pack step_size_;
  pack root_scale_;
  pack epsilon_;
  pack gradient_scale_;
};

// base^exponent by multiplications alone: the same bits with every C library.
[[nodiscard]] constexpr double power(double base, std::uint64_t exponent) noexcept {
  double result = 1;
  for (; exponent != 0; exponent /= 2) {
    if (exponent % 2 != 0) result *= base;
    base *= base;
  }
  return result;
}

}  // namespace detail

/// Adam with decoupled weight decay, and its state for a list of parameters.
///
///   mean   = beta1 * mean + (1 - beta1) * gradient
///   square = beta2 * square + (1 - beta2) * gradient^2
///   value  = value * (1 - learning_rate * weight_decay)
///            - learning_rate * mean / (1 - beta1^t) / (sqrt(square / (1 - beta2^t)) + epsilon)
///
/// t counts the steps of each parameter from 1; a frozen parameter keeps its value, state and t. Weight decay is for
/// parameters that are `decayed`, which biases are not; `groups` change it, and the rate, for parameters by name. The same update as
/// PyTorch's AdamW: epsilon outside the root and after the correction, and decay before the step. Elementwise over
/// fixed blocks, so the bits do not depend on the executor. State of parameters is made in the first step in which they
/// are not frozen; no other step allocates.
///
/// Errors  precondition_error before anything has moved: beta not in [0, 1), epsilon not positive, weight_decay,
///         rate factor, learning rate or gradient scale negative or not finite; a group that names no parameter; a gradient whose size is not its value's; parameters that are not
///         those of the first step, by number, name, order and size. NaN in a gradient flows into value and state:
///         refuse the step when clip_gradient_norm reports it
/// Source  Kingma and Ba 2015, arXiv:1412.6980, algorithm 1; decay: Loshchilov and Hutter 2019, arXiv:1711.05101,
///         algorithm 2, its factor multiplied by the learning rate
template <class T>
class adamw {
 public:
  using element_type = T;

  explicit adamw(adamw_options const& options = {}) : options_(options) {
    expects(options.beta1 >= 0 && options.beta1 < 1, "adamw: beta1 must be in [0, 1)");
    expects(options.beta2 >= 0 && options.beta2 < 1, "adamw: beta2 must be in [0, 1)");
    expects(options.epsilon > 0 && finite(options.epsilon),
            "adamw: epsilon must be positive and finite");
    expects(options.weight_decay >= 0 && finite(options.weight_decay),
            "adamw: weight_decay must be zero or positive, and finite");
    for (adamw_group const& group : options.groups) {
      double const decay = group.weight_decay.value_or(0.0);
      if (decay >= 0 && finite(decay) && group.rate_factor >= 0 && finite(group.rate_factor)) {
        continue;
      }
      detail::broken("adamw: weight_decay and rate_factor of the group '" + group.parameters +
                     "' must be zero or positive, and finite");
    }
  }

  /// Does all of the next step that can fail: a step after it moves all parameters.
  ///
  /// Errors  those of `step` that parameters make, and no memory for the state
  void prepare(std::span<parameter<T> const> parameters) {
    settle(parameters);
    check(parameters);
    make_states(parameters);
    list_blocks(parameters, block_size, blocks_);
  }

  /// Moves every parameter that is not frozen by one step, as if gradients were `gradient_scale` times as long: what
  /// `clipping_scale` gives spares a pass over all of them.
  void step(std::span<parameter<T> const> parameters, double learning_rate,
            executor const& threads = {}, double gradient_scale = 1.0) {
    expects(learning_rate >= 0 && finite(learning_rate),
            "adamw::step: learning rate must be zero or positive, and finite");
    expects(gradient_scale >= 0 && finite(gradient_scale),
            "adamw::step: gradient scale must be zero or positive, and finite");
    prepare(parameters);

    for (std::size_t i = 0; i != parameters.size(); ++i) {
      if (settings_[i].frozen) continue;
      auto const t = ++states_[i].steps;
      double const rate = learning_rate * settings_[i].rate_factor;
      factors_[i] = {
          .shrink = 1 - rate * settings_[i].weight_decay,
          .gradient_in_mean = 1 - options_.beta1,
          .beta2 = options_.beta2,
          .gradient_in_square = 1 - options_.beta2,
          .step_size = rate / (1 - detail::power(options_.beta1, t)),
          .root_scale = 1 / __builtin_sqrt(1 - detail::power(options_.beta2, t)),
          .epsilon = options_.epsilon,
          .gradient_scale = gradient_scale,
      };
    }
    ++steps_;
    threads.for_each_chunk(blocks_.size(), [&](std::size_t chunk) {
      auto const& [i, begin, end] = blocks_[chunk];
      if (settings_[i].frozen) return;
      detail::adamw_kernel<T> const update(factors_[i]);
      update(parameters[i].value.data() + begin, parameters[i].gradient.data() + begin,
             states_[i].mean.data() + begin, states_[i].square.data() + begin, end - begin);
    });
  }

  /// Calls of `step` so far.
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }
  [[nodiscard]] adamw_options const& options() const noexcept { return options_; }

  /// The state of one parameter: views of what the optimizer owns.
  struct moments {
    std::uint64_t steps = 0;
    std::span<T const> mean = {};
    std::span<T const> square = {};
  };
  /// Of parameter `i` of the list; without numbers before it has moved.
  [[nodiscard]] moments moments_of(std::size_t i) const {
    if (states_.empty()) return {};
    return {states_[i].steps, states_[i].mean, states_[i].square};
  }

  /// Adds the state under `prefix`: `step`, and for each parameter `step/NAME`, `m/NAME` and `v/NAME` (mean and
  /// square).
  ///
  /// Errors  two parameters of one name throw precondition_error
  void save(archive_writer& file, std::string const& prefix = "") const {
    file.add(prefix + "step", steps_);
    for (std::size_t i = 0; i != states_.size(); ++i) {
      save_moments(file, prefix, states_[i].name, moments_of(i));
    }
  }
  /// What `save` adds for one parameter.
  static void save_moments(archive_writer& file, std::string const& prefix, std::string const& name,
                           moments const& of) {
    file.add(prefix + "step/" + name, of.steps);
    file.add(prefix + "m/" + name, of.mean);
    file.add(prefix + "v/" + name, of.square);
  }

  /// Replaces the state by what `save` wrote for these parameters; the hyper-parameters stay.
  ///
  /// Errors  backend_error naming file and entry that is missing or does not fit; the state is then as it was
  void load(archive const& file, std::span<parameter<T> const> parameters,
            std::string const& prefix = "") {
    std::vector<parameter_block> whole;
    for (std::size_t i = 0; i != parameters.size(); ++i) {
      whole.push_back({i, 0, parameters[i].value.size()});
    }
    load(file, parameters, prefix, whole);
  }
  /// The same of an optimizer whose parameters are these pieces of those.
  void load(archive const& file, std::span<parameter<T> const> parameters,
            std::string const& prefix, std::span<parameter_block const> pieces) {
    auto const steps = file.number<std::uint64_t>(prefix + "step");
    std::vector<state> states;
    for (auto const& piece : pieces) {
      if (steps == 0) break;
      std::string const name(parameters[piece.parameter].name);
      state loaded{.name = name,
                   .size = piece.end - piece.begin,
                   .steps = file.number<std::uint64_t>(prefix + "step/" + name),
                   .mean = {},
                   .square = {}};
      std::size_t const whole = loaded.steps == 0 ? 0 : parameters[piece.parameter].value.size();
      if (loaded.steps != 0) {
        loaded.mean.resize(loaded.size);
        loaded.square.resize(loaded.size);
      }
      std::size_t const begin = loaded.steps == 0 ? 0 : piece.begin;
      file.copy_part_to(prefix + "m/" + name, whole, begin, std::span(loaded.mean));
      file.copy_part_to(prefix + "v/" + name, whole, begin, std::span(loaded.square));
      states.push_back(std::move(loaded));
    }
    steps_ = steps;
    states_.swap(states);
    factors_.assign(states_.size(), {});
  }

 private:
  static constexpr std::size_t block_size = 8192;

  struct state {
    std::string name;
    std::size_t size = 0;  // of the parameter, whether or not it has moved yet
    std::uint64_t steps = 0;
    std::vector<T> mean;
    std::vector<T> square;
  };

  static constexpr bool finite(double x) noexcept { return x - x == 0; }

  // At each step, because a parameter may be frozen for a while.
  void settle(std::span<parameter<T> const> parameters) {
    settings_.clear();
    for (auto const& each : parameters) settings_.push_back(setting_of(options_, each));
    for (adamw_group const& group : options_.groups) {
      bool named = false;
      for (auto const& each : parameters) named = named || detail::names(group, each.name);
      if (named) continue;
      detail::broken("adamw::step: a group is for '" + group.parameters +
                     "', and no parameter has such a name");
    }
  }

  void check(std::span<parameter<T> const> parameters) const {
    for (std::size_t i = 0; i != parameters.size(); ++i) {
      auto const& each = parameters[i];
      if (settings_[i].frozen) continue;
      expects_size(each.gradient.size(), each.value.size(), "adamw::step", "gradient");
    }
    if (states_.empty()) return;
    expects_size(parameters.size(), states_.size(), "adamw::step", "parameters");
    for (std::size_t i = 0; i != parameters.size(); ++i) {
      if (parameters[i].name != states_[i].name) {
        detail::broken("adamw::step: parameter " + std::to_string(i) + " is '" +
                       std::string(parameters[i].name) + "', expected '" + states_[i].name +
                       "' as in the first step");
      }
      expects_size(parameters[i].value.size(), states_[i].size, "adamw::step", "value");
    }
  }

  void make_states(std::span<parameter<T> const> parameters) {
    if (states_.empty()) {
      std::vector<state> states(parameters.size());
      for (std::size_t i = 0; i != parameters.size(); ++i) {
        states[i].name = parameters[i].name;
        states[i].size = parameters[i].value.size();
      }
      factors_.assign(states.size(), {});
      states_.swap(states);
    }
    for (std::size_t i = 0; i != parameters.size(); ++i) {
      if (settings_[i].frozen || states_[i].square.size() == states_[i].size) continue;
      states_[i].mean.resize(states_[i].size);
      states_[i].square.resize(states_[i].size);
    }
  }

  adamw_options options_;
  std::uint64_t steps_ = 0;
  std::vector<state> states_;
  std::vector<detail::adamw_factors> factors_;
  std::vector<adamw_setting> settings_;
  std::vector<parameter_block> blocks_;
};

}  // namespace prefer::inline v0_1
