// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <prefer/data/byte_tokenizer.hpp>
#include <prefer/data/encode.hpp>
#include <prefer/data/example_identity.hpp>
#include <prefer/data/preference.hpp>

#include "error_of.hpp"
#include "one_pair.hpp"

namespace data = prefer::data;
using Catch::Contains;

namespace {

/// A row whose chosen answer is this message.
std::string answered(std::string const& message) {
  return R"({"prompt":[{"role":"user","content":"q"}],"chosen":[)" + message +
         R"(],"rejected":[{"role":"assistant","content":"no"}]})";
}

}  // namespace

TEST_CASE("tool-calls-dropped: two different calls are a preference",
          "[data][message_json][cases]") {
  auto const pair = pair_of(
      R"({"prompt":[{"role":"user","content":"Is it raining in Bergen?"}],)"
      R"("chosen":[{"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"rain","arguments":{"town":"Bergen"}}}]}],)"
      R"("rejected":[{"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"rain","arguments":{"town":"Oslo"}}}]}]})");
  REQUIRE(*find_member(pair.chosen.messages().at(0).further, "tool_calls") ==
          R"([{"type":"function","function":{"name":"rain","arguments":{"town":"Bergen"}}}])");
  REQUIRE_FALSE(name_of(pair.chosen) == name_of(pair.rejected));
  REQUIRE_FALSE(fingerprint_of(pair.chosen) == fingerprint_of(pair.rejected));
}

TEST_CASE("tool-calls-dropped: calls that differ end what two conversations share",
          "[data][message_json][cases]") {
  auto const pair = pair_of(
      R"({"chosen":[{"role":"user","content":"q"},{"role":"assistant","content":"","tool_calls":[{"name":"good"}]},{"role":"tool","content":"ok"},{"role":"assistant","content":"A"}],)"
      R"("rejected":[{"role":"user","content":"q"},{"role":"assistant","content":"","tool_calls":[{"name":"bad"}]},{"role":"tool","content":"ok"},{"role":"assistant","content":"B"}]})");
  REQUIRE(pair.prompt.messages().size() == 1);
  REQUIRE(pair.chosen.messages().size() == 3);
}

TEST_CASE("tool-calls-dropped: content may be null or absent beside a call, and nowhere else",
          "[data][message_json][cases]") {
  auto const content = [](std::string const& message) {
    return pair_of(answered(message)).chosen.messages().at(0).content;
  };
  REQUIRE(content(R"({"role":"assistant","content":null,"tool_calls":[{"name":"f"}]})").is_null());
  REQUIRE(content(R"({"role":"assistant","tool_calls":[{"name":"f"}]})").is_absent());
  REQUIRE(content(R"({"role":"assistant","function_call":{"name":"f"}})").is_absent());
  for (auto const* const rest :
       {"", R"(,"tool_calls":[])", R"(,"tool_calls":null)", R"(,"name":"x")"}) {
    CAPTURE(rest);
    REQUIRE_THAT(
        pair_error(answered(R"({"role":"assistant","content":null)" + std::string(rest) + "}")),
        Contains("message 1: \"content\": found null; expected"));
  }
}

TEST_CASE("tool-calls-dropped: a call with empty content is an answer, an empty list of calls none",
          "[data][message_json][cases]") {
  REQUIRE_FALSE(
      pair_of(answered(R"({"role":"assistant","content":"","tool_calls":[{"name":"f"}]})"))
          .chosen.blank());
  REQUIRE_THAT(pair_error(answered(R"({"role":"assistant","content":"","tool_calls":[]})")),
               Contains("the completion is empty"));
}

