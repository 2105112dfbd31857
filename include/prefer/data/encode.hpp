// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <prefer/batch/choices.hpp>
#include <prefer/batch/token_sequences.hpp>
#include <prefer/data/example.hpp>
#include <prefer/data/example_identity.hpp>
#include <prefer/data/numbering.hpp>
#include <prefer/data/tokenizer.hpp>
#include <prefer/data/truncation.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>

namespace prefer::inline v0_1::data {

namespace detail {

template <class Rows>
using row_of = std::remove_cvref_t<decltype(*std::begin(std::declval<Rows&>()))>;

}  // namespace detail

/// Preference pairs, unpaired examples or scored completions, one after the other: what `pairs`, `unpaired` and `scored`
/// give, or a vector of them.
template <class Rows>
concept ExampleRows = std::same_as<detail::row_of<Rows>, preference_pair> ||
                      std::same_as<detail::row_of<Rows>, unpaired_example> ||
                      std::same_as<detail::row_of<Rows>, scored_completions>;

namespace detail {

[[noreturn]] inline void refuse_row(char const* caller, std::size_t line,
                                    std::string const& reason) {
  ::prefer::detail::fail(backend_error(caller, "line " + std::to_string(line), reason));
}

/// Moves the optional numbers of rows to the columns of a choice_data. A row without a weight weighs 1; of the others
/// every row has one or none has, because no number would mean "as if it were not there".
class optional_numbers {
 public:
  optional_numbers(char const* caller, choice_data& into) : caller_(caller), into_(into) {}

  /// Of the row that was added last.
  void add(preference_pair const& row) {
    add_common(row);
    if (row.score_chosen.has_value() != row.score_rejected.has_value()) {
      refuse_row(caller_, row.line, "one of score_chosen and score_rejected is missing");
    }
    if (!same_as_before(row.score_chosen.has_value(), !into_.score.empty(), "scores", row.line)) {
      return;
    }
    into_.score.push_back(narrow(*row.score_chosen, "score_chosen", row.line));
    into_.score.push_back(narrow(*row.score_rejected, "score_rejected", row.line));
  }
  void add(unpaired_example const& row) { add_common(row); }
  void add(scored_completions const& row) {
    add_common(row);
    for (double const score : row.score) {
      into_.score.push_back(narrow(score, "a score", row.line));
    }
  }

 private:
  template <class Row>
  void add_common(Row const& row) {
    if (row.weight && into_.weight.empty()) into_.weight.assign(into_.size() - 1, 1.0f);
    if (row.weight || !into_.weight.empty()) {
      into_.weight.push_back(narrow(row.weight.value_or(1.0), "weight", row.line));
    }
    if (same_as_before(row.beta.has_value(), !into_.beta.empty(), "a beta", row.line)) {
      into_.beta.push_back(narrow(*row.beta, "beta", row.line));
    }
  }

  /// Columns are floats: a number that would become an infinity there, or 0 where it is none, is another number.
  [[nodiscard]] float narrow(double value, char const* what, std::size_t line) const {
    bool const fits = std::fabs(value) <= std::numeric_limits<float>::max();
    float const out = fits ? static_cast<float>(value) : 0.0f;
    if (out == 0.0f && value != 0.0) {
      char digits[32];
      std::snprintf(digits, sizeof digits, "%.6g", value);
      refuse_row(caller_, line,
                 std::string(what) + " is " + digits + ", which a float does not hold");
    }
    return out;
  }

  [[nodiscard]] bool same_as_before(bool here, bool before, char const* what,
                                    std::size_t line) const {
    if (into_.size() > 1 && here != before) {
      refuse_row(caller_, line,
                 std::string(here ? "has " : "lacks ") + what +
                     (here ? ", which rows before lack" : ", which rows before have"));
    }
    return here;
  }

  char const* caller_;
  choice_data& into_;
};

/// A table of tokens in which equal sequences have one number.
class interned_sequences {
 public:
  explicit interned_sequences(token_table& table) : table_(table) {
    for (std::uint32_t id = 0; id < table.size(); ++id) known_.emplace(hash(table.tokens(id)), id);
  }

