// SPDX-License-Identifier: MIT
#pragma once

#include <concepts>
#include <cstdint>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1 {

/// The columns that a record can offer to a formula, one bit each; batch/columns.hpp lists them.
enum class column_name : std::uint32_t;

/// A set of columns: what a loss reads, or what a batch has.
struct column_set {
  std::uint32_t bits = 0;  // public, so that a set can be a template argument

  constexpr column_set() = default;
  constexpr explicit column_set(std::uint32_t b) : bits(b) {}
  constexpr column_set(column_name one)  // NOLINT(google-explicit-constructor)
      : bits(static_cast<std::uint32_t>(one)) {}

  [[nodiscard]] constexpr bool contains(column_set other) const {
    return (bits & other.bits) == other.bits;
  }
  [[nodiscard]] constexpr bool empty() const { return bits == 0; }
  friend constexpr column_set operator|(column_set a, column_set b) {
    return column_set(a.bits | b.bits);
  }
  friend constexpr column_set operator-(column_set a, column_set b) {
    return column_set(a.bits & ~b.bits);
  }
  friend constexpr bool operator==(column_set, column_set) = default;
};

[[nodiscard]] constexpr column_set operator|(column_name a, column_name b) {
  return column_set(a) | column_set(b);
}

class probe;

namespace detail {

// Exact for both operands, so that no built-in operator on a probe turned into a double can be meant.
template <class A, class B>
concept operands_of_probe =
    (std::same_as<A, probe> && (std::same_as<B, probe> || std::convertible_to<B, double>)) ||
    (std::same_as<B, probe> && std::convertible_to<A, double>);

}  // namespace detail

/// A scalar without a value: it records which columns a formula touches, and whether the policy enters
/// only through the difference of the two log-probabilities of a pair.
///
/// That difference is tracked through sums and differences with unit coefficients and through any
/// function of it. Scaling one side first makes the answer "no" even where the scales would agree:
/// it must hold for every value of a parameter, not for the one at hand.
class probe {
 public:
  using value_type = double;  // of the numbers that it stands for

  constexpr probe() = default;
  template <std::convertible_to<double> C>
  constexpr probe(C const&) {}  // NOLINT(google-explicit-constructor): constants read nothing

  [[nodiscard]] static constexpr probe column(column_name name) {
    return probe(name, kind::none, 0, 0);
  }
  /// The policy's log-probability of a pair's chosen completion, which is in the column `policy`.
  [[nodiscard]] static constexpr probe chosen(column_name policy) {
    return probe(policy, kind::linear, 1, 0);
  }
  /// The same of its rejected completion.
  [[nodiscard]] static constexpr probe rejected(column_name policy) {
    return probe(policy, kind::linear, 0, 1);
  }

  [[nodiscard]] constexpr column_set reads() const { return reads_; }
  /// The policy enters, if at all, only as chosen minus rejected log-probability.
  [[nodiscard]] constexpr bool margin_only() const {
    return kind_ == kind::none || kind_ == kind::margin ||
           (kind_ == kind::linear && chosen_ + rejected_ == 0);
  }

  template <class A, class B>
    requires detail::operands_of_probe<A, B>
  friend constexpr probe operator+(A const& a, B const& b) {
    return linear(probe(a), probe(b), 1);
  }
  template <class A, class B>
    requires detail::operands_of_probe<A, B>
  friend constexpr probe operator-(A const& a, B const& b) {
    return linear(probe(a), probe(b), -1);
  }
  friend constexpr probe operator-(probe a) { return linear(probe(), a, -1); }
  template <class A, class B>
    requires detail::operands_of_probe<A, B>
  friend constexpr probe operator*(A const& a, B const& b) {
    return mix(probe(a), probe(b));
  }
  template <class A, class B>
    requires detail::operands_of_probe<A, B>
  friend constexpr probe operator/(A const& a, B const& b) {
    return mix(probe(a), probe(b));
  }
  template <class A, class B>
    requires detail::operands_of_probe<A, B>
  friend constexpr probe operator>(A const& a, B const& b) {
    return mix(probe(a), probe(b));
  }
  template <class A, class B>
    requires detail::operands_of_probe<A, B>
  friend constexpr probe operator<(A const& a, B const& b) {
    return mix(probe(a), probe(b));
  }
  friend constexpr probe select(probe condition, probe a, probe b) {
    return mix(condition, mix(a, b));
  }
  friend constexpr probe softplus(probe a) { return mix(a, a); }
  friend constexpr probe sigmoid(probe a) { return mix(a, a); }
  friend constexpr probe log_sigmoid(probe a) { return mix(a, a); }
  friend constexpr probe log1mexp(probe a) { return mix(a, a); }
  friend constexpr probe exp(probe a) { return mix(a, a); }
  friend constexpr probe expm1(probe a) { return mix(a, a); }
  friend constexpr probe log(probe a) { return mix(a, a); }
  friend constexpr probe square(probe a) { return mix(a, a); }
  friend constexpr probe relu(probe a) { return mix(a, a); }
  friend constexpr probe clamp(probe a, double, double) { return mix(a, a); }
  /// A term with the weight 0 counts too: another value of that parameter reads what it reads.
  template <class W>
  friend constexpr probe weighted(W const& weight, probe a) {
    if constexpr (std::same_as<W, probe>) {
      return mix(weight, a);
    } else {
      return mix(a, a);
    }
  }
  /// Without its derivative: x - value_of(y) is no difference in the eyes of the gradient.
  friend constexpr probe value_of(probe a) { return mix(a, a); }

  // clang-format off
  template <std::same_as<double> D>
  constexpr operator D() const = delete;  // prefer: a formula's scalar is no double: write exp, log, ... without std::, and auto for what they give
  // clang-format on

  /// A formula that branches on a value has one branch for a whole lane, so it does not compile.
  template <std::same_as<bool> B>
  constexpr explicit operator B() const {
    static_assert(!std::same_as<B, bool>,
                  "prefer: a formula does not branch on a value: write select(condition, a, b)");
    return false;
  }

 private:
  enum class kind : std::uint8_t { none, linear, margin, general };

  constexpr probe(column_set reads, kind k, int chosen, int rejected)
      : reads_(reads), kind_(k), chosen_(chosen), rejected_(rejected) {}

  static constexpr probe linear(probe a, probe b, int sign) {
    bool const stays_linear = (a.kind_ == kind::linear || a.kind_ == kind::none) &&
                              (b.kind_ == kind::linear || b.kind_ == kind::none);
    if (!stays_linear) return mix(a, b);
    int const chosen = a.chosen_ + sign * b.chosen_;
    int const rejected = a.rejected_ + sign * b.rejected_;
    bool const constant = a.kind_ == kind::none && b.kind_ == kind::none;
    return probe(a.reads_ | b.reads_, constant ? kind::none : kind::linear, chosen, rejected);
  }
  static constexpr probe mix(probe a, probe b) {
    column_set const reads = a.reads_ | b.reads_;
    if (a.kind_ == kind::none && b.kind_ == kind::none) return probe(reads, kind::none, 0, 0);
    bool const margin = a.margin_only() && b.margin_only();
    return probe(reads, margin ? kind::margin : kind::general, 0, 0);
  }

  column_set reads_;
  kind kind_ = kind::none;
  int chosen_ = 0;
  int rejected_ = 0;
};

}  // namespace prefer::inline v0_1
