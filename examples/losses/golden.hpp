// SPDX-License-Identifier: MIT
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <prefer/data/lines.hpp>
#include <prefer/objective/metrics.hpp>
#include <prefer/prefer.hpp>

// Golden files: what another implementation says of a loss (schema: tests/golden/README.md), and which of our
// losses means the same. `losses --check` and tests/golden share this header, so both go through
// prefer::evaluate in the same way.

namespace golden {

using json = nlohmann::json;

/// One golden file. Cases refer to its inputs by name.
struct golden_file {
  std::string path;
  json content;
};

namespace detail {

[[noreturn]] inline void refuse(std::string const& place, std::string const& reason) {
  prefer::detail::fail(prefer::backend_error("golden", place, reason));
}

inline json const& member(json const& object, char const* name, std::string const& place) {
  if (!object.is_object()) refuse(place, "expected a JSON object");
  auto const found = object.find(name);
  if (found == object.end()) refuse(place, std::string("field \"") + name + "\" is missing");
  return *found;
}

/// A number, or one of the strings "nan", "inf", "-inf".
inline double number_of(json const& value, std::string const& place) {
  if (value.is_number()) return value.get<double>();
  if (value == "nan") return std::nan("");
  if (value == "inf") return HUGE_VAL;
  if (value == "-inf") return -HUGE_VAL;
  refuse(place, "found " + value.dump() + "; expected a number, \"nan\", \"inf\" or \"-inf\"");
}

inline std::string text_of(json const& object, char const* name, std::string const& place) {
  json const& value = member(object, name, place);
  if (!value.is_string()) refuse(place, std::string("field \"") + name + "\" is not a string");
  return value.get<std::string>();
}

}  // namespace detail

/// Reads a golden file and checks its outline.
///
/// Errors  backend_error naming the file and, for broken JSON, the line
inline golden_file read(std::string const& path) {
  std::string content;
  prefer::data::file_bytes bytes(prefer::data::place{"golden", path, 0});
  char room[1 << 14];
  while (std::size_t const got = bytes.read(room, sizeof room)) content.append(room, got);
  if (content.empty()) detail::refuse(path, "there is nothing in it; expected a golden file");
  golden_file out{path, {}};
  try {
    out.content = json::parse(content);
  } catch (json::parse_error const& error) {
    std::size_t const read = error.byte < content.size() ? error.byte : content.size();
    std::size_t line = 1;
    for (std::size_t i = 0; i < read; ++i) line += content[i] == '\n' ? 1 : 0;
    detail::refuse(path + ":" + std::to_string(line),
                   read == content.size() ? "truncated: the file ends inside its JSON"
                                          : "not valid JSON; expected a golden file");
  }
  detail::text_of(out.content, "family", path);
  if (!detail::member(out.content, "inputs", path).is_object()) {
    detail::refuse(path, "field \"inputs\" is not an object");
  }
  if (!detail::member(out.content, "cases", path).is_array()) {
    detail::refuse(path, "field \"cases\" is not a list");
  }
  return out;
}

/// One case of a golden file; refers to it.
struct golden_case {
  std::string id;
  std::string
      family;  // of the inputs and the formula: rows of exact_edges belong to another file's family
  std::string loss_type;
  std::string inputs_name;
  std::string place;   // for messages
  bool exact = false;  // 60-digit values, where TRL's double fails
  bool finite = true;
  json const* hyper = nullptr;
  json const* inputs = nullptr;
  json const* fields = nullptr;

