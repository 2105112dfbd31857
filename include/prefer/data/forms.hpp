// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/data/form.hpp>
#include <prefer/data/forms/alpaca.hpp>
#include <prefer/data/forms/conversations.hpp>
#include <prefer/data/forms/judged.hpp>
#include <prefer/data/forms/scored.hpp>
#include <prefer/data/forms/transcript.hpp>
#include <prefer/data/forms/trl.hpp>
#include <prefer/data/forms/whole_conversations.hpp>
#include <prefer/data/json_row.hpp>
#include <prefer/data/place.hpp>
#include <prefer/expects.hpp>

namespace prefer::inline v0_1::data {

/// The forms that rows of preferences come in. A new one is a page in forms/ and a name here.
[[nodiscard]] inline std::vector<form> const& all_forms() {
  static std::vector<form> const all = {forms::trl(),
                                        forms::trl_unpaired(),
                                        forms::system_question(),
                                        forms::responses(),
                                        forms::sharegpt(),
                                        forms::messages(),
                                        forms::openai(),
                                        forms::alpaca(),
                                        forms::alpaca_outputs(),
                                        forms::alpaca_kto(),
                                        forms::rejected_response(),
                                        forms::rejected_messages(),
                                        forms::query_response(),
                                        forms::labelled_messages(),
                                        forms::trl_prompt_completion(),
                                        forms::helpsteer(),
                                        forms::helpsteer2(),
                                        forms::safe_rlhf(),
                                        forms::shp(),
                                        forms::arena(),
                                        forms::arena_responses(),
                                        forms::ultrafeedback(),
                                        forms::nectar(),
                                        forms::scored_lists(),
                                        forms::transcript()};
  return all;
}

namespace detail {

inline std::string listed(std::vector<std::string> const& names) {
  std::string out;
  for (std::string const& each : names) out += (out.empty() ? "" : ", ") + in_quotes(each);
  return out;
}

/// The fields of a form, for the error about one that is missing.
inline std::string fields_of(form const& of) {
  std::vector<std::string> names;
  bool const has_prompt = std::find(of.takes.begin(), of.takes.end(), "prompt") != of.takes.end();
  if (has_prompt) names.emplace_back("prompt");
  names.insert(names.end(), of.needs.begin(), of.needs.end());
  if (names.empty()) names.assign(of.takes.begin(), of.takes.end());
  return listed(names);
}

inline std::size_t fields_there(std::vector<std::string_view> const& names, json_row const& row) {
  return static_cast<std::size_t>(
      std::count_if(names.begin(), names.end(),
                    [&](std::string_view name) { return find_field(row, name) != nullptr; }));
}
/// How much a row has of a form that it does not fit: fields, and beside one of them those that are misspelt.
inline std::size_t nearness(form const& to, json_row const& row) {
  auto const misspelt = [&](std::string_view name) {
    auto const fields = row.fields.items();
    return find_field(row, name) == nullptr &&
           std::any_of(fields.begin(), fields.end(),
                       [&](auto const& each) { return text::misspells(each.key(), name); });
  };
  std::size_t const there = fields_there(to.needs, row) + fields_there(to.takes, row);
  if (there == 0) return 0;
  return there +
         static_cast<std::size_t>(std::count_if(to.needs.begin(), to.needs.end(), misspelt));
}

/// Of forms of this kind, none of which a row fits, the one that it has most of.
inline form const& nearest_form(json_row const& row, bool labelled) {
  form const* nearest = nullptr;
  std::size_t most = 0;
  for (form const& each : all_forms()) {
    if (each.labelled != labelled) continue;
    std::size_t const has = nearness(each, row);
    if (nearest != nullptr && has <= most) continue;
    nearest = &each;
    most = has;
  }
  return *nearest;
}

inline bool fits(form const& of, json_row const& row) {
  return fields_there(of.needs, row) == of.needs.size() && fields_there(of.unless, row) == 0 &&
         (of.fits == nullptr || of.fits(row));
}

/// Whether one form says more about a row than another: it asks for the same fields and more.
inline bool includes(form const& more, form const& less) {
  bool const all = std::all_of(less.needs.begin(), less.needs.end(), [&](std::string_view name) {
    return std::find(more.needs.begin(), more.needs.end(), name) != more.needs.end();
  });
  return all &&
         (more.needs.size() > less.needs.size() || (more.fits != nullptr && less.fits == nullptr));
}

inline std::vector<std::string> names_in(json_row const& row) {
  std::vector<std::string> names;
  for (auto const& [name, value] : row.fields.items()) {
    if (names.size() == 12) return names.emplace_back("..."), names;
    names.push_back(name);
  }
  return names;
}

}  // namespace detail

/// The form of a name.
///
/// Errors  precondition_error that lists the names there are
[[nodiscard]] inline form const& form_named(std::string_view name, bool labelled) {
  std::string names;
  for (form const& each : all_forms()) {
    if (each.labelled != labelled) continue;
    if (each.name == name) return each;
    names += (names.empty() ? "" : ", ") + std::string(each.name);
  }
  refuse("there is no form \"" + std::string(name) + "\"; expected one of " + names);
}

/// The form of a row by its fields: of those that it fits, the one whose fields include the others'. prompt, chosen and
/// rejected together are always TRL's.
///
/// Errors  backend_error: no form fits, or several do, of which none includes the others
[[nodiscard]] inline form const& form_of(json_row const& row, bool labelled) {
  std::vector<form const*> fitting;
  form const* other_kind = nullptr;
  for (form const& each : all_forms()) {
    bool const here = detail::fits(each, row);
    if (each.labelled != labelled) {
      if (here) other_kind = &each;
      continue;
    }
    if (here) fitting.push_back(&each);
  }
  if (fitting.empty()) {
    if (other_kind != nullptr) {
      row.at.refuse("the row is of the form " + std::string(other_kind->name) +
                    (labelled
                         ? ", a pair; expected one completion with a label (read it as pairs)"
                         : ", one completion with a label; expected a pair (read it as unpaired)"));
    }
    // The reading says what is missing, or what stands there instead.
    form const& nearest = detail::nearest_form(row, labelled);
    if (detail::nearness(nearest, row) > 0 || row.fields.empty()) return nearest;
    std::string const expected = detail::fields_of(nearest);
    for (std::string_view const name : nearest.needs) {
      if (row.fields.contains(name)) return nearest;
      for (auto const& [written, value] : row.fields.items()) {
        if (prefer::text::misspells(written, name)) refuse_missing(row, name, expected);
      }
    }
    row.at.refuse("no form of preferences is known with the fields " +
                  detail::listed(detail::names_in(row)) + "; expected " + expected +
                  ", or those of another form (see --format)");
  }
  for (form const* each : fitting) {
    if (each->name == "trl" && find_field(row, "prompt") != nullptr) return *each;
    if (std::all_of(fitting.begin(), fitting.end(), [&](form const* other) {
          return other == each || detail::includes(*each, *other);
        })) {
      return *each;
    }
  }
  std::string names;
  for (form const* each : fitting)
    names += (names.empty() ? "" : " and ") + std::string(each->name);
  row.at.refuse("the fields " + detail::listed(detail::names_in(row)) + " fit the forms " + names +
                "; expected one (choose it by --format)");
}

}  // namespace prefer::inline v0_1::data
