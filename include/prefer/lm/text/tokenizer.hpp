// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prefer/data/example.hpp>
#include <prefer/data/tokenizer.hpp>
#include <prefer/expects.hpp>
#include <prefer/file/fingerprint.hpp>
#include <prefer/lm/text/byte_vocabulary.hpp>
#include <prefer/lm/text/chat_comparison.hpp>
#include <prefer/lm/text/chat_detection.hpp>
#include <prefer/lm/text/chat_form.hpp>
#include <prefer/lm/text/chat_rendering.hpp>
#include <prefer/lm/text/normal_form.hpp>
#include <prefer/lm/text/pre_tokenizer_table.hpp>
#include <prefer/lm/text/special_tokens.hpp>
#include <prefer/lm/text/splitter.hpp>
#include <prefer/lm/text/tokenizer_data.hpp>
#include <prefer/lm/text/utf8_stream.hpp>
#include <prefer/text/utf8.hpp>

namespace prefer::inline v0_1::lm {

/// What a user may say of a tokenizer beside its file.
struct tokenizer_options {
  std::string chat_template = {};  // a family by name, instead of what the file's template says
  bool thinks =
      false;  // answers of a model that can think have a block of thoughts, which is scored
};

/// The tokenizer of a language model: byte-level byte-pair encoding and a chat template, a prefer::data::ChatTokenizer.
///
///   prefer::lm::tokenizer const words = prefer::lm::open_tokenizer("SmolLM2-135M-Instruct.Q4_1.gguf");
///   std::vector<std::uint32_t> const tokens = words.encode("Hello, world!");
///   words.decode(tokens);  // "Hello, world!"
///
/// A text is never a control token: "<|im_end|>" of a user is ten characters, unless encode_parsed is asked for. Tokens
/// that the file calls user-defined ("<think>") are found wherever they stand. Where a template puts control tokens
/// around messages, the rest is split and merged as the one text that it is; a completion is encoded on its own.
///
/// Where a model's own tokenizer puts texts into Unicode's normal form C, as Qwen's does, so does this one: "e" and U+0301
/// have the tokens of "é", which is what decode gives back. Control tokens and, unless the file has it the other way
/// round, user-defined ones are found before, in the text as it is written.
///
/// The begin token stands once before a prompt, where the model has one: because the template writes it or because the
/// vocabulary's texts begin with it. Const calls from several threads at once are independent.
///
/// Errors  backend_error with the place in the text: what is no UTF-8, a byte that the vocabulary has no token for; with
///         the number of a message: what the template has no place for. precondition_error: a token that is not in the
///         vocabulary, a family of templates that is not known
class tokenizer {
 public:
  explicit tokenizer(tokenizer_data const& data, tokenizer_options const& options = {})
      : table_(&known_pre_tokenizer(data)),
        vocabulary_(data, data.whole_tokens.value_or(table_->whole_tokens)),
        splitter_(table_->pattern),
        begin_(data.begin),
        adds_begin_(data.adds_begin.value_or(table_->adds_begin) && data.begin.has_value()),
        ends_(data.ends),
        normal_form_c_(data.normal_form_c.value_or(table_->normal_form_c)) {
    expect_known(data, begin_ ? std::vector{*begin_} : std::vector<std::uint32_t>{}, "begin");
    expect_known(data, ends_, "end");
    expect_known(data, data.found_after, "user-defined");
    std::set<std::uint32_t> const found_after(data.found_after.begin(), data.found_after.end());
    for (std::uint32_t id = 0; id < vocabulary_.size(); ++id) {
      bool const user_defined = vocabulary_.kind(id) == token_kind::user_defined;
      if (!user_defined && !is_control(id)) continue;
      std::string text(vocabulary_.bytes(id));
      if (user_defined && found_after.count(id) != 0) {
        found_after_.add(normal_form_c_ ? normal_form_c(text) : text, id);
        continue;
      }
      if (user_defined) user_defined_.add(text, id);
      if (!user_defined) control_.add(text, id);
      special_.add(std::move(text), id);
    }
    chat_ = options.chat_template.empty() ? detect_chat(data.chat_template)
                                          : chat_named(options.chat_template);
    chat_.thinks = options.thinks;
    chat_.begin = begin_ && (chat_.writes_begin || adds_begin_)
                      ? std::string(vocabulary_.bytes(*begin_))
                      : std::string();
    chat_.end = ends_.empty() ? "" : std::string(vocabulary_.bytes(ends_.front()));
    if (options.chat_template.empty()) {
      hold_against_template(chat_, data.chat_template,
                            begin_ ? vocabulary_.bytes(*begin_) : std::string_view());
    }
    identity_ = identity_of(data, options);
  }

