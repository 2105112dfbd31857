// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <range/v3/range/conversion.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/take.hpp>
#include <range/v3/view/transform.hpp>

#include <prefer/data/preference.hpp>

#include "error_of.hpp"
#include "one_pair.hpp"
#include "temporary_file.hpp"

namespace data = prefer::data;
using Catch::StartsWith;
using data::conversation;
using data::turns;

namespace {

data::unpaired_example example_of(std::string_view line) {
  return *data::unpaired_in(line, "f").begin();
}

std::string unpaired_error(std::string_view line) {
  std::string const error = error_in(data::unpaired_in(line, "f"));
  std::string const start = "data::unpaired: f:1: ";
  return error.starts_with(start) ? error.substr(start.size()) : error;
}

}  // namespace

TEST_CASE("pairs: three strings", "[data][preference]") {
  auto const pair = pair_of(R"({"prompt":"The sky is","chosen":" blue","rejected":" green"})");
  REQUIRE(pair.prompt == turns("The sky is"));
  REQUIRE(pair.chosen == turns(" blue"));
  REQUIRE(pair.rejected == turns(" green"));
  REQUIRE(pair.line == 1);
  REQUIRE_FALSE(pair.weight.has_value());
  REQUIRE_FALSE(pair.beta.has_value());
  REQUIRE_FALSE(pair.score_margin().has_value());
}

TEST_CASE("pairs: three lists of messages", "[data][preference]") {
  auto const pair = pair_of(
      R"({"prompt":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"}],)"
      R"("chosen":[{"role":"assistant","content":"Hello!"}],"rejected":[{"content":"What?","role":"assistant"}]})");
  REQUIRE(pair.prompt == turns(conversation{{"system", "Be kind."}, {"user", "Hi"}}));
  REQUIRE(pair.chosen == turns(conversation{{"assistant", "Hello!"}}));
  REQUIRE(pair.rejected == turns(conversation{{"assistant", "What?"}}));
}

TEST_CASE("pairs: optional numbers are carried along, null is absent", "[data][preference]") {
  auto const pair = pair_of(
      R"({"prompt":"p","chosen":"a","rejected":"b","weight":2,"beta":0.3,"score_chosen":8.5,"score_rejected":6})");
  REQUIRE(pair.weight == 2.0);
  REQUIRE(pair.beta == 0.3);
  REQUIRE(pair.score_chosen == 8.5);
  REQUIRE(pair.score_rejected == 6.0);
  REQUIRE(pair.score_margin() == 2.5);
  REQUIRE_FALSE(
      pair_of(R"({"prompt":"p","chosen":"a","rejected":"b","weight":null})").weight.has_value());
}

TEST_CASE("pairs: nothing is carried over from one row to the next", "[data][preference]") {
  auto const all =
      data::pairs_in(
          "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"weight\":2,\"score_chosen\":1}\n"
          "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}\n") |
      ::ranges::to<std::vector>();
  REQUIRE(all.size() == 2);
  REQUIRE(all[0].weight == 2.0);
  REQUIRE_FALSE(all[1].weight.has_value());
  REQUIRE_FALSE(all[1].score_chosen.has_value());
  REQUIRE(all[1].line == 2);
}

TEST_CASE("pairs: an implicit prompt of lists is their equal leading messages",
          "[data][preference]") {
  auto const pair = pair_of(
      R"({"chosen":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}],)"
      R"("rejected":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hell"}]})");
  REQUIRE(pair.prompt == turns(conversation{{"user", "Hi"}}));
  REQUIRE(pair.chosen == turns(conversation{{"assistant", "Hello"}}));
  REQUIRE(pair.rejected == turns(conversation{{"assistant", "Hell"}}));
}

TEST_CASE("pairs: equal content in another role is not common", "[data][preference]") {
  REQUIRE_THAT(
      pair_error(
          R"({"chosen":[{"role":"user","content":"Hi"},{"role":"assistant","content":"a"}],)"
          R"("rejected":[{"role":"system","content":"Hi"},{"role":"assistant","content":"b"}]})"),
      StartsWith("field \"prompt\" is missing; expected it, or"));
}

