// SPDX-License-Identifier: MIT
#include <cmath>
#include <span>
#include <stdexcept>
#include <utility>

#include <prefer/batch/pair_order.hpp>
#include <prefer/loss/kto.hpp>
#include <prefer/metrics/rewards.hpp>

#include "golden.hpp"
#include "golden_losses.hpp"
#include "golden_schema.hpp"

namespace golden {

namespace {

/// A column in the precision in which it is evaluated.
class numbers {
 public:
  numbers() = default;
  numbers(std::vector<double> values, precision stored)
      : stored_(stored), doubles_(std::move(values)), floats_(doubles_.begin(), doubles_.end()) {
    if (stored == precision::in_float) doubles_.assign(floats_.begin(), floats_.end());
  }
  [[nodiscard]] prefer::column column() const {
    return stored_ == precision::in_float ? prefer::column(floats_) : prefer::column(doubles_);
  }
  [[nodiscard]] double operator[](std::size_t i) const { return doubles_[i]; }
  [[nodiscard]] std::size_t size() const { return doubles_.size(); }
  [[nodiscard]] bool empty() const { return doubles_.empty(); }

 private:
  precision stored_ = precision::in_double;
  std::vector<double> doubles_;
  std::vector<float> floats_;
};

double total(std::vector<double> const& values) {
  double sum = 0.0;
  for (double const each : values) sum += each;
  return sum;
}

std::vector<double> picked(std::vector<double> const& from, std::vector<std::size_t> const& at) {
  std::vector<double> out;
  for (std::size_t const i : at) out.push_back(from.at(i));
  return out;
}

// ---- comparing

/// Compares the numbers of one case, and keeps what is off.
class comparison {
 public:
  comparison(golden_case const& row, tolerance const& allowed, outcome& into)
      : row_(&row), allowed_(&allowed), into_(&into) {}

  [[nodiscard]] bool has(char const* field) const { return row_->fields->contains(field); }

  /// Pair i has a score that is cut off: neither its numbers nor the mean can be those of the formula.
  void cut_off(std::size_t pair) {
    if (cut_.size() <= pair) cut_.resize(pair + 1);
    cut_[pair] = true;
  }

  void number(char const* field, quantity const& q, double got) {
    pair_ = cut_.size();
    compare(field, "", (*row_->fields)[field], q, got);
  }
  /// Element i of a field.
  void element(char const* field, std::size_t i, quantity const& q, double got) {
    pair_ = i;
    compare(field, std::to_string(i), at(field, i), q, got);
  }
  /// Element i of a field, or where that is a list per token every token's entry: each has the coefficient of the
  /// sum, times the weight of the token in it.
  void coefficient(char const* field, std::size_t i, quantity const& q, double got,
                   std::vector<double> const& token_weight = {}) {
    pair_ = i;
    json const& value = at(field, i);
    if (!value.is_array()) return compare(field, std::to_string(i), value, q, got);
    for (std::size_t t = 0; t < value.size(); ++t) {
      compare(field, std::to_string(i) + "." + std::to_string(t), value[t], q,
              got * (token_weight.empty() ? 1.0 : token_weight.at(t)));
    }
  }
  /// Entry t of element i.
  void number_at(char const* field, std::size_t i, std::size_t t, quantity const& q, double got) {
    pair_ = i;
    json const& value = at(field, i);
    if (!value.is_array() || t >= value.size()) {
      refuse(row_->place, std::string(field) + " is too short");
    }
    compare(field, std::to_string(i) + "." + std::to_string(t), value[t], q, got);
  }

 private:
  [[nodiscard]] json const& at(char const* field, std::size_t i) const {
    json const& values = member(*row_->fields, field, row_->place);
    if (!values.is_array() || i >= values.size()) {
      refuse(row_->place, std::string(field) + " is too short");
    }
    return values[i];
  }
  void compare(char const* field, std::string const& index, json const& expected, quantity q,
               double got) {
    q.expected = number_of(expected, row_->place + ", " + field);
    bool good = false;
    if (std::isfinite(q.expected)) {
      ++into_->numbers;
      good = std::fabs(got - q.expected) <= (*allowed_)(*row_, q);  // false for NaN
    } else {
      // What TRL could not compute, or what no double holds: ours may be finite, and is never NaN.
      good = std::isnan(q.expected) ? !std::isnan(got) : std::isfinite(got) || got == q.expected;
    }
    if (good) return;
    bool const of_cut_score = !cut_.empty() && (pair_ >= cut_.size() || cut_[pair_]);
    if (of_cut_score && !std::isnan(got)) {
      into_->status = status::saturated;
    } else {
      into_->mismatches.push_back({field, index, q.expected, got});
    }
  }

