// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>

#include <prefer/batch/columns.hpp>
#include <prefer/metrics/rewards.hpp>

namespace prefer {

/// What only a policy over a vocabulary can say of its completions, as sums over the tokens that count.
/// Columns that it does not give are left out.
struct token_columns {
  column length;        ///< tokens that count [B]
  column entropy = {};  ///< sum over tokens of -sum_v p_v log p_v, nats [B]
  column logit = {};    ///< sum over tokens of the mean logit of the vocabulary [B]
  column correct = {};  ///< tokens that are the most likely one [B]

  [[nodiscard]] std::size_t size() const { return length.size(); }
};

/// Means over tokens, not over completions: long ones count for more. TRL's names in quotes.
struct token_metrics {
  sum_and_count entropy = {};         ///< "entropy", nats per token
  sum_and_count token_accuracy = {};  ///< "mean_token_accuracy", of chosen completions
  sum_and_count logit_chosen = {};    ///< "logits/chosen": a sign of drift, no likelihood
  sum_and_count logit_rejected = {};  ///< "logits/rejected"

  friend token_metrics operator+(token_metrics const& a, token_metrics const& b) {
    return {a.entropy + b.entropy, a.token_accuracy + b.token_accuracy,
            a.logit_chosen + b.logit_chosen, a.logit_rejected + b.logit_rejected};
  }
};

namespace detail {

inline void expects_tokens(token_columns const& tokens, char const* where) {
  for (column const* each : {&tokens.entropy, &tokens.logit, &tokens.correct}) {
    if (each->present()) expects_size(each->size(), tokens.size(), where, "a column of tokens");
  }
}

[[nodiscard]] inline token_metrics token_metrics_of(token_columns const& tokens, std::size_t i,
                                                    bool chosen) {
  auto const part = [&](column const& c) {
    return c.present() ? sum_and_count{c[i], tokens.length[i]} : sum_and_count{};
  };
  return {.entropy = part(tokens.entropy),
          .token_accuracy = chosen ? part(tokens.correct) : sum_and_count{},
          .logit_chosen = chosen ? part(tokens.logit) : sum_and_count{},
          .logit_rejected = chosen ? sum_and_count{} : part(tokens.logit)};
}

}  // namespace detail

/// Token statistics of pairs.
///
/// Errors  precondition_error for sizes that disagree
[[nodiscard]] inline token_metrics metrics(token_columns const& chosen,
                                           token_columns const& rejected) {
  expects_size(rejected.size(), chosen.size(), "metrics", "rejected.length");
  detail::expects_tokens(chosen, "metrics");
  detail::expects_tokens(rejected, "metrics");
  token_metrics out;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    out = out + detail::token_metrics_of(chosen, i, true) +
          detail::token_metrics_of(rejected, i, false);
  }
  return out;
}

/// The same of labelled completions: desirable ones stand for chosen.
///
/// TRL     KTOTrainer has no "mean_token_accuracy"; here it is that of the desirable ones
/// Errors  precondition_error for sizes that disagree
[[nodiscard]] inline token_metrics metrics(token_columns const& columns, column label) {
  expects_size(label.size(), columns.size(), "metrics", "label");
  detail::expects_tokens(columns, "metrics");
  token_metrics out;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    out = out + detail::token_metrics_of(columns, i, label[i] > 0.0);
  }
  return out;
}

inline constexpr metric_name<token_metrics> token_metric_names[] = {
    {"entropy", &token_metrics::entropy},
    {"mean_token_accuracy", &token_metrics::token_accuracy},
    {"logits/chosen", &token_metrics::logit_chosen},
    {"logits/rejected", &token_metrics::logit_rejected}};

void for_each_metric(token_metrics const& sums, auto&& visit) {
  detail::visit_metrics(sums, token_metric_names, visit);
}

}  // namespace prefer
