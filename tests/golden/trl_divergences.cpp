// SPDX-License-Identifier: MIT
#include <prefer/prefer.hpp>

#include "trl_losses.hpp"

namespace golden {

namespace {

template <class Divergence, prefer::PairLoss L>
pair_meaning mapped(L const& loss, Divergence const& divergence, std::string const& shape) {
  using map = prefer::f_dpo<Divergence, L>;
  auto out = erased(map{.loss = loss, .divergence = divergence},
                    std::string(map::name) + "<" + L::name + ">", shape);
  out.score = [divergence](double u) -> score_at {
    auto const at = divergence.score(prefer::dual<double, 1>::variable(u, 0));
    return {at.value, at.partial[0]};
  };
  return out;
}

template <class Divergence>
pair_meaning with(Divergence const& divergence, trl_loss const& trl) {
  double const beta = trl.beta;
  double const smoothing = trl.label_smoothing;
  std::string const& type = trl.type;
  // The old trainer knows divergences for this loss alone.
  if (type == "sigmoid") return mapped(prefer::dpo{.beta = beta}, divergence, "dpo");
  if (trl.family == "dpo_legacy") return {.name = no_such_loss};
  if (type == "hinge") return mapped(prefer::hinge{.beta = beta}, divergence, "hinge");
  if (type == "ipo") return mapped(prefer::ipo{.beta = beta}, divergence, "ipo");
  if (type == "sigmoid_norm") return mapped(prefer::ln_dpo{.beta = beta}, divergence, "dpo");
  if (type == "robust") {
    return mapped(prefer::robust_dpo{.beta = beta, .label_smoothing = smoothing}, divergence,
                  "robust_dpo");
  }
  if (type == "exo_pair") {
    return mapped(prefer::exo_pair{.beta = beta, .label_smoothing = smoothing}, divergence,
                  "exo_pair");
  }
  if (type == "discopop") {
    return mapped(prefer::discopop{.beta = beta, .temperature = trl.temperature}, divergence,
                  "discopop");
  }
  return {.name = no_such_loss};
}

}  // namespace

pair_meaning divergence_loss_of(trl_loss const& trl) {
  if (trl.divergence == "forward_kl") return with(prefer::forward_kl{}, trl);
  if (trl.divergence == "js_divergence") return with(prefer::js_divergence{}, trl);
  if (trl.divergence == "alpha_divergence") {
    return with(prefer::alpha_divergence{.coefficient = trl.divergence_coefficient,
                                         .largest_exponent = trl.largest_exponent},
                trl);
  }
  return {.name = "no such divergence here"};
}

}  // namespace golden
