// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <prefer/metrics/calibration.hpp>
#include <prefer/metrics/displacement.hpp>
#include <prefer/metrics/effective_sample.hpp>
#include <prefer/metrics/kl_divergence.hpp>
#include <prefer/metrics/kl_estimates.hpp>
#include <prefer/metrics/length_bias.hpp>
#include <prefer/metrics/likelihood.hpp>
#include <prefer/metrics/reference_compatibility.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/metrics/tokens.hpp>

// Every metric that is shipped, of batches wherever they are.

namespace prefer::test {

/// A batch of each kind; of `complete` lists the probabilities sum to 1.
template <class C>
struct measured_batches {
  basic_pair_columns<C> pairs;
  basic_unpaired_columns<C> labelled;
  basic_list_columns<C> lists;
  basic_list_columns<C> complete;
};

struct named_number {
  std::string name;
  double value;
};

class metric_numbers {
 public:
  std::vector<named_number> all;

  void add(std::string const& name, double value) { all.push_back({name, value}); }
  void add(std::string const& name, sum_and_count of) {
    add(name, of.sum);
    add(name + ", count", of.count);
  }
  void add(std::string const& name, correlation const& of) {
    add(name + ", count", of.count());
    add(name + ", correlation", of.value());
    add(name + ", mean x", of.mean_x());
    add(name + ", mean y", of.mean_y());
    add(name + ", deviation x", of.deviation_x());
    add(name + ", deviation y", of.deviation_y());
  }
  void add(std::string const& name, displacement::side const& of) {
    add(name + " fell", of.fell);
    add(name + " fall", of.fall);
    add(name + " fall per token", of.fall_per_token);
    add(name + " log-ratio", of.log_ratio);
  }
  template <class Metrics, std::size_t N>
  void add(Metrics const& of, metric_name<Metrics> const (&names)[N]) {
    for (auto const& each : names) add(each.name, of.*each.field);
  }
};

template <class C>
void add_metrics_by_rule(measured_batches<C> const& of, reward_rule rule, metric_numbers& to) {
  to.add(metrics(of.pairs, rule), pair_metric_names);
  to.add(metrics(of.labelled, rule), unpaired_metric_names);
  to.add(metrics(of.lists, rule), pair_metric_names);
  calibration const calibrated = calibration_of(of.pairs, rule, 7);  // more than one pass
  to.add("brier", calibrated.brier);
  to.add("log loss", calibrated.log_loss);
  for (reliability_bin const& bin : calibrated.bins) {
    to.add("weight of a bin", bin.weight);
    to.add("confidence of a bin", bin.confidence);
    to.add("correctness of a bin", bin.correct);
  }
  length_bias const bias = length_bias_of(of.pairs, rule);
  to.add("length of chosen", bias.length_chosen);
  to.add("length of rejected", bias.length_rejected);
  to.add("reward and length", bias.reward_length);
  to.add("margin and difference of lengths", bias.margin_length_difference);
  reference_compatibility const fit = compatibility_of(of.pairs, rule);
  to.add("margins", fit.margins);
  to.add("margin at the start", fit.start);
  to.add("accuracy", fit.accuracy);
  to.add("accuracy of the reference", fit.reference_accuracy);
  to.add("accuracy of the policy", fit.policy_accuracy);
  to.add("active share", active_share(of.pairs, rule));
}

/// All numbers of all metrics, by two rules that differ in whatever a rule can say.
template <class C>
[[nodiscard]] std::vector<named_number> every_metric(measured_batches<C> const& of) {
  metric_numbers to;
  add_metrics_by_rule(of, {.beta = 0.3}, to);
  add_metrics_by_rule(of,
                      {.beta = 2.0,
                       .per_token = true,
                       .from_reference = false,
                       .own_beta = false,
                       .best_by_score = true,
                       .first = 1},
                      to);
  displacement const fall = displacement_of(of.pairs);
  to.add("chosen", fall.chosen);
  to.add("rejected", fall.rejected);
  to.add("only chosen fell", fall.only_chosen_fell);
  to.add("only rejected fell", fall.only_rejected_fell);
  to.add("both fell", fall.both_fell);
  to.add("neither fell", fall.neither_fell);
  to.add(likelihood(of.pairs), likelihood_metric_names);
  C const& policy = of.pairs.policy.chosen;
  C const& reference = of.pairs.reference.chosen;
  std::size_t const offset[] = {0, policy.size() / 2, policy.size()};
  for (kl_estimates const& kl :
       {estimate_kl(policy, reference), estimate_token_kl(policy, reference, offset)}) {
    to.add("k1", kl.k1);
    to.add("k2", kl.k2);
    to.add("k3", kl.k3);
  }
  effective_sample const sample = effective_sample_of(policy);
  to.add("effective sample", sample.size());
  to.add("effective share", sample.share());
  basic_token_columns<C> const chosen{.length = of.pairs.length.chosen,
                                      .entropy = policy,
                                      .logit = reference,
                                      .correct = of.pairs.length.rejected};
  basic_token_columns<C> const rejected{.length = of.pairs.length.rejected,
                                        .entropy = of.pairs.policy.rejected};
  to.add(metrics(chosen, rejected), token_metric_names);
  to.add(metrics(chosen, of.labelled.label), token_metric_names);
  to.add("KL divergence", kl_divergence(of.complete));
  return std::move(to.all);
}

}  // namespace prefer::test
