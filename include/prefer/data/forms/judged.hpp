// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include <prefer/data/form.hpp>

namespace prefer::inline v0_1::data::forms {

/// HelpSteer 2 and 3: two responses and a preference from -3, the first is much better, to 3, the second is.
///
/// Source  huggingface.co/datasets/nvidia/HelpSteer3, and HelpSteer2's preference file
inline form helpsteer() {
  return {.name = "helpsteer",
          .says =
              "context (or prompt) is the prompt; of response1 and response2 the one is chosen to "
              "which overall_preference points, below 0 the first",
          .needs = {"response1", "response2", "overall_preference"},
          .unless = {},
          .takes = {"context", "prompt", "system"},
          .fits = nullptr,
          .read = [](form_row const& from) {
            int const preference = from.whole("overall_preference", -3, 3);
            row_content out = detail::judged(from, "response1", "response2", -preference);
            detail::set_prompt(from.part(from.which({"context", "prompt"})), out);
            out.kept = {{"overall_preference", from.value("overall_preference").dump()}};
            return out;
          }};
}
inline form helpsteer2() {
  return {.name = "helpsteer2",
          .says =
              "prompt is the prompt; of response_1 and response_2 the one is chosen to which "
              "preference_strength points, below 0 the first",
          .needs = {"response_1", "response_2", "preference_strength"},
          .unless = {},
          .takes = {"prompt", "system"},
          .fits = nullptr,
          .read = [](form_row const& from) {
            int const preference = from.whole("preference_strength", -3, 3);
            row_content out = detail::judged(from, "response_1", "response_2", -preference);
            detail::set_prompt(from.part("prompt"), out);
            out.kept = {{"preference_strength", from.value("preference_strength").dump()}};
            return out;
          }};
}

/// PKU-SafeRLHF: the number of the better of two responses. Which is the safer one is passed over.
inline form safe_rlhf() {
  return {.name = "safe-rlhf",
          .says =
              "prompt is the prompt; of response_0 and response_1 the one is chosen that "
              "better_response_id names",
          .needs = {"response_0", "response_1", "better_response_id"},
          .unless = {},
          .takes = {"prompt", "system"},
          .fits = nullptr,
          .read = [](form_row const& from) {
            bool const second = from.whole("better_response_id", 0, 1) == 1;
            row_content out = detail::judged(from, "response_0", "response_1", second ? -1 : 1);
            detail::set_prompt(from.part("prompt"), out);
            return out;
          }};
}

/// SHP: a post and two comments; labels is 1 where A is preferred.
inline form shp() {
  return {.name = "shp",
          .says = "history is the prompt; labels 1 chooses human_ref_A, 0 human_ref_B",
          .needs = {"history", "human_ref_A", "human_ref_B", "labels"},
          .unless = {},
          .takes = {},
          .fits = nullptr,
          .read = [](form_row const& from) {
            bool const first = from.whole("labels", 0, 1) == 1;
            row_content out = detail::judged(from, "human_ref_A", "human_ref_B", first ? 1 : -1);
            detail::set_prompt(from.part("history"), out);
            return out;
          }};
}

/// Who won a battle of two models, by the arenas' words: 1 the first, -1 the second, 0 for both kinds of tie.
inline int winner(form_row const& from) {
  std::string const won = from.text("winner");
  if (won == "model_a" || won == "a" || won == "A") return 1;
  if (won == "model_b" || won == "b" || won == "B") return -1;
  if (won == "tie" || won == "tie (bothbad)" || won == "both_bad" || won == "bothbad") return 0;
  from.refuse("winner", "found the string " + in_quotes(won) +
                            "; expected model_a, model_b, tie, or tie (bothbad)");
}

/// Battles of an arena: two whole conversations with the same questions.
///
/// Source  huggingface.co/datasets/lmsys/chatbot_arena_conversations
inline form arena() {
  return {.name = "arena",
          .says =
              "what conversation_a and conversation_b share at their beginning is the prompt; the "
              "winner's rest is chosen",
          .needs = {"conversation_a", "conversation_b", "winner"},
          .unless = {},
          .takes = {},
          .fits = nullptr,
          .read = [](form_row const& from) {
            row_content out =
                detail::judged(from, "conversation_a", "conversation_b", winner(from));
            out.prompt_is_shared = true;
            return out;
          }};
}
/// The same of one answer each.
inline form arena_responses() {
  return {.name = "arena-responses",
          .says =
              "prompt (or question) is the prompt; of response_a and response_b the winner's is "
              "chosen",
          .needs = {"response_a", "response_b", "winner"},
          .unless = {},
          .takes = {"prompt", "question", "system"},
          .fits = nullptr,
          .read = [](form_row const& from) {
            row_content out = detail::judged(from, "response_a", "response_b", winner(from));
            detail::set_prompt(from.part(from.which({"prompt", "question"})), out);
            return out;
          }};
}

}  // namespace prefer::inline v0_1::data::forms