TEST_CASE("pairs: an explicit prompt may be empty, an implicit one may not", "[data][preference]") {
  REQUIRE(pair_of(R"({"prompt":"","chosen":"yes","rejected":"no"})").prompt == turns(""));
  REQUIRE(pair_error(R"({"chosen":"yes","rejected":"no"})") ==
          "field \"prompt\" is missing; expected it, or \"chosen\" and \"rejected\" that begin "
          "with the same text");
}

TEST_CASE("pairs: a completion that is the beginning of the other leaves nothing",
          "[data][preference]") {
  REQUIRE(pair_error(R"({"chosen":"a b","rejected":"a"})") ==
          "\"rejected\" is the beginning of \"chosen\", so that nothing is left of it behind the "
          "common prompt");
  REQUIRE_THAT(
      pair_error(
          R"({"chosen":[{"role":"user","content":"Hi"}],)"
          R"("rejected":[{"role":"user","content":"Hi"},{"role":"assistant","content":"b"}]})"),
      StartsWith("\"chosen\" is the beginning of \"rejected\""));
}

TEST_CASE("pairs: a missing field is named with what was expected", "[data][preference]") {
  REQUIRE(pair_error(R"({"prompt":"p","chosen":"c"})") ==
          "field \"rejected\" is missing; expected \"prompt\", \"chosen\", \"rejected\"");
  REQUIRE(pair_error(R"({"prompt":"p","rejected":"c"})") ==
          "field \"chosen\" is missing; expected \"prompt\", \"chosen\", \"rejected\"");
  REQUIRE(pair_error(R"({"prompt":"p","chosen":"c","rejectd":"r"})") ==
          "field \"rejected\" is missing; expected \"prompt\", \"chosen\", \"rejected\"; is "
          "\"rejectd\" a "
          "misspelling of it?");
}

TEST_CASE("pairs: the error names file and line", "[data][preference]") {
  temporary_file const file(
      "pairs.jsonl",
      "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}\n\n{\"prompt\":\"p\"}\n");
  REQUIRE(error_in(data::pairs(file.path())) ==
          "data::pairs: " + file.path() +
              ":3: field \"chosen\" is missing; expected \"prompt\", \"chosen\", \"rejected\"");
}

TEST_CASE("pairs: a misspelt field is an error, other unknown fields are left out",
          "[data][preference]") {
  REQUIRE(pair_error(R"({"prompt":"p","chosen":"a","rejected":"b","wieght":2})") ==
          "field \"wieght\" is unknown; did you mean \"weight\"?");
  REQUIRE(pair_error(R"({"promt":"p","chosen":"xa","rejected":"xb"})") ==
          "field \"promt\" is unknown; did you mean \"prompt\"?");
  REQUIRE(
      pair_error(
          R"({"prompt":"p","chosen":"a","rejected":"b","id":7,"prompt_id":"x","source":"y","meta":{},"data":1})") ==
      "no error");
}

TEST_CASE("pairs: wrong types say what was found and what was expected", "[data][preference]") {
  REQUIRE(pair_error(R"({"prompt":"p","chosen":3,"rejected":"b"})") ==
          "field \"chosen\": found the number 3; expected a string or a list of messages");
  REQUIRE(pair_error(R"({"prompt":"p","chosen":"a","rejected":null})") ==
          "field \"rejected\": found null; expected a string or a list of messages");
  REQUIRE(pair_error(R"({"prompt":{},"chosen":"a","rejected":"b"})") ==
          "field \"prompt\": found an object; expected a string or a list of messages");
  REQUIRE(pair_error(R"({"prompt":"p","chosen":"a","rejected":"b","weight":"2"})") ==
          "field \"weight\": found the string \"2\"; expected a finite number");
}