  golden_case const* row_;
  tolerance const* allowed_;
  outcome* into_;
  std::vector<bool> cut_;  // up to the last pair whose score is cut off
  std::size_t pair_ = 0;   // of the number that is compared; cut_.size() for a mean
};

// ---- pairs

/// One side of a batch of pairs.
struct side {
  numbers policy, reference, alignment;
  std::vector<double> length;
  std::vector<std::vector<double>> token_weight;  // in the sum over tokens; empty for 1
};

/// LD-DPO: tokens behind the length of the shorter completion count `alpha`.
std::vector<std::vector<double>> length_weights(std::vector<std::vector<double>> const& own,
                                                std::vector<std::vector<double>> const& other,
                                                double alpha) {
  std::vector<std::vector<double>> out;
  for (std::size_t i = 0; i < own.size(); ++i) {
    std::vector<double> weight(own[i].size(), 1.0);
    for (std::size_t t = other[i].size(); t < weight.size(); ++t) weight[t] = alpha;
    out.push_back(std::move(weight));
  }
  return out;
}

/// Sums over tokens, each with its weight.
std::vector<double> weighted_sums(std::vector<std::vector<double>> const& tokens,
                                  std::vector<std::vector<double>> const& weight) {
  std::vector<double> out;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    double sum = 0.0;
    for (std::size_t t = 0; t < tokens[i].size(); ++t) sum += weight[i][t] * tokens[i][t];
    out.push_back(sum);
  }
  return out;
}

struct pairs {
  side chosen, rejected;

  [[nodiscard]] std::size_t size() const { return chosen.policy.size(); }
  [[nodiscard]] prefer::pair_columns columns() const {
    prefer::pair_columns out{
        .policy = {chosen.policy.column(), rejected.policy.column()},
        .reference = {chosen.reference.column(), rejected.reference.column()},
        .length = {prefer::column(chosen.length), prefer::column(rejected.length)}};
    if (!chosen.alignment.empty()) {
      out.alignment = {chosen.alignment.column(), rejected.alignment.column()};
    }
    return out;
  }
};

/// The names that a golden file has for one side.
struct side_names {
  char const *policy, *reference, *length, *log_sum_of_squares;
};
constexpr side_names chosen_names = {"policy_chosen", "ref_chosen", "chosen_len", "lssp_chosen"};
constexpr side_names rejected_names = {"policy_rejected", "ref_rejected", "rejected_len",
                                       "lssp_rejected"};

/// Without a reference its log-probabilities are 0, and without lengths values are taken as averages: completions of
/// one token.
side side_of(golden_case const& row, side_names const& own, side_names const& other,
             precision stored) {
  side out;
  bool const referenced = row.has_input(own.reference) && row.value("reference_free", 0.0) == 0.0;
  auto policy = row.input(own.policy);
  std::vector<double> reference(policy.size());
  if (referenced) reference = row.input(own.reference);
  out.length = row.tokens(own.policy, own.length);
  if (row.has("ld_alpha") && row.per_token()) {
    auto const tokens = row.token_input(own.policy);
    out.token_weight =
        length_weights(tokens, row.token_input(other.policy), row.value("ld_alpha", 1.0));
    policy = weighted_sums(tokens, out.token_weight);
    reference = weighted_sums(row.token_input(own.reference), out.token_weight);
  }
  if (row.has_input(own.log_sum_of_squares)) {
    // WPO's alignment: per token, how likely it is, over how likely the policy's own tokens are.
    std::vector<double> alignment = row.input(own.log_sum_of_squares);
    auto const sums = row.input(own.policy);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      alignment[i] = (sums[i] - alignment[i]) / out.length[i];
    }
    out.alignment = numbers(std::move(alignment), stored);
  }
  if (out.length.empty()) out.length.assign(policy.size(), 1.0);
  out.policy = numbers(std::move(policy), stored);
  out.reference = numbers(std::move(reference), stored);
  return out;
}

pairs pairs_of(golden_case const& row, precision stored) {
  return {side_of(row, chosen_names, rejected_names, stored),
          side_of(row, rejected_names, chosen_names, stored)};
}

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

