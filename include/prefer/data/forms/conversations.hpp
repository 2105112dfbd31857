// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <prefer/data/form.hpp>

namespace prefer::inline v0_1::data::forms {

/// LLaMA-Factory's and Axolotl's sharegpt form: a conversation, and two messages that may follow it.
///
/// Source  github.com/hiyouga/LLaMA-Factory, data/README.md, sharegpt format, preference dataset
inline form sharegpt() {
  return {.name = "sharegpt",
          .says = "conversations is the prompt, chosen and rejected the messages that follow it",
          .needs = {"conversations", "chosen", "rejected"},
          .unless = {},
          .takes = {"system"},
          .fits = nullptr,
          .read = [](form_row const& from) {
            row_content out = detail::two_sides(from, "conversations", "chosen", "rejected");
            detail::set_prompt(from.messages("conversations"), out);
            return out;
          }};
}

/// Axolotl's chat_template form: the same with OpenAI's messages.
///
/// Source  docs.axolotl.ai, RLHF, DPO, chat_template.default
inline form messages() {
  return {.name = "messages",
          .says = "messages is the prompt, chosen and rejected the messages that follow it",
          .needs = {"messages", "chosen", "rejected"},
          .unless = {},
          .takes = {"system"},
          .fits = nullptr,
          .read = [](form_row const& from) {
            row_content out = detail::two_sides(from, "messages", "chosen", "rejected");
            detail::set_prompt(from.messages("messages"), out);
            return out;
          }};
}

/// OpenAI's preference fine-tuning form: the tools stay with the prompt.
///
/// Source  platform.openai.com/docs/guides/direct-preference-optimization
inline form openai() {
  return {.name = "openai",
          .says =
              "input.messages is the prompt, with input.tools; preferred_output and "
              "non_preferred_output are the answers",
          .needs = {"input", "preferred_output", "non_preferred_output"},
          .unless = {},
          .takes = {},
          .fits = nullptr,
          .read = [](form_row const& from) {
            json const& input = from.value("input");
            if (!input.is_object() || !input.contains("messages")) {
              from.refuse("input", "found " + detail::kind_of(input) +
                                       "; expected an object with \"messages\"");
            }
            row_content out;
            for (std::string_view const side : {"preferred_output", "non_preferred_output"}) {
              out.completions.push_back(turns(from.messages(side)));
              out.fields.emplace_back(side);
            }
            out.prompt = from.messages("input", input.at("messages"));
            for (auto const& [name, value] : input.items()) {
              if (name != "messages") out.kept.push_back({name, value.dump()});
            }
            return out;
          }};
}

}  // namespace prefer::inline v0_1::data::forms