  /// Appends the tokens of a text, in which nothing is a control token. A begin token is not added.
  void encode(std::string_view text, std::vector<std::uint32_t>& into) const {
    expect_utf8(text);
    encode_run(text, into);
  }
  [[nodiscard]] std::vector<std::uint32_t> encode(std::string_view text) const {
    std::vector<std::uint32_t> out;
    encode(text, out);
    return out;
  }
  /// The same, where control tokens that are spelled out are taken for what they are: only for texts that are trusted.
  void encode_parsed(std::string_view text, std::vector<std::uint32_t>& into) const {
    expect_utf8(text);
    encode_between(special_, text, into,
                   [&](std::string_view between) { encode_written(between, into); });
  }
  /// The tokens of a prompt with what opens the answer, or of an answer with what ends it.
  void encode(data::conversation const& messages, data::turn_part part,
              std::vector<std::uint32_t>& into) const {
    encode(part == data::turn_part::prompt ? render_prompt(chat_, messages)
                                           : render_completion(chat_, messages),
           into);
  }
  /// The tokens of a prompt whose row says more to the template.
  void encode(data::conversation const& prompt, data::members const& context,
              std::vector<std::uint32_t>& into) const {
    expect_known_context(chat_, context);
    encode(prompt, data::turn_part::prompt, into);
  }
  /// The tokens of what a template made of messages: control tokens stand in its pieces alone.
  void encode(chat_text const& pieces, std::vector<std::uint32_t>& into) const {
    std::string run;
    auto const end_run = [&] {
      encode_run(run, into);
      run.clear();
    };
    for (chat_piece const& each : pieces) {
      expect_utf8(each.text);
      std::size_t done = 0;
      while (each.by_template) {
        auto const found = control_.next(each.text, done);
        if (!found) break;
        run.append(each.text, done, found->at - done);
        end_run();
        into.push_back(found->id);
        done = found->at + found->size;
      }
      run.append(each.text, done);
    }
    end_run();
  }

  [[nodiscard]] std::size_t vocabulary() const { return vocabulary_.size(); }
  /// What stands before every text, where this vocabulary's texts begin so.
  [[nodiscard]] std::optional<std::uint32_t> begin_token() const {
    return adds_begin_ ? begin_ : std::nullopt;
  }
  /// What stands behind every text that was not cut, where the model has such a token.
  [[nodiscard]] std::optional<std::uint32_t> end_token() const {
    return ends_.empty() ? std::nullopt : std::optional(ends_.front());
  }
  /// Tokens behind which nothing more is to be sampled: the ends that the file names, and the template's end of a turn.
  [[nodiscard]] std::vector<std::uint32_t> stop_tokens() const {
    std::vector<std::uint32_t> all = ends_;
    auto const turn = find(chat_.end_of_turn());
    if (turn && std::find(all.begin(), all.end(), *turn) == all.end()) all.push_back(*turn);
    return all;
  }

  /// The bytes of a token, which alone need be no UTF-8; of a control token its name.
  [[nodiscard]] std::string_view bytes(std::uint32_t id) const& {
    if (id >= vocabulary_.size()) {
      refuse("lm::tokenizer::bytes: found token " + std::to_string(id) + ", expected less than " +
             std::to_string(vocabulary_.size()));
    }
    return vocabulary_.bytes(id);
  }
  /// True for a token that no text is made of: a control token, an unknown or an unused one.
  [[nodiscard]] bool is_control(std::uint32_t id) const {
    token_kind const kind = vocabulary_.kind(id);
    return kind == token_kind::control || kind == token_kind::unknown;
  }
  /// The control or user-defined token that is written so.
  [[nodiscard]] std::optional<std::uint32_t> find(std::string_view text) const {
    for (special_tokens const* const each : {&special_, &found_after_}) {
      auto const found = each->next(text, 0);
      if (found && found->at == 0 && found->size == text.size()) return found->id;
    }
    return std::nullopt;
  }

  /// The text of tokens, control tokens by their names; bytes that are no UTF-8 become U+FFFD (see utf8_stream).
  [[nodiscard]] std::string decode(std::span<std::uint32_t const> tokens) const {
    return decode_those(tokens, [](std::uint32_t) { return true; });
  }
  /// The same without control tokens: what a reader is shown.
  [[nodiscard]] std::string decode_text(std::span<std::uint32_t const> tokens) const {
    return decode_those(tokens, [&](std::uint32_t id) { return !is_control(id); });
  }