/// Sizes that the tolerance of pair i needs.
void measure(quantity& q, pair_meaning const& loss, pairs const& data, std::size_t i) {
  q.magnitude = 0.0;
  q.stretch = loss.score ? 0.0 : 1.0;
  q.input_size = 0.0;
  q.weight = 1.0;
  q.exponent = 0.0;
  for (side const* each : {&data.chosen, &data.rejected}) {
    double const length = each->length[i];
    double const size = std::fabs(each->policy[i]) + std::fabs(each->reference[i]);
    if (loss.score) {
      // Scores of sequences are divided by the length; rewards and odds are those of an average already.
      bool const of_average = loss.shape == "simpo" || loss.shape == "odds_ratio";
      double const before = of_average ? length : 1.0;
      double const after = loss.averages && !of_average ? length : 1.0;
      auto const at = loss.score((each->policy[i] - each->reference[i]) / before);
      double const moved = of_average && loss.shape == "odds_ratio"
                               ? size / before + 1.0  // |a| / (1 - exp(a)) <= |a| + 1
                               : at.slope * size / before;
      q.magnitude += (moved + std::fabs(at.value) + 2.0) / after;
      q.stretch = std::fmax(q.stretch, at.slope);
      q.input_size = std::fmax(q.input_size, size / before);
    } else {
      q.magnitude += size / (loss.averages ? length : 1.0);
    }
    if (!each->alignment.empty()) q.exponent += std::fabs(each->alignment[i]);
  }
  if (!data.chosen.alignment.empty() && loss.name.rfind("wpo", 0) == 0) {
    q.weight = std::exp(data.chosen.alignment[i] + data.rejected.alignment[i]);
  } else {
    q.exponent = 0.0;
  }
}

/// The largest of everything: for a mean.
void enlarge(quantity& largest, quantity const& q) {
  largest.magnitude = std::fmax(largest.magnitude, q.magnitude);
  largest.stretch = std::fmax(largest.stretch, q.stretch);
  largest.input_size = std::fmax(largest.input_size, q.input_size);
  largest.weight = std::fmax(largest.weight, q.weight);
  largest.exponent = std::fmax(largest.exponent, q.exponent);
}

struct sized {
  std::vector<quantity> each;
  quantity mean;
};

sized sizes_of(trl_loss const& trl, pair_meaning const& loss, pairs const& data) {
  quantity q{.beta = trl.beta, .nll_weight = trl.nll_weight, .shape = loss.shape};
  if (trl.type == "sigmoid+sft" || trl.type == "sigmoid+bco_pair+sft") {
    q.nll_weight = trl.weights.back();
  }
  if (trl.type == "orpo") q.nll_weight = 1.0;
  if (trl.family == "xpo") q.nll_weight = trl.optimism;
  sized out{.each = std::vector<quantity>(data.size(), q), .mean = q};
  out.mean.weight = 0.0;
  out.mean.batch = static_cast<double>(data.size());
  for (auto& one : out.each) {
    measure(one, loss, data, static_cast<std::size_t>(&one - out.each.data()));
    enlarge(out.mean, one);
  }
  if (loss.shape == "aot") {
    // A pair is held against another one's margin.
    for (auto& one : out.each) one.magnitude += out.mean.magnitude;
    out.mean.magnitude *= 2.0;
  }
  return out;
}

/// Tells which pairs the old trainer cut: their scores hold exponentials beyond exp(709.7827), where it stops and ours
/// go on.
void tell_cut_off(golden_case const& row, comparison& compare, pair_meaning const& loss,
                  pairs const& data) {
  if (!loss.score || row.family != "dpo_legacy" || row.exact) return;
  for (std::size_t i = 0; i < data.size(); ++i) {
    for (side const* each : {&data.chosen, &data.rejected}) {
      auto const at = loss.score(each->policy[i] - each->reference[i]);
      if (std::fabs(at.value) > 1e299) compare.cut_off(i);
    }
  }
}

/// What prefer::metrics says of one completion, and how TRL's trainers log it.
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