  std::uint32_t add(std::span<std::uint32_t const> tokens) {
    auto const key = hash(tokens);
    auto const [first, last] = known_.equal_range(key);
    for (auto each = first; each != last; ++each) {
      auto const there = table_.tokens(each->second);
      if (std::equal(there.begin(), there.end(), tokens.begin(), tokens.end())) {
        return each->second;
      }
    }
    return known_.emplace(key, table_.add(tokens))->second;
  }

 private:
  [[nodiscard]] static std::uint64_t hash(std::span<std::uint32_t const> tokens) {
    return fingerprint().add(tokens).value();
  }

  token_table& table_;
  std::unordered_multimap<std::uint64_t, std::uint32_t> known_;
};

/// What stands before a prompt that is a text; a template writes its own before messages.
template <Tokenizer T>
std::optional<std::uint32_t> begin_of(T const& tokenizer, turns const& prompt) {
  std::optional<std::uint32_t> begin;
  if constexpr (requires { tokenizer.begin_token(); }) begin = tokenizer.begin_token();
  return prompt.is_text() ? begin : std::nullopt;
}
/// What stands behind a completion that is a text and was not cut.
template <Tokenizer T>
std::optional<std::uint32_t> end_of(T const& tokenizer, turns const& completion) {
  std::optional<std::uint32_t> end;
  if constexpr (requires { tokenizer.end_token(); }) end = tokenizer.end_token();
  return completion.is_text() ? end : std::nullopt;
}

/// Tokens of a part of a row, and how many were cut off.
struct cut_tokens {
  std::vector<std::uint32_t> token = {};
  std::size_t cut = 0;
};

/// Turns parts of rows into tokens within limits.
template <Tokenizer T>
class part_encoder {
 public:
  part_encoder(T const& tokenizer, truncation const& limits)
      : tokenizer_(tokenizer), limits_(limits) {}

  [[nodiscard]] cut_tokens prompt(turns const& part, members const& context,
                                  std::size_t line) const {
    cut_tokens out;
    std::optional<std::uint32_t> begin;
    if constexpr (requires { tokenizer_.begin_token(); }) begin = tokenizer_.begin_token();
    if (auto const first = begin_of(tokenizer_, part)) out.token.push_back(*first);
    if (context.empty()) {
      encode(part, turn_part::prompt, line, out.token);
    } else {
      encode_with(context, part, line, out.token);
    }
    if (out.token.size() <= limits_.prompt) return out;
    std::size_t const beginning = begin && out.token.front() == *begin ? 1 : 0;
    out.cut = out.token.size() - limits_.prompt;
    auto const first = out.token.begin() + static_cast<std::ptrdiff_t>(beginning);
    out.token.erase(first, first + static_cast<std::ptrdiff_t>(out.cut));
    return out;
  }

  [[nodiscard]] cut_tokens completion(turns const& part, std::size_t prompt_tokens,
                                      std::size_t line) const {
    cut_tokens out;
    encode(part, turn_part::completion, line, out.token);
    if (auto const end = end_of(tokenizer_, part)) out.token.push_back(*end);
    std::size_t const room = limits_.total - std::min(prompt_tokens, limits_.total);
    std::size_t const most = std::min(limits_.completion, room);
    if (out.token.size() <= most) return out;
    out.cut = out.token.size() - most;
    out.token.resize(most);
    return out;
  }

 private:
  /// What the tokenizer refuses, by its own place and the row's line.
  template <class Action>
  static void in_line(std::size_t line, Action const& action) {
    attempt(action, [&](backend_error const& error) {
      std::string const sentence = error.what();
      refuse_row("data::encode", line, sentence.substr(sentence.find(error.place())));
    });
  }

  void encode(turns const& part, turn_part which, std::size_t line,
              std::vector<std::uint32_t>& into) const {
    if (part.is_text()) {
      in_line(line, [&] { tokenizer_.encode(std::string_view(part.text()), into); });
    } else if constexpr (ChatTokenizer<T>) {
      in_line(line, [&] { tokenizer_.encode(part.messages(), which, into); });
    } else {
      refuse_row("data::encode", line,
                 "holds messages, and this tokenizer encodes texts alone; see ChatTokenizer");
    }
    expects_known(line, into);
  }