  /// A hyper-parameter; `otherwise` where the case lacks it or has null.
  [[nodiscard]] double value(char const* name, double otherwise) const {
    auto const found = hyper->find(name);
    if (found == hyper->end() || found->is_null()) return otherwise;
    if (found->is_boolean()) return found->get<bool>() ? 1.0 : 0.0;
    return detail::number_of(*found, place + ", hyper." + name);
  }
  [[nodiscard]] std::string text(char const* name, std::string const& otherwise) const {
    auto const found = hyper->find(name);
    return found == hyper->end() ? otherwise : found->get<std::string>();
  }
  [[nodiscard]] bool has_input(char const* name) const { return inputs->contains(name); }
  /// An input; token log-probabilities are added up.
  [[nodiscard]] std::vector<double> input(char const* name) const {
    std::vector<double> out;
    for (auto const& element : detail::member(*inputs, name, place)) {
      if (element.is_boolean()) {
        out.push_back(element.get<bool>() ? 1.0 : 0.0);
      } else if (element.is_array()) {
        double sum = 0.0;
        for (auto const& token : element) sum += detail::number_of(token, place);
        out.push_back(sum);
      } else {
        out.push_back(detail::number_of(element, place));
      }
    }
    return out;
  }
  [[nodiscard]] bool per_token() const {
    auto const found = inputs->find("policy_chosen");
    return found != inputs->end() && !found->empty() && found->front().is_array();
  }
  /// Tokens of each completion where the row has tokens or counts them, else empty.
  [[nodiscard]] std::vector<double> tokens(char const* policy, char const* length) const {
    if (has_input(length)) return input(length);
    std::vector<double> out;
    if (per_token()) {
      for (auto const& row : detail::member(*inputs, policy, place)) {
        out.push_back(static_cast<double>(row.size()));
      }
    }
    return out;
  }
};

inline std::vector<golden_case> cases_of(golden_file const& file) {
  std::vector<golden_case> out;
  std::string const family = detail::text_of(file.content, "family", file.path);
  json const& inputs = file.content["inputs"];
  for (auto const& fields : file.content["cases"]) {
    golden_case one;
    one.place = file.path + ", case " + std::to_string(out.size());
    one.id = detail::text_of(fields, "id", one.place);
    one.place = file.path + ", case " + one.id;
    one.loss_type = detail::text_of(fields, "loss_type", one.place);
    one.inputs_name = detail::text_of(fields, "inputs", one.place);
    one.family =
        family == "exact_edges" ? one.inputs_name.substr(0, one.inputs_name.find('/')) : family;
    one.exact = detail::text_of(fields, "source", one.place) == "formula";
    json const& finite = detail::member(fields, "finite", one.place);
    if (!finite.is_boolean()) detail::refuse(one.place, "field \"finite\" is not true or false");
    one.finite = finite.get<bool>();
    one.hyper = &detail::member(fields, "hyper", one.place);
    if (!one.hyper->is_object()) detail::refuse(one.place, "field \"hyper\" is not an object");
    one.inputs = &detail::member(inputs, one.inputs_name.c_str(), one.place + ", inputs");
    one.fields = &fields;
    out.push_back(std::move(one));
  }
  return out;
}

/// What is compared: how its rounding behaves follows from which of these it is.
enum class quantity_kind {
  loss,         // of a pair, an example, or the mean of them
  coefficient,  // d mean loss / d log_prob
  statistic     // a reward, a baseline, an NLL: the inputs times a constant
};

/// A number that a golden file holds, as the tolerance sees it.
struct quantity {
  quantity_kind kind = quantity_kind::loss;
  double expected = 0.0;
  double beta = 1.0;
  double magnitude =
      0.0;  // sum of the sizes of the log-probabilities (per token where the loss averages)
  double batch = 1.0;       // examples behind the number
  double nll_weight = 0.0;  // of the NLL term per token of the batch, if it has one
};

struct mismatch {
  std::string field;
  std::string index;  // "", "3", "3.7"
  double expected = 0.0;
  double got = 0.0;
};

enum class status { passed, failed, not_covered, not_finite };

/// What became of one case.
struct outcome {
  golden::status status = status::not_covered;
  std::string meaning;  // our expression, or the reason why there is none
  std::vector<mismatch> mismatches = {};
  std::size_t numbers = 0;  // compared
};

/// The tolerance of the golden files' README: what separates two careful double computations.
struct double_tolerance {
  bool exact = false;

  template <class L>
  [[nodiscard]] double operator()(L const&, quantity const& q) const {
    double const size = std::fabs(q.expected);
    // Below 1e-290 digits are lost to subnormal numbers.
    if (exact) return 1e-10 * size + (size < 1e-290 ? 1e-290 : 0.0);
    return 1e-12 * size + 2e-15 * (q.beta > 1.0 ? q.beta : 1.0);
  }
};

namespace detail {

/// Columns of pairs in the precision in which they are evaluated.
template <class Real>
struct pair_data {
  std::vector<Real> policy_chosen, policy_rejected, ref_chosen, ref_rejected;
  std::vector<double> length_chosen, length_rejected;

