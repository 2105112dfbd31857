// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <type_traits>

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
  less,
  select,
  select_of_constants,
  default_condition,
  from_double,
  parameters,
  value_of,
  precision
};

/// Exactly what Scalar asks for. Its arithmetic takes no operand that would have to be converted to it, and gives a type
/// that only converts to it, as expression templates do.
template <scalar_lacks L = scalar_lacks::nothing>
class scalar_archetype {
 public:
  using value_type = std::conditional_t<L == scalar_lacks::precision, std::string, double>;
  class mask {
   public:
    mask()
      requires(L != scalar_lacks::default_condition)
    = default;
    explicit mask(int) {}
  };
  class expression {
   public:
    operator scalar_archetype() const { return scalar_archetype(0.0); }  // NOLINT
  };
  explicit(L == scalar_lacks::from_double) scalar_archetype(double) {}  // NOLINT

  template <std::same_as<scalar_archetype> A>
  friend expression operator+(A const&, A const&)
    requires(L != scalar_lacks::plus)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression operator-(A const&, A const&)
    requires(L != scalar_lacks::minus)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression operator*(A const&, A const&)
    requires(L != scalar_lacks::times)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression operator/(A const&, A const&)
    requires(L != scalar_lacks::divide)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression operator-(A const&)
    requires(L != scalar_lacks::negate)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression operator+(A const&, double)
    requires(L != scalar_lacks::plus_double)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression operator-(double, A const&)
    requires(L != scalar_lacks::double_minus)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression operator*(A const&, double)
    requires(L != scalar_lacks::times_double)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression operator/(double, A const&)
    requires(L != scalar_lacks::double_divide)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression softplus(A const&)
    requires(L != scalar_lacks::softplus)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression sigmoid(A const&)
    requires(L != scalar_lacks::sigmoid)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression log_sigmoid(A const&)
    requires(L != scalar_lacks::log_sigmoid)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression exp(A const&)
    requires(L != scalar_lacks::exp)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression expm1(A const&)
    requires(L != scalar_lacks::expm1)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression log(A const&)
    requires(L != scalar_lacks::log)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression log1mexp(A const&)
    requires(L != scalar_lacks::log1mexp)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression square(A const&)
    requires(L != scalar_lacks::square)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression relu(A const&)
    requires(L != scalar_lacks::relu)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression clamp(A const&, double, double)
    requires(L != scalar_lacks::clamp)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend mask operator>(A const&, A const&)
    requires(L != scalar_lacks::greater)
  {
    return mask(0);
  }
  template <std::same_as<scalar_archetype> A>
  friend mask operator<(A const&, A const&)
    requires(L != scalar_lacks::less)
  {
    return mask(0);
  }
  template <std::same_as<scalar_archetype> A>
  friend expression select(mask, A const&, A const&)
    requires(L != scalar_lacks::select)
  {
    return {};
  }
  friend expression select(mask, double, double)
    requires(L != scalar_lacks::select_of_constants)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression operator*(double, A const&)
    requires(L != scalar_lacks::parameters)
  {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend expression operator/(A const&, double) {
    return {};
  }
  template <std::same_as<scalar_archetype> A>
  friend scalar_archetype value_of(A const&)
    requires(L != scalar_lacks::value_of)
  {
    return 0.0;
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
