// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/loss/alphapo.hpp>
#include <prefer/loss/aot.hpp>
#include <prefer/loss/apo.hpp>
#include <prefer/loss/bco.hpp>
#include <prefer/loss/beta_dpo.hpp>
#include <prefer/loss/bradley_terry.hpp>
#include <prefer/loss/cal_dpo.hpp>
#include <prefer/loss/chi_po.hpp>
#include <prefer/loss/compose.hpp>
#include <prefer/loss/cpo.hpp>
#include <prefer/loss/diffusion_dpo.hpp>
#include <prefer/loss/discopop.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/dpop.hpp>
#include <prefer/loss/epsilon_dpo.hpp>
#include <prefer/loss/exo.hpp>
#include <prefer/loss/f_divergence.hpp>
#include <prefer/loss/gpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/hyper_parameter.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/lipo.hpp>
#include <prefer/loss/ln_dpo.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/loss/mpo.hpp>
#include <prefer/loss/nash_md.hpp>
#include <prefer/loss/nca.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/odpo.hpp>
#include <prefer/loss/orpo.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/loss/pro.hpp>
#include <prefer/loss/r_dpo.hpp>
#include <prefer/loss/rebel.hpp>
#include <prefer/loss/robust_dpo.hpp>
#include <prefer/loss/rpo.hpp>
#include <prefer/loss/rrhf.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/loss/slic_hf.hpp>
#include <prefer/loss/softmax_dpo.hpp>
#include <prefer/loss/sppo.hpp>
#include <prefer/loss/tdpo.hpp>
#include <prefer/loss/tpo.hpp>
#include <prefer/loss/wpo.hpp>
#include <prefer/loss/xpo.hpp>
#include <prefer/text/spelling.hpp>

// Losses by name, for tools; code that knows which loss it wants names the type.

