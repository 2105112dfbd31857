// SPDX-License-Identifier: MIT
#include "apply.hpp"

#include <unistd.h>

#include <cstdio>
#include <initializer_list>
#include <istream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/batch/load_record.hpp>
#include <prefer/data/bad_rows.hpp>
#include <prefer/data/json_lines.hpp>
#include <prefer/metrics/rewards.hpp>
#include <prefer/text/number.hpp>

#include "../program/json.hpp"
#include "../program/progress.hpp"
#include "../program/signals.hpp"
#include "../program/stopped.hpp"
#include "fields.hpp"
#include "input.hpp"
#include "results.hpp"

namespace {

using prefer::column_name;
using prefer::data::json_row;

/// Pairs as they were read, until they are evaluated.
class pair_rows {
 public:
  explicit pair_rows(named_loss const& loss) : loss_(&loss) {
    namespace d = described;
    for (field const& one : {field_of("policy_chosen", d::policy, loss),
                             field_of("policy_rejected", d::policy, loss),
                             field_of("ref_chosen", d::reference, loss),
                             field_of("ref_rejected", d::reference, loss),
                             field_of("chosen_len", d::length, loss, 1.0),
                             field_of("rejected_len", d::length, loss, 1.0),
                             field_of("score_chosen", d::score, loss),
                             field_of("score_rejected", d::score, loss),
                             field_of("divergence_chosen", d::divergence, loss),
                             field_of("divergence_rejected", d::divergence, loss),
                             field_of("alignment_chosen", d::alignment, loss),
                             field_of("alignment_rejected", d::alignment, loss),
                             field_of("perturbed_toward_chosen", d::perturbed_toward, loss),
                             field_of("perturbed_toward_rejected", d::perturbed_toward, loss),
                             field_of("perturbed_away_chosen", d::perturbed_away, loss),
                             field_of("perturbed_away_rejected", d::perturbed_away, loss),
                             weight_field(loss),
                             beta_field(loss),
                             field_of("target_margin", d::target_margin, loss),
                             field_of("chosen_from_reference", d::chosen_from_reference, loss),
                             field_of("uniform", d::uniform, loss)}) {
      fields_.emplace_back(one, loss);
    }
  }

  void add(json_row const& row) {
    add_row(row, fields_);
    double const score[] = {fields_[6].last(), fields_[7].last()};
    if (loss_->meaning.score == prefer::score_kind::ordered_reward && !(score[1] < score[0])) {
      refuse_number(row, "score_rejected", score[1],
                    "a reward below that of chosen, " + prefer::text::shortest(score[0]));
    }
  }
  [[nodiscard]] std::vector<std::string> reads() const { return names_of_taken(fields_); }
  void evaluate(prefer::reduction reduce, result_sink& out, summary& total) {
    auto const at = [&](std::size_t i) { return fields_[i].column(); };
    prefer::pair_columns const batch{.policy = {at(0), at(1)},
                                     .reference = {at(2), at(3)},
                                     .length = {at(4), at(5)},
                                     .score = {at(6), at(7)},
                                     .divergence = {at(8), at(9)},
                                     .alignment = {at(10), at(11)},
                                     .perturbed_toward = {at(12), at(13)},
                                     .perturbed_away = {at(14), at(15)},
                                     .weight = at(16),
                                     .beta = at(17),
                                     .target_margin = at(18),
                                     .chosen_from_reference = at(19),
                                     .uniform = at(20)};
    auto const result = loss_->pairs(batch, {.reduce = reduce});
    for (std::size_t i = 0; i < batch.size(); ++i) {
      auto const reward = rewards(i);
      std::string line =
          "{\"loss\": " + json_number(result.value[i]) +
          ", \"coefficient_chosen\": " + json_number(result.coefficient.chosen[i]) +
          ", \"coefficient_rejected\": " + json_number(result.coefficient.rejected[i]);
      if (!result.divergence_coefficient.chosen.empty()) {
        line += ", \"coefficient_divergence_chosen\": " +
                json_number(result.divergence_coefficient.chosen[i]) +
                ", \"coefficient_divergence_rejected\": " +
                json_number(result.divergence_coefficient.rejected[i]);
      }
      out.write(line + ", \"reward_chosen\": " + json_number(reward.reward_chosen.sum) +
                ", \"reward_rejected\": " + json_number(reward.reward_rejected.sum) + "}\n");
      total.loss = total.loss + prefer::sum_and_count{result.value[i], 1};
      total.accuracy = total.accuracy + reward.accuracy;
      total.margin = total.margin + reward.reward_margin;
    }
    for (auto& one : fields_) one.clear();
  }

