// SPDX-License-Identifier: MIT
#include "apply.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>
#include <span>
#include <string_view>

#include <prefer/data/json_lines.hpp>
#include <prefer/file/atomic_file.hpp>
#include <prefer/objective/metrics.hpp>
#include <prefer/report/number.hpp>

namespace {

using prefer::column_name;
using prefer::data::json_row;

/// Where result lines go: standard output, or a file that appears when it is complete.
class line_sink {
 public:
  explicit line_sink(std::string const& path) {
    if (!path.empty()) file_.emplace(path);
  }
  void write(std::string const& line) {
    if (file_) return file_->write(line);
    if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size()) refuse();
  }
  void finish() {
    if (file_) return file_->commit();
    if (std::fflush(stdout) != 0) refuse();
  }

 private:
  [[noreturn]] static void refuse() {
    prefer::detail::fail(prefer::backend_error(
        "losses", "standard output", std::string("cannot write: ") + std::strerror(errno)));
  }
  std::optional<prefer::atomic_file> file_;
};

/// JSON has no infinity and no NaN; they are written as the strings "inf", "-inf" and "nan".
std::string json_number(double value) {
  std::string const text = prefer::report::shortest(value);
  return std::isfinite(value) ? text : '"' + text + '"';
}

std::string json_list(std::span<double const> values) {
  std::string out = "[";
  for (double const value : values) out += (out.size() == 1 ? "" : ", ") + json_number(value);
  return out + "]";
}

double positive_length(json_row const& row, std::string_view name, double tokens) {
  if (tokens > 0) return tokens;
  prefer::data::refuse_field(row, name,
                             "found " + prefer::report::shortest(tokens) +
                                 "; a completion has at least one token, expected a number > 0");
}

/// Required where the loss reads lengths, else checked where given.
double length_field(json_row const& row, std::string_view name, bool required) {
  if (required) return positive_length(row, name, prefer::data::number(row, name));
  return positive_length(row, name, prefer::data::optional_number(row, name).value_or(1.0));
}

double reference_field(json_row const& row, std::string_view name, bool required) {
  return required ? prefer::data::number(row, name) : 0.0;
}

double weight_field(json_row const& row) {
  double const weight = prefer::data::optional_number(row, "weight").value_or(1.0);
  if (weight < 0) {
    prefer::data::refuse_field(
        row, "weight",
        "found " + prefer::report::shortest(weight) + "; expected a number, zero or greater");
  }
  return weight;
}

std::vector<double> numbers_field(json_row const& row, std::string_view name) {
  auto const& value = prefer::data::field(row, name, "a list of numbers");
  if (!value.is_array() || value.empty()) {
    prefer::data::refuse_field(row, name, "expected a list of at least one number");
  }
  std::vector<double> out;
  for (auto const& element : value) {
    if (!element.is_number()) {
      prefer::data::refuse_field(row, name,
                                 "element " + std::to_string(out.size()) + " is " + element.dump() +
                                     "; expected a finite number");
    }
    out.push_back(element.get<double>());
  }
  return out;
}

/// What standard error says at the end.
struct summary {
  prefer::sum_and_count loss;
  prefer::sum_and_count accuracy;  // strict: a tie is a miss
  prefer::sum_and_count margin;
  prefer::sum_and_count reward_desirable;
  prefer::sum_and_count reward_undesirable;

  void print(named_loss const& of) const {
    using prefer::report::fixed;
    std::string text = of.label + ": " + std::to_string(static_cast<std::size_t>(loss.count)) +
                       (loss.count == 1 ? " row" : " rows") + ", mean loss " +
                       fixed(loss.mean(), 6);
    if (of.kind == example_kind::unpaired) {
      auto const mean = [](prefer::sum_and_count rewards) {
        return rewards.count > 0 ? fixed(rewards.mean(), 6) : std::string("- (no rows)");
      };
      text += ", mean reward of desirable " + mean(reward_desirable) + ", of undesirable " +
              mean(reward_undesirable);
    } else if (accuracy.count > 0) {
      text += ", accuracy " + fixed(accuracy.mean(), 4) + ", mean reward margin " +
              fixed(margin.mean(), 6);
    }
    std::fprintf(stderr, "%s\n", text.c_str());
  }
};

/// Pairs as they were read, until they are evaluated.
class pair_rows {
 public:
  explicit pair_rows(named_loss const& loss)
      : loss_(&loss),
        needs_reference_(loss.needs.contains(column_name::reference)),
        needs_length_(loss.needs.contains(column_name::length)) {}

