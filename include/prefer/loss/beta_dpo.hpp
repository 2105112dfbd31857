// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <type_traits>

#include <prefer/loss/dpo.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/loss/loss.hpp>

namespace prefer::inline v0_1 {

namespace detail {

/// What the batch says of margins, nats: their mean, and 1 / spread.
struct margin_statistics {
  double mean = 0.0;
  double precision = 0.0;
};

struct margin_of_pair {
  constexpr auto operator()(auto const& pair) const { return value_of(pair.log_ratio_margin()); }
};
struct squared_margin_from {
  double mean;

  constexpr auto operator()(auto const& pair) const { return square(margin_of_pair{}(pair)-mean); }
};
/// The pairs with the largest keys stay: a draw without replacement, with weights exp(-((m - mean) / spread)^2 / 2).
struct key_of_draw {
  margin_statistics batch;

  constexpr auto operator()(auto const& pair) const {
    // -log(-log(u)) has the Gumbel distribution; u = 0 has no logarithm, so u is moved by less than it can differ.
    return -0.5 * square((margin_of_pair{}(pair)-batch.mean) * batch.precision) -
           log(-log(pair.uniform * (1.0 - 0x1p-20) + 0x1p-21));
  }
};
struct margin_of_drawn {
  key_of_draw key;
  double threshold;

  constexpr auto operator()(auto const& pair) const {
    return where(key(pair) > threshold, margin_of_pair{}(pair));
  }
};

}  // namespace detail

/// beta-DPO: beta follows the quality of each batch, and pairs with unusual margins are left out. Any loss of pairs with
/// a beta takes the rule.
///
///   loss = kept ? B / kept pairs * L with beta_batch : 0
///   beta_batch = max(0.001, beta * (1 + sensitivity * (mean of m over kept pairs - mean)))
///   m = log_ratio_margin;  mean, spread: moving averages of the batches' means and standard deviations of m, the
///   newest with weight `rate`, from 0 at the start
///   kept_share of the pairs is drawn without replacement with weights exp(-((m - mean) / spread)^2 / 2)
///
/// None of it carries a gradient. Factors of B / kept make the mean over the batch one over kept pairs. The draw uses the
/// pair's `uniform` number (a key of log weight plus Gumbel noise; the largest keys stay), so a batch gives the same
/// result whenever it is evaluated from the same memory.
///
/// Reads   what L reads, policy and reference log_prob, uniform per pair
/// Units   those of L
/// Keeps   mean and spread
/// Several processes: means and the threshold of the keys are those of the whole batch; keys are gathered
/// Errors  rate outside (0, 1] or kept_share outside (0, 1] is refused; a loss without a beta, or with several, does not compile; nor one that matches rows
/// Source  Wu et al. 2024, arXiv:2407.08639, and the authors' code. There a spread of 0, as at the reference, gives NaN;
///         here all pairs are then equally likely to stay. There, too, evaluation moves the averages, and each process
///         draws its own pairs. Defaults: the authors' example; their configuration file has sensitivity 0
/// TRL     none
template <PairLoss L = dpo>
struct beta_dpo {
  static_assert(HasBeta<L>, "prefer: beta_dpo sets the beta of a loss, and this one has none");
  static_assert(!HasBeta<L> || HasOneBeta<L>,
                "prefer: beta_dpo sets one beta, and the parts of this loss have several");
  static constexpr std::size_t arity = 2;
  static constexpr char const* name = "beta_dpo";
  struct state {
    double factor = 1.0;      // of beta
    double mean = 0.0;        // nats
    double precision = 0.0;   // 1 / spread, 0 where it is unknown
    double threshold = -1e9;  // of the keys of kept pairs
    double scale = 1.0;       // B / kept pairs
  };
  struct memory {
    double mean = 0.0;    // nats
    double spread = 0.0;  // nats
  };

  L loss = {};
  double sensitivity = 0.6;
  share kept_share = 0.8;
  share rate = 0.1;  // of the newest batch

  static constexpr auto parts(auto& self, auto&& visit) { return visit(self.loss); }
  [[nodiscard]] constexpr state prepare(auto const& batch, memory& so_far) const {
    double const pairs = batch.count();
    double const mean = batch.means(detail::margin_of_pair{});
    double const squares = batch.sums(detail::squared_margin_from{mean});
    double const variance = pairs > 1.0 ? squares / (pairs - 1.0) : 0.0;
    so_far.mean += rate * (mean - so_far.mean);
    so_far.spread += rate * ((variance > 0.0 ? prefer::sqrt(variance) : 0.0) - so_far.spread);

    state out{.mean = so_far.mean, .precision = so_far.spread > 0.0 ? 1.0 / so_far.spread : 0.0};
    detail::key_of_draw const key = key_by(out);
    upper_part const kept = batch.largest(key, kept_share);
    double const of_kept = batch.sums(detail::margin_of_drawn{key, kept.threshold});
    out.threshold = kept.threshold;
    out.scale = pairs / kept.count;
    out.factor = 1.0 + sensitivity * (of_kept / kept.count - so_far.mean);
    return out;
  }
  constexpr auto operator()(auto const& pair, state const& batch, auto const& at_beta) const {
    auto const key = key_by(batch)(pair);
    auto adjusted = pair;
    using number = std::remove_cvref_t<decltype(adjusted.pair_beta.value)>;
    auto const wanted = pair.beta_or(beta_of(loss)) * batch.factor;
    adjusted.pair_beta.present = true;
    adjusted.pair_beta.value = number(relu(wanted - least_beta) + least_beta);
    // Not `key > threshold`: a key that is NaN shows in the loss.
    return select(key < batch.threshold, 0.0, batch.scale * at_beta(adjusted));
  }
  static constexpr void hyper_parameters(auto& self, auto&& visit) {
    visit("sensitivity", self.sensitivity);
    visit("kept_share", self.kept_share);
    visit("rate", self.rate);
  }

 private:
  static constexpr double least_beta = 1e-3;

  [[nodiscard]] static constexpr detail::key_of_draw key_by(state const& batch) {
    return {{.mean = batch.mean, .precision = batch.precision}};
  }
};

}  // namespace prefer::inline v0_1