  [[nodiscard]] prefer::pair_columns columns() const {
    return {.policy = {.chosen = policy_chosen, .rejected = policy_rejected},
            .reference = {.chosen = ref_chosen, .rejected = ref_rejected},
            .length = {.chosen = length_chosen, .rejected = length_rejected}};
  }
};

template <class Real>
std::vector<Real> converted(std::vector<double> const& values) {
  return std::vector<Real>(values.begin(), values.end());
}

inline std::vector<double> picked(std::vector<double> const& from, std::vector<double> const& at) {
  std::vector<double> out;
  for (double const i : at) out.push_back(from.at(static_cast<std::size_t>(i)));
  return out;
}

/// The pairs of a case. Without a reference its log-probabilities are 0, and without lengths values are
/// taken as averages: completions of one token.
template <class Real>
pair_data<Real> pairs_of(golden_case const& row) {
  pair_data<Real> out;
  auto const column = [&](char const* name) { return converted<Real>(row.input(name)); };
  if (row.family == "online_dpo") {  // flat answers; the row says who won
    auto const chosen = member(*row.fields, "chosen_index", row.place).get<std::vector<double>>();
    auto const rejected =
        member(*row.fields, "rejected_index", row.place).get<std::vector<double>>();
    out.policy_chosen = converted<Real>(picked(row.input("policy"), chosen));
    out.policy_rejected = converted<Real>(picked(row.input("policy"), rejected));
    out.ref_chosen = converted<Real>(picked(row.input("ref"), chosen));
    out.ref_rejected = converted<Real>(picked(row.input("ref"), rejected));
  } else {
    out.policy_chosen = column("policy_chosen");
    out.policy_rejected = column("policy_rejected");
    if (row.has_input("ref_chosen") && row.value("reference_free", 0.0) == 0.0) {
      out.ref_chosen = column("ref_chosen");
      out.ref_rejected = column("ref_rejected");
    }
  }
  std::size_t const count = out.policy_chosen.size();
  if (out.ref_chosen.empty()) out.ref_chosen.resize(count);
  if (out.ref_rejected.empty()) out.ref_rejected.resize(count);
  out.length_chosen = row.tokens("policy_chosen", "chosen_len");
  out.length_rejected = row.tokens("policy_rejected", "rejected_len");
  if (out.length_chosen.empty()) out.length_chosen.assign(count, 1.0);
  if (out.length_rejected.empty()) out.length_rejected.assign(count, 1.0);
  return out;
}

/// Compares the numbers of one case, and keeps what is off.
template <class L, class Tolerance>
class comparison {
 public:
  comparison(golden_case const& row, L const& loss, Tolerance const& tolerance, outcome& into)
      : row_(&row), loss_(&loss), tolerance_(&tolerance), into_(&into) {}

  [[nodiscard]] bool has(char const* field) const { return row_->fields->contains(field); }

  void number(char const* field, quantity q, double got) {
    compare(field, "", (*row_->fields)[field], q, got);
  }
  /// Element i of a field; of a list per token, every token's entry: each has the coefficient of the sum.
  void element(char const* field, std::size_t i, quantity const& q, double got) {
    json const& values = (*row_->fields)[field];
    std::string const at = std::to_string(i);
    if (!values.is_array() || i >= values.size())
      refuse(row_->place, std::string(field) + " is too short");
    if (!values[i].is_array()) return compare(field, at, values[i], q, got);
    for (std::size_t t = 0; t < values[i].size(); ++t) {
      compare(field, at + "." + std::to_string(t), values[i][t], q, got);
    }
  }

 private:
  void compare(char const* field, std::string const& index, json const& expected, quantity q,
               double got) {
    q.expected = number_of(expected, row_->place + ", " + field);
    ++into_->numbers;
    double const allowed = (*tolerance_)(*loss_, q);
    if (std::fabs(got - q.expected) <= allowed) return;  // false for NaN
    into_->mismatches.push_back({field, index, q.expected, got});
  }