  void add(json_row const& row) {
    prefer::data::refuse_misspelt(row, {"policy_chosen", "policy_rejected", "ref_chosen",
                                        "ref_rejected", "chosen_len", "rejected_len", "weight"});
    policy_chosen_.push_back(prefer::data::number(row, "policy_chosen"));
    policy_rejected_.push_back(prefer::data::number(row, "policy_rejected"));
    ref_chosen_.push_back(reference_field(row, "ref_chosen", needs_reference_));
    ref_rejected_.push_back(reference_field(row, "ref_rejected", needs_reference_));
    chosen_len_.push_back(length_field(row, "chosen_len", needs_length_));
    rejected_len_.push_back(length_field(row, "rejected_len", needs_length_));
    weight_.push_back(weight_field(row));
  }
  void evaluate(prefer::reduction reduce, line_sink& out, summary& total) {
    prefer::pair_columns const batch{
        .policy = {.chosen = policy_chosen_, .rejected = policy_rejected_},
        .reference = {.chosen = ref_chosen_, .rejected = ref_rejected_},
        .length = {.chosen = chosen_len_, .rejected = rejected_len_},
        .weight = weight_};
    auto const result = loss_->pairs(batch, {.reduce = reduce});
    for (std::size_t i = 0; i < batch.size(); ++i) {
      auto const reward = rewards(i);
      out.write("{\"loss\": " + json_number(result.value[i]) +
                ", \"coefficient_chosen\": " + json_number(result.coefficient.chosen[i]) +
                ", \"coefficient_rejected\": " + json_number(result.coefficient.rejected[i]) +
                ", \"reward_chosen\": " + json_number(reward.reward_chosen.sum) +
                ", \"reward_rejected\": " + json_number(reward.reward_rejected.sum) + "}\n");
      total.loss = total.loss + prefer::sum_and_count{result.value[i], 1};
      total.accuracy = total.accuracy + reward.accuracy;
      total.margin = total.margin + reward.reward_margin;
    }
    for (auto* column : {&policy_chosen_, &policy_rejected_, &ref_chosen_, &ref_rejected_,
                         &chosen_len_, &rejected_len_, &weight_}) {
      column->clear();
    }
  }

 private:
  [[nodiscard]] prefer::pair_metrics rewards(std::size_t i) const {
    auto const one = [](double const& value) { return std::span(&value, 1); };
    prefer::pair_columns columns{
        .policy = {.chosen = one(policy_chosen_[i]), .rejected = one(policy_rejected_[i])},
        .reference = {.chosen = one(ref_chosen_[i]), .rejected = one(ref_rejected_[i])}};
    if (needs_length_) columns.length = {one(chosen_len_[i]), one(rejected_len_[i])};
    return prefer::metrics(columns, loss_->rewards);
  }

  named_loss const* loss_;
  bool needs_reference_;
  bool needs_length_;
  std::vector<double> policy_chosen_, policy_rejected_, ref_chosen_, ref_rejected_;
  std::vector<double> chosen_len_, rejected_len_, weight_;
};

/// Labelled completions as they were read, until they are evaluated.
class unpaired_rows {
 public:
  explicit unpaired_rows(named_loss const& loss) : loss_(&loss) {}

  void add(json_row const& row) {
    prefer::data::refuse_misspelt(
        row, {"policy", "ref", "label", "len", "weight", "kl_policy", "kl_ref"});
    bool const needs_reference = loss_->needs.contains(column_name::reference);
    policy_.push_back(prefer::data::number(row, "policy"));
    ref_.push_back(reference_field(row, "ref", needs_reference));
    label_.push_back(prefer::data::truth(row, "label") ? 1.0 : 0.0);
    length_.push_back(length_field(row, "len", loss_->needs.contains(column_name::length)));
    weight_.push_back(weight_field(row));
    if (loss_->batch_statistic) {
      kl_policy_.push_back(prefer::data::number(row, "kl_policy"));
      kl_ref_.push_back(prefer::data::number(row, "kl_ref"));
    }
  }
  void evaluate(prefer::reduction reduce, line_sink& out, summary& total) {
    prefer::unpaired_columns const batch{
        .policy = policy_,
        .reference = ref_,
        .label = label_,
        .length = length_,
        .weight = weight_,
        .mismatched = {.policy = kl_policy_, .reference = kl_ref_}};
    auto const result = loss_->unpaired(batch, {.reduce = reduce});
    for (std::size_t i = 0; i < batch.size(); ++i) {
      double const reward = loss_->rewards.beta * (policy_[i] - ref_[i]);
      out.write("{\"loss\": " + json_number(result.value[i]) +
                ", \"coefficient\": " + json_number(result.coefficient[i]) +
                ", \"reward\": " + json_number(reward) + "}\n");
      total.loss = total.loss + prefer::sum_and_count{result.value[i], 1};
      auto& rewards = label_[i] > 0 ? total.reward_desirable : total.reward_undesirable;
      rewards = rewards + prefer::sum_and_count{reward, 1};
    }
    for (auto* column : {&policy_, &ref_, &label_, &length_, &weight_, &kl_policy_, &kl_ref_}) {
      column->clear();
    }
  }