 private:
  [[nodiscard]] prefer::pair_metrics rewards(std::size_t i) const {
    auto const one = [&](std::size_t f) { return std::span(&fields_[f][i], 1); };
    prefer::pair_columns columns{.policy = {.chosen = one(0), .rejected = one(1)},
                                 .reference = {.chosen = one(2), .rejected = one(3)}};
    if (loss_->needs.contains(column_name::length)) columns.length = {one(4), one(5)};
    if (fields_[17].column().present()) columns.beta = one(17);
    return prefer::metrics(columns, loss_->rewards);
  }

  named_loss const* loss_;
  std::vector<field_values> fields_;
};

/// Labelled completions as they were read, until they are evaluated.
class unpaired_rows {
 public:
  explicit unpaired_rows(named_loss const& loss) : loss_(&loss) {
    namespace d = described;
    for (field const& one :
         {field_of("policy", d::policy, loss), field_of("ref", d::reference, loss),
          field_of("label", d::label, loss), field_of("len", d::length, loss, 1.0),
          field_of("score", d::score, loss), weight_field(loss), beta_field(loss),
          field_of("kl_policy", d::kl_policy, loss), field_of("kl_ref", d::kl_reference, loss)}) {
      fields_.emplace_back(one, loss);
    }
  }

  void add(json_row const& row) { add_row(row, fields_); }
  [[nodiscard]] std::vector<std::string> reads() const { return names_of_taken(fields_); }
  void evaluate(prefer::reduction reduce, result_sink& out, summary& total) {
    auto const at = [&](std::size_t i) { return fields_[i].column(); };
    prefer::unpaired_columns const batch{.policy = at(0),
                                         .reference = at(1),
                                         .label = at(2),
                                         .length = at(3),
                                         .score = at(4),
                                         .weight = at(5),
                                         .beta = at(6),
                                         .kl_examples = {.policy = at(7), .reference = at(8)}};
    auto const result = loss_->unpaired(batch, {.reduce = reduce});
    for (std::size_t i = 0; i < batch.size(); ++i) {
      auto const example = prefer::record_at(batch, i);
      double const reward = prefer::reward_by(loss_->rewards, example, example);
      out.write("{\"loss\": " + json_number(result.value[i]) +
                ", \"coefficient\": " + json_number(result.coefficient[i]) +
                ", \"reward\": " + json_number(reward) + "}\n");
      total.loss = total.loss + prefer::sum_and_count{result.value[i], 1};
      auto& rewards = fields_[2][i] > 0 ? total.reward_desirable : total.reward_undesirable;
      rewards = rewards + prefer::sum_and_count{reward, 1};
    }
    for (auto& one : fields_) one.clear();
  }

 private:
  named_loss const* loss_;
  std::vector<field_values> fields_;
};

/// Lists as they were read, until they are evaluated.
class list_rows {
 public:
  explicit list_rows(named_loss const& loss)
      : loss_(&loss), weight_(weight_field(loss), loss), beta_(beta_field(loss), loss) {}

