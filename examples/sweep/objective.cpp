// SPDX-License-Identifier: MIT
#include "objective.hpp"

#include <algorithm>
#include <cmath>

#include <prefer/expects.hpp>
#include <prefer/report/number.hpp>

namespace sweep {

namespace {

using prefer::column_name;

named_loss loss_at(std::string const& written, std::optional<double> beta) {
  std::vector<::setting> shared;
  if (beta) shared.push_back({"--beta " + prefer::report::shortest(*beta), "beta", *beta});
  return make_losses({written}, shared).front();
}

prefer::column_set available(example_kind kind) {
  auto const common = column_name::policy | column_name::reference | column_name::length;
  return kind == example_kind::unpaired ? common | column_name::label : common;
}

}  // namespace

loss_choice describe_loss(std::string const& written) {
  named_loss const loss = loss_at(written, std::nullopt);
  auto const missing = loss.needs - available(loss.kind);
  if (!missing.empty()) {
    prefer::detail::broken("--loss " + written + ": it reads " + to_string(missing) +
                           ", which no task of this program has");
  }
  loss_choice out{.written = written,
                  .text = loss.name,
                  .has_beta = loss.beta.has_value(),
                  .reads_reference = loss.needs.contains(column_name::reference)};
  std::size_t const colon = written.find(':');
  if (colon == std::string::npos) return out;
  std::size_t begin = colon + 1;
  while (begin <= written.size()) {
    std::size_t const end = std::min(written.find(',', begin), written.size());
    auto const one = parse_setting(written.substr(begin, end - begin), "--loss " + written);
    if (one.name == "beta") {
      prefer::detail::broken("--loss " + written + ": beta comes from --beta");
    }
    out.text += " " + one.name + "=" + prefer::report::shortest(one.value);
    begin = end + 1;
  }
  return out;
}

objective::objective(loss_choice const& choice, std::optional<double> beta, std::size_t tokens)
    : loss_(loss_at(choice.written, beta)), tokens_(static_cast<double>(tokens)) {}

void objective::coefficients(pair_numbers policy, pair_numbers reference, std::size_t drawn,
                             std::span<double> chosen, std::span<double> rejected) {
  std::size_t const n = policy.chosen.size();
  double const scale = 1.0 / static_cast<double>(drawn);
  prefer::evaluate_options const each{.reduce = prefer::reduction::none};
  length_.resize(2 * n, tokens_);
  std::span<double const> const length(length_);

  if (loss_.kind == example_kind::pair) {
    auto const result =
        loss_.pairs({.policy = {.chosen = policy.chosen, .rejected = policy.rejected},
                     .reference = {.chosen = reference.chosen, .rejected = reference.rejected},
                     .length = {.chosen = length.first(n), .rejected = length.first(n)}},
                    each);
    for (std::size_t i = 0; i < n; ++i) {
      chosen[i] = scale * result.coefficient.chosen[i];
      rejected[i] = scale * result.coefficient.rejected[i];
    }
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
  side_by_side(policy, policy_);
  side_by_side(reference, reference_);
  prefer::evaluation result;
  double share = scale;
  if (loss_.kind == example_kind::unpaired) {
    label_.resize(2 * n);
    for (std::size_t i = 0; i < label_.size(); ++i) label_[i] = i % 2 == 0 ? 1.0 : 0.0;
    auto const of_next_pair = [](std::vector<double> const& from, std::vector<double>& to) {
      to.assign(from.begin() + 2, from.end());
      to.insert(to.end(), from.begin(), from.begin() + 2);
    };
    of_next_pair(policy_, mismatched_policy_);
    of_next_pair(reference_, mismatched_reference_);
    result = loss_.unpaired(
        {.policy = policy_,
         .reference = reference_,
         .label = label_,
         .length = length,
         .mismatched = {.policy = mismatched_policy_, .reference = mismatched_reference_}},
        each);
    share = 0.5 * scale;
  } else {
    offset_.resize(n + 1);
    for (std::size_t i = 0; i <= n; ++i) offset_[i] = 2 * i;
    result = loss_.lists(
        {.policy = policy_, .reference = reference_, .length = length, .offset = offset_}, each);
  }
  for (std::size_t i = 0; i < n; ++i) {
    chosen[i] = share * result.coefficient[2 * i];
    rejected[i] = share * result.coefficient[2 * i + 1];
  }
}

step_rule step_size(loss_choice const& choice, std::optional<double> beta, std::size_t tokens,
                    double start_margin) {
  double const b = beta.value_or(1.0);
  objective one(choice, beta, tokens);
  struct sides {
    double slope;
    double sum;
  };
  // Log-probabilities stay below 0 whatever the margin, as losses with odds want; a log-probability of -4 is
  // that of one action of many.
  auto const at = [&](double margin) -> sides {
    double const level = -4.0;
    double const chosen = level + std::min(margin, 0.0);
    double const rejected = level - std::max(margin, 0.0);
    double out_chosen = 0.0;
    double out_rejected = 0.0;
    one.coefficients({{&chosen, 1}, {&rejected, 1}}, {{&level, 1}, {&level, 1}}, 1,
                     {&out_chosen, 1}, {&out_rejected, 1});
    return {0.5 * (out_chosen - out_rejected), std::fabs(out_chosen + out_rejected)};
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
    prefer::detail::broken("--loss " + choice.written +
                           ": its slope at the start is zero or its values overflow, so no step "
                           "follows from them");
  }
  return {step, grows};
}

}  // namespace sweep
