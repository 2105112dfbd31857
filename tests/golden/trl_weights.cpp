// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

#include "trl_losses.hpp"

namespace golden {

namespace {

template <prefer::PairLoss L>
pair_meaning weighted(L const& loss, std::string const& shape) {
  // TRL does not bound the weight.
  return erased(prefer::wpo<L>{.loss = loss, .largest_weight = 1e6},
                std::string("wpo<") + L::name + ">", shape);
}

/// Its terms read sums, except one of IPO, whose log-probabilities are then smaller than the tolerance takes them for.
template <prefer::PairLoss L>
pair_meaning sum(L const& loss, std::string const& name, std::string const& shape) {
  auto out = erased(loss, name, shape);
  out.averages = false;
  return out;
}

}  // namespace

pair_meaning weighted_loss_of(trl_loss const& trl) {
  double const beta = trl.beta;
  double const smoothing = trl.label_smoothing;
  std::string const& type = trl.type;
  if (type == "sigmoid") return weighted(prefer::dpo{.beta = beta}, "dpo");
  if (type == "ipo") return weighted(prefer::ipo{.beta = beta}, "ipo");
  if (type == "exo_pair") {
    return weighted(prefer::exo_pair{.beta = beta, .label_smoothing = smoothing}, "exo_pair");
  }
  if (type == "nca_pair") return weighted(prefer::nca_pair{.beta = beta}, "nca_pair");
  if (type == "robust") {
    return weighted(prefer::robust_dpo{.beta = beta, .label_smoothing = smoothing}, "robust_dpo");
  }
  if (type == "bco_pair") return weighted(prefer::bco_pair{.beta = beta}, "bco_pair");
  if (type == "sppo_hard") return weighted(prefer::sppo_hard{.beta = beta}, "sppo_hard");
  if (type == "apo_zero") return weighted(prefer::apo_zero{.beta = beta}, "apo_zero");
  if (type == "apo_down") return weighted(prefer::apo_down{.beta = beta}, "apo_down");
  if (type == "discopop") {
    return weighted(prefer::discopop{.beta = beta, .temperature = trl.temperature}, "discopop");
  }
  if (type == "sigmoid_norm") return weighted(prefer::ln_dpo{.beta = beta}, "dpo");
  if (type == "sft") {
    auto out = weighted(prefer::nll_per_batch_token{}, "nll_per_batch_token");
    out.averages = false;
    return out;
  }
  return {.name = no_such_loss};
}

pair_meaning sum_of_losses_of(trl_loss const& trl) {
  double const beta = trl.beta;
  std::string const& type = trl.type;
  auto const weight = [&](std::size_t i) { return trl.weights.at(i); };
  if (type == "sigmoid+sft") {
    return sum(weight(0) * prefer::dpo{.beta = beta} + weight(1) * prefer::nll_per_batch_token{},
               "w dpo + w nll_per_batch_token", "dpo");
  }
  if (type == "sigmoid+bco_pair+sft") {
    return sum(weight(0) * prefer::dpo{.beta = beta} + weight(1) * prefer::bco_pair{.beta = beta} +
                   weight(2) * prefer::nll_per_batch_token{},
               "w dpo + w bco_pair + w nll_per_batch_token", "bco_pair");
  }
  if (type == "sigmoid+ipo") {
    return sum(weight(0) * prefer::dpo{.beta = beta} + weight(1) * prefer::ipo{.beta = beta},
               "w dpo + w ipo", "dpo + ipo");
  }
  return {.name = no_such_loss};
}

}  // namespace golden
