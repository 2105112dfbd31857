// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/expects.hpp>
#include <prefer/loss/dpo.hpp>
#include <prefer/loss/hinge.hpp>
#include <prefer/loss/ipo.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/loss/loss.hpp>
#include <prefer/loss/nll.hpp>
#include <prefer/loss/plackett_luce.hpp>
#include <prefer/loss/simpo.hpp>
#include <prefer/loss/softmax_dpo.hpp>
#include <prefer/spelling.hpp>

// Losses by name, for tools; code that knows which loss it wants names the type.

namespace prefer {

/// What a tool says about a loss besides its name, its parameters and what it reads.
struct loss_info {
  char const* summary;  ///< the formula, or the idea, in less than a line
  char const* paper;
  char const* trl = "";              ///< TRL's name for the same thing, if it has one
  char const* batch_statistic = "";  ///< what it takes from the whole batch, if anything
};

/// Calls `visit(L{}, loss_info)` for every loss that the library ships, most used first.
constexpr void for_each_loss(auto&& visit) {
  constexpr char const* rafailov = "Rafailov et al. 2023, arXiv:2305.18290";
  constexpr char const* azar = "Azar et al. 2023, arXiv:2310.12036";
  visit(dpo{}, loss_info{.summary = "-log sigmoid(beta * log_ratio_margin)",
                         .paper = rafailov,
                         .trl = "sigmoid"});
  visit(ipo{}, loss_info{.summary = "(margin of log-ratios per token - 1 / (2 beta))^2",
                         .paper = azar,
                         .trl = "ipo"});
  visit(ipo_sum{}, loss_info{.summary = "(log_ratio_margin - 1 / (2 beta))^2", .paper = azar});
  visit(hinge{}, loss_info{.summary = "max(0, 1 - beta * log_ratio_margin)",
                           .paper = "Zhao et al. 2023, arXiv:2305.10425",
                           .trl = "hinge"});
  visit(simpo{}, loss_info{.summary = "-log sigmoid(beta * margin of log-probs per token - gamma)",
                           .paper = "Meng et al. 2024, arXiv:2405.14734",
                           .trl = "simpo"});
  visit(kto{}, loss_info{.summary = "weight * (1 - sigmoid(+-beta * (log_ratio - baseline)))",
                         .paper = "Ethayarajh et al. 2024, arXiv:2402.01306",
                         .trl = "kto",
                         .batch_statistic = "mismatched completions"});
  visit(nll{}, loss_info{.summary = "-log_prob_chosen", .paper = "maximum likelihood"});
  visit(nll_per_token{}, loss_info{.summary = "-log_prob_chosen / length_chosen",
                                   .paper = "Pang et al. 2024, arXiv:2404.19733"});
  visit(plackett_luce{}, loss_info{.summary = "dpo over a ranking, best first", .paper = rafailov});
  visit(softmax_dpo{}, loss_info{.summary = "dpo of the first completion against all others",
                                 .paper = "Chen et al. 2024, arXiv:2406.09215"});
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
    {"sigmoid", "dpo"}, {"s_dpo", "softmax_dpo"}, {"sdpo", "softmax_dpo"}};
inline constexpr refused_name refused_losses[] = {
    {"sft",
     "it divides by the completion tokens of the whole batch; nll sums over the tokens of a "
     "completion and "
     "nll_per_token averages over them"},
    {"cdpo", "it is dpo with label_smoothing > 0"},
    {"rpo", "it is the sum of dpo and a multiple of nll_per_token"}};

// Parameters, behind the loss they belong to.
inline constexpr other_name parameter_aliases[] = {
    {"simpo.simpo_gamma", "gamma"}, {"ipo.tau", "beta"}, {"ipo_sum.tau", "beta"}};
inline constexpr refused_name refused_parameters[] = {
    {"simpo.gamma_beta_ratio", "it is a ratio; set gamma = gamma_beta_ratio * beta"},
    {"simpo.cpo_alpha", "it weights an NLL term that is not part of simpo; only 0 would be simpo"},
    {"dpo.rpo_alpha", "it weights an NLL term that is not part of dpo"},
    {"dpo.reference_free", "give a reference whose log-probabilities are 0"}};

/// Collects the names that would have been right, and guesses which one was meant.
class known_names {
 public:
  explicit known_names(std::string_view written) : written_(written) {}

  void add(std::string_view name) {
    all_ += (all_.empty() ? "" : ", ") + std::string(name);
    suggest(name, name);
  }
  /// `name` is what to suggest where somebody seems to have meant `spelling`.
  void suggest(std::string_view spelling, std::string_view name) {
    std::size_t const longer = std::max(spelling.size(), written_.size());
    std::size_t const edits = edit_distance(written_, spelling, longer);
    if (edits * 3 > longer || edits >= fewest_)
      return;  // a third of the letters wrong: another word
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
  std::size_t fewest_ = static_cast<std::size_t>(-1);
};

template <Loss L>
constexpr bool names_parameters = requires(L& loss) {
  L::parameters(loss, [](auto const&...) {});
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

/// Calls `visit(name, parameter)` for each hyper-parameter; `parameter` converts from and to double.
template <Loss L>
constexpr void for_each_parameter(L& loss, auto&& visit) {
  if constexpr (detail::names_parameters<L>) L::parameters(loss, visit);
}
template <Loss L>
constexpr void for_each_parameter(L const& loss, auto&& visit) {
  if constexpr (detail::names_parameters<L>) L::parameters(loss, visit);
}

/// Whether this loss has the parameter, by our name or by another that means the same.
template <Loss L>
[[nodiscard]] bool has_parameter(L const& loss, std::string_view name) {
  bool found = false;
  for_each_parameter(loss,
                     [&](std::string_view own, auto const&) { found = found || own == name; });
  for (auto const& alias : detail::parameter_aliases) {
    found = found || alias.written == std::string(L::name) + "." + std::string(name);
  }
  return found;
}

/// Sets a hyper-parameter by name: ours, or another that means the same for this loss.
///
/// Errors  precondition_error for an unknown name, with the nearest known one, and for a value that the
///         parameter does not take: "dpo: beta must be a finite number greater than zero"
template <Loss L>
void set_parameter(L& loss, std::string_view name, double value) {
  std::string const written = std::string(L::name) + "." + std::string(name);
  std::string_view ours = name;
  for (auto const& alias : detail::parameter_aliases) {
    if (alias.written == written) ours = alias.ours;
  }
  bool found = false;
  for_each_parameter(loss, [&](std::string_view own, auto& parameter) {
    if (own != ours) return;
    found = true;
    detail::with_context(std::string(L::name) + ": " + std::string(name) + " ",
                         [&] { parameter = value; });
  });
  if (found) return;

  std::string const missing =
      std::string(L::name) + " has no parameter \"" + std::string(name) + "\"";
  for (auto const& refused : detail::refused_parameters) {
    if (refused.written == written) detail::broken(missing + ": " + refused.reason);
  }
  detail::known_names known(name);
  for_each_parameter(loss, [&](std::string_view own, auto const&) { known.add(own); });
  detail::broken(missing + known.hint());
}

}  // namespace prefer