/// TRL logs beta * log_ratio for every loss with a reference in its inputs, even where the loss does without.
void compare_rewards(comparison& compare, golden_case const& row, pair_meaning const& loss,
                     pairs const& data, double beta, precision stored) {
  if (!compare.has("chosen_rewards") || loss.name == "alphapo") return;  // AlphaPO's are curved
  bool const per_token =
      loss.averages && (row.family == "cpo" || row.family == "orpo" || row.family == "tpo");
  auto const of_side = [&](char const* field, side const& own, char const* reference_name) {
    numbers reference = own.reference;
    if (row.has_input(reference_name) && own.token_weight.empty()) {
      reference = numbers(row.input(reference_name), stored);
    }
    for (std::size_t i = 0; i < own.policy.size(); ++i) {
      compare_reward(compare, field, i, own.policy[i], reference[i], own.length[i],
                     {.beta = beta, .per_token = per_token});
    }
  };
  of_side("chosen_rewards", data.chosen, "ref_chosen");
  of_side("rejected_rewards", data.rejected, "ref_rejected");
}

/// Where TRL's k-th value per pair is to be found here: AOT's is of rank k there, of pair i here.
std::vector<std::size_t> value_order(golden_case const& row, pairs const& data) {
  std::size_t const n = data.size();
  std::vector<std::size_t> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = i;
  bool const paired = row.loss_type == "aot";
  if (!paired && row.loss_type != "aot_unpaired") return out;
  side const& against = paired ? data.rejected : data.chosen;
  auto const by_rank = prefer::ascending_order(n, [&](std::size_t i) {
    return data.chosen.policy[i] - (paired ? against.policy[i] : against.reference[i]);
  });
  out.assign(by_rank.begin(), by_rank.end());
  return out;
}

void compare_pairs(golden_case const& row, trl_loss trl, precision stored, tolerance const& allowed,
                   outcome& into) {
  auto const data = pairs_of(row, stored);
  std::size_t const count = data.size();
  numbers prompt;
  if (row.has_input("prompt_chosen")) {
    prompt = numbers(row.input("prompt_chosen"), stored);
    double tokens = total(data.chosen.length);
    for (auto const& each : row.token_input("prompt_chosen")) {
      tokens += static_cast<double>(each.size());
    }
    trl.pairs_per_token = static_cast<double>(count) / tokens;
  }
  auto const loss = pair_loss_of(trl);
  into.meaning = loss.name;
  if (!loss.objective) return;
  into.status = status::passed;

  auto const columns = data.columns();
  auto const preference = loss.preference(columns);
  auto const objective = loss.objective(columns);
  auto const sizes = sizes_of(trl, loss, data);
  comparison compare(row, allowed, into);
  tell_cut_off(row, compare, loss, data);

  double nll = 0.0;
  quantity mean = sizes.mean;
  double prompt_loss = 0.0;
  std::vector<double> prompt_coefficient;
  if (!prompt.empty()) {
    auto const of_prompts =
        nll_times(trl.pairs_per_token, {.policy = {prompt.column(), prompt.column()}});
    prompt_loss = of_prompts.loss;
    prompt_coefficient = of_prompts.coefficient.chosen;
    nll = nll_times(trl.pairs_per_token, columns).loss + prompt_loss;
    for (std::size_t i = 0; i < count; ++i) {
      mean.magnitude =
          std::fmax(mean.magnitude, std::fabs(data.chosen.policy[i]) + std::fabs(prompt[i]));
    }
  } else if (trl.nll_weight != 0.0) {  // without a weight TRL reports 0 and computes nothing
    nll = nll_of_batch(columns).loss;
    for (std::size_t i = 0; i < count; ++i) {
      mean.magnitude = std::fmax(mean.magnitude, std::fabs(data.chosen.policy[i]));
    }
  }
  compare.number("loss", mean, objective.loss + prompt_loss);
  if (compare.has("nll") && nll != 0.0) {
    compare.number(
        "nll", {.kind = quantity_kind::statistic, .magnitude = mean.magnitude, .batch = mean.batch},
        nll);
  }
  if (compare.has("log_odds_ratio")) {  // TRL's name for the mean of log sigmoid
    compare.number("log_odds_ratio",
                   {.kind = quantity_kind::statistic, .magnitude = mean.magnitude + 1.0},
                   -objective.loss / trl.beta);
  }
  // The old trainer adds the batch's NLL to every pair's value.
  double const in_values = row.family == "dpo_legacy" ? trl.nll_weight * nll : 0.0;
  auto const order = value_order(row, data);
  for (std::size_t i = 0; i < count; ++i) {
    quantity q = sizes.each[i];
    if (in_values != 0.0) q.magnitude = std::fmax(q.magnitude, mean.magnitude);
    if (compare.has("per_pair_loss")) {
      quantity value = sizes.each[order[i]];
      value.magnitude = in_values != 0.0 ? mean.magnitude : value.magnitude;
      compare.element("per_pair_loss", i, value, preference.value[order[i]] + in_values);
    }
    q.kind = quantity_kind::coefficient;
    q.batch = static_cast<double>(count);
    compare.coefficient(
        "grad_chosen", i, q, objective.coefficient.chosen[i],
        data.chosen.token_weight.empty() ? std::vector<double>{} : data.chosen.token_weight[i]);
    compare.coefficient(
        "grad_rejected", i, q, objective.coefficient.rejected[i],
        data.rejected.token_weight.empty() ? std::vector<double>{} : data.rejected.token_weight[i]);
    if (!prompt.empty()) {
      compare.coefficient("grad_prompt_chosen", i,
                          {.kind = quantity_kind::coefficient,
                           .batch = q.batch,
                           .nll_weight = 1.0,
                           .shape = "nll_per_batch_token"},
                          prompt_coefficient[i]);
    }
  }
  compare_rewards(compare, row, loss, data, trl.beta, stored);
}

