// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include <prefer/batch/columns.hpp>
#include <prefer/batch/statistics.hpp>
#include <prefer/batch/sum_and_count.hpp>
#include <prefer/metrics/rewards.hpp>

namespace prefer::inline v0_1 {

/// What only a policy over a vocabulary can say of its completions, as sums over the tokens that count.
/// Columns that it does not give are left out.
template <class C>
struct basic_token_columns {
  C length;        ///< tokens that count [B]
  C entropy = {};  ///< sum over tokens of -sum_v p_v log p_v, nats [B]
  C logit = {};    ///< sum over tokens of the mean logit of the vocabulary [B]
  C correct = {};  ///< tokens that are the most likely one [B]

  [[nodiscard]] std::size_t size() const { return length.size(); }
};
using token_columns = basic_token_columns<column>;

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

template <class C>
void expects_tokens(basic_token_columns<C> const& tokens, char const* where) {
  for (C const* each : {&tokens.entropy, &tokens.logit, &tokens.correct}) {
    if (each->present()) expects_size(each->size(), tokens.size(), where, "a column of tokens");
  }
}

/// A number and the tokens of a desirable completion, then of another.
struct number_and_tokens_by_label {
  constexpr auto operator()(auto const& example) const {
    auto const number = example.log_prob;
    using S = std::remove_const_t<decltype(number)>;
    S const tokens = example.completion_length;
    return std::array<S, 4>{where(example.desirable, number), where(example.desirable, tokens),
                            select(example.desirable, S(0.0), number),
                            select(example.desirable, S(0.0), tokens)};
  }
};

/// Of one column: sums over desirable completions, and over the others, with tokens as counts. Those without labels are
/// all of one side.
struct sums_by_side {
  sum_and_count chosen = {};
  sum_and_count rejected = {};

  [[nodiscard]] sum_and_count all() const { return chosen + rejected; }
};
template <class C>
[[nodiscard]] sums_by_side sums_by_label(C const& numbers, C const& length, C const& label) {
  if (!numbers.present()) return {};
  basic_unpaired_columns<C> const batch{.policy = numbers, .label = label, .length = length};
  auto const sums = batch_statistics(batch, "metrics").sums(number_and_tokens_by_label{});
  return {{sums[0], sums[1]}, {sums[2], sums[3]}};
}
template <class C>
[[nodiscard]] token_metrics token_metrics_of(basic_token_columns<C> const& tokens, C const& label) {
  sums_by_side const logit = sums_by_label(tokens.logit, tokens.length, label);
  return {.entropy = sums_by_label(tokens.entropy, tokens.length, label).all(),
          .token_accuracy = sums_by_label(tokens.correct, tokens.length, label).chosen,
          .logit_chosen = logit.chosen,
          .logit_rejected = logit.rejected};
}

}  // namespace detail

/// Token statistics of pairs.
///
/// Errors  precondition_error for sizes that disagree
template <class C = column>
[[nodiscard]] token_metrics metrics(basic_token_columns<C> const& chosen,
                                    basic_token_columns<C> const& rejected) {
  expects_size(rejected.size(), chosen.size(), "metrics", "rejected.length");
  detail::expects_tokens(chosen, "metrics");
  detail::expects_tokens(rejected, "metrics");
  auto const sum = [](C const& numbers, C const& length) {
    return detail::sums_by_label(numbers, length, C()).all();
  };
  return {.entropy = sum(chosen.entropy, chosen.length) + sum(rejected.entropy, rejected.length),
          .token_accuracy = sum(chosen.correct, chosen.length),
          .logit_chosen = sum(chosen.logit, chosen.length),
          .logit_rejected = sum(rejected.logit, rejected.length)};
}

/// The same of labelled completions: desirable ones stand for chosen.
///
/// TRL     KTOTrainer has no "mean_token_accuracy"; here it is that of the desirable ones
/// Errors  precondition_error for sizes that disagree
template <class C = column>
[[nodiscard]] token_metrics metrics(basic_token_columns<C> const& columns,
                                    std::type_identity_t<C> const& label) {
  expects_size(label.size(), columns.size(), "metrics", "label");
  detail::expects_tokens(columns, "metrics");
  return detail::token_metrics_of(columns, label);
}

inline constexpr metric_name<token_metrics> token_metric_names[] = {
    {"entropy", &token_metrics::entropy},
    {"mean_token_accuracy", &token_metrics::token_accuracy},
    {"logits/chosen", &token_metrics::logit_chosen},
    {"logits/rejected", &token_metrics::logit_rejected}};

void for_each_metric(token_metrics const& sums, auto&& visit) {
  detail::visit_metrics(sums, token_metric_names, visit);
}

}  // namespace prefer::inline v0_1
