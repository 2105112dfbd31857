// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cctype>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/data/byte_tokenizer.hpp>
#include <prefer/data/encode.hpp>
#include <prefer/data/preference.hpp>

#include "error_of.hpp"

namespace data = prefer::data;
using data::encode_report;
using data::preference_pair;
using data::truncation;
using tokens = std::vector<std::uint32_t>;

namespace {

/// One token per letter, 0 to 25; whatever is no letter has none. Neither begin_token nor end_token.
struct letters {
  void encode(std::string_view text, tokens& into) const {
    for (char const c : text) {
      if (c >= 'a' && c <= 'z') into.push_back(static_cast<std::uint32_t>(c - 'a'));
    }
  }
  [[nodiscard]] std::size_t vocabulary() const { return 26; }
};

/// Letters, with 26 before a prompt and 27 behind a completion.
struct framed_letters : letters {
  [[nodiscard]] std::size_t vocabulary() const { return 28; }
  [[nodiscard]] std::uint32_t begin_token() const { return 26; }
  [[nodiscard]] std::uint32_t end_token() const { return 27; }
};

/// Letters with a frame that a vocabulary may lack, which refuse an exclamation mark.
struct letters_of_a_file : letters {
  std::optional<std::uint32_t> begin, end;
  void encode(std::string_view text, tokens& into) const {
    std::size_t const mark = text.find('!');
    if (mark != std::string_view::npos) {
      prefer::refuse(
          prefer::backend_error("letters", "byte " + std::to_string(mark), "is no letter"));
    }
    letters::encode(text, into);
  }
  [[nodiscard]] std::size_t vocabulary() const { return 28; }
  [[nodiscard]] std::optional<std::uint32_t> begin_token() const { return begin; }
  [[nodiscard]] std::optional<std::uint32_t> end_token() const { return end; }
};

/// The first letter of each role, then the letters of the content; 26 opens the answer.
struct chat_letters : framed_letters {
  using framed_letters::encode;
  void encode(data::conversation const& messages, data::turn_part part, tokens& into) const {
    for (auto const& each : messages) {
      encode(each.role.substr(0, 1), into);
      encode(each.content.plain(), into);
    }
    if (part == data::turn_part::prompt) into.push_back(26);
  }
};

tokens of(prefer::token_table const& table, std::uint32_t id) {
  auto const found = table.tokens(id);
  return {found.begin(), found.end()};
}

preference_pair pair_of(char const* prompt, char const* chosen, char const* rejected) {
  preference_pair out;
  out.prompt = prompt;
  out.chosen = chosen;
  out.rejected = rejected;
  return out;
}

/// Rows with the lines that a file would give them.
std::vector<preference_pair> lines_of(std::vector<preference_pair> rows) {
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].line = i + 1;
  return rows;
}

}  // namespace

TEST_CASE("encode: pairs become numbers of token sequences, with lengths", "[data][encode]") {
  prefer::token_sequences sequences;
  auto const encoded = encode(data::pairs_in(R"({"prompt":"abc","chosen":"d","rejected":"efg"})"),
                              letters{}, sequences);
  REQUIRE(encoded.size() == 1);
  encoded.expects_shapes("test");
  CHECK(of(sequences.prompts, encoded.prompt[0]) == tokens{0, 1, 2});
  CHECK(of(sequences.completions, encoded.completion[0]) == tokens{3});
  CHECK(of(sequences.completions, encoded.completion[1]) == tokens{4, 5, 6});
  CHECK(encoded.length == std::vector<float>{1, 3});
}

TEST_CASE("encode: unpaired examples keep their labels", "[data][encode]") {
  prefer::token_sequences sequences;
  auto const encoded =
      encode(data::unpaired_in("{\"prompt\":\"a\",\"completion\":\"b\",\"label\":true}\n"
                               "{\"prompt\":\"a\",\"completion\":\"c\",\"label\":false}"),
             letters{}, sequences);
  encoded.expects_shapes("test");
  CHECK(encoded.label == std::vector<float>{1, 0});
  CHECK(encoded.prompt == std::vector<std::uint32_t>{0, 0});
  CHECK(encoded.completion == std::vector<std::uint32_t>{0, 1});
}