/// Flat answers, of which the row says which won.
void compare_online(golden_case const& row, trl_loss const& trl, precision stored,
                    tolerance const& allowed, outcome& into) {
  auto const index = [&](char const* name) {
    return member(*row.fields, name, row.place).get<std::vector<std::size_t>>();
  };
  auto const chosen = index("chosen_index");
  auto const rejected = index("rejected_index");
  auto const side_at = [&](std::vector<std::size_t> const& at) {
    side out;
    out.policy = numbers(picked(row.input("policy"), at), stored);
    out.reference = numbers(picked(row.input("ref"), at), stored);
    out.length.assign(at.size(), 1.0);
    return out;
  };
  pairs const data{side_at(chosen), side_at(rejected)};
  auto const loss = pair_loss_of(trl);
  into.meaning = loss.name;
  if (!loss.objective) return;
  into.status = status::passed;
  auto const result = loss.objective(data.columns());
  auto const sizes = sizes_of(trl, loss, data);
  comparison compare(row, allowed, into);
  compare.number("loss", sizes.mean, result.loss);
  for (std::size_t i = 0; i < data.size(); ++i) {
    quantity q = sizes.each[i];
    compare.element("per_pair_loss", i, q, result.value[i]);
    q.kind = quantity_kind::coefficient;
    q.batch = sizes.mean.batch;
    compare.coefficient("grad_policy", chosen[i], q, result.coefficient.chosen[i]);
    compare.coefficient("grad_policy", rejected[i], q, result.coefficient.rejected[i]);
  }
  compare_rewards(compare, row, loss, data, trl.beta, stored);
}

/// One answer of the policy, one of the reference; the row says which won.
void compare_xpo(golden_case const& row, trl_loss const& trl, precision stored,
                 tolerance const& allowed, outcome& into) {
  auto const y_wins = row.input("y_is_chosen");
  std::size_t const count = y_wins.size();
  auto const side_where = [&](double wins) {
    auto const pick = [&](char const* y, char const* yref) {
      auto const own = row.input(y);
      auto out = row.input(yref);
      for (std::size_t i = 0; i < count; ++i) {
        if (y_wins[i] == wins) out[i] = own[i];
      }
      return numbers(std::move(out), stored);
    };
    side out;
    out.policy = pick("policy_y", "policy_yref");
    out.reference = pick("ref_y", "ref_yref");
    out.length.assign(count, 1.0);
    return out;
  };
  pairs const data{side_where(1.0), side_where(0.0)};
  std::vector<double> from_reference;
  for (double const wins : y_wins) from_reference.push_back(1.0 - wins);
  auto columns = data.columns();
  columns.chosen_from_reference = from_reference;

  auto const loss = pair_loss_of(trl);
  into.meaning = loss.name;
  if (!loss.objective) return;
  into.status = status::passed;
  auto const preference = loss.preference(columns);
  auto const objective = loss.objective(columns);
  auto const optimism = optimism_of(trl).objective(columns);
  auto const sizes = sizes_of(trl, loss, data);
  comparison compare(row, allowed, into);
  compare.number("loss", sizes.mean, objective.loss);
  for (std::size_t i = 0; i < count; ++i) {
    quantity q = sizes.each[i];
    compare.element("per_pair_loss", i, q, preference.value[i]);
    compare.element("per_pair_xpo", i,
                    {.magnitude = q.magnitude, .nll_weight = trl.optimism, .shape = "optimism"},
                    optimism.value[i]);
    q.kind = quantity_kind::coefficient;
    q.batch = sizes.mean.batch;
    bool const y_chosen = y_wins[i] == 1.0;
    double const chosen = objective.coefficient.chosen[i];
    double const rejected = objective.coefficient.rejected[i];
    compare.coefficient("grad_y", i, q, y_chosen ? chosen : rejected);
    compare.coefficient("grad_yref", i, q, y_chosen ? rejected : chosen);
  }
}

