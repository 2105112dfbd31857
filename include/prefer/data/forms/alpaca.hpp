// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <prefer/data/form.hpp>

namespace prefer::inline v0_1::data::forms {

namespace alpaca_detail {

/// The instruction, with the input on the next line where there is one; messages where a system message or a history
/// comes before it.
inline void set_prompt(form_row const& from, row_content& into) {
  std::string asked = from.text("instruction");
  if (from.has("input") && !from.text("input").empty()) asked += "\n" + from.text("input");
  conversation before;
  if (from.has("history")) {
    for (json const& round : from.value("history")) {
      if (!round.is_array() || round.size() != 2 || !round[0].is_string() ||
          !round[1].is_string()) {
        from.refuse("history", "expected a list of rounds, each a question and an answer");
      }
      before.push_back({"user", round[0].get<std::string>()});
      before.push_back({"assistant", round[1].get<std::string>()});
    }
  }
  if (from.row().fields.contains("system")) into.system = from.text_or_nothing("system");
  if (before.empty()) {
    into.prompt = std::move(asked);
  } else {
    before.push_back({"user", std::move(asked)});
    detail::set_prompt(turns(std::move(before)), into);
  }
}

}  // namespace alpaca_detail

/// LLaMA-Factory's alpaca form with a ranking: instruction, input, chosen, rejected.
///
/// Source  github.com/hiyouga/LLaMA-Factory, data/README.md, alpaca format, preference dataset
inline form alpaca() {
  return {
      .name = "alpaca",
      .says = "instruction and input, a line each, are the prompt, chosen and rejected the answers",
      .needs = {"instruction", "input", "chosen", "rejected"},
      .unless = {},
      .takes = {"system", "history"},
      .fits = nullptr,
      .read = [](form_row const& from) {
        row_content out = detail::two_sides(from, "", "chosen", "rejected");
        alpaca_detail::set_prompt(from, out);
        return out;
      }};
}

/// The older one, whose output is a list, the better answer first.
inline form alpaca_outputs() {
  return {.name = "alpaca-outputs",
          .says =
              "instruction and input are the prompt, the first of output is chosen, the second "
              "rejected",
          .needs = {"instruction", "output"},
          .unless = {"kto_tag"},
          .takes = {"input", "system", "history"},
          .fits = [](json_row const& row) { return row.fields.at("output").is_array(); },
          .read =
              [](form_row const& from) {
                json const& output = from.value("output");
                if (!output.is_array() || output.size() != 2 || !output[0].is_string() ||
                    !output[1].is_string()) {
                  from.refuse("output", "expected a list of two strings, the better one first");
                }
                row_content out;
                out.completions = {turns(output[0].get<std::string>()),
                                   turns(output[1].get<std::string>())};
                out.fields = {"output", "output"};
                alpaca_detail::set_prompt(from, out);
                return out;
              }};
}

/// An answer and whether it is a good one.
inline form alpaca_kto() {
  return {.name = "alpaca-kto",
          .says = "instruction and input are the prompt, output the completion, kto_tag the label",
          .needs = {"instruction", "output", "kto_tag"},
          .unless = {},
          .takes = {"input", "system", "history"},
          .fits = nullptr,
          .read =
              [](form_row const& from) {
                row_content out;
                out.is = row_content::verdict::labelled;
                out.completions = {turns(from.text("output"))};
                out.fields = {"output"};
                out.label = from.truth("kto_tag");
                alpaca_detail::set_prompt(from, out);
                return out;
              },
          .labelled = true};
}

}  // namespace prefer::inline v0_1::data::forms