namespace prefer::inline v0_1 {

/// What a tool says about a loss besides its name, its hyper-parameters and what it reads.
struct loss_info {
  char const* summary;  ///< the formula, or the idea, in less than a line
  char const* paper;
  char const* trl = "";              ///< TRL's name for the same thing, if it has one
  char const* batch_statistic = "";  ///< what it takes from the whole batch, if anything
  bool own_samples = false;          ///< a gradient only on what the policy itself has just written
};

/// Calls `visit(L{}, loss_info)` for every loss that the library ships: pairs, labels, lists.
constexpr void for_each_loss(auto&& visit) {
  visit(
      dpo{},
      loss_info{
          .summary = "-log sigmoid(beta * log_ratio_margin); conservative DPO with label_smoothing",
          .paper = "Rafailov et al. 2023, arXiv:2305.18290",
          .trl = "sigmoid"});
  visit(robust_dpo{},
        loss_info{.summary = "dpo, unbiased under labels flipped with known probability",
                  .paper = "Chowdhury et al. 2024, arXiv:2403.00409",
                  .trl = "robust"});
  visit(ipo{}, loss_info{.summary = "(margin of log-ratios per token - 1 / (2 beta))^2",
                         .paper = "Azar et al. 2023, arXiv:2310.12036",
                         .trl = "ipo"});
  visit(ipo_sum{}, loss_info{.summary = "(log_ratio_margin - 1 / (2 beta))^2",
                             .paper = "Azar et al. 2023, arXiv:2310.12036"});
  visit(hinge{}, loss_info{.summary = "max(0, 1 - beta * log_ratio_margin)",
                           .paper = "Zhao et al. 2023, arXiv:2305.10425",
                           .trl = "hinge"});
  visit(exo_pair{},
        loss_info{.summary = "KL of sigmoid(beta * log_ratio_margin) to a smoothed label",
                  .paper = "Ji et al. 2024, arXiv:2402.00856",
                  .trl = "exo_pair"});
  visit(nca_pair{}, loss_info{.summary = "chosen and rejected, each against the reference",
                              .paper = "Chen et al. 2024, arXiv:2402.05369",
                              .trl = "nca_pair"});
  visit(bco_pair{},
        loss_info{.summary = "softplus(-u_chosen) + softplus(u_rejected), u = beta * log_ratio",
                  .paper = "Jung et al. 2024, arXiv:2404.04656",
                  .trl = "bco_pair"});
  visit(sppo_hard{}, loss_info{.summary = "log-ratios regressed to +-1 / (2 beta)",
                               .paper = "Wu et al. 2024, arXiv:2405.00675",
                               .trl = "sppo_hard"});
  visit(sppo_soft{}, loss_info{.summary = "log-ratios regressed to (win probability - 1/2) / beta",
                               .paper = "Wu et al. 2024, arXiv:2405.00675"});
  visit(aot{}, loss_info{.summary = "dpo against the reference margin of the same rank",
                         .paper = "Melnyk et al. 2024, arXiv:2406.05882",
                         .trl = "aot",
                         .batch_statistic = "ranks in the batch"});
  visit(aot_unpaired{},
        loss_info{.summary = "dpo of chosen and rejected log-ratios of the same rank",
                  .paper = "Melnyk et al. 2024, arXiv:2406.05882",
                  .trl = "aot_unpaired",
                  .batch_statistic = "ranks in the batch"});
  visit(apo_zero{},
        loss_info{.summary = "sigmoid(-u_chosen) + sigmoid(u_rejected), u = beta * log_ratio",
                  .paper = "D'Oosterlinck et al. 2024, arXiv:2408.06266",
                  .trl = "apo_zero"});
  visit(apo_down{}, loss_info{.summary = "sigmoid(u_chosen) + sigmoid(-beta * log_ratio_margin)",
                              .paper = "D'Oosterlinck et al. 2024, arXiv:2408.06266",
                              .trl = "apo_down"});
  visit(discopop{}, loss_info{.summary = "logistic and exponential loss, blended by the margin",
                              .paper = "Lu et al. 2024, arXiv:2406.08414",
                              .trl = "discopop"});
  visit(nll{}, loss_info{.summary = "-log_prob_chosen", .paper = "maximum likelihood"});
  visit(nll_per_token{}, loss_info{.summary = "-log_prob_chosen / length_chosen",
                                   .paper = "Pang et al. 2024, arXiv:2404.19733"});
  visit(nll_per_batch_token{}, loss_info{.summary = "-log_prob_chosen * B / tokens of the batch",
                                         .paper = "maximum likelihood",
                                         .trl = "sft",
                                         .batch_statistic = "tokens of the batch"});
  visit(rpo{}, loss_info{.summary = "dpo + alpha * nll_per_token",
                         .paper = "Pang et al. 2024, arXiv:2404.19733"});
  visit(dpop{}, loss_info{.summary = "dpo with a penalty on chosen falling below the reference",
                          .paper = "Pal et al. 2024, arXiv:2402.13228"});
  visit(f_dpo<forward_kl>{}, loss_info{.summary = "dpo under the forward KL divergence",
                                       .paper = "Wang et al. 2023, arXiv:2309.16240"});
  visit(f_dpo<js_divergence>{}, loss_info{.summary = "dpo under the Jensen-Shannon divergence",
                                          .paper = "Wang et al. 2023, arXiv:2309.16240"});
  visit(f_dpo<alpha_divergence>{}, loss_info{.summary = "dpo under an alpha divergence",
                                             .paper = "Wang et al. 2023, arXiv:2309.16240"});
  visit(chi_po{}, loss_info{.summary = "dpo under chi-squared plus KL, margin clipped",
                            .paper = "Huang et al. 2024, arXiv:2407.13399"});
  visit(gpo_squared{}, loss_info{.summary = "(1 - beta * log_ratio_margin)^2",
                                 .paper = "Tang et al. 2024, arXiv:2402.05749"});
  visit(gpo_exponential{}, loss_info{.summary = "exp(-beta * log_ratio_margin)",
                                     .paper = "Tang et al. 2024, arXiv:2402.05749"});
  visit(gpo_truncated_quadratic{}, loss_info{.summary = "max(0, 1 - beta * log_ratio_margin)^2",
                                             .paper = "Tang et al. 2024, arXiv:2402.05749"});
  visit(gpo_savage{}, loss_info{.summary = "sigmoid(-beta * log_ratio_margin)^2",
                                .paper = "Tang et al. 2024, arXiv:2402.05749"});
  visit(r_dpo{}, loss_info{.summary = "dpo with a length term in the margin",
                           .paper = "Park et al. 2024, arXiv:2403.19159"});
  visit(ln_dpo{}, loss_info{.summary = "dpo on log-ratios per token",
                            .paper = "Lambert et al. 2024, arXiv:2411.15124",
                            .trl = "sigmoid_norm"});
  visit(wpo<>{}, loss_info{.summary = "dpo, weighted by how on-policy a pair is",
                           .paper = "Zhou et al. 2024, arXiv:2406.11827"});
  visit(odpo{}, loss_info{.summary = "dpo with an offset from the scores",
                          .paper = "Amini et al. 2024, arXiv:2402.10571"});
  visit(dpo_with_margin{}, loss_info{.summary = "dpo that asks for a margin",
                                     .paper = "Touvron et al. 2023, arXiv:2307.09288"});
  visit(cal_dpo{}, loss_info{.summary = "dpo and log-ratios regressed to +-1 / (2 beta)",
                             .paper = "Xiao et al. 2024, arXiv:2412.14516"});
  visit(beta_dpo<>{}, loss_info{.summary = "dpo with a beta per batch, unusual pairs left out",
                                .paper = "Wu et al. 2024, arXiv:2407.08639",
                                .batch_statistic = "mean and spread of margins, kept pairs"});
  visit(epsilon_dpo<>{}, loss_info{.summary = "dpo with a beta per pair from perturbed policies",
                                   .paper = "Lee et al. 2025, arXiv:2502.13177",
                                   .batch_statistic = "mean step of the batch"});
  visit(mpo{}, loss_info{.summary = "0.8 dpo + 0.2 bco_pair + nll_per_token",
                         .paper = "Wang et al. 2024, arXiv:2411.10442"});
  visit(tdpo1{}, loss_info{.summary = "dpo with the margin of sequential KL divergences",
                           .paper = "Zeng et al. 2024, arXiv:2404.11999"});
  visit(tdpo2{}, loss_info{.summary = "tdpo1 with a weight, no gradient through chosen",
                           .paper = "Zeng et al. 2024, arXiv:2404.11999"});
  visit(diffusion_dpo{}, loss_info{.summary = "dpo on denoising errors, beta / 2",
                                   .paper = "Wallace et al. 2023, arXiv:2311.12908"});
  visit(orpo{}, loss_info{.summary = "nll_per_token + odds_ratio",
                          .paper = "Hong et al. 2024, arXiv:2403.07691"});
  visit(odds_ratio{}, loss_info{.summary = "beta * softplus(-(margin of log-odds per token))",
                                .paper = "Hong et al. 2024, arXiv:2403.07691",
                                .trl = "odds_ratio"});
  visit(cpo{}, loss_info{.summary = "softplus(-beta * log_prob_margin) + alpha * nll_per_token",
                         .paper = "Xu et al. 2024, arXiv:2401.08417"});
  visit(simpo{}, loss_info{.summary = "-log sigmoid(beta * margin of log-probs per token - gamma)",
                           .paper = "Meng et al. 2024, arXiv:2405.14734",
                           .trl = "simpo"});
  visit(cpo_simpo{}, loss_info{.summary = "simpo + alpha * nll_per_token",
                               .paper = "Xu et al. 2024, arXiv:2401.08417"});
  visit(alphapo{}, loss_info{.summary = "simpo with a curved reward",
                             .paper = "Gupta et al. 2025, arXiv:2501.03884",
                             .trl = "alphapo"});
  visit(slic_hf{}, loss_info{.summary = "max(0, margin - log_prob_margin) + lambda * nll_per_token",
                             .paper = "Zhao et al. 2023, arXiv:2305.10425"});
  visit(xpo{}, loss_info{.summary = "dpo + alpha * optimism",
                         .paper = "Xie et al. 2024, arXiv:2405.21046"});
  visit(optimism{}, loss_info{.summary = "log_prob of the completion that the reference wrote",
                              .paper = "Xie et al. 2024, arXiv:2405.21046"});
  visit(bradley_terry{},
        loss_info{.summary = "the reward model: softplus(-(score margin)), centering",
                  .paper = "Bradley and Terry 1952"});
  visit(rebel{}, loss_info{.summary = "(log_ratio_margin / eta - score margin)^2",
                           .paper = "Gao et al. 2024, arXiv:2404.16767"});
  visit(kto_pair{}, loss_info{.summary = "kto on both halves, baselines from the other half",
                              .paper = "Ethayarajh et al. 2024, arXiv:2402.01306",
                              .trl = "kto_pair",
                              .batch_statistic = "mean log-ratios"});
  visit(kto{}, loss_info{.summary = "weight * (1 - sigmoid(+-beta * (log_ratio - baseline)))",
                         .paper = "Ethayarajh et al. 2024, arXiv:2402.01306",
                         .trl = "kto",
                         .batch_statistic = "KL examples"});
  visit(apo_zero_unpaired{}, loss_info{.summary = "kto with a baseline of 0",
                                       .paper = "D'Oosterlinck et al. 2024, arXiv:2408.06266",
                                       .trl = "apo_zero_unpaired"});
  visit(bco{}, loss_info{.summary = "a classifier of good and bad around the running mean reward",
                         .paper = "Jung et al. 2024, arXiv:2404.04656",
                         .trl = "bco",
                         .batch_statistic = "running mean of rewards"});
  visit(nash_md{}, loss_info{.summary = "policy gradient towards winning, on tokens",
                             .paper = "Munos et al. 2023, arXiv:2312.00886",
                             .trl = "nash_md",
                             .own_samples = true});
  visit(plackett_luce{}, loss_info{.summary = "dpo over a ranking, best first",
                                   .paper = "Rafailov et al. 2023, arXiv:2305.18290"});
  visit(softmax_dpo{}, loss_info{.summary = "dpo of the first completion against all others",
                                 .paper = "Chen et al. 2024, arXiv:2406.09215"});
  visit(info_nca{}, loss_info{.summary = "cross-entropy to the softmax of scores",
                              .paper = "Chen et al. 2024, arXiv:2402.05369"});
  visit(nca{}, loss_info{.summary = "each completion against the reference, weighted by scores",
                         .paper = "Chen et al. 2024, arXiv:2402.05369"});
  visit(exo{}, loss_info{.summary = "reverse KL to the softmax of scores",
                         .paper = "Ji et al. 2024, arXiv:2402.00856"});
  visit(lipo{}, loss_info{.summary = "pairs of a list, weighted by their change of DCG",
                          .paper = "Liu et al. 2024, arXiv:2402.01878"});
  visit(rrhf{}, loss_info{.summary = "hinge on every pair of a list, and nll_of_best",
                          .paper = "Yuan et al. 2023, arXiv:2304.05302"});
  visit(pro{}, loss_info{.summary = "each completion against all worse ones, by score gaps",
                         .paper = "Song et al. 2023, arXiv:2306.17492"});
  visit(nll_of_best{},
        loss_info{.summary = "-log_prob_first / length_first", .paper = "maximum likelihood"});
  visit(tpo{}, loss_info{.summary = "preference of two and likelihood of a gold completion",
                         .paper = "Saeidi et al. 2024, arXiv:2405.16681"});
  visit(tpo_l{}, loss_info{.summary = "tpo per token, with a target margin",
                           .paper = "Saeidi et al. 2024, arXiv:2405.16681",
                           .trl = "tpo-l"});
}

namespace detail {

// An alias is for a name under which exactly the same formula is known elsewhere. A name whose meaning
// differs is refused with the difference, never mapped to something close.
struct other_name {
  std::string_view written;
  std::string_view ours;
};
struct refused_name {
  std::string_view written;
  char const* reason;
};

inline constexpr other_name loss_aliases[] = {
    {"sigmoid", "dpo"},         {"robust", "robust_dpo"},
    {"sigmoid_norm", "ln_dpo"}, {"sft", "nll_per_batch_token"},
    {"tpo-l", "tpo_l"},         {"s_dpo", "softmax_dpo"},
    {"sdpo", "softmax_dpo"},    {"lrml", "discopop"},
    {"smaug", "dpop"},          {"aot_pair", "aot_unpaired"}};  // TRL's name until February 2026
inline constexpr refused_name refused_losses[] = {
    {"cdpo", "it is dpo with label_smoothing > 0"},
    {"ld_dpo",
     "it is dpo on log-probabilities with length weights: aggregation/ld_dpo_weights.hpp"},
    {"sampo", "it is dpo on log-probabilities of sampled tokens: aggregation/sampled_tokens.hpp"},
    {"step_dpo", "it is dpo on one step: batch/step_pairs.hpp"},
    {"ddpo", "it is dpo on pairs ranked by a judge: batch/best_and_random_pairs.hpp"}};

// Parameters, behind the loss they belong to.
inline constexpr other_name parameter_aliases[] = {
    {"simpo.simpo_gamma", "gamma"},
    {"cpo_simpo.simpo_gamma", "gamma"},
    {"cpo_simpo.cpo_alpha", "alpha"},
    {"cpo.cpo_alpha", "alpha"},
    {"alphapo.simpo_gamma", "gamma"},
    {"tpo.tpo_alpha", "alpha"},
    {"tpo_l.tpo_alpha", "alpha"},
    {"tpo_l.tpo_l_gamma", "gamma"},
    {"discopop.discopop_tau", "temperature"},
    {"f_dpo_alpha.f_alpha_divergence_coef", "coefficient"},
    {"bradley_terry.center_rewards_coefficient", "centering"},
    {"ipo.tau", "beta"},
    {"ipo_sum.tau", "beta"},
    {"orpo.lambda", "beta"},
    {"odds_ratio.lambda", "beta"},
    {"dpop.lambda", "penalty"}};
inline constexpr refused_name refused_hyper_parameters[] = {
    {"simpo.gamma_beta_ratio", "it is a ratio; set gamma = gamma_beta_ratio * beta"},
    {"simpo.cpo_alpha", "it weights an NLL term that is not part of simpo; that sum is cpo_simpo"},
    {"dpo.rpo_alpha", "it weights an NLL term that is not part of dpo; that sum is rpo"},
    {"dpo.reference_free", "give a reference whose log-probabilities are 0"}};

/// Collects the names that would have been right, and guesses which one was meant.
class known_names {
 public:
  explicit known_names(std::string_view written) : written_(written) {}