  [[nodiscard]] chat_form const& chat() const& { return chat_; }
  /// True where texts are put into Unicode's normal form C before they are split.
  [[nodiscard]] bool puts_into_normal_form_c() const { return normal_form_c_; }
  /// Of vocabulary, merges, normal form, pre-tokenizer, ends and template: whether a cache of tokens is of this tokenizer.
  [[nodiscard]] std::uint64_t identity() const { return identity_; }

  // What leads into a tokenizer is not had of a temporary, which ends with the statement.
  void bytes(std::uint32_t) const&& = delete;
  void chat() const&& = delete;

 private:
  static pre_tokenizer const& known_pre_tokenizer(tokenizer_data const& data) {
    if (auto const* const known = find_pre_tokenizer(data.pre_tokenizer)) return *known;
    refuse(backend_error(
        "lm::tokenizer", data.place,
        (data.pre_tokenizer.empty() ? std::string("the pre-tokenizer is not named")
                                    : "found the pre-tokenizer \"" + data.pre_tokenizer + '"') +
            "; expected " + names_of_pre_tokenizers()));
  }
  void expect_known(tokenizer_data const& data, std::vector<std::uint32_t> const& ids,
                    std::string const& what) const {
    for (std::uint32_t const id : ids) {
      if (id < vocabulary_.size()) continue;
      refuse(backend_error("lm::tokenizer", data.place,
                           "the " + what + " token is " + std::to_string(id) +
                               "; expected less than " + std::to_string(vocabulary_.size())));
    }
  }
  static void expect_utf8(std::string_view text) {
    if (auto const at = text::first_invalid_utf8(text)) {
      refuse(backend_error("lm::tokenizer", "byte " + std::to_string(*at),
                           "does not belong to UTF-8 text"));
    }
  }

  /// Takes the tokens of `known` out of a text and hands on what is between them.
  template <class Between>
  static void encode_between(special_tokens const& known, std::string_view text,
                             std::vector<std::uint32_t>& into, Between const& between) {
    std::size_t done = 0;
    while (auto const found = known.next(text, done)) {
      between(text.substr(done, found->at - done));
      into.push_back(found->id);
      done = found->at + found->size;
    }
    between(text.substr(done));
  }
  void encode_run(std::string_view text, std::vector<std::uint32_t>& into) const {
    encode_between(user_defined_, text, into,
                   [&](std::string_view between) { encode_written(between, into); });
  }
  /// Of a text as it is written, with nothing left in it that is to be found there.
  void encode_written(std::string_view text, std::vector<std::uint32_t>& into) const {
    if (normal_form_c_ && !surely_in_normal_form_c(text)) {
      encode_in_form(normal_form_c(text), into);
    } else {
      encode_in_form(text, into);
    }
  }
  void encode_in_form(std::string_view text, std::vector<std::uint32_t>& into) const {
    encode_between(found_after_, text, into,
                   [&](std::string_view between) { encode_split(between, into); });
  }
  void encode_split(std::string_view text, std::vector<std::uint32_t>& into) const {
    splitter_.split(text, [&](std::string_view piece) { vocabulary_.encode(piece, into); });
  }

  template <class Shown>
  std::string decode_those(std::span<std::uint32_t const> tokens, Shown const& shown) const {
    utf8_stream written;
    std::string out;
    for (std::uint32_t const id : tokens) {
      std::string_view const spelled = bytes(id);
      if (shown(id)) out += written.add(spelled);
    }
    return out + written.end();
  }

  [[nodiscard]] std::uint64_t identity_of(tokenizer_data const& data,
                                          tokenizer_options const& options) const {
    fingerprint all;
    for (std::string const& each : data.tokens) all.add(each);
    for (token_kind const each : data.kinds) all.add(each);
    for (auto const& [left, right] : data.merges) all.add(left).add(right);
    all.add(data.pre_tokenizer).add(data.chat_template).add(options.chat_template);
    all.add(options.thinks).add(data.adds_begin.value_or(false)).add(data.begin.value_or(no_token));
    for (std::uint32_t const each : data.ends) all.add(each);
    all.add(puts_into_normal_form_c()).add(data.found_after.size());
    for (std::uint32_t const each : data.found_after) all.add(each);
    return all.value();
  }

  pre_tokenizer const* table_;
  byte_vocabulary vocabulary_;
  splitter splitter_;
  special_tokens user_defined_, control_;
  special_tokens special_;      // both, which are found in a text as it is written
  special_tokens found_after_;  // user-defined ones that are found in its normal form
  std::optional<std::uint32_t> begin_;
  bool adds_begin_;
  std::vector<std::uint32_t> ends_;
  bool normal_form_c_;
  chat_form chat_;
  std::uint64_t identity_ = 0;
};

static_assert(data::ChatTokenizer<tokenizer>);

}  // namespace prefer::inline v0_1::lm
