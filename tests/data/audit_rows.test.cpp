// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/data/audit_rows.hpp>
#include <prefer/data/byte_tokenizer.hpp>
#include <prefer/data/json_lines.hpp>
#include <prefer/data/preference.hpp>

#include "error_of.hpp"

namespace data = prefer::data;

namespace {

/// Characters of the only message of a conversation, beside "user".
std::size_t characters_of(std::string const& message) {
  std::string const row = R"({"prompt":[{"role":"user","content":"q"}],"chosen":[)" + message +
                          R"(],"rejected":[{"role":"assistant","content":"-"}]})";
  auto const pair = *data::pairs_in(row).begin();
  return data::in_characters().completion(pair.chosen, pair.line);
}

template <class Rows>
data::split_audit audited(Rows&& rows) {
  data::audit all(data::in_characters::unit);
  std::size_t const split = all.add_split("train");
  for (auto const& row : rows) add_row(all, split, row, data::in_characters());
  return all.report().splits.at(0);
}

}  // namespace

TEST_CASE("audit rows: characters are code points, whatever form a message has",
          "[data][audit_rows]") {
  data::in_characters const measure;
  REQUIRE(measure.completion(data::turns("abc"), 1) == 3);
  REQUIRE(measure.completion(data::turns("äöü\U0001F600"), 1) == 4);  // of 2 and 4 bytes
  REQUIRE(characters_of(R"({"role":"assistant","content":"four"})") == 4);
  REQUIRE(characters_of(R"({"role":"assistant","content":[{"type":"text","text":"ab"},)"
                        R"({"type":"text","text":"c"}]})") == 3);
}

TEST_CASE("audit rows: a call and reasoning have a length, a name has none", "[data][audit_rows]") {
  // The call's JSON without white space, [{"f":"ü"}], has 11 characters and 12 bytes.
  REQUIRE(characters_of(
              R"({"role":"assistant","content":null,"tool_calls":[{ "f": "ü" }],"name":"x"})") ==
          11);
  // Reasoning is a text: its escapes are characters.
  REQUIRE(characters_of(R"({"role":"assistant","content":"ab","reasoning_content":"a\n\"b\""})") ==
          2 + 5);
  REQUIRE(characters_of(R"({"role":"assistant","content":"ab","tool_calls":null})") == 2);
}

TEST_CASE("audit rows: tools beside a prompt count with it", "[data][audit_rows]") {
  std::string const row =
      R"({"prompt":[{"role":"user","content":"ask"}],"chosen":[{"role":"assistant","content":"a"}],)"
      R"("rejected":[{"role":"assistant","content":"b"}],)"
      R"("tools":[{"f":1}],"chat_template_kwargs":{"x":1}})";
  auto const pair = *data::pairs_in(row).begin();
  REQUIRE(data::in_characters().prompt(pair.prompt, pair.context, 1) == 3 + 9);
}

TEST_CASE("audit rows: tokens are those that encode makes", "[data][audit_rows]") {
  data::byte_tokenizer const bytes;
  data::in_tokens const measure(bytes);
  std::size_t rows = 0;
  for (auto const& row : data::json_lines(PREFER_SOURCE_DIR "/tests/data/forms/forms.jsonl")) {
    if (data::truth(row, "labelled")) continue;
    for (auto const& pair : data::pairs_in(row.fields.at("row").dump())) {
      if (!pair.prompt.is_text()) {
        REQUIRE_THAT(error_of([&] { static_cast<void>(measure.completion(pair.chosen, 7)); }),
                     Catch::Contains("line 7: holds messages"));
        continue;
      }
      prefer::token_sequences into;
      std::vector<data::preference_pair> const one = {pair};
      auto const encoded = encode(one, bytes, into);
      CAPTURE(data::text(row, "name"));
      REQUIRE(measure.prompt(pair.prompt, pair.context, 1) ==
              into.prompts.tokens(encoded.prompt[0]).size());
      REQUIRE(static_cast<float>(measure.completion(pair.chosen, 1)) == encoded.length[0]);
      REQUIRE(static_cast<float>(measure.completion(pair.rejected, 1)) == encoded.length[1]);
      ++rows;
    }
  }
  REQUIRE(rows > 4);
}

TEST_CASE("audit rows: a list is its best against what has a lower score", "[data][audit_rows]") {
  auto const list = [](std::string const& scores) {
    return data::scored_in(R"({"prompt":"q","completions":["a","bb","ccc"],"scores":[)" + scores +
                           "]}");
  };
  auto const ranked = audited(list("2,3,1"));
  REQUIRE(ranked.rows == 2);  // bb over a, bb over ccc
  REQUIRE(ranked.chosen_length.least == 2);
  REQUIRE(ranked.chosen_length.most == 2);
  REQUIRE(ranked.chosen_longer->value == 0.5);
  REQUIRE(audited(list("3,3,1")).rows == 1);
  auto const level = audited(list("1,1,1"));
  REQUIRE(level.rows == 0);
  REQUIRE(level.ties == 1);
}
