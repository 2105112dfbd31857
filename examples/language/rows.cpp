// SPDX-License-Identifier: MIT
#include "rows.hpp"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <limits>
#include <system_error>
#include <utility>

#include <prefer/data/audit.hpp>
#include <prefer/data/audit_findings.hpp>
#include <prefer/data/encode.hpp>
#include <prefer/data/preference.hpp>
#include <prefer/expects.hpp>
#include <prefer/text/counted.hpp>

#include "../findings.hpp"
#include "../program/progress.hpp"
#include "../program/voice.hpp"
#include "as_chat.hpp"

namespace language {

namespace {

namespace data = prefer::data;

/// Whether the first example of a file can be read in this way. A pipe is not looked into, since it can be read once.
template <class Read>
bool begins_as(std::string const& path, data::reading how, Read const& read) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return false;
  how.bad = data::bad_rows::refused;
  try {
    auto rows = read(path, how, nullptr);
    return rows.begin() != std::default_sentinel;
  } catch (prefer::backend_error const&) {
    return false;
  }
}

constexpr auto as_pairs = [](auto const&... of) { return data::pairs(of...); };
constexpr auto as_labels = [](auto const&... of) { return data::unpaired(of...); };
constexpr auto as_lists = [](auto const&... of) { return data::scored(of...); };

template <class Row, class Read>
std::vector<Row> all_rows(std::string const& path, data::reading const& how, Read const& read,
                          data::reading_report& report) {
  program::progress shown(0, "reading " + path);
  std::vector<Row> out;
  for (Row& row : read(path, how, &report)) {
    out.push_back(std::move(row));
    shown.advance(1, "reading " + path);
  }
  return out;
}

data::unpaired_example labelled(data::preference_pair const& pair, bool desirable) {
  return {.prompt = pair.prompt,
          .completion = desirable ? pair.chosen : pair.rejected,
          .label = desirable,
          .weight = pair.weight,
          .beta = pair.beta,
          .line = pair.line,
          .context = pair.context,
          .further = {}};
}

/// What is known while a file is read.
class reader {
 public:
  reader(std::string const& path, wanted_rows const& wanted, row_options const& options,
         prefer::lm::tokenizer const& words, std::size_t context, prefer::token_sequences& into)
      : wanted_(wanted),
        options_(options),
        how_(program::reading_of(options.reading)),
        words_(words),
        limits_(limits_of(options, context)),
        into_(into) {
    out_.path = path;
    out_.kind = wanted.kind;
  }

  encoded_rows read() && {
    switch (wanted_.kind) {
      case row_kind::pairs:
        encode(pairs());
        break;
      case row_kind::labels:
        encode(labels());
        if (wanted_.kl_examples) out_.data.pair_with_others();
        break;
      case row_kind::lists:
        lists();
        break;
      case row_kind::demonstrations:
        encode(demonstrations());
        break;
    }
    return std::move(out_);
  }

 private:
  std::vector<data::preference_pair> pairs() {
    return all_rows<data::preference_pair>(out_.path, how_, as_pairs, out_.read);
  }
  std::vector<data::unpaired_example> labels() {
    if (begins_as(out_.path, how_, as_labels) || !begins_as(out_.path, how_, as_pairs)) {
      return all_rows<data::unpaired_example>(out_.path, how_, as_labels, out_.read);
    }
    out_.notes.emplace_back("each pair is two rows: chosen is desirable, rejected is not");
    std::vector<data::unpaired_example> rows;
    for (auto const& pair : pairs()) {
      rows.push_back(labelled(pair, true));
      rows.push_back(labelled(pair, false));
    }
    return rows;
  }
  void lists() {
    if (begins_as(out_.path, how_, as_lists) || !begins_as(out_.path, how_, as_pairs)) {
      return encode(all_rows<data::scored_completions>(out_.path, how_, as_lists, out_.read));
    }
    // Pairs are encoded as such: a list of two without scores is no scored_completions.
    out_.notes.emplace_back("each pair is a list of two, chosen first");
    encode(pairs());
  }
  std::vector<data::unpaired_example> demonstrations() {
    std::vector<data::unpaired_example> rows;
    if (begins_as(out_.path, how_, as_pairs)) {
      out_.notes.emplace_back("of each pair the chosen completion is learned");
      for (auto const& pair : pairs()) rows.push_back(labelled(pair, true));
      return rows;
    }
    if (!begins_as(out_.path, how_, as_labels)) {
      if (how_.form.empty()) how_.form = "trl-prompt-completion";
      return all_rows<data::unpaired_example>(out_.path, how_, as_labels, out_.read);
    }
    std::size_t undesirable = 0;
    for (auto& row : all_rows<data::unpaired_example>(out_.path, how_, as_labels, out_.read)) {
      if (row.label) {
        rows.push_back(std::move(row));
      } else {
        ++undesirable;
      }
    }
    out_.notes.emplace_back("the desirable completions are learned; " +
                            std::to_string(undesirable) + " undesirable rows are left out");
    return rows;
  }