TEST_CASE("tool-calls-dropped: whatever a template may see makes two messages differ",
          "[data][message_json][cases]") {
  for (std::string const field :
       {R"("name":"a")", R"("tool_call_id":"1")", R"("reasoning_content":"so")",
        R"("thinking":"so")", R"("anything":{"b":1,"a":[null,1.0,1]})"}) {
    CAPTURE(field);
    auto const pair = pair_of(R"({"prompt":[],"chosen":[{"role":"assistant","content":"x",)" +
                              field + R"(}],"rejected":[{"role":"assistant","content":"x"}]})");
    REQUIRE_FALSE(pair.chosen == pair.rejected);
    REQUIRE_FALSE(name_of(pair.chosen) == name_of(pair.rejected));
    REQUIRE_THAT(data::to_json(pair), Contains(field));
  }
}

TEST_CASE("messages: content is a text or a list of parts, which are told apart",
          "[data][message_json]") {
  auto const pair = pair_of(
      R"({"prompt":[],"chosen":[{"role":"assistant","content":[{"type":"text","text":"a"},{"type":"text","text":"b","cache":true}]}],)"
      R"("rejected":[{"role":"assistant","content":"ab"}]})");
  auto const& content = pair.chosen.messages().at(0).content;
  REQUIRE(content.parts().size() == 2);
  REQUIRE(content.plain() == "ab");
  REQUIRE(*find_member(content.parts()[1].further, "cache") == "true");
  REQUIRE_FALSE(name_of(pair.chosen) == name_of(pair.rejected));
}

TEST_CASE("messages: a part that is no text is refused by name, or passed over and counted",
          "[data][message_json]") {
  std::string const row = answered(
      R"({"role":"assistant","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{}}]})");
  REQUIRE_THAT(pair_error(row),
               Contains("field \"chosen\": message 1: part 2: found \"image_url\""));
  data::reading_report report;
  data::reading const how{.parts = data::other_parts::passed_over};
  for (auto const& pair : data::pairs_in(row, "f", how, &report)) {
    REQUIRE(pair.chosen.messages().at(0).content.plain() == "a");
  }
  REQUIRE(report.parts.count == 1);
}

TEST_CASE("rows: tools stay with the prompt, other fields with the row", "[data][message_json]") {
  auto const pair = pair_of(
      R"({"id":7,"prompt":[],"chosen":[{"role":"assistant","content":"a"}],)"
      R"("rejected":[{"role":"assistant","content":"b"}],"tools":[{"name":"f"}],"z":null,"y":{"b":1,"a":2}})");
  REQUIRE(pair.context == data::members{{"tools", R"([{"name":"f"}])"}});
  REQUIRE(pair.further == data::members{{"id", "7"}, {"z", "null"}, {"y", R"({"b":1,"a":2})"}});
}

namespace {

/// A chat template that prints what it is given.
struct printing : data::byte_tokenizer {
  using byte_tokenizer::encode;
  void encode(data::conversation const& messages, data::turn_part,
              std::vector<std::uint32_t>& into) const {
    encode(data::to_json(data::turns(messages)), into);
  }
};
struct printing_tools : printing {
  using printing::encode;
  void encode(data::conversation const& prompt, data::members const& context,
              std::vector<std::uint32_t>& into) const {
    encode(context.at(0).json, into);
    encode(prompt, data::turn_part::prompt, into);
  }
};

}  // namespace

TEST_CASE("encode: tools reach a chat template that takes them, and no other",
          "[data][message_json]") {
  std::string const row =
      R"({"prompt":[{"role":"user","content":"q"}],"chosen":[{"role":"assistant","content":"a"}],)"
      R"("rejected":[{"role":"assistant","content":"b"}],"tools":["f"]})";
  prefer::token_sequences sequences;
  REQUIRE(
      error_of([&] { static_cast<void>(encode(data::pairs_in(row), printing{}, sequences)); }) ==
      "data::encode: line 1: has tools, and this tokenizer's chat template takes none; see "
      "ChatTokenizer");
  auto const made = encode(data::pairs_in(row), printing_tools{}, sequences);
  auto const prompt = sequences.prompts.tokens(made.prompt.at(0));
  std::string text;
  for (std::uint32_t const each : prompt) text += static_cast<char>(each);
  REQUIRE(text == R"(["f"][{"role":"user","content":"q"}])");
}
