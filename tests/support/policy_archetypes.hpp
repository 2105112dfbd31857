// SPDX-License-Identifier: MIT
#pragma once

#include <prefer/batch/choices.hpp>
#include <prefer/policy/parameter.hpp>
#include <span>
#include <vector>

namespace prefer::test {

/// What a call of an archetype returns where nothing is asked for: nobody can use it, nor return it on.
class unused {
 public:
  unused() = default;
  unused(unused const&) = delete;
};

/// What a policy archetype leaves out, or breaks.
enum class policy_lacks { nothing, value_type, floating_value, log_prob, backward, parameters };

/// Exactly what Policy asks for: no copies, no executor, no logits, no finish_backward, and parameters() that
/// only converts to the vector that is asked for. Every log-probability is `log_prob_of_all`.
template <policy_lacks L = policy_lacks::nothing, class T = double>
class policy_archetype {
 public:
  using value_type = T;

  explicit policy_archetype(T log_prob_of_all) : value_{log_prob_of_all} {}
  policy_archetype(policy_archetype const&) = delete;

  unused log_prob(choice_batch const&, std::span<T> out)
    requires(L != policy_lacks::log_prob)
  {
    for (T& each : out) each = value_[0];
    return {};
  }
  unused backward(choice_batch const&, std::span<T const> coefficient)
    requires(L != policy_lacks::backward)
  {
    for (T const each : coefficient) gradient_[0] += each;
    return {};
  }
  auto parameters()
    requires(L != policy_lacks::parameters)
  {
    return convertible{this};
  }

  [[nodiscard]] T value() const { return value_[0]; }

 private:
  struct convertible {
    policy_archetype* self;
    operator std::vector<parameter<T>>() const {
      return {{.name = "all", .value = self->value_, .gradient = self->gradient_}};
    }
  };
  T value_[1];
  T gradient_[1] = {};
};
template <class T>
class policy_archetype<policy_lacks::value_type, T> {
 public:
  void log_prob(choice_batch const&, std::span<T>);
  void backward(choice_batch const&, std::span<T const>);
  std::vector<parameter<T>> parameters();
};
template <class T>
class policy_archetype<policy_lacks::floating_value, T> {
 public:
  using value_type = int;
  void log_prob(choice_batch const&, std::span<int>);
  void backward(choice_batch const&, std::span<int const>);
  std::vector<parameter<int>> parameters();
};

/// What a reference archetype leaves out.
enum class reference_lacks { nothing, value_type, log_prob };

/// Exactly what Reference asks for.
template <reference_lacks L = reference_lacks::nothing, class T = double>
class reference_archetype {
 public:
  using value_type = T;

  explicit reference_archetype(T log_prob_of_all) : value_(log_prob_of_all) {}
  reference_archetype(reference_archetype const&) = delete;

  unused log_prob(choice_batch const&, std::span<T> out)
    requires(L != reference_lacks::log_prob)
  {
    for (T& each : out) each = value_;
    return {};
  }

 private:
  T value_;
};
template <class T>
class reference_archetype<reference_lacks::value_type, T> {
 public:
  void log_prob(choice_batch const&, std::span<T>);
};

}  // namespace prefer::test
