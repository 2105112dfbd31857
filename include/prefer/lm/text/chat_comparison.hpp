// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <prefer/data/message.hpp>
#include <prefer/lm/text/chat_detection.hpp>
#include <prefer/lm/text/chat_form.hpp>
#include <prefer/lm/text/chat_rendering.hpp>
#include <prefer/lm/text/template_program.hpp>

namespace prefer::inline v0_1::lm {

/// What became of a comparison of a form with the template that it was recognised in.
enum class template_agreement {
  agrees,
  differs,
  not_run  // the template has something in it that template_program does not know
};

namespace detail {

/// A form beside its template: both write conversations, and are compared.
class chat_comparison {
 public:
  chat_comparison(chat_form const& form, std::string_view jinja, std::string_view begin)
      : form_(form),
        program_(jinja),
        begin_(begin),
        opens_(jinja.find("add_generation_prompt") != std::string_view::npos) {
    form_.begin = form.writes_begin ? std::string(begin) : std::string();
  }

  /// Of a prompt, and with `answer` of the whole conversation, in which prompt and answer come first.
  [[nodiscard]] template_agreement compare(data::conversation const& prompt,
                                           std::string const& answer) {
    here_ = joined(render_prompt(form_, prompt));
    auto agreement = template_agreement::agrees;
    if (opens_ || form_.family == chat_family::mistral) {
      agreement = found(run(prompt, true), [&] { return there_ == here_; });
    }
    if (agreement != template_agreement::agrees || answer.empty()) return agreement;
    data::conversation whole = prompt;
    whole.push_back({"assistant", answer});
    here_ += joined(render_completion(form_, {whole.back()}));
    return found(run(whole, false), [&] { return there_.substr(0, here_.size()) == here_; });
  }

  /// Where both are apart, of the comparison before.
  [[nodiscard]] std::string apart() const {
    if (raised_) return "refuses what the family takes";
    auto const [here, there] =
        std::mismatch(here_.begin(), here_.end(), there_.begin(), there_.end());
    return "writes " + excerpt(there_, static_cast<std::size_t>(there - there_.begin())) +
           " where the family writes " +
           excerpt(here_, static_cast<std::size_t>(here - here_.begin()));
  }

 private:
  template_program::outcome run(data::conversation const& messages, bool opens_answer) const {
    template_value given = {{"messages", template_value::array()},
                            {"add_generation_prompt", opens_answer},
                            {"enable_thinking", form_.thinks},
                            {"bos_token", std::string(begin_)},
                            {"eos_token", form_.end}};
    for (auto const& each : messages) {
      given["messages"].push_back({{"role", each.role}, {"content", each.content.plain()}});
    }
    return program_.run(given);
  }
  template <class Same>
  template_agreement found(template_program::outcome outcome, Same const& same) {
    there_ = std::move(outcome.text);
    raised_ = outcome.end == template_end::raised;
    if (outcome.end == template_end::beyond) return template_agreement::not_run;
    return !raised_ && same() ? template_agreement::agrees : template_agreement::differs;
  }
  /// A few characters from a little before `at`, on one line.
  static std::string excerpt(std::string const& text, std::size_t at) {
    std::string out;
    for (char const c : text.substr(at - std::min<std::size_t>(at, 12), 24)) {
      out += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    return '"' + out + '"';
  }

  chat_form form_;
  template_program program_;
  std::string_view begin_;
  bool opens_;  // the template is asked to open an answer, or never does
  std::string here_ = {};
  std::string there_ = {};
  bool raised_ = false;
};

/// Words with white space around them, which some templates take away.
inline data::conversation conversation_of(std::initializer_list<char const*> roles) {
  data::conversation out;
  for (char const* const role : roles) {
    out.push_back({role, " What the " + std::string(role) + " says, \"so\" \n"});
  }
  return out;
}

}  // namespace detail

/// Runs a template on a few conversations and compares what it writes with what the form that was recognised in it
/// writes: marks can be those of a family in a template that is not of it. Where plain turns of user and assistant differ
/// the form becomes unknown, with the difference; where only the system's do, messages of the system are refused. A
/// template that is beyond template_program, and one that reads no messages at all, keep the form that their marks say.
inline template_agreement hold_against_template(chat_form& form, std::string_view jinja,
                                                std::string_view begin) {
  namespace d = detail;
  using enum template_agreement;
  bool const reads = jinja.find("messages") != std::string_view::npos;
  if (form.family == chat_family::none || !reads) return not_run;
  d::chat_comparison comparison(form, jinja, begin);
  std::string const answer = form.thoughts == thought::none ? " An answer. " : "";
  for (auto const& prompt :
       {d::conversation_of({"user"}), d::conversation_of({"user", "assistant", "user"}),
        d::conversation_of({"user", "assistant", "user", "assistant", "user"})}) {
    auto const agreement = comparison.compare(prompt, answer);
    if (agreement == not_run) return not_run;
    if (agreement == agrees) continue;
    std::string const family(spelling(form.family));
    form = d::unknown_form("has the marks of the family " + family + " and " + comparison.apart());
    return differs;
  }
  if (form.system == system_place::refused) return agrees;
  for (auto const& prompt : {d::conversation_of({"system", "user"}),
                             d::conversation_of({"system", "user", "assistant", "user"})}) {
    if (comparison.compare(prompt, "") == agrees) continue;
    form.refused_roles.emplace_back("system");
    return agrees;
  }
  if (form.family != chat_family::mistral) {
    auto const later = d::conversation_of({"user", "assistant", "system", "user"});
    form.system_first = comparison.compare(later, "") != agrees;
  }
  return agrees;
}

}  // namespace prefer::inline v0_1::lm
