// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <prefer/data/message.hpp>
#include <prefer/expects.hpp>

namespace prefer::inline v0_1::data {

/// A prompt or a completion in the form its file gave it: plain text, or messages for a chat template.
///
/// Errors  `text` of messages and `messages` of a text are precondition_error: ask `is_text` first
class turns {
 public:
  turns() = default;
  turns(std::string text) : form_(std::move(text)) {}
  turns(char const* text) : form_(std::string(text)) {}
  turns(conversation messages) : form_(std::move(messages)) {}

  [[nodiscard]] bool is_text() const noexcept { return form_.index() == 0; }
  [[nodiscard]] std::string const& text() const {
    expects(is_text(), "turns::text: these turns are messages");
    return *std::get_if<std::string>(&form_);
  }
  [[nodiscard]] conversation const& messages() const {
    expects(!is_text(), "turns::messages: these turns are one text");
    return *std::get_if<conversation>(&form_);
  }
  /// True if no character would reach the model: an empty text, or messages of which none says or calls anything.
  [[nodiscard]] bool blank() const {
    if (is_text()) return text().empty();
    for (message const& turn : messages()) {
      if (!turn.blank()) return false;
    }
    return true;
  }
  friend bool operator==(turns const&, turns const&) = default;

 private:
  std::variant<std::string, conversation> form_;
};

/// Two completions of one prompt, of which `chosen` is preferred. All three parts have one form.
struct preference_pair {
  turns prompt;
  turns chosen;
  turns rejected;
  std::optional<double> weight = {};        // >= 0, how much this pair counts
  std::optional<double> beta = {};          // > 0, this pair's own beta
  std::optional<double> score_chosen = {};  // a judge's score, in the judge's unit
  std::optional<double> score_rejected = {};
  std::size_t line = 0;  // in its file, from 1
  members context = {};  // what a chat template sees beside the messages: tools, documents
  members further = {};  // the row's other fields, which are no part of the preference

  /// score_chosen minus score_rejected, where the row has both.
  [[nodiscard]] std::optional<double> score_margin() const {
    if (!score_chosen || !score_rejected) return std::nullopt;
    return *score_chosen - *score_rejected;
  }
};

/// One completion and whether it is a desirable one. Both parts have one form.
struct unpaired_example {
  turns prompt;
  turns completion;
  bool label = false;
  std::optional<double> weight = {};  // >= 0
  std::optional<double> beta = {};    // > 0
  std::size_t line = 0;               // in its file, from 1
  members context = {};               // what a chat template sees beside the messages
  members further = {};               // the row's other fields
};

/// Several completions of one prompt, each with a judge's score. All parts have one form.
struct scored_completions {
  turns prompt;
  std::vector<turns> completions;
  std::vector<double> score;          // one per completion, more is better
  std::optional<double> weight = {};  // >= 0
  std::optional<double> beta = {};    // > 0
  std::size_t line = 0;               // in its file, from 1
  members context = {};
  members further = {};
};

}  // namespace prefer::inline v0_1::data