TEST_CASE("encode: equal sequences have one number, also across calls into the same tables",
          "[data][encode]") {
  prefer::token_sequences sequences;
  auto const first =
      encode(lines_of({pair_of("p", "a", "b"), pair_of("p", "b", "c")}), letters{}, sequences);
  CHECK(first.prompt == std::vector<std::uint32_t>{0, 0});
  CHECK(first.completion == std::vector<std::uint32_t>{0, 1, 1, 2});
  auto const second = encode(lines_of({pair_of("q", "c", "d")}), letters{}, sequences);
  CHECK(second.prompt == std::vector<std::uint32_t>{1});
  CHECK(second.completion == std::vector<std::uint32_t>{2, 3});
  CHECK(sequences.completions.size() == 4);
}

TEST_CASE("encode: begin_token stands before every prompt, end_token behind every whole completion",
          "[data][encode]") {
  prefer::token_sequences sequences;
  encode_report report;
  auto const encoded = encode(lines_of({pair_of("", "abc", "d")}), framed_letters{}, sequences,
                              {.completion = 3}, report);
  CHECK(of(sequences.prompts, encoded.prompt[0]) == tokens{26});
  CHECK(of(sequences.completions, encoded.completion[0]) ==
        tokens{0, 1, 2});  // cut: it does not end
  CHECK(of(sequences.completions, encoded.completion[1]) == tokens{3, 27});
  CHECK(report.completions_cut == 1);
  CHECK(report.completion_tokens_cut == 1);
}

TEST_CASE("encode: a tokenizer may have no begin or end, and what it refuses has the row's line",
          "[data][encode]") {
  auto const rows = lines_of({pair_of("x", "a", "b")});
  letters_of_a_file plain;
  letters_of_a_file framed;
  framed.begin = 26;
  framed.end = 27;
  prefer::token_sequences sequences;
  auto const without = encode(rows, plain, sequences);
  CHECK(of(sequences.prompts, without.prompt[0]) == tokens{23});
  CHECK(of(sequences.completions, without.completion[0]) == tokens{0});
  auto const with = encode(rows, framed, sequences);
  CHECK(of(sequences.prompts, with.prompt[0]) == tokens{26, 23});
  CHECK(of(sequences.completions, with.completion[0]) == tokens{0, 27});
  CHECK_THROWS_WITH(
      encode(lines_of({pair_of("x", "a", "b"), pair_of("x", "a!", "b")}), plain, sequences),
      "data::encode: line 2: byte 1: is no letter");
}

TEST_CASE("encode: a long prompt keeps its end behind begin_token, a long completion its beginning",
          "[data][encode]") {
  auto const rows = lines_of({pair_of("abcdef", "ghijkl", "mno"), pair_of("xy", "a", "b")});
  SECTION("each within its own limit") {
    prefer::token_sequences sequences;
    encode_report report;
    auto const encoded =
        encode(rows, framed_letters{}, sequences, {.prompt = 3, .completion = 4}, report);
    CHECK(of(sequences.prompts, encoded.prompt[0]) == tokens{26, 4, 5});
    CHECK(of(sequences.prompts, encoded.prompt[1]) == tokens{26, 23, 24});  // just as long
    CHECK(of(sequences.completions, encoded.completion[0]) == tokens{6, 7, 8, 9});
    CHECK(of(sequences.completions, encoded.completion[1]) == tokens{12, 13, 14, 27});
    CHECK(encoded.length == std::vector<float>{4, 4, 2, 2});
    CHECK(report == encode_report{.rows = 2,
                                  .kept = 2,
                                  .prompts_cut = 1,
                                  .completions_cut = 1,
                                  .prompt_tokens_cut = 4,
                                  .completion_tokens_cut = 3,
                                  .first_completions_cut = 1,
                                  .first_completion_tokens_cut = 3,
                                  .lines = {1, 2}});
  }
  SECTION("both within a total, kept by the completions") {
    prefer::token_sequences sequences;
    encode_report report;
    auto const encoded = encode(rows, letters{}, sequences, {.total = 8}, report);
    CHECK(of(sequences.prompts, encoded.prompt[0]).size() == 6);
    CHECK(encoded.length == std::vector<float>{2, 2, 1, 1});
    CHECK(report.prompts_cut == 0);
    CHECK(report.completions_cut == 2);
    CHECK(report.completion_tokens_cut == 4 + 1);
    CHECK(report.first_completions_cut == 1);
    CHECK(report.first_completion_tokens_cut == 4);
  }
}