  void add(std::string_view name) {
    all_ += (all_.empty() ? "" : ", ") + std::string(name);
    suggest(name, name);
  }
  /// `name` is what to suggest where somebody seems to have meant `spelling`. What begins with the letters that were written,
  /// two at least, comes first, the shortest before others; then what is the fewest edits away.
  void suggest(std::string_view spelling, std::string_view name) {
    bool const begun =
        written_.size() > 1 && spelling.size() > written_.size() &&
        prefer::text::edit_distance(written_, spelling.substr(0, written_.size()), 1) == 0;
    std::size_t const longer = std::max(spelling.size(), written_.size());
    std::size_t const edits = prefer::text::edit_distance(written_, spelling, longer);
    if (begun_ > begun || (begun_ == begun && edits >= fewest_)) return;
    if (!begun && edits * 3 > longer) return;  // a third of the letters wrong: another word
    begun_ = begun;
    fewest_ = edits;
    nearest_ = name;
  }
  /// `; did you mean "beta"? Known: beta, label_smoothing`
  [[nodiscard]] std::string hint() const {
    std::string out = nearest_.empty() ? "" : "; did you mean \"" + nearest_ + "\"?";
    if (all_.empty()) return out + "; it has none";
    return out + (nearest_.empty() ? "; known: " : " Known: ") + all_;
  }

