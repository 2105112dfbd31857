// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/data/message.hpp>
#include <prefer/expects.hpp>
#include <prefer/lm/text/chat_form.hpp>
#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::lm {

/// A piece of what a chat template makes of messages: its own words, in which control tokens stand, or a user's.
struct chat_piece {
  std::string text;
  bool by_template = false;
  friend bool operator==(chat_piece const&, chat_piece const&) = default;
};
using chat_text = std::vector<chat_piece>;

/// The whole of it as one text.
[[nodiscard]] inline std::string joined(chat_text const& pieces) {
  std::string all;
  for (chat_piece const& each : pieces) all += each.text;
  return all;
}

namespace detail {

[[noreturn]] inline void refuse_message(std::size_t number, std::string const& reason) {
  refuse(backend_error("lm::chat", "message " + std::to_string(number), reason));
}

/// White space as Python's strip, which is Jinja's trim, takes it off: Unicode's, and four separators of ASCII.
[[nodiscard]] constexpr bool is_stripped(char32_t c) noexcept {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}
[[nodiscard]] inline std::string_view stripped(std::string_view all) {
  std::size_t first = 0;
  std::size_t last = 0;  // behind the last character that stays
  bool begun = false;
  for (std::size_t at = 0; at < all.size();) {
    auto const c = text::decode(all, at);
    at += c.bytes;
    if (is_stripped(c.value)) continue;
    if (!begun) first = at - c.bytes;
    begun = true;
    last = at;
  }
  return all.substr(first, last - first);
}

/// Without the line ends that it begins with.
[[nodiscard]] inline std::string_view without_first_lines(std::string_view text) {
  std::size_t const first = text.find_first_not_of('\n');
  return first == std::string_view::npos ? std::string_view() : text.substr(first);
}

/// An answer as thoughts and what is said.
struct thought_and_answer {
  std::string thought;
  std::string answer;
};
[[nodiscard]] inline thought_and_answer split_thoughts(data::message const& message) {
  std::string const text = message.content.plain();
  std::size_t const first_close = text.find("</think>");
  if (first_close == std::string::npos) return {"", text};
  std::string_view const all = text;
  std::string_view inside = all.substr(0, first_close);
  std::size_t const open = inside.rfind("<think>");
  if (open != std::string_view::npos) inside.remove_prefix(open + 7);
  std::string_view answer = all.substr(all.rfind("</think>") + 8);
  while (!inside.empty() && inside.back() == '\n') inside.remove_suffix(1);
  return {std::string(without_first_lines(inside)), std::string(without_first_lines(answer))};
}

/// Writes messages as one form of a template does.
class chat_writer {
 public:
  explicit chat_writer(chat_form const& form) : form_(form) {}

  [[nodiscard]] chat_text prompt(data::conversation const& messages) {
    expect_known_form();
    if (messages.empty())
      refuse_message(1, "is missing; expected a prompt of at least one message");
    for (std::size_t i = 0; i < messages.size(); ++i) expect_writable(messages[i], i + 1);
    if (messages.back().role == "assistant") {
      refuse_message(messages.size(),
                     "is the assistant's and stands last in the prompt; expected the user's, which "
                     "the completion answers");
    }
    by_template(form_.begin);
    if (form_.family == chat_family::mistral) {
      mistral_prompt(messages);
    } else {
      turns(messages);
      open_answer();
    }
    return std::move(out_);
  }

  [[nodiscard]] chat_text completion(data::conversation const& messages) {
    expect_known_form();
    if (messages.size() != 1 || messages.front().role != "assistant") {
      bool const by_other = !messages.empty() && messages.front().role != "assistant";
      refuse_message(by_other || messages.empty() ? 1 : 2,
                     (messages.empty() ? std::string("is missing")
                      : by_other       ? "is by \"" + messages.front().role + '"'
                                       : std::string("follows another")) +
                         "; expected a completion of one message, the assistant's, because all of "
                         "it is scored");
    }
    expect_writable(messages.front(), 1);
    answer(messages.front());
    by_template(form_.end_of_turn());
    return std::move(out_);
  }