TEST_CASE("encode: a row that cannot be used is refused with its line, or dropped and counted",
          "[data][encode]") {
  auto const rows = lines_of({pair_of("p", "ab", "ac"),     // equal within one token
                              pair_of("p", "b", "c"),       // good
                              pair_of("1", "b", "c"),       // a prompt without a letter
                              pair_of("p", "2", "c"),       // a completion without one
                              pair_of("p", "a b", "ab")});  // equal to this tokenizer
  SECTION("refused") {
    auto const refusal = [&](std::size_t row, truncation const& limits) {
      prefer::token_sequences sequences;
      encode_report report;
      return error_of(
          [&] { (void)encode(std::vector{rows[row]}, letters{}, sequences, limits, report); });
    };
    CHECK(refusal(0, {}) == "no error");
    CHECK(refusal(0, {.completion = 1}) ==
          "data::encode: line 1: two completions are the same tokens within the limits");
    CHECK(refusal(1, {.completion = 1}) == "no error");
    CHECK(
        refusal(2, {}) ==
        "data::encode: line 3: the prompt or a completion has no tokens (left within the limits)");
    CHECK_THAT(refusal(3, {}),
               Catch::StartsWith("data::encode: line 4: the prompt or a completion"));
    CHECK_THAT(refusal(4, {}), Catch::StartsWith("data::encode: line 5: two completions"));
  }
  SECTION("dropped") {
    prefer::token_sequences sequences;
    encode_report report;
    auto const encoded = encode(rows, letters{}, sequences,
                                {.completion = 1, .unusable = data::unusable_row::dropped}, report);
    CHECK(encoded.size() == 1);
    CHECK(report == encode_report{.rows = 5,
                                  .kept = 1,
                                  .dropped_empty = 2,
                                  .dropped_equal = 2,
                                  .first_dropped = 1,
                                  .lines = {2}});
    // Nothing of a row that was dropped is in the tables.
    CHECK(sequences.prompts.size() == 1);
    CHECK(sequences.completions.size() == 2);
  }
  SECTION("a total that leaves no room for completions") {
    prefer::token_sequences sequences;
    encode_report report;
    auto const encoded = encode(lines_of({pair_of("abcdef", "g", "h")}), letters{}, sequences,
                                {.total = 6, .unusable = data::unusable_row::dropped}, report);
    CHECK(encoded.size() == 0);
    CHECK(report.dropped_empty == 1);
  }
}

