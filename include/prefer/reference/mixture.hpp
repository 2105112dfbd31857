// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/reference/composite.hpp>
#include <prefer/reference/reference.hpp>

namespace prefer {

namespace detail {

// What the two mixtures share: weights, and asking every part.
template <class... R>
class weighted_references : public composite<R...> {
 public:
  using value_type = typename composite<R...>::value_type;

  weighted_references(char const* kind, std::span<double const> weight, R... parts)
      : composite<R...>(std::move(parts)...), kind_(kind) {
    for (std::size_t k = 0; k < weight.size(); ++k) {
      if (!(weight[k] > 0.0) || !(weight[k] < 1e300)) {
        broken(std::string(kind) + ": weight " + std::to_string(k) + " is " +
               std::to_string(weight[k]) + "; expected a finite number greater than zero");
      }
      weight_[k] = weight[k];
    }
  }

  [[nodiscard]] std::span<double const> weights() const { return weight_; }

  [[nodiscard]] std::uint64_t identity() {
    return fingerprint()
        .add(kind_)
        .add(std::span<double const>(weight_))
        .add(composite<R...>::identity())
        .value();
  }

 protected:
  // Part k's answers fill said(k), as many as there are completions.
  template <class Ask>
  void ask_all(std::size_t completions, Ask const& ask) {
    completions_ = completions;
    said_.resize(completions * sizeof...(R));
    std::size_t k = 0;
    this->for_each([&](auto& part) { ask(part, said(k++)); });
  }
  [[nodiscard]] std::span<value_type> said(std::size_t k) {
    return std::span(said_).subspan(k * completions_, completions_);
  }

  double weight_[sizeof...(R)] = {};

 private:
  char const* kind_;
  std::size_t completions_ = 0;
  std::vector<value_type> said_;  // [parts, completions]
};

}  // namespace detail

/// A mixture of references: one of them is drawn, with its weight, and writes the whole completion.
///
///   log_prob(y | x) = log sum_k weight_k * exp(log_prob_k(y | x))
///
///   prefer::mixture reference({0.7, 0.3}, prefer::frozen(start), std::move(stronger));
///
/// A probability again where the parts are, so good for every loss. It offers no scores: an unknown constant
/// in a part would not cancel. This is the sequence-level mixture; one of token probabilities is another.
///
/// Errors  precondition_error for a weight that is not greater than zero, weights that do not sum to 1 (to
///         1e-9), or a part that is not normalised; another number of weights than of references does not compile
template <class... R>
class mixture : public detail::weighted_references<R...> {
 public:
  using value_type = typename composite<R...>::value_type;

  template <std::size_t N>
  explicit mixture(double const (&weight)[N], R... parts)
      : detail::weighted_references<R...>("mixture", weight, std::move(parts)...) {
    static_assert(N == sizeof...(R), "prefer: a mixture has one weight per reference");
    expects(this->normalised(),
            "mixture: it adds probabilities, and a reference that is known only up to a constant "
            "per prompt has none");
    double sum = 0.0;
    for (double const w : weight) sum += w;
    if (!(std::abs(sum - 1.0) <= 1e-9)) {
      detail::broken("mixture: the weights sum to " + std::to_string(sum) + ", expected 1");
    }
  }

  template <class B>
  void log_prob(B const& batch, std::span<value_type> out) {
    this->ask_all(out.size(), [&](auto& part, auto to) { part.log_prob(batch, to); });
    for (std::size_t i = 0; i < out.size(); ++i) {
      double largest = -std::numeric_limits<double>::infinity();
      for (std::size_t k = 0; k < sizeof...(R); ++k) {
        double const one = static_cast<double>(this->said(k)[i]);
        if (!(one <= largest)) largest = one;  // NaN stays
      }
      double sum = 0.0;
      for (std::size_t k = 0; k < sizeof...(R); ++k) {
        double const one = static_cast<double>(this->said(k)[i]);
        sum += this->weight_[k] * (one == largest ? 1.0 : std::exp(one - largest));
      }
      double const log_prob = largest + std::log(sum);
      // The weights sum to 1 only to rounding, and a log-probability is not above 0.
      out[i] = static_cast<value_type>(log_prob > 0.0 ? 0.0 : log_prob);
    }
  }
};
template <std::size_t N, class... R>
mixture(double const (&)[N], R...) -> mixture<R...>;

/// A geometric mixture of references: each pulls in proportion to its weight.
///
///   log_prob(y | x) = sum_k weight_k * log_prob_k(y | x) - log Z(x),  and log Z(x) is left out
///
/// Weights that do not sum to 1 sharpen or flatten: with {2.0} it is one reference at temperature 1/2. Held
/// near it with strength beta, the optimum of a margin loss is that of RLHF with one KL penalty of strength
/// beta * weight_k per reference (where the weights sum to 1).
/// It is not `normalised`: log Z(x) is unknown without a sum over all completions. It cancels in losses that
/// read only margins; the trainer refuses the others. This is the sequence-level mixture: at token level the
/// normalisers differ from token to token and do not cancel.
///
/// Errors  precondition_error for a weight that is not greater than zero; another number of weights than of
///         references does not compile
template <class... R>
class geometric_mixture : public detail::weighted_references<R...> {
 public:
  using value_type = typename composite<R...>::value_type;

  template <std::size_t N>
  explicit geometric_mixture(double const (&weight)[N], R... parts)
      : detail::weighted_references<R...>("geometric_mixture", weight, std::move(parts)...) {
    static_assert(N == sizeof...(R), "prefer: a mixture has one weight per reference");
  }

  template <class B>
  void log_prob(B const& batch, std::span<value_type> out) {
    this->ask_all(out.size(), [&](auto& part, auto to) { part.log_prob(batch, to); });
    add_up(out);
  }
  template <class B>
    requires(detail::gives_scores<R, B> && ...)  //
  void score(B const& batch, std::span<value_type> out) {
    this->ask_all(out.size(), [&](auto& part, auto to) { part.score(batch, to); });
    add_up(out);
  }

  [[nodiscard]] static constexpr bool normalised() { return false; }

 private:
  void add_up(std::span<value_type> out) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      double sum = 0.0;
      for (std::size_t k = 0; k < sizeof...(R); ++k) {
        sum += this->weight_[k] * static_cast<double>(this->said(k)[i]);
      }
      out[i] = static_cast<value_type>(sum);
    }
  }
};
template <std::size_t N, class... R>
geometric_mixture(double const (&)[N], R...) -> geometric_mixture<R...>;

}  // namespace prefer