  void add(json_row const& row) {
    prefer::data::refuse_misspelt(row, {"policy", "ref", "len", "score", "weight", "beta"});
    auto const policy = numbers_field(row, "policy");
    if (loss_->list_size != 0 && policy.size() != loss_->list_size) {
      prefer::data::refuse_field(row, "policy",
                                 "has " + std::to_string(policy.size()) +
                                     " numbers; this loss takes " +
                                     std::to_string(loss_->list_size));
    }
    check_numbers(row, "policy", described::policy, policy);
    append(policy_, policy);
    append(ref_, one_each(row, "ref", described::reference, policy.size(), 0.0));
    append(length_, one_each(row, "len", described::length, policy.size(), 1.0));
    auto const score = one_each(row, "score", described::score, policy.size(), 0.0);
    append(score_, score);
    if (loss_->meaning.score == prefer::score_kind::ordered_reward) {
      std::size_t const i = prefer::first_out_of_order(score, 0, score.size(), true);
      if (i < score.size()) {
        refuse_number(row, "score", score[i],
                      "rewards that do not rise, best first; before it stands " +
                          prefer::text::shortest(score[i - 1]));
      }
    }
    offset_.push_back(policy_.size());
    weight_.add(row);
    beta_.add(row);
  }
  [[nodiscard]] std::vector<std::string> reads() const {
    std::vector<std::string> names = {"policy", "weight"};
    if (loss_->needs.contains(column_name::reference)) names.emplace_back("ref");
    if (loss_->needs.contains(column_name::length)) names.emplace_back("len");
    if (loss_->needs.contains(column_name::score)) names.emplace_back("score");
    if (loss_->takes.contains(column_name::beta)) names.emplace_back("beta");
    return names;
  }
  void evaluate(prefer::reduction reduce, result_sink& out, summary& total) {
    prefer::list_columns const batch{.policy = policy_,
                                     .reference = ref_,
                                     .length = length_,
                                     .score = score_,
                                     .offset = offset_,
                                     .weight = weight_.column(),
                                     .beta = beta_.column()};
    auto const result = loss_->lists(batch, {.reduce = reduce});
    for (std::size_t g = 0; g < batch.size(); ++g) {
      auto const list = prefer::record_at(batch, g);
      std::vector<double> reward;
      for (std::size_t i = 0; i < list.size(); ++i) {
        reward.push_back(prefer::reward_by(loss_->rewards, list, list[i]));
      }
      std::span const coefficient(result.coefficient);
      out.write("{\"loss\": " + json_number(result.value[g]) +
                ", \"coefficient\": " + json_list(coefficient.subspan(offset_[g], reward.size())) +
                ", \"reward\": " + json_list(reward) + "}\n");
      total.loss = total.loss + prefer::sum_and_count{result.value[g], 1};
    }
    auto const rewards = prefer::metrics(batch, loss_->rewards);
    total.accuracy = total.accuracy + rewards.accuracy;
    total.margin = total.margin + rewards.reward_margin;
    for (auto* column : {&policy_, &ref_, &length_, &score_}) column->clear();
    weight_.clear();
    beta_.clear();
    offset_ = {0};
  }

 private:
  static void append(std::vector<double>& to, std::vector<double> const& from) {
    to.insert(to.end(), from.begin(), from.end());
  }
  void check_numbers(json_row const& row, char const* name, auto is,
                     std::vector<double> const& numbers) const {
    prefer::number_rule const rule = rule_of(is, loss_->meaning);
    std::size_t const i = prefer::first_breaking(numbers, numbers.size(), rule);
    if (i < numbers.size()) refuse_number(row, name, numbers[i], rule.expected);
  }
  /// A number for each completion of the row; `otherwise` where the loss does not need them.
  std::vector<double> one_each(json_row const& row, char const* name, auto is, std::size_t count,
                               double otherwise) const {
    if (!loss_->needs.contains(is.name)) return std::vector<double>(count, otherwise);
    auto out = numbers_field(row, name);
    if (out.size() != count) {
      prefer::data::refuse_field(row, name,
                                 "has " + std::to_string(out.size()) + " numbers; expected " +
                                     std::to_string(count) + ", as many as \"policy\"");
    }
    check_numbers(row, name, is, out);
    return out;
  }