TEST_CASE("encode: weight, beta and scores of rows become columns", "[data][encode]") {
  auto const rows = [](char const* first, char const* second) {
    auto const row = [](char const* chosen, char const* more) {
      return std::string(R"({"prompt":"p","chosen":")") + chosen + R"(","rejected":"z")" + more +
             "}\n";
    };
    return data::pairs_in(row("a", first) + row("b", second));
  };
  prefer::token_sequences sequences;
  auto const all = encode(rows(R"(,"weight":2,"beta":0.5,"score_chosen":3,"score_rejected":1)",
                               R"(,"beta":0.25,"score_chosen":4,"score_rejected":-1)"),
                          letters{}, sequences);
  all.expects_shapes("test");
  CHECK(all.weight == std::vector<float>{2, 1});  // without one: 1
  CHECK(all.beta == std::vector<float>{0.5f, 0.25f});
  CHECK(all.score == std::vector<float>{3, 1, 4, -1});
  auto const late = encode(rows("", R"(,"weight":0.5)"), letters{}, sequences);
  CHECK(late.weight == std::vector<float>{1, 0.5f});

  auto const refusal = [&](char const* first, char const* second) {
    return error_of([&] { (void)encode(rows(first, second), letters{}, sequences); });
  };
  CHECK(refusal("", R"(,"beta":0.5)") ==
        "data::encode: line 2: has a beta, which rows before lack");
  CHECK(refusal(R"(,"score_chosen":3,"score_rejected":1)", "") ==
        "data::encode: line 2: lacks scores, which rows before have");
  CHECK(refusal(R"(,"score_chosen":3)", "") ==
        "data::encode: line 1: one of score_chosen and score_rejected is missing");
  for (char const* const name : {"weight", "beta", "score_chosen", "score_rejected"}) {
    for (char const* const value : {"1e39", "1e-46"}) {
      std::string const said = std::string(",\"") + name + "\":" + value;
      bool const score = said.find("score") != std::string::npos;
      std::string const other = said.find("chosen") != std::string::npos ? ",\"score_rejected\":1"
                                                                         : ",\"score_chosen\":1";
      std::string const first = said + (score ? other : "");
      CHECK(refusal(first.c_str(), "") == std::string("data::encode: line 1: ") + name + " is " +
                                              (value == std::string("1e39") ? "1e+39" : value) +
                                              ", which a float does not hold");
    }
  }
}

TEST_CASE("encode: a part alone has the tokens that it has in a row", "[data][encode]") {
  using data::turn_part;
  auto const check = [](std::string const& row, auto const& tokenizer) {
    prefer::token_sequences sequences;
    std::vector<preference_pair> rows;
    for (auto const& each : data::pairs_in(row + "\n")) rows.push_back(each);
    auto const all = encode(rows, tokenizer, sequences);
    auto const& first = rows.at(0);
    CHECK(data::encode_part(first.prompt, turn_part::prompt, tokenizer) ==
          of(sequences.prompts, all.prompt[0]));
    CHECK(data::encode_part(first.chosen, turn_part::completion, tokenizer) ==
          of(sequences.completions, all.completion[0]));
    CHECK(data::encode_part(first.rejected, turn_part::completion, tokenizer) ==
          of(sequences.completions, all.completion[1]));
  };
  check(R"({"prompt":"ab","chosen":"c","rejected":"d"})", chat_letters{});
  check(R"({"prompt":[{"role":"user","content":"ab"}],"chosen":[{"role":"assistant",)"
        R"("content":"c"}],"rejected":[{"role":"assistant","content":"d"}]})",
        chat_letters{});
}

TEST_CASE("encode: messages go through the chat template, or are refused", "[data][encode]") {
  auto const rows = [] {
    return data::pairs_in(
        R"({"prompt":[{"role":"user","content":"hi"}],)"
        R"("chosen":[{"role":"assistant","content":"yo"}],"rejected":[{"role":"assistant","content":"no"}]})");
  };
  prefer::token_sequences sequences;
  auto const encoded = encode(rows(), chat_letters{}, sequences);
  // The template brings its own marks: neither begin_token nor end_token is added.
  CHECK(of(sequences.prompts, encoded.prompt[0]) == tokens{'u' - 'a', 'h' - 'a', 'i' - 'a', 26});
  CHECK(of(sequences.completions, encoded.completion[0]) == tokens{0, 'y' - 'a', 'o' - 'a'});
  CHECK(error_of([&] { (void)encode(rows(), letters{}, sequences); }) ==
        "data::encode: line 1: holds messages, and this tokenizer encodes texts alone; see "
        "ChatTokenizer");
}

TEST_CASE("encode: limits that leave nothing, and tokens out of the vocabulary, are refused",
          "[data][encode]") {
  struct liar : letters {
    [[nodiscard]] std::size_t vocabulary() const { return 3; }
  };
  prefer::token_sequences sequences;
  encode_report report;
  auto const rows = lines_of({pair_of("abc", "ab", "ad")});
  for (truncation const& limits :
       {truncation{.prompt = 1}, truncation{.completion = 0}, truncation{.total = 1}}) {
    CHECK_THROWS_AS(encode(rows, letters{}, sequences, limits, report), prefer::precondition_error);
  }
  CHECK_THROWS_WITH(encode(rows, liar{}, sequences),
                    "data::encode: the tokenizer gave token 3 in line 1, expected less than 3");
}

TEST_CASE("number_texts: texts have numbers in the order in which they are first seen",
          "[data][encode]") {
  data::numbered_texts texts;
  auto const numbered =
      number_texts(lines_of({pair_of("ann", "tea", "milk"), pair_of("bob", "milk", "ale"),
                             pair_of("ann", "tea", "ale")}),
                   texts);
  numbered.expects_shapes("test");
  CHECK(numbered.prompt == std::vector<std::uint32_t>{0, 1, 0});
  CHECK(numbered.completion == std::vector<std::uint32_t>{0, 1, 1, 2, 0, 2});
  CHECK(numbered.length.empty());
  CHECK(texts.prompts.text(1) == "bob");
  CHECK(texts.completions.size() == 3);
}

TEST_CASE("number_texts: messages have numbers of their own, by role and content",
          "[data][encode]") {
  data::numbered_texts texts;
  auto const talk = [](char const* role, char const* content) {
    return data::turns(data::conversation{{role, content}});
  };
  auto row = [&](data::turns chosen, data::turns rejected) {
    preference_pair out;
    out.prompt = talk("user", "hi");
    out.chosen = std::move(chosen);
    out.rejected = std::move(rejected);
    return out;
  };
  auto const numbered = number_texts(
      lines_of({row(talk("a", "bc"), talk("ab", "c")), row(talk("a", "bc"), talk("b", "bc"))}),
      texts);
  CHECK(numbered.prompt == std::vector<std::uint32_t>{0, 0});
  CHECK(numbered.completion == std::vector<std::uint32_t>{0, 1, 0, 2});
}
