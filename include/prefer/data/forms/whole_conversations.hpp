// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <prefer/data/form.hpp>

namespace prefer::inline v0_1::data::forms {

/// ms-swift's form: a whole conversation, and another last answer.
///
/// Source  swift.readthedocs.io, custom dataset, RLHF
inline form rejected_response() {
  return {.name = "rejected-response",
          .says =
              "the last of messages is chosen, those before it are the prompt, and "
              "rejected_response is rejected",
          .needs = {"messages", "rejected_response"},
          .unless = {},
          .takes = {"system"},
          .fits = nullptr,
          .read = [](form_row const& from) {
            row_content out;
            detail::split_answer(from, "messages", out);
            out.completions.push_back(detail::answer(from.text("rejected_response")));
            out.fields.emplace_back("rejected_response");
            if (from.row().fields.contains("system")) out.system = from.text_or_nothing("system");
            return out;
          }};
}

/// The same with a whole conversation on both sides.
inline form rejected_messages() {
  return {.name = "rejected-messages",
          .says =
              "what messages and rejected_messages share at their beginning is the prompt, the "
              "rest of messages is chosen",
          .needs = {"messages", "rejected_messages"},
          .unless = {},
          .takes = {"system"},
          .fits = nullptr,
          .read = [](form_row const& from) {
            row_content out;
            out.completions = {turns(from.messages("messages")),
                               turns(from.messages("rejected_messages"))};
            out.fields = {"messages", "rejected_messages"};
            out.prompt_is_shared = true;
            if (from.row().fields.contains("system")) out.system = from.text_or_nothing("system");
            return out;
          }};
}

/// Its older form, in three texts.
inline form query_response() {
  return {.name = "query-response",
          .says = "query is the prompt, response is chosen, rejected_response rejected",
          .needs = {"query", "response", "rejected_response"},
          .unless = {},
          .takes = {"system"},
          .fits = nullptr,
          .read = [](form_row const& from) {
            return detail::two_sides(from, "query", "response", "rejected_response");
          }};
}

/// A whole conversation and whether its last answer is a good one: ms-swift's label, LLaMA-Factory's kto_tag.
inline form labelled_messages() {
  return {.name = "labelled-messages",
          .says =
              "the last of messages (or conversations) is the completion, label (or kto_tag) says "
              "whether it is a good one",
          .needs = {},
          .unless = {"completion"},
          .takes = {"messages", "conversations", "label", "kto_tag", "system"},
          .fits =
              [](json_row const& row) {
                auto const has = [&](char const* name) { return find_field(row, name) != nullptr; };
                return (has("messages") || has("conversations")) &&
                       (has("label") || has("kto_tag"));
              },
          .read =
              [](form_row const& from) {
                row_content out;
                out.is = row_content::verdict::labelled;
                detail::split_answer(from, from.which({"messages", "conversations"}), out);
                out.label = from.truth(from.which({"label", "kto_tag"}));
                if (from.row().fields.contains("system"))
                  out.system = from.text_or_nothing("system");
                return out;
              },
          .labelled = true};
}

}  // namespace prefer::inline v0_1::data::forms