/// Lists of gold, chosen, rejected.
void compare_tpo(golden_case const& row, trl_loss const& trl, precision stored,
                 tolerance const& allowed, outcome& into) {
  auto const data = pairs_of(row, stored);
  std::size_t const count = data.size();
  numbers const gold(row.input("policy_gold"), stored);
  auto const gold_length = row.tokens("policy_gold", "gold_len");
  double const gold_tokens = total(gold_length);

  auto const as_lists = tpo_loss_of(trl);
  auto as_pairs = pair_loss_of(trl);
  if (as_lists.objective) {
    as_pairs.name = as_lists.name;
    as_pairs.shape = as_lists.shape;
    as_pairs.averages = as_lists.averages;
  } else if (as_pairs.objective && trl.nll_weight != 0.0) {
    as_pairs.name += " + w nll_per_batch_token of gold";
  }
  into.meaning = as_pairs.name;
  if (!as_lists.objective && !as_pairs.objective) return;
  into.status = status::passed;

  double loss = 0.0;
  std::vector<double> value;
  std::vector<double> of_chosen, of_rejected, of_gold;
  if (as_lists.objective) {
    std::vector<double> policy, length;
    std::vector<std::size_t> offset = {0};
    for (std::size_t i = 0; i < count; ++i) {
      policy.insert(policy.end(), {gold[i], data.chosen.policy[i], data.rejected.policy[i]});
      length.insert(length.end(), {gold_tokens / static_cast<double>(count), data.chosen.length[i],
                                   data.rejected.length[i]});
      offset.push_back(policy.size());
    }
    numbers const stored_policy(std::move(policy), stored);
    prefer::list_columns const columns{
        .policy = stored_policy.column(), .length = length, .offset = offset};
    auto const result = as_lists.objective(columns);
    loss = result.loss;
    value = as_lists.preference(columns).value;
    for (std::size_t i = 0; i < count; ++i) {
      of_gold.push_back(result.coefficient[3 * i]);
      of_chosen.push_back(result.coefficient[3 * i + 1]);
      of_rejected.push_back(result.coefficient[3 * i + 2]);
    }
  } else {
    auto const result = as_pairs.objective(data.columns());
    auto const likelihood = nll_times(trl.nll_weight * static_cast<double>(count) / gold_tokens,
                                      {.policy = {gold.column(), gold.column()}});
    loss = result.loss + likelihood.loss;
    value = result.value;
    of_gold = likelihood.coefficient.chosen;
    of_chosen = result.coefficient.chosen;
    of_rejected = result.coefficient.rejected;
  }

  auto const sizes = sizes_of(trl, as_pairs, data);
  comparison compare(row, allowed, into);
  quantity mean = sizes.mean;
  for (std::size_t i = 0; i < count; ++i) {
    mean.magnitude = std::fmax(mean.magnitude, std::fabs(gold[i]));
  }
  compare.number("loss", mean, loss);
  for (std::size_t i = 0; i < count; ++i) {
    quantity q = sizes.each[i];
    compare.element("per_pair_loss", i, q, value[i]);
    q.kind = quantity_kind::coefficient;
    q.batch = sizes.mean.batch;
    compare.coefficient("grad_chosen", i, q, of_chosen[i]);
    compare.coefficient("grad_rejected", i, q, of_rejected[i]);
    if (compare.has("grad_gold")) {
      compare.coefficient("grad_gold", i,
                          {.kind = quantity_kind::coefficient,
                           .batch = q.batch,
                           .nll_weight = trl.nll_weight,
                           .shape = "nll_per_batch_token"},
                          of_gold[i]);
    }
  }
  compare_rewards(compare, row, as_pairs, data, trl.beta, stored);
}

