// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include <prefer/data/form.hpp>

namespace prefer::inline v0_1::data::forms {

/// Where in a text the answer of the last of the assistant's turns begins; npos if the text is no transcript.
inline std::size_t last_answer(std::string_view text) {
  constexpr std::string_view answer = "\n\nAssistant:";
  auto const begins = text.find_first_not_of("\n ");
  if (begins == std::string_view::npos || !text.substr(begins).starts_with("Human:")) {
    return std::string_view::npos;
  }
  auto const last = text.rfind(answer);
  return last == std::string_view::npos ? last : last + answer.size();
}

/// HH-RLHF: two transcripts that differ in the last answer. The prompt goes up to the last "Assistant:" that both share,
/// and no character is lost: prompt and completion together are the transcript.
///
/// Source  Bai et al. 2022, arXiv:2204.05862; huggingface.co/datasets/Anthropic/hh-rlhf
inline form transcript() {
  return {
      .name = "transcript",
      .says =
          "the transcripts chosen and rejected are the same up to the last \"Assistant:\", which "
          "is the prompt",
      .needs = {"chosen", "rejected"},
      .unless = {"prompt"},
      .takes = {},
      .fits =
          [](json_row const& row) {
            for (char const* const side : {"chosen", "rejected"}) {
              json const& text = row.fields.at(side);
              if (!text.is_string() ||
                  last_answer(text.get_ref<std::string const&>()) == std::string_view::npos) {
                return false;
              }
            }
            return true;
          },
      .read =
          [](form_row const& from) {
            std::string const chosen = from.text("chosen");
            std::string const rejected = from.text("rejected");
            auto const differ =
                std::mismatch(chosen.begin(), chosen.end(), rejected.begin(), rejected.end()).first;
            auto const length = last_answer(std::string_view(chosen).substr(
                0, static_cast<std::size_t>(differ - chosen.begin())));
            if (length == std::string_view::npos) {
              from.row().at.refuse(
                  "\"chosen\" and \"rejected\" differ before the first \"Assistant:\"; expected "
                  "transcripts of one conversation");
            }
            row_content out;
            out.prompt = chosen.substr(0, length);
            out.completions = {turns(chosen.substr(length)), turns(rejected.substr(length))};
            out.fields = {"chosen", "rejected"};
            return out;
          }};
}

}  // namespace prefer::inline v0_1::data::forms
