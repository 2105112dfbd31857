// SPDX-License-Identifier: MIT
#include "objective.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <prefer/expects.hpp>
#include <prefer/text/number.hpp>

namespace sweep {

namespace {

using prefer::column_name;

named_loss loss_at(std::string const& written, std::optional<double> beta) {
  std::vector<::setting> shared;
  if (beta) shared.push_back({"--beta " + prefer::text::shortest(*beta), "beta", *beta});
  return make_losses({written}, shared, remembering::batches_so_far).front();
}

constexpr prefer::column_set of_tokens = column_name::divergence | column_name::alignment |
                                         column_name::perturbed_toward |
                                         column_name::perturbed_away;

prefer::column_set available(example_kind kind) {
  auto const common = column_name::policy | column_name::reference | column_name::length |
                      prefer::column_set(column_name::score);
  switch (kind) {
    case example_kind::pair:
      return common | column_name::uniform;
    case example_kind::unpaired:
      return common | column_name::label;
    case example_kind::list:
      break;
  }
  return common;
}

void refuse_what_no_task_has(std::string const& written, named_loss const& loss,
                             prefer::column_set token_columns) {
  using prefer::refuse;
  std::string const who = "--loss " + written + ": ";
  auto const missing = loss.needs - available(loss.kind) - token_columns;
  if (!missing.empty() && of_tokens.contains(missing)) {
    refuse(who + "it reads " + to_string(missing) +
           ", which a policy over tokens gives: --task markov has one");
  }
  if (!missing.empty()) {
    refuse(who + "it reads " + to_string(missing) + ", which no task of this program has");
  }
  if (loss.own_samples) {
    refuse(who +
           "it learns from what the policy itself has just written, and the tasks here have pairs "
           "that are drawn once");
  }
  if (loss.list_size > 2) {
    refuse(who + "it takes lists of " + std::to_string(loss.list_size) +
           " completions, and the tasks here give lists of 2");
  }
}

}  // namespace

loss_choice describe_loss(std::string const& written, prefer::column_set token_columns) {
  named_loss const loss = loss_at(written, std::nullopt);
  refuse_what_no_task_has(written, loss, token_columns);
  loss_choice out{.written = written,
                  .text = loss.name,
                  .has_beta = loss.beta.has_value(),
                  .reads_reference = loss.needs.contains(column_name::reference),
                  .score = loss.meaning.score};
  std::size_t const colon = written.find(':');
  if (colon == std::string::npos) return out;
  std::size_t begin = colon + 1;
  while (begin <= written.size()) {
    std::size_t const end = std::min(written.find(',', begin), written.size());
    auto const one = parse_setting(written.substr(begin, end - begin), "--loss " + written);
    if (one.name == "beta") {
      prefer::refuse("--loss " + written + ": beta comes from --beta");
    }
    out.text += " " + one.name + "=" + prefer::text::shortest(one.value);
    begin = end + 1;
  }
  return out;
}

objective::objective(loss_choice const& choice, std::optional<double> beta, std::size_t tokens)
    : loss_(loss_at(choice.written, beta)), tokens_(static_cast<double>(tokens)) {}

prefer::column_set objective::token_columns() const {
  prefer::column_set out;
  for (auto const one : {column_name::divergence, column_name::alignment,
                         column_name::perturbed_toward, column_name::perturbed_away}) {
    if (reads(one)) out = out | one;
  }
  return out;
}

void objective::coefficients(pair_batch const& of, std::span<double> chosen,
                             std::span<double> rejected) {
  std::size_t const n = of.policy.chosen.size();
  double const scale = 1.0 / static_cast<double>(of.drawn);
  prefer::evaluate_options const each{.reduce = prefer::reduction::none};
  length_.resize(2 * n, tokens_);
  std::span<double const> const length(length_);
  bool const scored = reads(column_name::score);

  if (loss_.kind == example_kind::pair) {
    prefer::pair_columns columns{
        .policy = {.chosen = of.policy.chosen, .rejected = of.policy.rejected},
        .reference = {.chosen = of.reference.chosen, .rejected = of.reference.rejected},
        .length = {.chosen = length.first(n), .rejected = length.first(n)}};
    auto const both = [](sides const& from) {
      return prefer::completions{.chosen = from.chosen, .rejected = from.rejected};
    };
    if (scored) columns.score = {.chosen = of.score.chosen, .rejected = of.score.rejected};
    if (reads(column_name::divergence)) columns.divergence = both(of.tokens->divergence);
    if (reads(column_name::alignment)) columns.alignment = both(of.tokens->alignment);
    if (reads(column_name::perturbed_toward)) {
      columns.perturbed_toward = both(of.tokens->perturbed_toward);
      columns.perturbed_away = both(of.tokens->perturbed_away);
    }
    if (reads(column_name::uniform)) columns.uniform = of.uniform;
    auto result = loss_.pairs(columns, each);
    for (std::size_t i = 0; i < n; ++i) {
      chosen[i] = scale * result.coefficient.chosen[i];
      rejected[i] = scale * result.coefficient.rejected[i];
    }
    divergence_.chosen = std::move(result.divergence_coefficient.chosen);
    divergence_.rejected = std::move(result.divergence_coefficient.rejected);
    for (double& one : divergence_.chosen) one *= scale;
    for (double& one : divergence_.rejected) one *= scale;
    return;
  }

  // Chosen and rejected of pair i lie side by side, at 2 i and 2 i + 1.
  auto const side_by_side = [n](pair_numbers from, std::vector<double>& to) {
    to.resize(2 * n);
    for (std::size_t i = 0; i < n; ++i) {
      to[2 * i] = from.chosen[i];
      to[2 * i + 1] = from.rejected[i];
    }
  };
  side_by_side(of.policy, policy_);
  side_by_side(of.reference, reference_);
  if (scored) side_by_side(of.score, score_);
  auto const score = scored ? prefer::column(score_) : prefer::column();
  prefer::evaluation result;
  double share = scale;
  if (loss_.kind == example_kind::unpaired) {
    label_.resize(2 * n);
    for (std::size_t i = 0; i < label_.size(); ++i) label_[i] = i % 2 == 0 ? 1.0 : 0.0;
    prefer::unpaired_columns columns{.policy = policy_,
                                     .reference = reference_,
                                     .label = label_,
                                     .length = length,
                                     .score = score};
    if (loss_.kl_examples) {
      columns.kl_examples = {.policy = of.kl_policy, .reference = of.mismatched_reference};
    }
    result = loss_.unpaired(columns, each);
    share = 0.5 * scale;
  } else {
    offset_.resize(n + 1);
    for (std::size_t i = 0; i <= n; ++i) offset_[i] = 2 * i;
    result = loss_.lists({.policy = policy_,
                          .reference = reference_,
                          .length = length,
                          .score = score,
                          .offset = offset_},
                         each);
  }
  for (std::size_t i = 0; i < n; ++i) {
    chosen[i] = share * result.coefficient[2 * i];
    rejected[i] = share * result.coefficient[2 * i + 1];
  }
}

step_rule step_size(loss_choice const& choice, std::optional<double> beta, std::size_t tokens,
                    double start_margin) {
  double const b = beta.value_or(1.0);
  objective const fresh(choice, beta, tokens);
  bool const wins = choice.score == prefer::score_kind::win_probability;
  // Rewards that are 1 apart.
  double const high = wins ? 1.0 / (1.0 + std::exp(-1.0)) : 0.5;
  double const low = wins ? 1.0 - high : -0.5;
  struct sides_of_slope {
    double slope;
    double sum;
  };
  // Log-probabilities stay below 0 whatever the margin, as losses with odds want; a log-probability of -4 is
  // that of one action of many.
  auto const at = [&](double margin) -> sides_of_slope {
    double const level = -4.0;
    double const policy[] = {level + std::min(margin, 0.0), level - std::max(margin, 0.0)};
    double const reference[] = {level, level};
    double const uniform = 0.5;
    sides const same{.chosen = {policy[0]}, .rejected = {policy[1]}};
    sides const nothing{.chosen = {0.0}, .rejected = {0.0}};
    token_numbers const of_tokens_read{.divergence = nothing,
                                       .alignment = nothing,
                                       .perturbed_toward = same,
                                       .perturbed_away = same};
    pair_batch const pair{.policy = {{policy, 1}, {policy + 1, 1}},
                          .reference = {{reference, 1}, {reference + 1, 1}},
                          .score = {{&high, 1}, {&low, 1}},
                          .tokens = &of_tokens_read,
                          .kl_policy = policy,
                          .mismatched_reference = reference,
                          .uniform = {&uniform, 1},
                          .drawn = 1};
    objective one = fresh;
    double chosen = 0.0;
    double rejected = 0.0;
    for (int seen = 0; seen < (fresh.loss().remembers ? 200 : 1); ++seen) {
      one.coefficients(pair, {&chosen, 1}, {&rejected, 1});
    }
    return {0.5 * (chosen - rejected), std::fabs(chosen + rejected)};
  };
  auto const slope = [&](double margin) { return at(margin).slope; };

  double const half_window = 0.5 / b;
  double curvature = 0.0;
  double sum = 0.0;
  auto const look = [&](double from, double to) {
    for (int i = 0; i <= 100; ++i) {
      double const t = from + (to - from) * i / 100.0;
      double const bend = std::fabs(slope(t + half_window) - slope(t - half_window)) * b;
      if (bend > curvature) curvature = bend;
      if (double const s = at(t).sum; s > sum) sum = s;
    }
  };
  bool const grows = std::fabs(slope(-20.0 / b)) > 1.5 * std::fabs(slope(-10.0 / b));
  if (grows) {
    look(-start_margin - 1.0 / b, start_margin + 2.0 / b);
  } else {
    look(-5.0, 5.0);  // where policies of this size go
    look(-5.0 / b, 5.0 / b);
  }

  double step = 2.0 / std::fabs(slope(0.0));
  if (curvature > 0.0) step = std::min(step, (grows ? std::min(b, 1.0) : b) / curvature);
  // Opposite coefficients add up to rounding errors.
  if (sum > 1e-9 * std::fabs(slope(0.0))) step = std::min(step, 2.0 / sum);
  if (!(step > 0.0) || !std::isfinite(step)) {
    prefer::refuse("--loss " + choice.written +
                   ": its slope at the start is zero or its values overflow, so no step "
                   "follows from them");
  }
  return {step, grows};
}

}  // namespace sweep