// ---- labelled completions

double size_at(numbers const& policy, numbers const& reference, std::size_t i) {
  return std::fabs(policy[i]) + std::fabs(reference[i]);
}

double mean_size(numbers const& policy, numbers const& reference) {
  double sum = 0.0;
  for (std::size_t i = 0; i < policy.size(); ++i) sum += size_at(policy, reference, i);
  return sum / static_cast<double>(policy.size());
}

void compare_kto(golden_case const& row, trl_loss const& trl, precision stored,
                 tolerance const& allowed, outcome& into) {
  bool const anchored = trl.type == "kto";
  into.meaning = trl.type;
  if (!anchored && trl.type != "apo_zero_unpaired") {
    into.meaning = no_such_loss;
    return;
  }
  into.status = status::passed;
  double const desirable_weight = row.value("desirable_weight", 1.0);
  double const undesirable_weight = row.value("undesirable_weight", 1.0);
  numbers const policy(row.input("policy"), stored);
  numbers const reference(row.input("ref"), stored);
  auto const label = row.input("label");
  numbers const kl_policy(row.input("kl_policy"), stored);
  numbers const kl_reference(row.input("kl_ref"), stored);
  prefer::unpaired_columns const columns{
      .policy = policy.column(),
      .reference = reference.column(),
      .label = label,
      .kl_examples = {.policy = kl_policy.column(), .reference = kl_reference.column()}};
  auto const result = evaluate_kto(trl, desirable_weight, undesirable_weight, columns);

  comparison compare(row, allowed, into);
  double const baseline = anchored ? mean_size(kl_policy, kl_reference) : 0.0;
  quantity q{.beta = trl.beta,
             .batch = static_cast<double>(policy.size()),
             .weight = std::fmax(desirable_weight, undesirable_weight),
             .shape = "kto"};
  for (std::size_t i = 0; i < policy.size(); ++i) {
    q.magnitude = std::fmax(q.magnitude, baseline + size_at(policy, reference, i));
  }
  compare.number("loss", q, result.loss);
  for (std::size_t i = 0; i < policy.size(); ++i) {
    q.magnitude = baseline + size_at(policy, reference, i);
    q.kind = quantity_kind::loss;
    q.batch = 1.0;
    compare.element("per_example_loss", i, q, result.value[i]);
    q.kind = quantity_kind::coefficient;
    q.batch = static_cast<double>(policy.size());
    compare.coefficient("grad_policy", i, q, result.coefficient[i]);
    if (compare.has("rewards")) {
      compare_reward(compare, "rewards", i, policy[i], reference[i], 1.0, {.beta = trl.beta});
    }
  }
  if (compare.has("kl")) {
    prefer::nothing memory;
    // The other loss has no baseline, and TRL reports 0.
    double const kl = anchored ? prefer::prepare(prefer::kto{}, columns, memory).baseline : 0.0;
    compare.number("kl", {.kind = quantity_kind::statistic, .magnitude = baseline}, kl);
  }
}

