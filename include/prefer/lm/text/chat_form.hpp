// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/dialect.hpp>

namespace prefer::inline v0_1::lm {

/// The families of chat templates that are known.
enum class chat_family { none, chatml, llama3, zephyr, mistral };

struct chat_family_name {
  chat_family family;
  std::string_view name;
};
inline constexpr std::array chat_families = {chat_family_name{chat_family::chatml, "chatml"},
                                             chat_family_name{chat_family::llama3, "llama3"},
                                             chat_family_name{chat_family::zephyr, "zephyr"},
                                             chat_family_name{chat_family::mistral, "mistral"}};

/// Where a template without a turn of its own for the system puts what it says.
enum class system_place { own_turn, first_user, last_user, refused };

/// What a model thinks before it answers, and what of that the generation prompt writes.
enum class thought {
  none,    // the template knows no thoughts
  either,  // an empty block where the answer has no thoughts, as Qwen 3 closes it
  always   // the block is opened for the model
};

/// How a model's template writes messages: its family, and in what this template differs within the family.
struct chat_form {
  chat_family family = chat_family::none;
  std::string unknown = {};         // for family none: why, as the end of a sentence
  bool writes_begin = false;        // the template itself writes the begin token
  bool trims = false;               // white space around contents is taken off
  bool trims_answers = false;       // of answers alone
  std::string default_system = {};  // said where the first message is not the system's
  bool has_default_system = false;
  std::string system_preamble =
      {};  // stands before what the system says, also where it says nothing
  system_place system = system_place::own_turn;
  std::vector<std::string> refused_roles = {};  // which the template writes in a way of its own
  bool system_first = false;  // what the system says behind others is written in a way of its own
  thought thoughts = thought::none;

  // Of Mistral's: what stands around a user's message and an answer.
  std::string before_user = {}, after_user = {}, before_answer = {}, after_answer = {};
  std::string before_system = {}, after_system = {};

  // Of the vocabulary and the user, not of the template.
  std::string begin = {};  // the begin token's text, where a prompt is to begin with it
  std::string end = {};    // the end token's text
  bool thinks = false;

  /// The control token behind every turn of an answer; empty: the end token.
  [[nodiscard]] std::string end_of_turn() const {
    if (family == chat_family::chatml) return "<|im_end|>";
    if (family == chat_family::llama3) return "<|eot_id|>";
    return end;
  }
};

/// "chatml, llama3, zephyr or mistral", for sentences.
[[nodiscard]] inline std::string names_of_chat_families() {
  std::string all;
  for (chat_family_name const& each : chat_families) {
    bool const last = &each == &chat_families.back();
    all += (all.empty() ? "" : last ? " or " : ", ") + std::string(each.name);
  }
  return all;
}

[[nodiscard]] constexpr std::string_view spelling(chat_family family) noexcept {
  for (chat_family_name const& each : chat_families) {
    if (each.family == family) return each.name;
  }
  return "none";
}

}  // namespace prefer::inline v0_1::lm
