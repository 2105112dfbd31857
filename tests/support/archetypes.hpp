// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>

#include <prefer/loss/loss.hpp>
#include <prefer/scalar/scalar.hpp>

namespace prefer::test {

/// What a scalar archetype leaves out.
enum class scalar_lacks {
  nothing,
  plus,
  minus,
  times,
  divide,
  negate,
  plus_double,
  double_minus,
  times_double,
  double_divide,
  softplus,
  sigmoid,
  log_sigmoid,
  exp,
  expm1,
  log,
  log1mexp,
  square,
  relu,
  clamp,
  greater,
  select
};

/// Exactly what Scalar asks for. Made from double by an explicit constructor alone, and its arithmetic
/// gives a type that only converts to it, as expression templates do.
template <scalar_lacks L = scalar_lacks::nothing>
class scalar_archetype {
 public:
  class mask {};
  class expression {
   public:
    operator scalar_archetype() const { return scalar_archetype(0.0); }  // NOLINT
  };
  explicit scalar_archetype(double) {}

  friend expression operator+(scalar_archetype const&, scalar_archetype const&)
    requires(L != scalar_lacks::plus)
  {
    return {};
  }
  friend expression operator-(scalar_archetype const&, scalar_archetype const&)
    requires(L != scalar_lacks::minus)
  {
    return {};
  }
  friend expression operator*(scalar_archetype const&, scalar_archetype const&)
    requires(L != scalar_lacks::times)
  {
    return {};
  }
  friend expression operator/(scalar_archetype const&, scalar_archetype const&)
    requires(L != scalar_lacks::divide)
  {
    return {};
  }
  friend expression operator-(scalar_archetype const&)
    requires(L != scalar_lacks::negate)
  {
    return {};
  }
  friend expression operator+(scalar_archetype const&, double)
    requires(L != scalar_lacks::plus_double)
  {
    return {};
  }
  friend expression operator-(double, scalar_archetype const&)
    requires(L != scalar_lacks::double_minus)
  {
    return {};
  }
  friend expression operator*(scalar_archetype const&, double)
    requires(L != scalar_lacks::times_double)
  {
    return {};
  }
  friend expression operator/(double, scalar_archetype const&)
    requires(L != scalar_lacks::double_divide)
  {
    return {};
  }
  friend expression softplus(scalar_archetype const&)
    requires(L != scalar_lacks::softplus)
  {
    return {};
  }
  friend expression sigmoid(scalar_archetype const&)
    requires(L != scalar_lacks::sigmoid)
  {
    return {};
  }
  friend expression log_sigmoid(scalar_archetype const&)
    requires(L != scalar_lacks::log_sigmoid)
  {
    return {};
  }
  friend expression exp(scalar_archetype const&)
    requires(L != scalar_lacks::exp)
  {
    return {};
  }
  friend expression expm1(scalar_archetype const&)
    requires(L != scalar_lacks::expm1)
  {
    return {};
  }
  friend expression log(scalar_archetype const&)
    requires(L != scalar_lacks::log)
  {
    return {};
  }
  friend expression log1mexp(scalar_archetype const&)
    requires(L != scalar_lacks::log1mexp)
  {
    return {};
  }
  friend expression square(scalar_archetype const&)
    requires(L != scalar_lacks::square)
  {
    return {};
  }
  friend expression relu(scalar_archetype const&)
    requires(L != scalar_lacks::relu)
  {
    return {};
  }
  friend expression clamp(scalar_archetype const&, double, double)
    requires(L != scalar_lacks::clamp)
  {
    return {};
  }
  friend mask operator>(scalar_archetype const&, scalar_archetype const&)
    requires(L != scalar_lacks::greater)
  {
    return {};
  }
  friend expression select(mask, scalar_archetype const&, scalar_archetype const&)
    requires(L != scalar_lacks::select)
  {
    return {};
  }
};

/// What a loss archetype leaves out, or breaks.
enum class loss_lacks { nothing, arity, formula, const_formula, trivial_copies };

/// Exactly what Loss asks for: no name, no parameters, no default constructor, no state, no assignment.
template <std::size_t Arity, loss_lacks L = loss_lacks::nothing>
struct loss_archetype {
  static constexpr std::size_t arity = Arity;
  explicit loss_archetype(int) {}
  loss_archetype(loss_archetype const&) = default;
  loss_archetype& operator=(loss_archetype const&) = delete;

  constexpr auto operator()(auto const& record) const {
    if constexpr (Arity == 1) {
      return -record.log_prob;
    } else if constexpr (Arity == 2) {
      return record.rejected.log_prob - record.chosen.log_prob;
    } else {
      return -record[0].log_prob;
    }
  }
};
template <std::size_t Arity>
struct loss_archetype<Arity, loss_lacks::arity> {
  constexpr auto operator()(auto const&) const { return 0.0; }
};
template <std::size_t Arity>
struct loss_archetype<Arity, loss_lacks::formula> {
  static constexpr std::size_t arity = Arity;
};
template <std::size_t Arity>
struct loss_archetype<Arity, loss_lacks::const_formula> {
  static constexpr std::size_t arity = Arity;
  constexpr auto operator()(auto const&) { return 0.0; }
};
template <std::size_t Arity>
struct loss_archetype<Arity, loss_lacks::trivial_copies> {
  static constexpr std::size_t arity = Arity;
  std::string label;
  constexpr auto operator()(auto const&) const { return 0.0; }
};

/// A loss with state and memory, and nothing else that it need not have.
struct remembering_archetype {
  static constexpr std::size_t arity = 2;
  struct state {
    double batches;
  };
  struct memory {
    double batches = 0.0;
  };
  explicit remembering_archetype(int) {}
  state prepare(auto const&, memory& kept) const { return {kept.batches += 1.0}; }
  constexpr auto operator()(auto const& pair, state const& batch) const {
    return batch.batches * (pair.rejected.log_prob - pair.chosen.log_prob);
  }
};

}  // namespace prefer::test