 private:
  std::string written_;
  std::string nearest_;
  std::string all_;
  bool begun_ = false;  // nearest_ begins with written_
  std::size_t fewest_ = static_cast<std::size_t>(-1);
};

}  // namespace detail

/// Calls `visit(L{}, loss_info)` for the loss of this name: ours, or TRL's where it means the same formula.
///
/// Errors  precondition_error for an unknown name, with the nearest known one, and for a name whose meaning
///         elsewhere differs from everything here, with the difference
void with_loss(std::string_view name, auto&& visit) {
  std::string_view ours = name;
  for (auto const& alias : detail::loss_aliases) {
    if (alias.written == name) ours = alias.ours;
  }
  bool found = false;
  for_each_loss([&]<Loss L>(L const& loss, loss_info const& info) {
    if (ours != L::name) return;
    found = true;
    visit(loss, info);
  });
  if (found) return;

  std::string const quoted = "\"" + std::string(name) + "\"";
  for (auto const& refused : detail::refused_losses) {
    if (refused.written == name)
      detail::broken("no loss is named " + quoted + ": " + refused.reason);
  }
  detail::known_names known(name);
  for_each_loss([&]<Loss L>(L const&, loss_info const&) { known.add(L::name); });
  for (auto const& alias : detail::loss_aliases) known.suggest(alias.written, alias.written);
  detail::broken("no loss is named " + quoted + known.hint());
}

/// Whether this loss has the hyper-parameter, by our name or by another that means the same.
template <Loss L>
[[nodiscard]] bool has_parameter(L const& loss, std::string_view name) {
  bool found = false;
  for_each_hyper_parameter(
      loss, [&](std::string_view own, auto const&) { found = found || own == name; });
  for (auto const& alias : detail::parameter_aliases) {
    found = found || alias.written == std::string(name_of<L>()) + "." + std::string(name);
  }
  return found;
}

/// Sets a hyper-parameter by name: ours, or another that means the same for this loss.
///
/// Errors  precondition_error for an unknown name, with the nearest known one, and for a value that the
///         hyper-parameter does not take: "dpo: beta is 0, expected a finite number greater than zero"
template <Loss L>
void set_parameter(L& loss, std::string_view name, double value) {
  std::string const written_name(name);
  std::string const written = std::string(name_of<L>()) + "." + written_name;
  std::string_view ours = name;
  for (auto const& alias : detail::parameter_aliases) {
    if (alias.written == written) ours = alias.ours;
  }
  bool found = false;
  for_each_hyper_parameter(loss, [&](std::string_view own, auto& parameter) {
    if (own != ours) return;
    found = true;
    auto changed = parameter;
    changed = value;
    expects_in_range(changed, name_of<L>(), written_name.c_str());
    parameter = changed;
  });
  if (found) return;

  std::string const missing =
      std::string(name_of<L>()) + " has no hyper-parameter \"" + std::string(name) + "\"";
  for (auto const& refused : detail::refused_hyper_parameters) {
    if (refused.written == written) detail::broken(missing + ": " + refused.reason);
  }
  detail::known_names known(name);
  for_each_hyper_parameter(loss, [&](std::string_view own, auto const&) { known.add(own); });
  detail::broken(missing + known.hint());
}

}  // namespace prefer::inline v0_1