TEST_CASE("pairs: a bad message is named by its position", "[data][preference]") {
  auto const error = [](std::string const& message) {
    return pair_error(
        R"({"chosen":[{"role":"user","content":"Hi"},)" + message +
        R"(],"rejected":[{"role":"user","content":"Hi"},{"role":"assistant","content":"b"}]})");
  };
  REQUIRE(error(R"("Hello")") ==
          "field \"chosen\": message 2: found the string \"Hello\"; expected an object with "
          "\"role\" and \"content\"");
  REQUIRE(error(R"({"role":"assistant"})") ==
          "field \"chosen\": message 2: \"content\" is missing; expected \"role\", \"content\"");
  REQUIRE(error(R"({"content":"x"})") ==
          "field \"chosen\": message 2: \"role\" is missing; expected \"role\", \"content\"");
  REQUIRE(
      error(R"({"role":"assistant","content":null})") ==
      "field \"chosen\": message 2: \"content\": found null; expected a string, a list of parts, "
      "or null beside \"tool_calls\"");
  REQUIRE(error(R"({"role":"","content":"x"})") ==
          "field \"chosen\": message 2: \"role\" is empty");
}

TEST_CASE("pairs: parts of different forms are refused", "[data][preference]") {
  REQUIRE(pair_error(
              R"({"prompt":"p","chosen":"a","rejected":[{"role":"assistant","content":"b"}]})") ==
          "\"chosen\" is a string and \"rejected\" is a list of messages; expected the same form");
  REQUIRE(pair_error(R"({"prompt":[{"role":"user","content":"b"}],"chosen":"a","rejected":"b"})") ==
          "\"prompt\" is a list of messages and \"chosen\" is a string; expected the same form");
}

TEST_CASE("pairs: equal completions are no preference", "[data][preference]") {
  REQUIRE(pair_error(R"({"prompt":"p","chosen":"a","rejected":"a"})") ==
          "\"chosen\" and \"rejected\" are equal; expected a preference");
  REQUIRE(pair_error(R"({"chosen":"pa","rejected":"pa"})") ==
          "\"chosen\" and \"rejected\" are equal; expected a preference");
}

TEST_CASE("pairs: an empty completion is refused", "[data][preference]") {
  REQUIRE(pair_error(R"({"prompt":"p","chosen":"","rejected":"b"})") ==
          "field \"chosen\": the completion is empty");
  REQUIRE(
      pair_error(R"({"prompt":[],"chosen":[{"role":"assistant","content":"a"}],"rejected":[]})") ==
      "field \"rejected\": the completion is empty");
  // Behind the common message only an empty one is left.
  REQUIRE(
      pair_error(
          R"({"chosen":[{"role":"user","content":"Hi"},{"role":"assistant","content":""}],)"
          R"("rejected":[{"role":"user","content":"Hi"},{"role":"assistant","content":"b"}]})") ==
      "field \"chosen\": the completion is empty");
}

TEST_CASE("pairs: weight and beta have ranges", "[data][preference]") {
  REQUIRE(pair_of(R"({"prompt":"p","chosen":"a","rejected":"b","weight":0})").weight == 0.0);
  REQUIRE(pair_error(R"({"prompt":"p","chosen":"a","rejected":"b","weight":-1})") ==
          "field \"weight\": found a negative number; expected one >= 0");
  REQUIRE(pair_error(R"({"prompt":"p","chosen":"a","rejected":"b","beta":0})") ==
          "field \"beta\": found a number <= 0; expected one > 0");
}

TEST_CASE("pairs: a bad second line is not met by take(1)", "[data][preference]") {
  temporary_file const file("lazy.jsonl",
                            "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}\nbad\n");
  auto const first =
      data::pairs(file.path()) | ::ranges::views::take(1) | ::ranges::to<std::vector>();
  REQUIRE(first.size() == 1);
  REQUIRE_THAT(error_in(data::pairs(file.path())), Catch::Contains(":2: not valid JSON"));
}

TEST_CASE("pairs: range-v3 views work on a file", "[data][preference]") {
  temporary_file const file(
      "views.jsonl",
      "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\",\"weight\":1}\n"
      "{\"prompt\":\"q\",\"chosen\":\"a\",\"rejected\":\"b\"}\n"
      "{\"prompt\":\"r\",\"chosen\":\"a\",\"rejected\":\"b\",\"weight\":3}\n"
      "{\"prompt\":\"s\",\"chosen\":\"a\",\"rejected\":\"b\",\"weight\":4}\n");
  auto const weighted = [](auto const& pair) { return pair.weight.has_value(); };
  auto const prompt = [](auto const& pair) { return pair.prompt.text(); };
  auto const prompts = data::pairs(file.path()) | ::ranges::views::take(3) |
                       ::ranges::views::filter(weighted) | ::ranges::views::transform(prompt) |
                       ::ranges::to<std::vector>();
  REQUIRE(prompts == std::vector<std::string>{"p", "r"});
}