  void encode_with(members const& context, turns const& prompt, std::size_t line,
                   std::vector<std::uint32_t>& into) const {
    if constexpr (requires { tokenizer_.encode(prompt.messages(), context, into); }) {
      if (!prompt.is_text()) {
        in_line(line, [&] { tokenizer_.encode(prompt.messages(), context, into); });
        return expects_known(line, into);
      }
    }
    refuse_row("data::encode", line,
               "has " + context.front().name + ", and " +
                   (prompt.is_text() ? "a text has no place for it"
                                     : "this tokenizer's chat template takes none; see "
                                       "ChatTokenizer"));
  }

  void expects_known(std::size_t line, std::vector<std::uint32_t> const& into) const {
    for (std::uint32_t const token : into) {
      if (token < tokenizer_.vocabulary()) continue;
      ::prefer::detail::broken("data::encode: the tokenizer gave token " + std::to_string(token) +
                               " in line " + std::to_string(line) + ", expected less than " +
                               std::to_string(tokenizer_.vocabulary()));
    }
  }

  T const& tokenizer_;
  truncation const& limits_;
};

inline bool has_equal(std::vector<cut_tokens> const& all) {
  for (std::size_t i = 1; i < all.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (all[i].token == all[j].token) return true;
    }
  }
  return false;
}

inline void expects_limits(truncation const& limits) {
  expects(limits.prompt > 1, "data::encode: truncation::prompt must leave at least two tokens");
  expects(limits.completion > 0,
          "data::encode: truncation::completion must leave at least one token");
  expects(limits.total > 1, "data::encode: truncation::total must leave at least two tokens");
}

/// The completions of a row, in the order of choice_data.
inline std::vector<turns const*> completions_of(preference_pair const& row) {
  return {&row.chosen, &row.rejected};
}
inline std::vector<turns const*> completions_of(unpaired_example const& row) {
  return {&row.completion};
}
inline std::vector<turns const*> completions_of(scored_completions const& row) {
  std::vector<turns const*> all;
  for (turns const& each : row.completions) all.push_back(&each);
  return all;
}

inline void add_row(choice_data& data, preference_pair const&, std::uint32_t prompt,
                    std::span<std::uint32_t const> completion) {
  data.add_pair(prompt, completion[0], completion[1]);
}
inline void add_row(choice_data& data, unpaired_example const& row, std::uint32_t prompt,
                    std::span<std::uint32_t const> completion) {
  data.add_labelled(prompt, completion[0], row.label);
}
inline void add_row(choice_data& data, scored_completions const&, std::uint32_t prompt,
                    std::span<std::uint32_t const> completion) {
  data.add_list(prompt, completion);
}

}  // namespace detail

/// The tokens of a prompt alone, or of a completion alone, as `encode` feeds it from a row that nothing is cut of.
///
/// Errors  backend_error: what the tokenizer refuses
template <ChatTokenizer T>
[[nodiscard]] std::vector<std::uint32_t> encode_part(turns const& part, turn_part which,
                                                     T const& tokenizer) {
  std::vector<std::uint32_t> out;
  if (!part.is_text()) {
    tokenizer.encode(part.messages(), which, out);
    return out;
  }
  bool const prompt = which == turn_part::prompt;
  auto const begin = prompt ? detail::begin_of(tokenizer, part) : std::nullopt;
  auto const end = prompt ? std::nullopt : detail::end_of(tokenizer, part);
  if (begin) out.push_back(*begin);
  tokenizer.encode(std::string_view(part.text()), out);
  if (end) out.push_back(*end);
  return out;
}

