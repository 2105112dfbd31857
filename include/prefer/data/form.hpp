// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/data/example.hpp>
#include <prefer/data/json_row.hpp>
#include <prefer/data/message_json.hpp>
#include <prefer/data/reading.hpp>

namespace prefer::inline v0_1::data {

/// What every form maps a row to: completions of one prompt, and what is known of them.
struct row_content {
  enum class verdict : std::uint8_t {
    chosen_rejected,  // two completions, the better one first
    tie,              // two completions, none better
    scored,           // any number of completions, each with a score
    labelled          // one completion, which is good or not
  };
  verdict is = verdict::chosen_rejected;
  std::optional<turns> prompt;  // absent: what the completions begin with
  bool prompt_is_shared =
      false;  // the form itself says so; a field by another name is then no prompt
  std::vector<turns> completions;   // whole conversations or texts, or what follows the prompt
  std::vector<std::string> fields;  // of the completions, for messages
  std::vector<double> score;        // one per completion, or none
  bool label = false;
  std::optional<std::string> system;  // a system message before the prompt
  members kept = {};                  // fields that are read, and belong to `further` all the same
};

/// A row while a form reads it.
class form_row {
 public:
  /// `expected` lists the form's fields, for the error about one that is missing.
  form_row(json_row const& row, reading const& how, reading_report& report,
           std::string const& expected)
      : row_(row), how_(how), report_(report), expected_(expected) {}

  [[nodiscard]] json_row const& row() const noexcept { return row_; }
  [[nodiscard]] reading const& how() const noexcept { return how_; }
  /// The field is there, and is not null.
  [[nodiscard]] bool has(std::string_view name) const { return find_field(row_, name) != nullptr; }
  [[nodiscard]] json const& value(std::string_view name) const {
    return field(row_, name, expected_);
  }
  /// The one of these that the row has; the first where it has none.
  [[nodiscard]] std::string_view which(std::initializer_list<std::string_view> names) const {
    for (std::string_view const name : names) {
      if (has(name)) return name;
    }
    return *names.begin();
  }

  [[nodiscard]] turns part(std::string_view name) const { return reader(name).read(value(name)); }
  [[nodiscard]] conversation messages(std::string_view name) const {
    return messages(name, value(name));
  }
  /// Messages in a member of a field, which errors call by the field.
  [[nodiscard]] conversation messages(std::string_view name, json const& of) const {
    return reader(name).messages(of);
  }
  [[nodiscard]] std::string text(std::string_view name) const {
    return detail::text_in(row_, name, value(name));
  }
  [[nodiscard]] bool truth(std::string_view name) const {
    static_cast<void>(value(name));
    return data::truth(row_, name);
  }
  [[nodiscard]] std::string text_or_nothing(std::string_view name) const {
    return optional_text(row_, name).value_or("");
  }

  /// A whole number of these bounds: what a column of verdicts holds.
  [[nodiscard]] int whole(std::string_view name, int low, int high) const {
    json const& found = value(name);
    double const number = found.is_number() ? found.get<double>() : low - 1.0;
    if (!(number >= low && number <= high) || number != static_cast<int>(number)) {
      refuse_field(row_, name,
                   "found " + detail::kind_of(found) + "; expected a whole number from " +
                       std::to_string(low) + " to " + std::to_string(high));
    }
    return static_cast<int>(number);
  }

  /// Something inside a field that nothing is read from.
  void not_used(std::string const& name) const { report_.unused[name].add(row_.at.line); }
  [[noreturn]] void refuse(std::string_view name, std::string const& reason) const {
    refuse_field(row_, name, reason);
  }

 private:
  [[nodiscard]] message_reader reader(std::string_view name) const {
    return {row_, name, how_.parts, report_.parts};
  }

  json_row const& row_;
  reading const& how_;
  reading_report& report_;
  std::string const& expected_;
};

/// One public form of preference rows: a page that says by which fields it is known, and what becomes of them.
struct form {
  std::string_view name;  // for reading::form
  std::string_view says;  // the mapping, in a sentence for whoever reads the numbers
  std::vector<std::string_view>
      needs;  // fields by which it is known: the form with the most of them is taken
  std::vector<std::string_view> unless;  // fields with which it is another
  std::vector<std::string_view> takes;   // further fields that it reads
  bool (*fits)(json_row const&);         // where fields do not tell it; nullptr if they do
  row_content (*read)(form_row const&);
  bool labelled = false;  // gives unpaired examples
};

namespace detail {

/// One message of this role and text.
inline turns said(std::string const& role, std::string text) {
  return conversation{message{role, std::move(text)}};
}

/// The completion as a message of the assistant, unless it is messages.
inline turns answer(turns completion) {
  return completion.is_text() ? said("assistant", completion.text()) : std::move(completion);
}

/// Chosen and rejected under these names, with the prompt and the system message if there are fields for them.
inline row_content two_sides(form_row const& from, std::string_view prompt, std::string_view chosen,
                             std::string_view rejected) {
  row_content out;
  out.completions = {from.part(chosen), from.part(rejected)};
  out.fields = {std::string(chosen), std::string(rejected)};
  if (from.row().fields.contains(prompt)) out.prompt = from.part(prompt);
  if (from.row().fields.contains("system")) out.system = from.text_or_nothing("system");
  return out;
}

/// The last message of a conversation, which is the assistant's, and those before it as the prompt.
inline void split_answer(form_row const& from, std::string_view name, row_content& into) {
  conversation all = from.messages(name);
  if (all.size() < 2 || all.back().role != "assistant") {
    from.refuse(name, "expected messages of which the last is the assistant's answer");
  }
  into.completions = {turns(conversation{all.back()})};
  into.fields = {std::string(name)};
  all.pop_back();
  into.prompt = std::move(all);
}

/// Two completions with the field that names the better one already looked at: `first_is_better` is above 0 if the first
/// is, below if the second is, and 0 for a tie.
inline row_content judged(form_row const& from, std::string_view first, std::string_view second,
                          int first_is_better) {
  row_content out;
  bool const swapped = first_is_better < 0;
  if (first_is_better == 0) out.is = row_content::verdict::tie;
  for (std::string_view const name : {swapped ? second : first, swapped ? first : second}) {
    out.completions.push_back(from.part(name));
    out.fields.emplace_back(name);
  }
  return out;
}

/// The prompt, and answers in the form that it has.
inline void set_prompt(turns prompt, row_content& into) {
  if (!prompt.is_text()) {
    for (turns& each : into.completions) each = answer(std::move(each));
  }
  into.prompt = std::move(prompt);
}

}  // namespace detail

}  // namespace prefer::inline v0_1::data
