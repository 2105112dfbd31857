// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/batch/backend.hpp>
#include <prefer/batch/columns.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/reference/composite.hpp>
#include <prefer/reference/reference.hpp>
#include <prefer/scalar/scalar.hpp>

namespace prefer::inline v0_1 {

namespace detail {

/// What a mixture does with one reference's log-probability of a completion (the record's log_prob) and with what came of
/// those before it (its reference_log_prob).
struct mixture_of_probabilities {
  double log_weight;
  bool is_first;

  constexpr auto operator()(auto const& y) const {
    auto const own = y.log_prob + log_weight;
    auto const before = y.reference_log_prob;
    // Minus infinity on both sides is the probability 0, and what is subtracted from it is finite.
    auto const shift = finite(select(own > before, own, before));
    auto const both = shift + log(exp(before - shift) + exp(own - shift));
    // The weights sum to 1 only to rounding, and a log-probability is not above 0.
    return capped(is_first ? own : both, 0.0);
  }
};
struct mixture_of_log_probabilities {
  double weight;

  constexpr auto operator()(auto const& y) const {
    return y.reference_log_prob + weight * y.log_prob;  // 0 before the first
  }
};

/// Runs `formula(k)` over what reference k says, one after the other; what comes of the last goes to `out`.
template <class C, class To, class Formula>
void mix(std::span<C const> log_prob, std::size_t weights, To const& out, char const* function,
         Formula const& formula) {
  expects_size(log_prob.size(), weights, function, "the columns of log_prob");
  if (weights == 0) broken(std::string(function) + ": there is nothing to mix");
  std::size_t const completions = log_prob[0].size();
  auto const on = backend_of(log_prob[0]);
  decltype(on.room(0)) kept[] = {on.room(completions), on.room(completions)};
  for (std::size_t k = 0; k < log_prob.size(); ++k) {
    expects_size(log_prob[k].size(), completions, function, "a column of log_prob");
    basic_unpaired_columns<C> const batch{.policy = log_prob[k], .reference = kept[k % 2].view()};
    bool const is_last = k + 1 == log_prob.size();
    (void)on.for_each_record(batch, formula(k),
                             std::array<To, 1>{is_last ? out : To(kept[(k + 1) % 2].result())});
  }
}

}  // namespace detail

/// log sum_k weight_k * exp(log_prob_k): what a mixture of references says, of what each of them says, written to `out`, a
/// result of the backend that the columns are on.
///
/// Errors  precondition_error for sizes that disagree
template <BackendColumn C, class To>
void mix_probabilities(std::span<double const> weight, std::span<C const> log_prob, To const& out) {
  detail::mix(log_prob, weight.size(), out, "mix_probabilities", [&](std::size_t k) {
    return detail::mixture_of_probabilities{std::log(weight[k]), k == 0};
  });
}
/// sum_k weight_k * log_prob_k: the same of a geometric mixture.
template <BackendColumn C, class To>
void mix_log_probabilities(std::span<double const> weight, std::span<C const> log_prob,
                           To const& out) {
  detail::mix(log_prob, weight.size(), out, "mix_log_probabilities",
              [&](std::size_t k) { return detail::mixture_of_log_probabilities{weight[k]}; });
}

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
  /// What each part says when it is asked, as columns.
  template <class Ask>
  [[nodiscard]] std::array<column, sizeof...(R)> ask_all(std::size_t completions, Ask const& ask) {
    std::array<column, sizeof...(R)> out;
    said_.resize(completions * sizeof...(R));
    std::size_t k = 0;
    this->for_each([&](auto& part) {
      auto const said = std::span(said_).subspan(k * completions, completions);
      ask(part, said);
      out[k++] = said;
    });
    return out;
  }

 private:
  char const* kind_;
  double weight_[sizeof...(R)] = {};
  std::vector<value_type> said_;  // [parts, completions]
};

}  // namespace detail

/// A mixture of references: one of them is drawn, with its weight, and writes the whole completion.
///
///   log_prob(y | x) = log sum_k weight_k * exp(log_prob_k(y | x))
///
///   prefer::mixture reference({0.7, 0.3}, prefer::frozen(start), std::move(stronger));
///
/// A probability again where the parts are, so good for every loss. It offers no logits: an unknown constant
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
    auto const said =
        this->ask_all(out.size(), [&](auto& part, auto to) { part.log_prob(batch, to); });
    mix_probabilities<column>(this->weights(), said, mutable_column(out));
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
    auto const said =
        this->ask_all(out.size(), [&](auto& part, auto to) { part.log_prob(batch, to); });
    mix_log_probabilities<column>(this->weights(), said, mutable_column(out));
  }
  template <class B>
    requires(detail::gives_logits<R, B> && ...)  //
  void logit(B const& batch, std::span<value_type> out) {
    auto const said =
        this->ask_all(out.size(), [&](auto& part, auto to) { part.logit(batch, to); });
    mix_log_probabilities<column>(this->weights(), said, mutable_column(out));
  }

  [[nodiscard]] static constexpr bool normalised() { return false; }
};
template <std::size_t N, class... R>
geometric_mixture(double const (&)[N], R...) -> geometric_mixture<R...>;

}  // namespace prefer::inline v0_1