/// Preferences between token sequences, from preferences between texts: the road from a file to a policy over tokens.
///
///   prefer::token_sequences sequences;
///   prefer::data::encode_report report;
///   auto const data = encode(prefer::data::pairs("pairs.jsonl"), tokenizer, sequences,
///                            {.prompt = 512, .completion = 256}, report);
///   std::puts(to_sentence(report).c_str());
///
/// data.prompt numbers `into.prompts`, data.completion numbers `into.completions`; equal sequences have one number, also
/// across calls into the same tables. data.length holds the completions' tokens; weight, beta, score and label are the
/// rows'. Scored completions become lists, the best first. A prompt and a completion are encoded each on its own: no token spans both.
///
/// Errors  backend_error with the row's line: what the tokenizer refuses; messages without a ChatTokenizer, or tools
///         without one that takes them; a beta or scores that some rows have and others lack; unless they are dropped, rows of which nothing is left of the prompt or a completion, or whose
///         completions are the same tokens. precondition_error: a limit that leaves nothing, a token that is not in the
///         vocabulary. Sequences of rows before an error stay in the tables
template <ExampleRows Rows, Tokenizer T>
[[nodiscard]] choice_data encode(Rows&& rows, T const& tokenizer, token_sequences& into,
                                 truncation const& limits, encode_report& report) {
  detail::expects_limits(limits);
  detail::part_encoder<T> const parts(tokenizer, limits);
  detail::interned_sequences prompts(into.prompts);
  detail::interned_sequences completions(into.completions);
  choice_data data;
  detail::optional_numbers numbers("data::encode", data);
  report = {};
  auto const unusable = [&](std::size_t& count, std::size_t line, char const* why) {
    if (limits.unusable == unusable_row::refused) detail::refuse_row("data::encode", line, why);
    ++count;
    if (report.first_dropped == 0) report.first_dropped = line;
  };
  for (auto const& row : rows) {
    ++report.rows;
    auto const prompt = parts.prompt(row.prompt, row.context, row.line);
    std::vector<detail::cut_tokens> completion;
    bool empty = prompt.token.empty();
    for (turns const* each : detail::completions_of(row)) {
      completion.push_back(parts.completion(*each, prompt.token.size(), row.line));
      empty = empty || completion.back().token.empty();
    }
    if (empty) {
      unusable(report.dropped_empty, row.line,
               "the prompt or a completion has no tokens (left within the limits)");
      continue;
    }
    if (detail::has_equal(completion)) {
      unusable(report.dropped_equal, row.line,
               "two completions are the same tokens within the limits");
      continue;
    }
    ++report.kept;
    report.lines.push_back(row.line);
    report.first_completions_cut += completion.front().cut != 0 ? 1 : 0;
    report.first_completion_tokens_cut += completion.front().cut;
    report.prompts_cut += prompt.cut != 0 ? 1 : 0;
    report.prompt_tokens_cut += prompt.cut;
    std::vector<std::uint32_t> ids;
    for (auto const& each : completion) {
      report.completions_cut += each.cut != 0 ? 1 : 0;
      report.completion_tokens_cut += each.cut;
      ids.push_back(completions.add(each.token));
      data.length.push_back(static_cast<float>(each.token.size()));
    }
    detail::add_row(data, row, prompts.add(prompt.token), ids);
    numbers.add(row);
  }
  return data;
}

/// The same without limits: nothing is cut, and a row that cannot be used is refused.
template <ExampleRows Rows, Tokenizer T>
[[nodiscard]] choice_data encode(Rows&& rows, T const& tokenizer, token_sequences& into) {
  encode_report nothing_cut;
  return encode(rows, tokenizer, into, truncation{}, nothing_cut);
}

/// The texts behind the numbers of a choice_data.
struct numbered_texts {
  numbering prompts = {};
  numbering completions = {};
};

/// Preferences between numbers, for policies over finite sets (`tabular`, `log_linear`, `matrix_factorization`): each
/// text has a number, in the order in which texts were first seen, also across calls. There are no lengths.
///
///   prefer::data::numbered_texts texts;
///   auto const data = number_texts(prefer::data::pairs("likes.jsonl"), texts);
///   prefer::tabular<double> policy(texts.prompts.size(), texts.completions.size());
///
/// Errors  backend_error with the row's line: a beta or scores that some rows have and others lack
template <ExampleRows Rows>
[[nodiscard]] choice_data number_texts(Rows&& rows, numbered_texts& into) {
  choice_data data;
  detail::optional_numbers numbers("data::number_texts", data);
  for (auto const& row : rows) {
    std::vector<std::uint32_t> ids;
    for (turns const* each : detail::completions_of(row)) {
      ids.push_back(into.completions.add(name_of(*each)));
    }
    detail::add_row(data, row, into.prompts.add(name_of(row.prompt, row.context)), ids);
    numbers.add(row);
  }
  return data;
}

}  // namespace prefer::inline v0_1::data