  template <class Row>
  void encode(std::vector<Row> rows) {
    if (options_.texts == "chat") {
      for (Row& row : rows) as_chat(row);
    }
    if (rows.empty()) {
      prefer::refuse(prefer::backend_error("read_rows", out_.path, "no row is left to learn from"));
    }
    auto limits = limits_;
    bool const cuts = options_.too_long == "cut";
    if (!cuts) limits = {};
    limits.unusable = how_.bad == data::bad_rows::skipped ? data::unusable_row::dropped
                                                          : data::unusable_row::refused;
    try {
      out_.data = data::encode(rows, words_, into_, limits, out_.encoded);
    } catch (prefer::backend_error const& error) {
      std::string const sentence = error.what();
      prefer::refuse(prefer::backend_error("read_rows", out_.path,
                                           sentence.substr(sentence.find(error.place()))));
    }
    if (!cuts) expect_short();
    if constexpr (std::is_same_v<Row, data::preference_pair>) {
      add_column(rows, "target_margin", prefer::column_name::target_margin,
                 out_.data.target_margin);
      add_column(rows, "chosen_from_reference", prefer::column_name::chosen_from_reference,
                 out_.data.chosen_from_reference);
    }
  }

  void expect_short() const {
    auto const& all = out_.data;
    for (std::size_t g = 0; g != all.size(); ++g) {
      std::size_t const prompt = into_.prompts.length(all.prompt[g]);
      for (std::size_t i = all.offset[g]; i != all.offset[g + 1]; ++i) {
        std::size_t const tokens = prompt + into_.completions.length(all.completion[i]);
        if (tokens <= limits_.total) continue;
        prefer::refuse(prefer::backend_error(
            "read_rows", out_.path,
            "line " + std::to_string(out_.encoded.lines[g]) +
                ": the prompt and a completion have " + std::to_string(tokens) +
                " tokens; expected at most " + std::to_string(limits_.total) +
                " (--max-length; --truncate cut shortens them)"));
      }
    }
  }

  /// A number of each pair that only some losses read, from a field that the forms pass over.
  void add_column(std::vector<data::preference_pair> const& rows, char const* name,
                  prefer::column_name column, std::vector<float>& to) {
    std::size_t kept = 0;
    for (auto const& row : rows) {
      if (kept == out_.encoded.lines.size() || out_.encoded.lines[kept] != row.line) continue;
      ++kept;
      std::string const* const found = data::find_member(row.further, name);
      bool const there = found != nullptr && *found != "null";
      auto const refuse = [&](std::string const& reason) {
        prefer::refuse(prefer::backend_error(
            "read_rows", out_.path,
            "line " + std::to_string(row.line) + ": field \"" + name + "\": " + reason));
      };
      if (there && !wanted_.takes.contains(column)) refuse("this loss does not read it");
      if (kept > 1 && there != !to.empty()) {
        refuse(there ? "rows before lack it" : "is missing, and rows before have it");
      }
      if (there) to.push_back(number(*found, refuse));
    }
    out_.read.unused.erase(name);
  }
  static float number(std::string const& json, auto const& refuse) {
    if (json == "true" || json == "false") return json == "true" ? 1.0F : 0.0F;
    double value = 0;
    auto const [end, error] = std::from_chars(json.data(), json.data() + json.size(), value);
    if (error != std::errc{} || end != json.data() + json.size()) {
      refuse("found " + json + "; expected a number");
    }
    bool const fits = std::fabs(value) <= std::numeric_limits<float>::max();
    float const out = fits ? static_cast<float>(value) : 0.0F;
    if (out == 0.0F && value != 0.0) refuse("found " + json + ", which a float does not hold");
    return out;
  }

