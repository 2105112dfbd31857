// SPDX-License-Identifier: MIT
#include "lines.hpp"

#include <span>

#include "../language/judging.hpp"
#include "../program/kept.hpp"
#include "../program/progress.hpp"
#include "../program/signals.hpp"

namespace score {

namespace {

using program::json;

/// A number of each completion of a row: two fields of a pair, one of a labelled row, a list of a list.
class fields_of_row {
 public:
  fields_of_row(language::encoded_rows const& rows, std::size_t row, json& to)
      : rows_(rows),
        first_(rows.data.offset[row]),
        count_(rows.data.offset[row + 1] - first_),
        to_(to) {}

  void add(std::vector<float> const& numbers, std::string const& chosen,
           std::string const& rejected, std::string const& other) {
    if (numbers.empty()) return;
    auto const at = [&](std::size_t i) { return program::number(double{numbers[first_ + i]}); };
    if (rows_.kind == language::row_kind::pairs) {
      to_[chosen] = at(0);
      to_[rejected] = at(1);
    } else if (rows_.kind == language::row_kind::lists) {
      auto& list = to_[other] = json::array();
      for (std::size_t i = 0; i != count_; ++i) list.push_back(at(i));
    } else {
      to_[other] = at(0);
    }
  }
  void add(std::vector<float> const& numbers, std::string const& name) {
    add(numbers, name + "_chosen", name + "_rejected", name);
  }

 private:
  language::encoded_rows const& rows_;
  std::size_t first_;
  std::size_t count_;
  json& to_;
};

}  // namespace

scored_rows score_rows(language::encoded_rows const& rows, prefer::any_policy<float>& policy,
                       prefer::any_reference<float>* reference, wanted_outputs const& wanted) {
  std::size_t const completions = rows.data.completion.size();
  scored_rows out;
  out.policy.resize(completions);
  if (reference != nullptr) out.reference.resize(completions);
  if (wanted.divergence) out.divergence.resize(completions);
  if (wanted.alignment) out.alignment.resize(completions);
  if (wanted.perturbed) {
    out.perturbed_toward.resize(completions);
    out.perturbed_away.resize(completions);
  }
  program::progress shown(rows.data.size(), "scoring");
  language::for_each_part(rows.data, [&](prefer::choice_batch const& batch, std::size_t first) {
    if (program::interrupted) throw program::stop();
    auto const part = [&](std::vector<float>& of) {
      return of.empty() ? std::span<float>() : std::span(of).subspan(first, batch.completions());
    };
    if (reference != nullptr) reference->log_prob(batch, part(out.reference));
    prefer::completion_outputs<float> const asked{.log_prob = part(out.policy),
                                                  .divergence = part(out.divergence),
                                                  .alignment = part(out.alignment),
                                                  .perturbed_toward = part(out.perturbed_toward),
                                                  .perturbed_away = part(out.perturbed_away)};
    if (asked.wanted().empty()) {
      policy.log_prob(batch, asked.log_prob);  // keeps no activations
    } else if (reference != nullptr) {
      policy.evaluate(batch, asked, *reference);
    } else {
      policy.evaluate(batch, asked);
    }
    shown.advance(batch.size(), "scoring");
  });
  return out;
}

program::json line_of(language::encoded_rows const& rows, scored_rows const& said,
                      std::size_t row) {
  auto const& data = rows.data;
  json out = {{"line", rows.encoded.lines[row]}};
  fields_of_row fields(rows, row, out);
  fields.add(said.policy, "policy_chosen", "policy_rejected", "policy");
  fields.add(said.reference, "ref_chosen", "ref_rejected", "ref");
  fields.add(data.length, "chosen_len", "rejected_len", "len");
  fields.add(data.score, "score");
  fields.add(said.divergence, "divergence");
  fields.add(said.alignment, "alignment");
  fields.add(said.perturbed_toward, "perturbed_toward");
  fields.add(said.perturbed_away, "perturbed_away");
  auto const add = [&](char const* name, std::vector<float> const& of) {
    if (!of.empty()) out[name] = program::number(double{of[row]});
  };
  if (!data.label.empty()) out["label"] = data.label[row] != 0.0F;
  add("weight", data.weight);
  add("beta", data.beta);
  add("target_margin", data.target_margin);
  add("chosen_from_reference", data.chosen_from_reference);
  return out;
}

}  // namespace score
