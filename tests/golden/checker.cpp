// SPDX-License-Identifier: MIT
#include <cmath>
#include <span>
#include <stdexcept>
#include <utility>

#include "comparison.hpp"

namespace golden {

namespace {

/// What a golden file's numbers mean, in our words.
trl_loss trl_loss_of(golden_case const& row) {
  trl_loss out;
  out.family = row.family;
  out.type = row.loss_type;
  out.beta = row.value("beta", 0.1);
  out.label_smoothing = row.value("label_smoothing", 0.0);
  out.temperature = row.value("discopop_tau", 0.05);
  out.gamma = row.value("simpo_gamma", row.value("tpo_l_gamma", 0.0));
  out.nll_weight = row.value("rpo_alpha", row.value("cpo_alpha", row.value("tpo_alpha", 0.0)));
  if (row.family == "cpo") out.curvature = row.value("alpha", 0.0);
  if (row.family == "xpo") out.optimism = row.value("alpha", 0.0);
  if (row.has("loss_weights")) {
    out.weights = row.hyper->at("loss_weights").get<std::vector<double>>();
  }
  out.divergence = row.text("f_divergence_type", "reverse_kl");
  out.weighted = row.value("use_weighting", 0.0) != 0.0;
  if (row.family == "dpo_legacy") {
    // The old trainer writes exp(-alpha u) / -alpha.
    out.divergence_coefficient = 1.0 - row.value("alpha_divergence_coef", 0.0);
  } else {
    out.divergence_coefficient = row.value("f_alpha_divergence_coef", 1.0);
    if (!row.exact) out.largest_exponent = 80.0;  // where TRL cuts exponents in float32
  }
  return out;
}

}  // namespace

void compare_reward(comparison& compare, char const* field, std::size_t i, double policy,
                    double reference, double length, prefer::reward_rule rule) {
  auto const one = [](double const& value) { return prefer::column(std::span(&value, 1)); };
  auto const reward = prefer::metrics({.policy = {one(policy), one(policy)},
                                       .reference = {one(reference), one(reference)},
                                       .length = {one(length), one(length)}},
                                      rule);
  compare.element(field, i,
                  {.kind = quantity_kind::statistic,
                   .beta = rule.beta,
                   .magnitude = std::fabs(policy) + std::fabs(reference)},
                  reward.reward_chosen.sum);
}

double double_tolerance(golden_case const& row, quantity const& q) {
  double const size = std::fabs(q.expected);
  // Below 1e-290 digits are lost to subnormal numbers.
  if (row.exact) return 1e-10 * size + (size < 1e-290 ? 1e-290 : 0.0);
  return 1e-12 * size + 2e-15 * (q.beta > 1.0 ? q.beta : 1.0);
}

checker::checker(precision columns, tolerance allowed)
    : columns_(columns), allowed_(std::move(allowed)) {}

outcome checker::check(golden_case const& row) {
  outcome out;
  try {
    auto const trl = trl_loss_of(row);
    if (row.family == "kto") {
      compare_kto(row, trl, columns_, allowed_, out);
    } else if (row.family == "bco" && row.loss_type == "bco") {
      compare_bco(row, trl, columns_, allowed_, runs_[row.value("run", 0.0)], out);
    } else if (row.family == "nash_md" && row.loss_type == "nash_md") {
      compare_nash_md(row, trl, columns_, allowed_, out);
    } else if (row.family == "online_dpo") {
      compare_online(row, trl, columns_, allowed_, out);
    } else if (row.family == "xpo") {
      compare_xpo(row, trl, columns_, allowed_, out);
    } else if (row.family == "tpo") {
      compare_tpo(row, trl, columns_, allowed_, out);
    } else if (row.has_input("policy_chosen")) {
      compare_pairs(row, trl, columns_, allowed_, out);
    } else {
      out.meaning = no_such_loss;
    }
  } catch (json::exception const& error) {
    refuse(row.place, std::string("not of the schema: ") + error.what());
  } catch (std::out_of_range const&) {
    refuse(row.place, "not of the schema: an index or a weight is missing");
  }
  if (!out.mismatches.empty()) {
    out.status = status::failed;
  } else if (out.status != status::not_covered && !row.finite) {
    out.status = status::not_finite;
  }
  return out;
}

}  // namespace golden