  wanted_rows wanted_;
  row_options const& options_;
  data::reading how_;
  prefer::lm::tokenizer const& words_;
  data::truncation limits_;
  prefer::token_sequences& into_;
  encoded_rows out_;
};

std::string cut(std::size_t parts, char const* what, std::size_t tokens) {
  return prefer::text::counted(parts, what) + " (" + prefer::text::counted(tokens, "token") + ")";
}

/// Rows as an audit takes them: numbers stand for texts, and lengths are in tokens.
void add(data::audit& all, std::size_t split, encoded_rows const& set,
         prefer::token_sequences const& texts) {
  auto const& rows = set.data;
  auto const name = [](std::uint32_t id) { return std::to_string(id); };
  for (std::size_t g = 0; g != rows.size(); ++g) {
    std::size_t const first = rows.offset[g];
    std::size_t const last = rows.offset[g + 1] - 1;
    std::size_t const prompt_tokens = texts.prompts.length(rows.prompt[g]);
    auto const tokens = [&](std::size_t i) { return texts.completions.length(rows.completion[i]); };
    std::string const prompt = name(rows.prompt[g]);
    std::string const better = name(rows.completion[first]);
    std::string const worse = name(rows.completion[last]);
    if (first == last) {
      bool const desirable = rows.label.empty() || rows.label[g] != 0.0F;
      all.add(split, data::label{prompt, better, desirable, prompt_tokens, tokens(first), ""});
    } else {
      all.add(split, data::judgement{prompt, better, worse, prompt_tokens, tokens(first),
                                     tokens(last), ""});
    }
  }
}

}  // namespace

data::truncation limits_of(row_options const& options, std::size_t context) {
  constexpr std::size_t usual = 1024;
  std::size_t const total = options.max_length != 0 ? options.max_length : std::min(usual, context);
  if (total > context) {
    prefer::refuse("--max-length " + std::to_string(total) + ": this model's context has " +
                   std::to_string(context) + " tokens");
  }
  std::size_t const prompt =
      options.max_prompt != 0 ? options.max_prompt : std::max<std::size_t>(total - total / 4, 2);
  if (prompt >= total) {
    prefer::refuse("--max-prompt " + std::to_string(prompt) +
                   " leaves no token for a completion; " + "expected less than --max-length, " +
                   std::to_string(total));
  }
  return {.prompt = prompt, .total = total};
}

encoded_rows read_rows(std::string const& path, wanted_rows const& wanted,
                       row_options const& options, prefer::lm::tokenizer const& words,
                       std::size_t context, prefer::token_sequences& into) {
  return reader(path, wanted, options, words, context, into).read();
}

bool begins_with_a_pair(std::string const& path, row_options const& options) {
  return begins_as(path, program::reading_of(options.reading), as_pairs);
}

std::string cut_in_words(encoded_rows const& rows) {
  auto const& of = rows.encoded;
  std::size_t const others = of.completions_cut - of.first_completions_cut;
  std::size_t const other_tokens = of.completion_tokens_cut - of.first_completion_tokens_cut;
  std::string out = prefer::text::counted(of.kept, "row") +
                    "; cut: " + cut(of.prompts_cut, "prompt", of.prompt_tokens_cut);
  if (rows.kind == row_kind::pairs || rows.kind == row_kind::lists) {
    bool const pairs = rows.kind == row_kind::pairs;
    out += ", " +
           cut(of.first_completions_cut, pairs ? "chosen completion" : "best completion",
               of.first_completion_tokens_cut) +
           ", " + cut(others, pairs ? "rejected completion" : "other completion", other_tokens);
  } else {
    out += ", " + cut(of.completions_cut, "completion", of.completion_tokens_cut);
  }
  if (of.dropped() == 0) return out;
  return out + "; left out: " + std::to_string(of.dropped_empty) + " without tokens in a part, " +
         std::to_string(of.dropped_equal) + " with equal completions, the first in line " +
         std::to_string(of.first_dropped);
}

void say_rows(std::vector<named_rows> const& sets, prefer::token_sequences const& texts) {
  data::audit all("tokens");
  for (auto const& [name, set] : sets) {
    std::string const file = std::string(name) + ", " + set->path + ": ";
    for (auto const& sentence : to_sentences(set->read)) program::say(file + sentence);
    for (auto const& sentence : set->notes) program::say(file + sentence);
    program::say(file + cut_in_words(*set));
    add(all, all.add_split(name), *set, texts);
  }
  program::heed(data::findings_of(all.report()));
}

}  // namespace language
