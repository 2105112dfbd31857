// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <type_traits>

#include <prefer/loss/loss.hpp>
#include <prefer/loss/nll.hpp>

// Supervised fine-tuning: what nll, nll_per_token and nll_per_batch_token are of the chosen completions of pairs, of
// completions that stand alone, so that nothing is computed for rejected ones.

namespace tune {

/// loss = -log_prob
struct likelihood {
  static constexpr std::size_t arity = 1;
  static constexpr char const* name = "nll";

  constexpr auto operator()(auto const& example) const { return -example.log_prob; }
};

/// loss = -log_prob / length
struct likelihood_per_token {
  static constexpr std::size_t arity = 1;
  static constexpr char const* name = "nll_per_token";

  constexpr auto operator()(auto const& example) const { return -example.mean_log_prob(); }
};

/// loss = -log_prob * B / tokens of the batch
struct likelihood_per_batch_token {
  static constexpr std::size_t arity = 1;
  static constexpr char const* name = "nll_per_batch_token";
  struct state {
    double tokens_per_example = 1.0;
  };

  [[nodiscard]] constexpr state prepare(auto const& batch, prefer::nothing&) const {
    return {batch.means([](auto const& example) { return example.completion_length; })};
  }
  constexpr auto operator()(auto const& example, state const& batch) const {
    return -example.log_prob / batch.tokens_per_example;
  }
};

/// What a loss over pairs is over their chosen completions alone; void where it is more than that.
template <class L>
struct demonstration_of {
  using type = void;
};
template <>
struct demonstration_of<prefer::nll> {
  using type = likelihood;
};
template <>
struct demonstration_of<prefer::nll_per_token> {
  using type = likelihood_per_token;
};
template <>
struct demonstration_of<prefer::nll_per_batch_token> {
  using type = likelihood_per_batch_token;
};
template <class L>
inline constexpr bool has_demonstrations = !std::is_void_v<typename demonstration_of<L>::type>;

}  // namespace tune
