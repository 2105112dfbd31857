// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <prefer/loss/bco.hpp>
#include <prefer/objective/evaluate.hpp>

// The table from TRL's trainers, loss types and hyper-parameters to our losses. Types end here: each loss is
// instantiated once, in one of trl_*.cpp.

// How a loss is evaluated: as the library does, or, of a test that compiles this table for another way, as that way does.
#ifdef PREFER_GOLDEN_WAY
#include PREFER_GOLDEN_WAY
#else
namespace golden {
template <prefer::Loss L, class Columns, class... More>
[[nodiscard]] auto evaluated(L const& loss, Columns const& columns, More&&... more) {
  return prefer::evaluate(loss, columns, more...);
}
}  // namespace golden
#endif

namespace golden {

/// What TRL calls a loss, and the numbers it was called with. Zero weights and "reverse_kl" mean "off".
struct trl_loss {
  std::string family;  // of the trainer: "dpo", "cpo"
  std::string type;    // "sigmoid", "sigmoid+sft"
  double beta = 0.1;
  double label_smoothing = 0.0;
  double temperature = 0.05;         // discopop_tau
  double gamma = 0.0;                // simpo_gamma, tpo_l_gamma
  double curvature = 0.0;            // AlphaPO's alpha
  double optimism = 0.0;             // XPO's alpha
  std::vector<double> weights = {};  // of the types of a sum
  double nll_weight = 0.0;           // of the NLL term per token of the batch
  double pairs_per_token = 1.0;      // of ORPO's NLL term, whose tokens include the prompt's
  std::string divergence = "reverse_kl";
  double divergence_coefficient = 1.0;
  double largest_exponent = 690.0;
  bool weighted = false;  // WPO
};

inline constexpr char const* no_such_loss = "no such loss here";

/// A score that stands for the log-ratio, or the log-odds that stand for the log-probability, and its derivative.
struct score_at {
  double value;
  double slope;
};

template <class Columns, class Evaluation>
struct meaning {
  std::string name;        // our expression; the reason where there is none
  std::string shape = {};  // the loss without weights and scores: "dpo"
  std::function<Evaluation(Columns const&)> objective =
      {};  // what TRL minimises; empty where there is none
  std::function<Evaluation(Columns const&)> preference =
      {};                                      // the same without NLL: TRL's values per pair
  bool averages = false;                       // over the tokens of a completion
  std::function<score_at(double)> score = {};  // of a log-ratio, or a log-probability per token
};
using pair_meaning = meaning<prefer::pair_columns, prefer::pair_evaluation>;
using list_meaning = meaning<prefer::list_columns, prefer::evaluation>;

/// A loss over pairs with its type taken away.
template <prefer::PairLoss L>
[[nodiscard]] pair_meaning erased(L const& loss, std::string name, std::string shape) {
  auto const evaluate = [loss](prefer::pair_columns const& columns) {
    return evaluated(loss, columns);
  };
  return {.name = std::move(name),
          .shape = std::move(shape),
          .objective = evaluate,
          .preference = evaluate,
          .averages = prefer::reads(loss).contains(prefer::column_name::length)};
}

/// Our loss over pairs, with the terms that TRL's trainer adds to it.
pair_meaning pair_loss_of(trl_loss const& trl);
/// The same for DPOTrainer's losses with another divergence, weighted by WPO, and for its sums of losses.
pair_meaning divergence_loss_of(trl_loss const& trl);
pair_meaning weighted_loss_of(trl_loss const& trl);
pair_meaning sum_of_losses_of(trl_loss const& trl);

/// TPOTrainer's losses that are ours over lists of gold, chosen, rejected. The list's gold length is the batch's tokens
/// per completion, because TRL divides the likelihood by the tokens of the batch.
list_meaning tpo_loss_of(trl_loss const& trl);

/// The parts of XPO: what TRL has per pair, and the optimism that it adds.
pair_meaning optimism_of(trl_loss const& trl);
/// -log_prob_chosen per token of the batch.
[[nodiscard]] prefer::pair_evaluation nll_of_batch(prefer::pair_columns const& columns);
/// -log_prob_chosen times `weight`.
[[nodiscard]] prefer::pair_evaluation nll_times(double weight, prefer::pair_columns const& columns);

[[nodiscard]] prefer::evaluation evaluate_kto(trl_loss const& trl, double desirable_weight,
                                              double undesirable_weight,
                                              prefer::unpaired_columns const& columns);
[[nodiscard]] prefer::evaluation evaluate_bco(trl_loss const& trl,
                                              prefer::unpaired_columns const& columns,
                                              prefer::bco::memory& memory);
/// Each token's own value and coefficient.
[[nodiscard]] prefer::evaluation evaluate_nash_md(trl_loss const& trl,
                                                  prefer::unpaired_columns const& tokens);

}  // namespace golden