 private:
  named_loss const* loss_;
  std::vector<double> policy_, ref_, label_, length_, weight_, kl_policy_, kl_ref_;
};

/// Lists as they were read, until they are evaluated.
class list_rows {
 public:
  explicit list_rows(named_loss const& loss) : loss_(&loss) {}

  void add(json_row const& row) {
    prefer::data::refuse_misspelt(row, {"policy", "ref", "weight"});
    auto const policy = numbers_field(row, "policy");
    auto const ref = loss_->needs.contains(column_name::reference)
                         ? numbers_field(row, "ref")
                         : std::vector<double>(policy.size(), 0.0);
    if (ref.size() != policy.size()) {
      prefer::data::refuse_field(row, "ref",
                                 "has " + std::to_string(ref.size()) + " numbers; expected " +
                                     std::to_string(policy.size()) + ", as many as \"policy\"");
    }
    policy_.insert(policy_.end(), policy.begin(), policy.end());
    ref_.insert(ref_.end(), ref.begin(), ref.end());
    offset_.push_back(policy_.size());
    weight_.push_back(weight_field(row));
  }
  void evaluate(prefer::reduction reduce, line_sink& out, summary& total) {
    prefer::list_columns const batch{
        .policy = policy_, .reference = ref_, .offset = offset_, .weight = weight_};
    auto const result = loss_->lists(batch, {.reduce = reduce});
    for (std::size_t g = 0; g < batch.size(); ++g) {
      std::vector<double> reward;
      for (std::size_t i = offset_[g]; i < offset_[g + 1]; ++i) {
        reward.push_back(loss_->rewards.beta * (policy_[i] - ref_[i]));
      }
      std::span const coefficient(result.coefficient);
      out.write("{\"loss\": " + json_number(result.value[g]) +
                ", \"coefficient\": " + json_list(coefficient.subspan(offset_[g], reward.size())) +
                ", \"reward\": " + json_list(reward) + "}\n");
      total.loss = total.loss + prefer::sum_and_count{result.value[g], 1};
      if (reward.size() == 1) continue;  // nothing to be better than
      prefer::sum_and_count others;
      bool best = true;
      for (std::size_t i = 1; i < reward.size(); ++i) {
        others = others + prefer::sum_and_count{reward[i], 1};
        best = best && reward[0] > reward[i];
      }
      total.accuracy = total.accuracy + prefer::sum_and_count{best ? 1.0 : 0.0, 1};
      total.margin = total.margin + prefer::sum_and_count{reward[0] - others.mean(), 1};
    }
    policy_.clear();
    ref_.clear();
    weight_.clear();
    offset_ = {0};
  }

 private:
  named_loss const* loss_;
  std::vector<double> policy_, ref_, weight_;
  std::vector<std::size_t> offset_ = {0};
};

template <class Rows>
void apply_to(named_loss const& loss, apply_options const& options) {
  auto const rows = options.input == "-" ? prefer::data::json_lines_in(std::cin, "standard input")
                                         : prefer::data::json_lines(options.input);
  // One row at a time where a row's results do not depend on the others.
  bool const whole_batch = loss.batch_statistic || options.reduce == prefer::reduction::mean;
  line_sink out(options.output);
  summary total;
  Rows waiting(loss);
  for (auto const& row : rows) {
    waiting.add(row);
    if (!whole_batch) waiting.evaluate(options.reduce, out, total);
  }
  if (whole_batch) waiting.evaluate(options.reduce, out, total);
  out.finish();
  total.print(loss);
}

}  // namespace

void apply(named_loss const& loss, apply_options const& options) {
  if (loss.kind == example_kind::pair) return apply_to<pair_rows>(loss, options);
  if (loss.kind == example_kind::unpaired) return apply_to<unpaired_rows>(loss, options);
  apply_to<list_rows>(loss, options);
}
