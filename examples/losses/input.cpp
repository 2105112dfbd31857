// SPDX-License-Identifier: MIT
#include "input.hpp"

#include <algorithm>
#include <utility>

#include <prefer/data/place.hpp>

#include "../program/voice.hpp"
#include "../reading_options.hpp"

namespace {

using prefer::data::renamed_column;

// What TRL calls log-probabilities: in the columns that its trainers write, and in its losses' arguments.
// Source: trl DPOTrainer (ref_chosen_logps), KTOTrainer (ref_logps, KL), dpo_loss(chosen_logps, ...)
std::vector<renamed_column> const& names_of_trl() {
  static std::vector<renamed_column> const all = {{"policy_chosen", "chosen_logps"},
                                                  {"policy_chosen", "policy_chosen_logps"},
                                                  {"policy_rejected", "rejected_logps"},
                                                  {"policy_rejected", "policy_rejected_logps"},
                                                  {"ref_chosen", "ref_chosen_logps"},
                                                  {"ref_chosen", "reference_chosen_logps"},
                                                  {"ref_rejected", "ref_rejected_logps"},
                                                  {"ref_rejected", "reference_rejected_logps"},
                                                  {"policy", "policy_logps"},
                                                  {"policy", "completion_logps"},
                                                  {"ref", "ref_logps"},
                                                  {"ref", "reference_logps"},
                                                  {"kl_policy", "policy_KL_logps"},
                                                  {"kl_ref", "ref_KL_logps"},
                                                  {"kl_ref", "reference_KL_logps"}};
  return all;
}

}  // namespace

input_columns::input_columns(std::vector<renamed_column> given)
    : names_(std::move(given)), given_(names_.size()) {
  names_.insert(names_.end(), names_of_trl().begin(), names_of_trl().end());
}

void input_columns::rename(prefer::data::json_row& row) {
  using prefer::data::json;
  auto const name_here = [&](std::string const& field) {
    auto const found = std::find_if(names_.begin(), names_.end(), [&](renamed_column const& each) {
      return each.in_file == field;
    });
    return found == names_.end() ? nullptr : &*found;
  };
  json renamed = json::object();
  auto& to = renamed.get_ref<json::object_t&>();
  for (auto& [field, value] : row.fields.get_ref<json::object_t&>()) {
    auto const* const found = name_here(field);
    std::string const& name = found == nullptr ? field : found->as;
    if (std::any_of(to.begin(), to.end(), [&](auto const& each) { return each.first == name; })) {
      row.at.refuse("two fields are to be read as " + prefer::data::in_quotes(name) +
                    "; expected one of them");
    }
    if (found != nullptr) renamed_[field].add(row.at.line);
    to.emplace_back(name, std::move(value));
  }
  row.fields = std::move(renamed);
}

void input_columns::count_unused(prefer::data::json_row const& row,
                                 std::vector<std::string> const& read) {
  for (auto const& [name, value] : row.fields.items()) {
    bool const used = std::find(read.begin(), read.end(), name) != read.end();
    if (!used && !value.is_null()) unused_[name].add(row.at.line);
  }
}

void input_columns::say(std::string const& loss, prefer::data::place const& source) const {
  std::string mapping;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    auto const& [as, in_file] = names_[i];
    if (renamed_.count(in_file) != 0) {
      mapping += (mapping.empty() ? "" : ", ") + in_file + " is read as " + as;
    } else if (i < given_) {
      source.refuse("no row has a field " + prefer::data::in_quotes(in_file) +
                    ", which --columns names");
    }
  }
  if (!mapping.empty()) program::say(mapping);
  // A judge's scores, or how much a row counts, would change what another loss makes of the rows.
  prefer::data::reading_report of_rows;
  std::string unused;
  for (auto const& [name, seen] : unused_) {
    if (name == "score" || name == "score_chosen" || name == "score_rejected") {
      of_rows.scores = seen;
      continue;
    }
    unused +=
        (unused.empty() ? "" : ", ") + prefer::data::in_quotes(name) + " in " + to_words(seen);
  }
  program::warn_of_unused(of_rows);
  if (!unused.empty()) program::say("fields that " + loss + " does not read: " + unused);
}