  named_loss const* loss_;
  field_values weight_;
  field_values beta_;
  std::vector<double> policy_, ref_, length_, score_;
  std::vector<std::size_t> offset_ = {0};
};

prefer::data::json_row_reader open(apply_options const& options, std::istream& standard_input) {
  namespace data = prefer::data;
  bool const piped = options.input == "-";
  data::place const at{"losses", piped ? "standard input" : options.input, 0};
  std::unique_ptr<data::byte_source> source;
  if (piped) {
    source = std::make_unique<data::stream_bytes>(standard_input, at);
  } else {
    source = std::make_unique<data::file_bytes>(at);
  }
  return {std::move(source), at, options.how.limits, options.how.decode};
}

/// All that results depend on besides the rows, as a line of JSON.
std::string settings_of(named_loss const& loss, apply_options const& options) {
  auto out = program::document();
  out["loss"] = loss.label;
  out["reduction"] = options.reduce == prefer::reduction::mean ? "mean" : "none";
  out["columns"] = options.columns;
  // How many may be bad decides whether there are results, not which.
  out["bad_rows"] = options.how.bad == prefer::data::bad_rows::skipped ? "skip" : "stop";
  return out.dump();
}

template <class Rows>
int apply_to(named_loss const& loss, apply_options const& options) {
  // One row at a time where a row's results do not depend on the others.
  bool const whole_batch = loss.whole_batch || options.reduce == prefer::reduction::mean;
  bool const skip = options.how.bad == prefer::data::bad_rows::skipped;
  program::stop_when_asked();
  result_sink out(options.output, settings_of(loss, options));
  program::interruptible_input waiting_for(STDIN_FILENO);
  std::istream standard_input(&waiting_for);
  auto rows = open(options, standard_input);
  summary total;
  input_columns columns(options.how.columns);
  prefer::data::bad_row_counts bad;
  std::size_t met = 0;
  json_row row;
  Rows waiting(loss);
  auto const reads = waiting.reads();
  bool more = true;
  bool finished = false;  // by a program that was stopped
  auto const take = [&] {
    more = rows.next(row);
    if (!more) return;
    columns.rename(row);
    // A row that is refused half way leaves nothing behind.
    if (skip) Rows(loss).add(row);
    finished = !whole_batch && out.has(row.fields, total);
    if (!finished) waiting.add(row);
  };
  {
    // Rows on a terminal show themselves how far it is.
    std::optional<program::progress> shown;
    if (!options.output.empty() || ::isatty(STDOUT_FILENO) == 0) shown.emplace(0);
    try {
      while (more) {
        // Standard input ends where the program was stopped; what was read of it until then is not lost.
        if (program::interrupted && options.input != "-") break;
        if (shown) shown->advance(1, "rows");
        bool const good =
            !skip ? (take(), true) : prefer::attempt(take, [&](prefer::backend_error const& error) {
              count_bad_row(error, rows.at(), bad);
            });
        if (!more) break;
        ++met;
        if (!good) continue;
        columns.count_unused(row, reads);
        if (whole_batch || finished) continue;
        waiting.evaluate(options.reduce, out, total);
        out.row_done(total);
      }
    } catch (prefer::backend_error const&) {
      if (!program::interrupted) throw;  // half a line is no fault of the input then
    }
  }
  if (program::interrupted) {
    return program::stopped(whole_batch ? "this needs all rows at once, so nothing is kept"
                                        : out.keep(total));
  }
  expect_few_bad_rows(bad, met, options.how.most_bad, rows.at());
  if (whole_batch && met > 0) waiting.evaluate(options.reduce, out, total);
  out.finish();
  for (auto const& [reason, seen] : bad) {
    std::fprintf(stderr, "losses: skipped, %s: %s\n", reason.c_str(), to_words(seen).c_str());
  }
  columns.say(loss.name, prefer::data::place{rows.at().reader, rows.at().source, 0});
  total.print(loss);
  return 0;
}

}  // namespace

int apply(named_loss const& loss, apply_options const& options) {
  if (loss.kind == example_kind::pair) return apply_to<pair_rows>(loss, options);
  if (loss.kind == example_kind::unpaired) return apply_to<unpaired_rows>(loss, options);
  return apply_to<list_rows>(loss, options);
}
