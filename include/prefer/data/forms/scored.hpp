// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <prefer/data/form.hpp>

namespace prefer::inline v0_1::data::forms {

/// A member of an object under one of several names; nullptr if it has none of them.
inline json const* member_of(json const& object, std::initializer_list<char const*> names) {
  for (char const* const name : names) {
    if (auto const found = object.find(name); found != object.end() && !found->is_null()) {
      return &*found;
    }
  }
  return nullptr;
}

/// Completions that are objects, each with its own score (or its rank, of which less is better).
inline row_content scored_objects(form_row const& from, std::string_view prompt,
                                  std::string_view name) {
  row_content out;
  out.is = row_content::verdict::scored;
  if (!from.value(name).is_array()) {
    from.refuse(name,
                "found " + detail::kind_of(from.value(name)) + "; expected a list of objects");
  }
  for (json const& each : from.value(name)) {
    std::string const which = "completion " + std::to_string(out.completions.size() + 1) + ": ";
    if (!each.is_object()) {
      from.refuse(name, which + "found " + detail::kind_of(each) + "; expected an object");
    }
    json const* const text = member_of(each, {"response", "answer", "text", "content"});
    json const* const score =
        member_of(each, {"overall_score", "score", "rating", "fine-grained_score"});
    json const* const rank = member_of(each, {"rank"});
    json const* const judged = score != nullptr ? score : rank;
    if (text == nullptr || !text->is_string()) {
      from.refuse(name, which + "no \"response\" (or answer, text, content) that is a string");
    }
    if (judged == nullptr || !judged->is_number()) {
      from.refuse(name, which + "no \"overall_score\" (or score, rating, rank) that is a number");
    }
    for (auto const& [key, value] : each.items()) {
      if (&value != text && &value != judged) from.not_used(std::string(name) + "." + key);
    }
    out.completions.emplace_back(text->get<std::string>());
    out.fields.emplace_back(name);
    out.score.push_back(score != nullptr ? judged->get<double>() : -judged->get<double>());
  }
  detail::set_prompt(from.part(prompt), out);
  return out;
}

inline bool list_of_objects(json_row const& row, char const* name) {
  json const& list = row.fields.at(name);
  return list.is_array() && !list.empty() && list.front().is_object();
}

/// UltraFeedback: several completions, each judged by itself.
///
/// Source  huggingface.co/datasets/openbmb/UltraFeedback
inline form ultrafeedback() {
  return {
      .name = "ultrafeedback",
      .says = "instruction is the prompt; completions are ranked by their overall_score",
      .needs = {"instruction", "completions"},
      .unless = {},
      .takes = {},
      .fits = [](json_row const& row) { return list_of_objects(row, "completions"); },
      .read =
          [](form_row const& from) { return scored_objects(from, "instruction", "completions"); }};
}

/// Nectar: answers with ranks, of which 1 is the best.
inline form nectar() {
  return {.name = "nectar",
          .says = "prompt is the prompt; answers are ranked by their rank (or score)",
          .needs = {"prompt", "answers"},
          .unless = {},
          .takes = {},
          .fits = [](json_row const& row) { return list_of_objects(row, "answers"); },
          .read = [](form_row const& from) { return scored_objects(from, "prompt", "answers"); }};
}

/// Two lists, of completions and of their scores.
inline form scored_lists() {
  return {
      .name = "scored-lists",
      .says = "prompt (or instruction) is the prompt; completions are ranked by scores",
      .needs = {"completions", "scores"},
      .unless = {},
      .takes = {"prompt", "instruction", "system"},
      .fits = nullptr,
      .read = [](form_row const& from) {
        json const& completions = from.value("completions");
        json const& scores = from.value("scores");
        if (!completions.is_array() || !scores.is_array() || completions.size() != scores.size()) {
          from.refuse("scores", "expected a list of as many numbers as there are completions");
        }
        row_content out;
        out.is = row_content::verdict::scored;
        for (std::size_t i = 0; i < scores.size(); ++i) {
          if (!scores[i].is_number()) {
            from.refuse("scores",
                        "found " + detail::kind_of(scores[i]) + "; expected a finite number");
          }
          out.completions.push_back(completions[i].is_string()
                                        ? turns(completions[i].get<std::string>())
                                        : turns(from.messages("completions", completions[i])));
          out.fields.emplace_back("completions");
          out.score.push_back(scores[i].get<double>());
        }
        detail::set_prompt(from.part(from.which({"prompt", "instruction"})), out);
        if (from.row().fields.contains("system")) out.system = from.text_or_nothing("system");
        return out;
      }};
}

}  // namespace prefer::inline v0_1::data::forms
