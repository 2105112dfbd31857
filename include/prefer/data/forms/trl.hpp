// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include <prefer/data/form.hpp>

namespace prefer::inline v0_1::data::forms {

/// TRL's preference form, explicit or implicit, of texts or messages.
///
/// Source  huggingface.co/docs/trl/dataset_formats
inline form trl() {
  return {.name = "trl",
          .says = "prompt, chosen and rejected as they are",
          .needs = {"chosen", "rejected"},
          .unless = {},
          .takes = {"prompt", "system"},
          .fits = nullptr,
          .read = [](form_row const& from) {
            return detail::two_sides(from, "prompt", "chosen", "rejected");
          }};
}

/// TRL's unpaired form.
inline form trl_unpaired() {
  return {.name = "trl-unpaired",
          .says = "prompt, completion and label as they are",
          .needs = {"prompt", "completion", "label"},
          .unless = {},
          .takes = {"system"},
          .fits = nullptr,
          .read =
              [](form_row const& from) {
                row_content out;
                out.is = row_content::verdict::labelled;
                out.prompt = from.part("prompt");
                out.completions = {from.part("completion")};
                out.fields = {"completion"};
                if (from.row().fields.contains("system"))
                  out.system = from.text_or_nothing("system");
                out.label = from.truth("label");
                return out;
              },
          .labelled = true};
}

/// TRL's prompt-completion form: what somebody answered well, without a word on what would be worse. Every row is
/// desirable. No row is taken to be of this form unless it is named, since a label that was forgotten looks the same.
inline form trl_prompt_completion() {
  return {.name = "trl-prompt-completion",
          .says = "prompt and completion as they are, each completion a desirable one",
          .needs = {"prompt", "completion"},
          .unless = {"label"},
          .takes = {"system"},
          .fits = [](json_row const&) { return false; },
          .read =
              [](form_row const& from) {
                row_content out;
                out.is = row_content::verdict::labelled;
                out.prompt = from.part("prompt");
                out.completions = {from.part("completion")};
                out.fields = {"completion"};
                if (from.row().fields.contains("system")) {
                  out.system = from.text_or_nothing("system");
                }
                out.label = true;
                return out;
              },
          .labelled = true};
}

/// A question under another name than prompt, with a system message: Intel's orca_dpo_pairs, distilabel's.
inline form system_question() {
  return {.name = "system-question",
          .says =
              "system and question (or input, or instruction) are messages of the prompt, chosen "
              "and rejected the answers",
          .needs = {"system", "chosen", "rejected"},
          .unless = {"prompt", "messages", "conversations"},
          .takes = {"question", "input", "instruction"},
          .fits =
              [](json_row const& row) {
                bool const instruction = find_field(row, "instruction") != nullptr;
                bool const input = find_field(row, "input") != nullptr;
                return find_field(row, "question") != nullptr || instruction != input;
              },
          .read =
              [](form_row const& from) {
                return detail::two_sides(from, from.which({"question", "instruction", "input"}),
                                         "chosen", "rejected");
              }};
}

/// chosen_response and rejected_response: argilla's and others'.
inline form responses() {
  return {.name = "responses",
          .says =
              "prompt (or instruction, question, query) is the prompt, chosen_response and "
              "rejected_response the answers",
          .needs = {"chosen_response", "rejected_response"},
          .unless = {},
          .takes = {"prompt", "instruction", "question", "query", "system"},
          .fits = nullptr,
          .read = [](form_row const& from) {
            return detail::two_sides(from,
                                     from.which({"prompt", "instruction", "question", "query"}),
                                     "chosen_response", "rejected_response");
          }};
}

}  // namespace prefer::inline v0_1::data::forms
