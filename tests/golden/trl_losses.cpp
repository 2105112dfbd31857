// SPDX-License-Identifier: MIT
#include "trl_losses.hpp"

#include <cmath>

#include <prefer/prefer.hpp>

namespace golden {

namespace {

/// loss, and loss + weight * NLL per token of the batch.
template <prefer::PairLoss L>
pair_meaning with_nll(L const& loss, std::string const& name, double weight) {
  pair_meaning out = erased(loss, name, name);
  if (weight == 0.0) return out;
  out.name += " + nll_per_batch_token";
  out.objective = [sum = loss + weight * prefer::nll_per_batch_token{}](
                      prefer::pair_columns const& columns) { return evaluated(sum, columns); };
  return out;
}

pair_meaning none() { return {.name = no_such_loss}; }

/// DPOTrainer 1.16, which applies label_smoothing where it says so only.
pair_meaning dpo_trainer_loss(trl_loss const& trl) {
  double const beta = trl.beta;
  std::string const& type = trl.type;
  if (type == "sigmoid") return with_nll(prefer::dpo{.beta = beta}, "dpo", 0.0);
  if (type == "hinge") return with_nll(prefer::hinge{.beta = beta}, "hinge", 0.0);
  if (type == "ipo") return with_nll(prefer::ipo{.beta = beta}, "ipo", 0.0);
  if (type == "exo_pair") {
    return erased(prefer::exo_pair{.beta = beta, .label_smoothing = trl.label_smoothing},
                  "exo_pair", "exo_pair");
  }
  if (type == "nca_pair") return erased(prefer::nca_pair{.beta = beta}, "nca_pair", "nca_pair");
  if (type == "robust") {
    return erased(prefer::robust_dpo{.beta = beta, .label_smoothing = trl.label_smoothing},
                  "robust_dpo", "robust_dpo");
  }
  if (type == "bco_pair") return erased(prefer::bco_pair{.beta = beta}, "bco_pair", "bco_pair");
  if (type == "sppo_hard") {
    return erased(prefer::sppo_hard{.beta = beta}, "sppo_hard", "sppo_hard");
  }
  if (type == "aot") {
    return erased(prefer::aot{.beta = beta, .label_smoothing = trl.label_smoothing}, "aot", "aot");
  }
  if (type == "aot_unpaired") {
    return erased(prefer::aot_unpaired{.beta = beta, .label_smoothing = trl.label_smoothing},
                  "aot_unpaired", "aot");
  }
  if (type == "apo_zero") return erased(prefer::apo_zero{.beta = beta}, "apo_zero", "apo_zero");
  if (type == "apo_down") return erased(prefer::apo_down{.beta = beta}, "apo_down", "apo_down");
  if (type == "discopop") {
    return erased(prefer::discopop{.beta = beta, .temperature = trl.temperature}, "discopop",
                  "discopop");
  }
  if (type == "sigmoid_norm") return erased(prefer::ln_dpo{.beta = beta}, "ln_dpo", "dpo");
  if (type == "sft") {
    auto out = erased(prefer::nll_per_batch_token{}, "nll_per_batch_token", "nll_per_batch_token");
    out.averages = false;
    return out;
  }
  return sum_of_losses_of(trl);
}

/// DPOTrainer 0.28, which smooths labels as its paper says, and whose IPO takes what it is given, here sums.
pair_meaning old_dpo_trainer_loss(trl_loss const& trl) {
  double const beta = trl.beta;
  if (trl.type == "sigmoid") {
    return with_nll(prefer::dpo{.beta = beta, .label_smoothing = trl.label_smoothing}, "dpo",
                    trl.nll_weight);
  }
  if (trl.type == "hinge") return with_nll(prefer::hinge{.beta = beta}, "hinge", 0.0);
  if (trl.type == "ipo") return erased(prefer::ipo_sum{.beta = beta}, "ipo_sum", "ipo");
  if (trl.type == "apo_zero" || trl.type == "apo_down") return dpo_trainer_loss(trl);
  return none();
}

/// -expm1(-alpha a) / alpha, AlphaPO's reward of a log-probability per token.
std::function<score_at(double)> curved_reward(double alpha) {
  if (alpha == 0.0) return {};
  return [alpha](double a) -> score_at {
    auto const reward =
        -prefer::bounded_expm1(prefer::dual<double, 1>::variable(a, 0) * -alpha) / alpha;
    return {reward.value, reward.partial[0]};
  };
}

/// CPOTrainer: no reference, its log-probabilities are 0.
pair_meaning cpo_trainer_loss(trl_loss const& trl) {
  double const beta = trl.beta;
  double const smoothing = trl.label_smoothing;
  if (trl.curvature != 0.0 && (trl.type == "sigmoid" || trl.type == "simpo")) {
    auto out = erased(prefer::alphapo{.beta = beta,
                                      .gamma = trl.type == "simpo" ? trl.gamma : 0.0,
                                      .alpha = trl.curvature,
                                      .label_smoothing = smoothing},
                      "alphapo", "simpo");
    out.score = curved_reward(trl.curvature);
    return out;
  }
  if (trl.type == "sigmoid") {
    auto out = with_nll(prefer::cpo{.beta = beta, .alpha = 0.0, .label_smoothing = smoothing},
                        "cpo", trl.nll_weight);
    out.shape = "dpo";
    out.averages = false;  // its own likelihood term alone would, and alpha is 0
    return out;
  }
  if (trl.type == "hinge") return with_nll(prefer::hinge{.beta = beta}, "hinge", trl.nll_weight);
  if (trl.type == "ipo") return with_nll(prefer::ipo{.beta = beta}, "ipo", trl.nll_weight);
  if (trl.type == "simpo") {
    return with_nll(prefer::simpo{.beta = beta, .gamma = trl.gamma, .label_smoothing = smoothing},
                    "simpo", trl.nll_weight);
  }
  return none();
}

pair_meaning orpo_trainer_loss(trl_loss const& trl) {
  prefer::odds_ratio const loss{.beta = trl.beta};
  auto out = erased(loss, "odds_ratio", "odds_ratio");
  out.score = [](double a) -> score_at { return {a - prefer::log1mexp(a), -1.0 / std::expm1(a)}; };
  if (trl.type == "odds_ratio") return out;
  if (trl.type != "orpo") return none();
  // TRL's likelihood term is a mean over the tokens of prompts and completions.
  out.name = "odds_ratio + w nll";
  out.objective = [sum = loss + trl.pairs_per_token * prefer::nll{}](
                      prefer::pair_columns const& columns) { return evaluated(sum, columns); };
  return out;
}

/// TPOTrainer's losses that have no list form here: pairs, beside the NLL of the gold completion.
pair_meaning tpo_trainer_loss(trl_loss const& trl) {
  if (trl.type == "hinge") return erased(prefer::hinge{.beta = trl.beta}, "hinge", "hinge");
  if (trl.type == "ipo") return erased(prefer::ipo{.beta = trl.beta}, "ipo", "ipo");
  return none();
}

pair_meaning online_trainer_loss(trl_loss const& trl) {
  if (trl.type == "sigmoid") return with_nll(prefer::dpo{.beta = trl.beta}, "dpo", 0.0);
  if (trl.type == "ipo") return erased(prefer::ipo_sum{.beta = trl.beta}, "ipo_sum", "ipo");
  return none();
}

pair_meaning xpo_trainer_loss(trl_loss const& trl) {
  pair_meaning out = online_trainer_loss(trl);
  if (trl.type == "sigmoid") {
    out.objective = erased(prefer::xpo{.beta = trl.beta, .alpha = trl.optimism}, "", "").objective;
    out.name = "xpo";
  }
  if (trl.type == "ipo") {
    out.objective =
        erased(prefer::ipo_sum{.beta = trl.beta} + trl.optimism * prefer::optimism{}, "", "")
            .objective;
    out.name = "ipo_sum + w optimism";
  }
  return out;
}

template <prefer::ListLoss L>
list_meaning erased_lists(L loss, std::string name, std::string shape, double alpha) {
  auto const evaluate = [](L const& each) {
    return [each](prefer::list_columns const& columns) { return evaluated(each, columns); };
  };
  loss.alpha = alpha;
  L without = loss;
  without.alpha = 0.0;
  return {.name = std::move(name),
          .shape = std::move(shape),
          .objective = evaluate(loss),
          .preference = evaluate(without)};
}

}  // namespace

pair_meaning pair_loss_of(trl_loss const& trl) {
  if (trl.family == "dpo" || trl.family == "dpo_tokens") {
    if (trl.weighted) return weighted_loss_of(trl);
    return trl.divergence == "reverse_kl" ? dpo_trainer_loss(trl) : divergence_loss_of(trl);
  }
  if (trl.family == "dpo_legacy") {
    return trl.divergence == "reverse_kl" ? old_dpo_trainer_loss(trl) : divergence_loss_of(trl);
  }
  if (trl.family == "cpo") return cpo_trainer_loss(trl);
  if (trl.family == "orpo") return orpo_trainer_loss(trl);
  if (trl.family == "tpo") return tpo_trainer_loss(trl);
  if (trl.family == "online_dpo") return online_trainer_loss(trl);
  if (trl.family == "xpo") return xpo_trainer_loss(trl);
  return none();
}

list_meaning tpo_loss_of(trl_loss const& trl) {
  if (trl.type == "sigmoid") {
    return erased_lists(prefer::tpo{.beta = trl.beta, .label_smoothing = trl.label_smoothing},
                        "tpo", "dpo", trl.nll_weight);
  }
  if (trl.type == "tpo-l") {
    auto out = erased_lists(
        prefer::tpo_l{.beta = trl.beta, .gamma = trl.gamma, .label_smoothing = trl.label_smoothing},
        "tpo_l", "simpo", trl.nll_weight);
    out.averages = true;
    return out;
  }
  return {.name = no_such_loss};
}

pair_meaning optimism_of(trl_loss const& trl) {
  return erased(trl.optimism * prefer::optimism{}, "w optimism", "optimism");
}

prefer::pair_evaluation nll_of_batch(prefer::pair_columns const& columns) {
  return evaluated(prefer::nll_per_batch_token{}, columns);
}

prefer::pair_evaluation nll_times(double weight, prefer::pair_columns const& columns) {
  return evaluated(weight * prefer::nll{}, columns);
}

prefer::evaluation evaluate_kto(trl_loss const& trl, double desirable_weight,
                                double undesirable_weight,
                                prefer::unpaired_columns const& columns) {
  if (trl.type == "apo_zero_unpaired") {
    return evaluated(prefer::apo_zero_unpaired{.beta = trl.beta,
                                               .desirable_weight = desirable_weight,
                                               .undesirable_weight = undesirable_weight},
                     columns);
  }
  return evaluated(prefer::kto{.beta = trl.beta,
                               .desirable_weight = desirable_weight,
                               .undesirable_weight = undesirable_weight},
                   columns);
}

prefer::evaluation evaluate_bco(trl_loss const& trl, prefer::unpaired_columns const& columns,
                                prefer::bco::memory& memory) {
  return evaluated(prefer::bco{.beta = trl.beta}, columns, memory);
}

prefer::evaluation evaluate_nash_md(trl_loss const& trl, prefer::unpaired_columns const& tokens) {
  return evaluated(prefer::nash_md{.beta = trl.beta}, tokens,
                   prefer::evaluate_options{.reduce = prefer::reduction::none});
}

}  // namespace golden