void compare_bco(golden_case const& row, trl_loss const& trl, precision stored,
                 tolerance const& allowed, run_so_far& run, outcome& into) {
  into.meaning = "bco";
  into.status = status::passed;
  // Desirable examples first.
  auto const joined = [&](char const* desirable, char const* undesirable) {
    auto out = row.input(desirable);
    auto const rest = row.input(undesirable);
    out.insert(out.end(), rest.begin(), rest.end());
    return numbers(std::move(out), stored);
  };
  numbers const policy = joined("policy_chosen", "policy_rejected");
  numbers const reference = joined("ref_chosen", "ref_rejected");
  std::size_t const count = policy.size();
  std::size_t const desirable = row.input("policy_chosen").size();
  auto const probability = row.input("prob_desirable");
  std::vector<double> label(count);
  std::vector<double> weight(count, 1.0);
  for (std::size_t i = 0; i < count; ++i) {
    label[i] = i < desirable ? 1.0 : 0.0;
    if (i >= desirable && row.value("density_ratio", 0.0) != 0.0) {
      // TRL divides by 1 - p + 1e-8.
      weight[i] = prefer::density_ratio_weight(probability.at(i - desirable) / (1.0 + 1e-8),
                                               row.value("min_density_ratio", 0.5),
                                               row.value("max_density_ratio", 10.0));
    }
    run.largest = std::fmax(run.largest, size_at(policy, reference, i));
  }
  auto const result = evaluate_bco(trl,
                                   {.policy = policy.column(),
                                    .reference = reference.column(),
                                    .label = label,
                                    .weight = weight},
                                   run.memory);

  comparison compare(row, allowed, into);
  quantity q{.beta = trl.beta,
             .magnitude = 2.0 * run.largest,  // of the reward and of the threshold
             .batch = static_cast<double>(count),
             .weight = 0.0,
             .shape = "bco"};
  for (double const each : weight) q.weight = std::fmax(q.weight, each);
  compare.number("loss", q, result.loss);
  for (std::size_t i = 0; i < count; ++i) {
    q.weight = weight[i];
    q.kind = quantity_kind::loss;
    q.batch = 1.0;
    compare.element("per_example_loss", i, q, result.value[i]);
    q.kind = quantity_kind::coefficient;
    q.batch = static_cast<double>(count);
    bool const chosen = i < desirable;
    compare.coefficient(chosen ? "grad_chosen" : "grad_rejected", chosen ? i : i - desirable, q,
                        result.coefficient[i]);
    compare_reward(compare, chosen ? "chosen_rewards" : "rejected_rewards",
                   chosen ? i : i - desirable, policy[i], reference[i], 1.0, {.beta = trl.beta});
  }
  quantity const statistic{
      .kind = quantity_kind::statistic, .beta = trl.beta, .magnitude = 2.0 * run.largest};
  compare.number("delta", statistic, run.memory.mean);
  compare.number("running_std", statistic, run.memory.standard_deviation());
}

// ---- tokens

void compare_nash_md(golden_case const& row, trl_loss const& trl, precision stored,
                     tolerance const& allowed, outcome& into) {
  into.meaning = "nash_md";
  into.status = status::passed;
  auto const tokens = row.token_input("policy");
  auto const reference_tokens = row.token_input("ref");
  auto const probability = row.input("probability");
  std::vector<double> flat_policy, flat_reference, score;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    flat_policy.insert(flat_policy.end(), tokens[i].begin(), tokens[i].end());
    flat_reference.insert(flat_reference.end(), reference_tokens.at(i).begin(),
                          reference_tokens.at(i).end());
    score.insert(score.end(), tokens[i].size(), probability.at(i));
  }
  numbers const policy(std::move(flat_policy), stored);
  numbers const reference(std::move(flat_reference), stored);
  auto const result = evaluate_nash_md(
      trl, {.policy = policy.column(), .reference = reference.column(), .score = score});
  // At the reference the KL term is 0, and what is left is minus TRL's score.
  auto const without_kl = evaluate_nash_md(
      trl, {.policy = policy.column(), .reference = policy.column(), .score = score});

  comparison compare(row, allowed, into);
  double const completions = static_cast<double>(tokens.size());
  quantity q{.beta = trl.beta, .batch = completions, .shape = "nash_md"};
  double loss = 0.0;
  double whole = 0.0;  // sum of the completions' magnitudes
  std::size_t at = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    double own_score = 0.0;
    quantity sum = q;
    for (std::size_t t = 0; t < tokens[i].size(); ++t, ++at) {
      loss += result.value[at];
      own_score -= without_kl.value[at];
      double const size = size_at(policy, reference, at);
      q.kind = quantity_kind::coefficient;
      q.magnitude = trl.beta * size + 1.0;  // of what multiplies the token's log-probability
      compare.number_at("grad_policy", i, t, q, result.coefficient[at] / completions);
      sum.magnitude += (trl.beta * size + 1.0) * std::fabs(policy[at]);
    }
    sum.batch = 1.0;
    compare.element("score", i, sum, own_score);
    whole += sum.magnitude;
    // TRL's kl: the log-ratio of the completion, at beta = 1 its reward.
    double own_policy = 0.0;
    double own_reference = 0.0;
    for (std::size_t t = at - tokens[i].size(); t < at; ++t) {
      own_policy += policy[t];
      own_reference += reference[t];
    }
    compare_reward(compare, "kl", i, own_policy, own_reference, 1.0, {.beta = 1.0});
  }
  q.kind = quantity_kind::loss;
  q.magnitude = whole / completions;
  compare.number("loss", q, loss / completions);
}

}  // namespace

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