 private:
  void by_template(std::string text) {
    if (!text.empty()) out_.push_back({std::move(text), true});
  }
  void by_user(std::string_view text) {
    if (!text.empty()) out_.push_back({std::string(text), false});
  }
  void content(data::message const& message) {
    std::string const text = message.content.plain();
    bool const trims = form_.trims || (form_.trims_answers && message.role == "assistant");
    by_user(trims ? stripped(text) : std::string_view(text));
  }

  void expect_known_form() const {
    if (form_.family != chat_family::none) return;
    refuse(backend_error("lm::chat", "the chat template",
                         form_.unknown + "; expected " + names_of_chat_families() +
                             ", which can also be asked for by name"));
  }
  void expect_writable(data::message const& message, std::size_t number) const {
    if (message.calls()) {
      refuse_message(number, "calls a tool, which is not written here; expected messages of text");
    }
    for (std::string const& role : form_.refused_roles) {
      if (message.role != role) continue;
      refuse_message(number, "is by \"" + role +
                                 "\", whose turns this template writes in a way "
                                 "that is not known here");
    }
    if (form_.system_first && number > 1 && message.role == "system") {
      refuse_message(number,
                     "is by \"system\" and stands behind others, which this template writes in a "
                     "way that is not known here");
    }
    bool const plain_roles =
        form_.family == chat_family::zephyr || form_.family == chat_family::mistral;
    if (plain_roles && message.role != "user" && message.role != "assistant" &&
        message.role != "system") {
      refuse_message(number, "is by \"" + message.role +
                                 "\"; expected user, assistant or system, which are all that this "
                                 "template knows");
    }
  }

  // ChatML, Llama 3 and Zephyr: every turn has a header with its role, and an end.

  /// Of a message's role, or of one that the template itself opens.
  void header(std::string const& role, bool of_message) {
    if (form_.family == chat_family::zephyr) return by_template("<|" + role + "|>\n");
    by_template(form_.family == chat_family::chatml ? "<|im_start|>" : "<|start_header_id|>");
    if (of_message) by_user(role);
    if (!of_message) by_template(role);
    by_template(form_.family == chat_family::chatml ? "\n" : "<|end_header_id|>\n\n");
  }
  void end_turn() {
    by_template(form_.end_of_turn());
    if (form_.family != chat_family::llama3) by_template("\n");
  }
  void open_answer() {
    header("assistant", false);
    if (form_.thoughts == thought::always) by_template("<think>\n");
    if (form_.thoughts == thought::either && !form_.thinks) by_template("<think>\n\n</think>\n\n");
  }

  void turns(data::conversation const& messages) {
    std::size_t next = 0;
    bool const says = messages.front().role == "system";
    if (form_.has_default_system || (says && !form_.system_preamble.empty())) {
      header("system", says);
      by_template(form_.system_preamble);
      if (says) content(messages.front());
      if (!says) by_template(form_.default_system);
      end_turn();
      next = says ? 1 : 0;
    }
    std::size_t last_query = messages.size();
    for (std::size_t i = messages.size(); i-- > 0 && last_query == messages.size();) {
      if (messages[i].role == "user") last_query = i;
    }
    for (; next < messages.size(); ++next) {
      data::message const& message = messages[next];
      header(message.role, true);
      if (message.role == "assistant" && form_.thoughts != thought::none) {
        earlier_answer(message, next > last_query);
      } else {
        content(message);
      }
      end_turn();
    }
  }
  /// Thoughts are forgotten when the user has spoken again.
  void earlier_answer(data::message const& message, bool keeps_thoughts) {
    auto const [thoughts, said] = split_thoughts(message);
    if (keeps_thoughts && !thoughts.empty()) {
      by_template("<think>\n");
      by_user(thoughts);
      by_template("\n</think>\n\n");
    }
    by_user(said);
  }