  golden_case const* row_;
  L const* loss_;
  Tolerance const* tolerance_;
  outcome* into_;
};

/// The loss whose mean over the pairs is the NLL per completion token of the whole batch.
inline prefer::scaled_loss<prefer::nll> nll_per_batch_token(golden_case const& row) {
  double tokens = 0.0;
  auto const lengths = row.tokens("policy_chosen", "chosen_len");
  for (double const n : lengths) tokens += n;
  // Without lengths the row has no such term, and its weight is 0.
  return (lengths.empty() ? 0.0 : static_cast<double>(lengths.size()) / tokens) * prefer::nll{};
}

/// What a TRL trainer adds to the preference loss.
struct nll_term {
  double weight = 0.0;          // times the NLL per completion token of the batch
  bool in_pair_values = false;  // the old trainer adds the batch's term to every pair's value
};

template <prefer::PairLoss L>
double magnitude_of(L const& loss, auto const& data, std::size_t i) {
  using prefer::column_name;
  bool const averages = prefer::reads(loss).contains(column_name::length);
  double const chosen = std::fabs(static_cast<double>(data.policy_chosen[i])) +
                        std::fabs(static_cast<double>(data.ref_chosen[i]));
  double const rejected = std::fabs(static_cast<double>(data.policy_rejected[i])) +
                          std::fabs(static_cast<double>(data.ref_rejected[i]));
  return chosen / (averages ? data.length_chosen[i] : 1.0) +
         rejected / (averages ? data.length_rejected[i] : 1.0);
}

template <class Real, prefer::PairLoss L, class Tolerance>
void compare_pairs(golden_case const& row, L const& loss, nll_term const& nll,
                   Tolerance const& tolerance, outcome& into) {
  auto const data = pairs_of<Real>(row);
  std::size_t const count = data.policy_chosen.size();
  auto const batch_nll = nll_per_batch_token(row);
  auto const columns = data.columns();

  auto const preference = prefer::evaluate(loss, columns);
  auto const with_nll =
      nll.weight == 0.0 ? preference : prefer::evaluate(loss + nll.weight * batch_nll, columns);
  double const nll_value = prefer::evaluate(batch_nll, columns).loss;

  comparison compare(row, loss, tolerance, into);
  quantity q{.beta = row.value("beta", 1.0), .nll_weight = nll.weight};
  double largest = 0.0;
  for (std::size_t i = 0; i < count; ++i) {
    double const magnitude = magnitude_of(loss, data, i);
    largest = magnitude > largest ? magnitude : largest;
  }
  quantity mean = q;
  mean.magnitude = largest;
  mean.batch = static_cast<double>(count);
  compare.number("loss", mean, with_nll.loss);
  if (compare.has("nll") &&
      nll.weight != 0.0) {  // without a weight TRL reports 0 and computes nothing
    mean.kind = quantity_kind::statistic;
    mean.beta = 1.0;
    compare.number("nll", mean, nll_value);
  }

  // Rewards are relative to the reference even where the loss does without it.
  auto const reward_reference = [&](char const* name, std::vector<Real> const& otherwise) {
    return row.has_input(name) ? converted<Real>(row.input(name)) : otherwise;
  };
  auto const ref_chosen = reward_reference("ref_chosen", data.ref_chosen);
  auto const ref_rejected = reward_reference("ref_rejected", data.ref_rejected);

  bool const flat = row.family == "online_dpo";
  json const* const chosen_index = flat ? &(*row.fields)["chosen_index"] : nullptr;
  json const* const rejected_index = flat ? &(*row.fields)["rejected_index"] : nullptr;
  bool const averaged_rewards = row.family == "cpo" && row.per_token() &&
                                prefer::reads(loss).contains(prefer::column_name::length);
  for (std::size_t i = 0; i < count; ++i) {
    q.magnitude = magnitude_of(loss, data, i);
    q.kind = quantity_kind::loss;
    q.batch = 1.0;
    if (compare.has("per_pair_loss")) {
      compare.element("per_pair_loss", i, q,
                      preference.value[i] + (nll.in_pair_values ? nll.weight * nll_value : 0.0));
    }
    q.kind = quantity_kind::coefficient;
    q.batch = static_cast<double>(count);
    double const chosen = with_nll.coefficient.chosen[i];
    double const rejected = with_nll.coefficient.rejected[i];
    if (flat) {
      compare.element("grad_policy", (*chosen_index)[i].get<std::size_t>(), q, chosen);
      compare.element("grad_policy", (*rejected_index)[i].get<std::size_t>(), q, rejected);
    } else {
      compare.element("grad_chosen", i, q, chosen);
      compare.element("grad_rejected", i, q, rejected);
    }
    if (!compare.has("chosen_rewards")) continue;
    q.kind = quantity_kind::statistic;
    q.batch = 1.0;
    q.magnitude += std::fabs(static_cast<double>(ref_chosen[i])) +
                   std::fabs(static_cast<double>(ref_rejected[i]));
    double const chosen_policy = static_cast<double>(data.policy_chosen[i]) /
                                 (averaged_rewards ? data.length_chosen[i] : 1.0);
    double const rejected_policy = static_cast<double>(data.policy_rejected[i]) /
                                   (averaged_rewards ? data.length_rejected[i] : 1.0);
    auto const one = [](auto const& value) { return std::span(&value, 1); };
    auto const reward = prefer::metrics(
        {.policy = {.chosen = one(chosen_policy), .rejected = one(rejected_policy)},
         .reference = {.chosen = one(ref_chosen[i]), .rejected = one(ref_rejected[i])}},
        q.beta);
    compare.element("chosen_rewards", i, q, reward.reward_chosen.sum);
    compare.element("rejected_rewards", i, q, reward.reward_rejected.sum);
  }
}

template <class Real, class Tolerance>
void compare_kto(golden_case const& row, prefer::kto const& loss, Tolerance const& tolerance,
                 outcome& into) {
  auto const policy = converted<Real>(row.input("policy"));
  auto const reference = converted<Real>(row.input("ref"));
  auto const label = row.input("label");
  auto const kl_policy = converted<Real>(row.input("kl_policy"));
  auto const kl_ref = converted<Real>(row.input("kl_ref"));
  prefer::unpaired_columns const columns{.policy = policy,
                                         .reference = reference,
                                         .label = label,
                                         .mismatched = {.policy = kl_policy, .reference = kl_ref}};
  auto const result = prefer::evaluate(loss, columns);

  comparison compare(row, loss, tolerance, into);
  double baseline = 0.0;  // the size of what the baseline is made from
  for (std::size_t i = 0; i < kl_policy.size(); ++i) {
    baseline +=
        std::fabs(static_cast<double>(kl_policy[i])) + std::fabs(static_cast<double>(kl_ref[i]));
  }
  baseline /= static_cast<double>(kl_policy.size());
  auto const size_of = [&](std::size_t i) {
    return baseline + std::fabs(static_cast<double>(policy[i])) +
           std::fabs(static_cast<double>(reference[i]));
  };
  quantity q{.beta = loss.beta};
  for (std::size_t i = 0; i < policy.size(); ++i) q.magnitude = std::fmax(q.magnitude, size_of(i));
  q.batch = static_cast<double>(policy.size());
  compare.number("loss", q, result.loss);
  for (std::size_t i = 0; i < policy.size(); ++i) {
    q.magnitude = size_of(i);
    q.kind = quantity_kind::loss;
    q.batch = 1.0;
    compare.element("per_example_loss", i, q, result.value[i]);
    q.kind = quantity_kind::coefficient;
    q.batch = static_cast<double>(policy.size());
    compare.element("grad_policy", i, q, result.coefficient[i]);
  }
  if (compare.has("kl")) {
    prefer::nothing memory;
    compare.number("kl", {.kind = quantity_kind::statistic, .magnitude = baseline},
                   prefer::prepare(loss, columns, memory).baseline);
  }
}

/// Calls `visit(loss, nll_term)` with our loss for this case; returns its name, or why there is none.
///
/// This is the table from TRL's families and names to ours.
std::pair<bool, std::string> with_pair_loss(golden_case const& row, auto const& visit) {
  double const beta = row.value("beta", 0.1);
  double const smoothing = row.value("label_smoothing", 0.0);
  std::string const& type = row.loss_type;
  std::string const plain = "reverse_kl";
  auto const ours = [&](auto const& loss, std::string const& name, nll_term const& nll = {}) {
    visit(loss, nll);
    return std::pair(true, name + (nll.weight == 0.0 ? "" : " + nll per batch token"));
  };
  auto const none = [](std::string const& why) { return std::pair(false, why); };

  if (row.text("f_divergence_type", plain) != plain) return none("f-divergence");
  if (row.family == "dpo" || row.family == "dpo_tokens") {
    if (row.value("use_weighting", 0.0) != 0.0) return none("WPO weights");
    if (row.value("ld_alpha", 1.0) != 1.0)
      return none("LD-DPO length weights");  // 1 weights nothing
    // TRL 1.16 ignores label_smoothing here.
    if (type == "sigmoid") return ours(prefer::dpo{.beta = beta}, "dpo");
    if (type == "hinge") return ours(prefer::hinge{.beta = beta}, "hinge");
    if (type == "ipo") return ours(prefer::ipo{.beta = beta}, "ipo");
    if (type == "sigmoid+sft") {
      auto const weights = row.hyper->at("loss_weights").get<std::vector<double>>();
      return ours(weights.at(0) * prefer::dpo{.beta = beta}, "dpo", {.weight = weights.at(1)});
    }
    if (type == "sft") return ours(nll_per_batch_token(row), "nll per batch token");
  }
  if (row.family == "dpo_legacy") {
    nll_term const nll{.weight = row.value("rpo_alpha", 0.0), .in_pair_values = true};
    if (type == "sigmoid") {
      return ours(prefer::dpo{.beta = beta, .label_smoothing = smoothing}, "dpo", nll);
    }
    if (type == "hinge") return ours(prefer::hinge{.beta = beta}, "hinge", nll);
    // The old trainer's IPO takes what it is given, here sums.
    if (type == "ipo") return ours(prefer::ipo_sum{.beta = beta}, "ipo_sum", nll);
  }
  if (row.family == "cpo") {  // no reference: its log-probabilities are 0
    nll_term const nll{.weight = row.value("cpo_alpha", 0.0)};
    if (row.value("alpha", 0.0) != 0.0) return none("AlphaPO");
    if (type == "sigmoid") {
      return ours(prefer::dpo{.beta = beta, .label_smoothing = smoothing}, "dpo", nll);
    }
    if (type == "hinge") return ours(prefer::hinge{.beta = beta}, "hinge", nll);
    if (type == "ipo") return ours(prefer::ipo{.beta = beta}, "ipo", nll);
    if (type == "simpo") {
      return ours(
          prefer::simpo{
              .beta = beta, .gamma = row.value("simpo_gamma", 0.0), .label_smoothing = smoothing},
          "simpo", nll);
    }
  }
  if (row.family == "online_dpo") {
    if (type == "sigmoid") return ours(prefer::dpo{.beta = beta}, "dpo");
    if (type == "ipo") return ours(prefer::ipo_sum{.beta = beta}, "ipo_sum");
  }
  return none("no such loss here");
}

}  // namespace detail

/// Runs one case through prefer::evaluate with columns of `Real`, and compares what both hold.
///
/// `tolerance(loss, quantity)` is the largest difference that is not a mismatch.
/// Errors  backend_error for a case that is not of the schema
template <class Real, class Tolerance>
outcome check(golden_case const& row, Tolerance const& tolerance) {
  outcome out;
  auto const settle = [&] {
    out.status = !row.finite              ? status::not_finite
                 : out.mismatches.empty() ? status::passed
                                          : status::failed;
    if (!row.finite) out.mismatches.clear();
  };
  try {
    if (row.family == "kto" && row.loss_type == "kto") {
      out.meaning = "kto";
      detail::compare_kto<Real>(
          row,
          prefer::kto{.beta = row.value("beta", 0.1),
                      .desirable_weight = row.value("desirable_weight", 1.0),
                      .undesirable_weight = row.value("undesirable_weight", 1.0)},
          tolerance, out);
      settle();
      return out;
    }
    auto const [covered, meaning] =
        detail::with_pair_loss(row, [&](auto const& loss, detail::nll_term const& nll) {
          detail::compare_pairs<Real>(row, loss, nll, tolerance, out);
        });
    out.meaning = meaning;
    if (covered) settle();
  } catch (json::exception const& error) {
    detail::refuse(row.place, std::string("not of the schema: ") + error.what());
  } catch (std::out_of_range const&) {
    detail::refuse(row.place, "not of the schema: an index or a weight is missing");
  }
  return out;
}

/// The same in double, at the tolerance of the golden files' README.
inline outcome check(golden_case const& row) {
  return check<double>(row, double_tolerance{row.exact});
}

}  // namespace golden