TEST_CASE("read_pairs: files and streams give the same pairs", "[data][preference]") {
  std::string const content =
      "\xEF\xBB\xBF{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}\r\n\r\n"
      "{\"chosen\":\"Why? Because a\",\"rejected\":\"Why? Because b\"}";
  temporary_file const file("all.jsonl", content);
  std::istringstream stream(content);
  auto const from_file = data::read_pairs(file.path());
  auto const from_stream = data::pairs_in(stream) | ::ranges::to<std::vector>();
  for (auto const* const all : {&from_file, &from_stream}) {
    REQUIRE(all->size() == 2);
    REQUIRE((*all)[0].prompt == turns("p"));
    REQUIRE((*all)[0].line == 1);
    REQUIRE((*all)[1].prompt == turns("Why? Because "));
    REQUIRE((*all)[1].line == 3);
  }
}

TEST_CASE("pairs: an empty file is an error", "[data][preference]") {
  temporary_file const file("empty-pairs.jsonl", "");
  REQUIRE(error_of([&] { static_cast<void>(data::read_pairs(file.path())); }) ==
          "data::pairs: " + file.path() +
              ": there is nothing in it; expected one JSON object per line");
}

TEST_CASE("unpaired: strings and lists, labels of both kinds", "[data][preference]") {
  auto const good =
      example_of(R"({"prompt":"p","completion":"c","label":true,"weight":0.5,"beta":2})");
  REQUIRE(good.prompt == turns("p"));
  REQUIRE(good.completion == turns("c"));
  REQUIRE(good.label);
  REQUIRE(good.weight == 0.5);
  REQUIRE(good.beta == 2.0);
  auto const bad = example_of(
      R"({"prompt":[{"role":"user","content":"p"}],"completion":[{"role":"assistant","content":"c"}],"label":0})");
  REQUIRE(bad.completion == turns(conversation{{"assistant", "c"}}));
  REQUIRE_FALSE(bad.label);
}

TEST_CASE("unpaired: bad rows are refused with a sentence", "[data][preference]") {
  REQUIRE(unpaired_error(R"({"prompt":"p","completion":"c"})") ==
          "field \"label\" is missing; expected \"prompt\", \"completion\", \"label\"");
  REQUIRE(unpaired_error(R"({"prompt":"p","completion":"c","lable":1})") ==
          "field \"label\" is missing; expected \"prompt\", \"completion\", \"label\"; is "
          "\"lable\" a misspelling of "
          "it?");
  REQUIRE(unpaired_error(R"({"completion":"c","label":1})") ==
          "field \"prompt\" is missing; expected \"prompt\", \"completion\", \"label\"");
  REQUIRE(unpaired_error(R"({"prompt":"p","completion":"c","label":"yes"})") ==
          "field \"label\": found the string \"yes\"; expected true, false, 1 or 0");
  REQUIRE(unpaired_error(R"({"prompt":"p","completion":"","label":1})") ==
          "field \"completion\": the completion is empty");
  REQUIRE(
      unpaired_error(R"({"prompt":[],"completion":"c","label":1})") ==
      "\"prompt\" is a list of messages and \"completion\" is a string; expected the same form");
  REQUIRE(unpaired_error(R"({"prompt":"p","completion":"c","label":1,"weigth":2})") ==
          "field \"weigth\" is unknown; did you mean \"weight\"?");
}

TEST_CASE("read_unpaired: all rows of a file", "[data][preference]") {
  temporary_file const file("unpaired.jsonl",
                            "{\"prompt\":\"p\",\"completion\":\"c\",\"label\":true,\"beta\":1}\n"
                            "{\"prompt\":\"q\",\"completion\":\"d\",\"label\":false}\n");
  auto const all = data::read_unpaired(file.path());
  REQUIRE(all.size() == 2);
  REQUIRE(all[0].label);
  REQUIRE_FALSE(all[1].label);
  REQUIRE_FALSE(all[1].beta.has_value());
  REQUIRE(all[1].line == 2);
}