  void answer(data::message const& message) {
    if (form_.family == chat_family::mistral) by_template(form_.before_answer);
    if (form_.thoughts == thought::none) return content(message);
    auto const [thoughts, rest] = split_thoughts(message);
    std::string_view const said = without_first_lines(rest);
    if (form_.thoughts == thought::either && !form_.thinks) {
      // The empty block is the generation prompt's, and is not written again.
      if (!thoughts.empty()) {
        refuse_message(
            1,
            "has thoughts, and the prompt ends with an empty block of thoughts; expected "
            "none, unless the tokenizer is told that the model thinks");
      }
      return by_user(said);
    }
    if (form_.thoughts == thought::either) by_template("<think>\n");
    by_user(thoughts);
    by_template("\n</think>\n\n");
    by_user(said);
  }

  // Mistral: users and the assistant take turns, and the system speaks through a user.

  void mistral_prompt(data::conversation const& messages) {
    bool const says = messages.front().role == "system";
    std::size_t const first = says ? 1 : 0;
    for (std::size_t i = first; i < messages.size(); ++i) {
      bool const users_turn = (i - first) % 2 == 0;
      if (messages[i].role == (users_turn ? "user" : "assistant")) continue;
      refuse_message(i + 1, "is by \"" + messages[i].role + "\"; expected " +
                                (users_turn ? "the user" : "the assistant") +
                                ", who take turns in this template");
    }
    if (first == messages.size()) {
      refuse_message(1, "is the system's alone; expected a message of the user");
    }
    if (says && form_.system == system_place::refused) {
      refuse_message(1, "is the system's, for which this template has no place");
    }
    if (says && form_.system == system_place::own_turn) {
      by_template(form_.before_system);
      content(messages.front());
      by_template(form_.after_system);
    }
    std::size_t const spoken_at =
        form_.system == system_place::last_user ? messages.size() - 1 : first;
    bool const through_user = says && form_.system != system_place::own_turn;
    for (std::size_t i = first; i < messages.size(); ++i) {
      bool const users_turn = (i - first) % 2 == 0;
      by_template(users_turn ? form_.before_user : form_.before_answer);
      if (through_user && i == spoken_at) {
        content(messages.front());
        by_template("\n\n");
      }
      content(messages[i]);
      by_template(users_turn ? form_.after_user : form_.end_of_turn() + form_.after_answer);
    }
  }

  chat_form const& form_;
  chat_text out_;
};

}  // namespace detail

/// A prompt of messages and what opens the answer: the header of the assistant's turn, and what the model finds written
/// behind it.
///
/// Errors  backend_error with the number of a message: a role or a call that the template has no place for, an answer at
///         the end; or a template that is not known
[[nodiscard]] inline chat_text render_prompt(chat_form const& form,
                                             data::conversation const& messages) {
  return detail::chat_writer(form).prompt(messages);
}

/// An answer and the end of its turn, without what render_prompt wrote already: all that the model says itself, and all
/// of it is scored. The line end that a template writes behind the turn belongs to what comes next.
///
/// Errors  as render_prompt; messages of others than the assistant; thoughts behind an empty block of thoughts
[[nodiscard]] inline chat_text render_completion(chat_form const& form,
                                                 data::conversation const& messages) {
  return detail::chat_writer(form).completion(messages);
}

/// Refuses what a row says to a template beside its messages and this one does not write. chat_template_kwargs may
/// say what holds anyway: {"enable_thinking":false}, or true where the tokenizer is told so.
inline void expect_known_context(chat_form const& form, data::members const& context) {
  for (data::member const& each : context) {
    std::string const thinks = form.thinks ? "true" : "false";
    bool const holds = each.name == "chat_template_kwargs" &&
                       (each.json == "{}" || (form.thoughts == thought::either &&
                                              each.json == "{\"enable_thinking\":" + thinks + "}"));
    bool const empty = each.json == "null" || each.json == "[]";
    if (holds || empty) continue;
    refuse(backend_error("lm::chat", each.name,
                         "is not written by this library's form of the template, which takes "
                         "messages alone; found " +
                             each.json.substr(0, 60)));
  }
}

}  // namespace prefer::inline v0_1::lm
