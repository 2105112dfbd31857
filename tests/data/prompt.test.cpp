// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <utility>

#include <prefer/data/preference.hpp>

#include "one_pair.hpp"

namespace data = prefer::data;
using Catch::Contains;
using Catch::StartsWith;
using data::conversation;
using data::turns;

namespace {

struct one_row {
  data::preference_pair pair;
  data::reading_report report;
};

one_row read(std::string_view line, data::reading const& how = {}) {
  one_row out;
  for (auto& pair : data::pairs_in(line, "f", how, &out.report)) out.pair = pair;
  return out;
}
std::string texts(std::string_view prompt, std::string_view chosen, std::string_view rejected) {
  return data::to_json(data::preference_pair{.prompt = std::string(prompt),
                                             .chosen = std::string(chosen),
                                             .rejected = std::string(rejected)});
}

data::reading const names{.texts = data::text_use::names};

std::string const conversations =
    R"("chosen":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"},{"role":"assistant","content":"a"}],)"
    R"("rejected":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"},{"role":"assistant","content":"b"}]})";

}  // namespace

TEST_CASE("prompt: an implicit one is the common beginning of two texts", "[data][prompt]") {
  auto const [pair, report] = read(R"({"chosen":"Q: 1+1? A: two","rejected":"Q: 1+1? A: one"})");
  REQUIRE(pair.prompt == turns("Q: 1+1? A: "));
  REQUIRE(pair.chosen == turns("two"));
  REQUIRE(pair.rejected == turns("one"));
  REQUIRE(report.implicit.count == 1);
  // The example of TRL's own documentation.
  REQUIRE(pair_of(R"({"chosen":"The sky is blue.","rejected":"The sky is green."})").prompt ==
          turns("The sky is "));
}

TEST_CASE("prompt: a space at the end of an implicit one can go to the completions",
          "[data][prompt]") {
  data::reading const joins{.space = data::prompt_space::joins_completion};
  auto const pair = pair_of(R"({"chosen":"Q: 1+1? A:  two","rejected":"Q: 1+1? A:  one"})", joins);
  REQUIRE(pair.prompt == turns("Q: 1+1? A: "));  // one of the two spaces
  REQUIRE(pair.chosen == turns(" two"));
  REQUIRE(pair.rejected == turns(" one"));
  REQUIRE(pair_of(R"({"chosen":"Q: 1+1? A:two","rejected":"Q: 1+1? A:one"})", joins).prompt ==
          turns("Q: 1+1? A:"));
}

TEST_CASE("misnamed-prompt: a field by which a prompt usually goes is named",
          "[data][prompt][cases]") {
  for (std::string const field : {"instruction", "question", "input", "query", "user", "Prompt",
                                  "user_prompt", "userPrompt", "context", "history"}) {
    CAPTURE(field);
    for (std::string const sides : {R"("chosen":"Paris is one.","rejected":"Pizza.")",
                                    R"("chosen":"Red.","rejected":"Right now I cannot.")",
                                    R"("chosen":"The sky is blue","rejected":"The sky is green")",
                                    R"("chosen":"yes","rejected":"no")"}) {
      CAPTURE(sides);
      REQUIRE_THAT(pair_error("{\"" + field + "\":\"Name a capital.\"," + sides + "}"),
                   Contains("\"" + field + "\"") && Contains("prompt"));
    }
  }
}

TEST_CASE("misnamed-prompt: what is about a prompt is none", "[data][prompt][cases]") {
  REQUIRE(
      pair_of(R"({"prompt_id":"7","user_id":"u","question_type":"x","chosen":"The sky is blue",)"
              R"("rejected":"The sky is green"})")
          .prompt == turns("The sky is "));
}

TEST_CASE("misnamed-prompt: a field can be read under its name", "[data][prompt][cases]") {
  data::reading const how{.columns = {{.as = "prompt", .in_file = "instruction"}}};
  auto const pair = pair_of(
      R"({"instruction":"Name a capital.","chosen":"Paris is one.","rejected":"Pizza."})", how);
  REQUIRE(pair.prompt == turns("Name a capital."));
  REQUIRE(pair.chosen == turns("Paris is one."));
}

TEST_CASE("misnamed-prompt: a few letters are no prompt, nor is the beginning of a word",
          "[data][prompt][cases]") {
  std::pair<std::string_view, std::string_view> const sides[] = {
      {"i11", "i12"},
      {"item 11", "item 12"},
      {"customer_11", "customer_12"},
      {"The Matrix", "The Godfather"},
      {"The capital is Paris", "The capital is Pisa"},
      {"The price is 3.14", "The price is 3.2"},
      {"All that he can't do", "All that he can do"},
      {"What a long caf\xC3\xA9", "What a long caf\xC3\xA8"},
      {"What a long caf\x65\xCC\x81", "What a long caf\x65"}};
  for (auto const& [a, b] : sides) {
    CAPTURE(a, b);
    REQUIRE_THAT(pair_error("{\"chosen\":\"" + std::string(a) + " x\",\"rejected\":\"" +
                            std::string(b) + " y\"}"),
                 StartsWith("field \"prompt\" is missing"));
  }
}

TEST_CASE("misnamed-prompt: null is no prompt that is left out", "[data][prompt][cases]") {
  REQUIRE(
      pair_error(R"({"prompt":null,"chosen":"The sky is blue","rejected":"The sky is green"})") ==
      "field \"prompt\": found null; expected a string or a list of messages");
}

TEST_CASE("misnamed-prompt: who takes texts for names demands the field", "[data][prompt][cases]") {
  REQUIRE_THAT(pair_error(R"({"user":"u0","chosen":"i11","rejected":"i12"})", names),
               StartsWith("field \"prompt\" is missing; \"user\" looks like it"));
  REQUIRE_THAT(pair_error(R"({"chosen":"The sky is blue","rejected":"The sky is green"})", names),
               StartsWith("field \"prompt\" is missing"));
  // A name that begins with another is none of its repeats.
  auto const pair = pair_of(texts("the user is 1", "the user is 1 a", "the user is 1 b"), names);
  REQUIRE(pair.chosen == turns("the user is 1 a"));
}

TEST_CASE("prompt-repeated-in-text: taken once, counted and named", "[data][prompt][cases]") {
  std::string const prompt = "Human: hello\n\nAssistant:";
  auto const [pair, report] = read(texts(prompt, prompt + " good day", prompt + " what?"));
  REQUIRE(pair.prompt == turns(prompt));
  REQUIRE(pair.chosen == turns(" good day"));
  REQUIRE(pair.rejected == turns(" what?"));
  REQUIRE(report.repeated.count == 1);
  REQUIRE(to_sentences(report).at(1) ==
          "a prompt that chosen and rejected repeat is taken once: 1 row (line 1)");
}

TEST_CASE("prompt-repeated-in-text: what proves nothing is refused with that word",
          "[data][prompt][cases]") {
  std::string const prompt = "Human: hello\n\nAssistant:";
  std::string const rows[] = {
      texts(prompt, prompt + " good day", "what?"),  // one side only
      texts(prompt, "good day", prompt + " what?"),  // the other
      texts(prompt, "Human: hello\nAssistant: a",
            "Human: hello Assistant: b"),                    // other white space
      texts("\n\n" + prompt, prompt + " a", prompt + " b"),  // at the beginning
      texts(prompt, "System: x\n" + prompt + " a", "System: x\n" + prompt + " b"),  // elsewhere
      texts("Hi", "Hi there", "Hi you")};  // too short for a proof
  for (auto const& row : rows) {
    CAPTURE(row);
    REQUIRE_THAT(pair_error(row), StartsWith("field \"prompt\": ") && Contains("repeat"));
  }
  REQUIRE_THAT(pair_error(texts(prompt, prompt, prompt + " b")), Contains("repeat"));
}

TEST_CASE("prompt-repeated-in-text: answers may begin like the question", "[data][prompt][cases]") {
  for (auto const& row :
       {texts("", "yes", "no"), texts("Hi", "Hi there", "Hello"), texts("u1", "u10", "u11"),
        texts("The sky is", "The sky isn't x", "no")}) {
    CAPTURE(row);
    REQUIRE(data::to_json(pair_of(row)) == row);
  }
}

TEST_CASE("prompt: a string that is a shared user message, beside whole conversations",
          "[data][prompt][cases]") {
  auto const [pair, report] = read(R"({"prompt":"Hi",)" + conversations);
  REQUIRE(pair.prompt == turns(conversation{{"system", "Be kind."}, {"user", "Hi"}}));
  REQUIRE(pair.chosen == turns(conversation{{"assistant", "a"}}));
  REQUIRE(pair.rejected == turns(conversation{{"assistant", "b"}}));
  REQUIRE(report.repeated.count == 1);
  for (std::string const other : {"Ho", "Be kind.", "hi", "H", ""}) {
    CAPTURE(other);
    REQUIRE_THAT(pair_error("{\"prompt\":\"" + other + "\"," + conversations), Contains("repeat"));
  }
}

TEST_CASE("prompt: a string that one conversation repeats proves nothing",
          "[data][prompt][cases]") {
  REQUIRE_THAT(
      pair_error(
          R"({"prompt":"Hi","chosen":[{"role":"user","content":"Hi"},{"role":"assistant","content":"a"}],)"
          R"("rejected":[{"role":"assistant","content":"b"}]})"),
      Contains("repeat"));
}

TEST_CASE("prompt: a string before answers alone is a user message", "[data][prompt]") {
  auto const [pair, report] =
      read(R"({"prompt":"Hi","chosen":[{"role":"assistant","content":"a"}],)"
           R"("rejected":[{"role":"assistant","content":"b"}]})");
  REQUIRE(pair.prompt == turns(conversation{{"user", "Hi"}}));
  REQUIRE(report.asked.count == 1);
}

TEST_CASE("prompt: a list that both conversations begin with is taken once",
          "[data][prompt][cases]") {
  std::string const prompt =
      R"({"prompt":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"}],)";
  auto const [pair, report] = read(prompt + conversations);
  REQUIRE(pair.chosen == turns(conversation{{"assistant", "a"}}));
  REQUIRE(report.repeated.count == 1);
  // One conversation alone; both without the system message.
  REQUIRE_THAT(
      pair_error(
          prompt +
          R"("chosen":[{"role":"system","content":"Be kind."},{"role":"user","content":"Hi"},{"role":"assistant","content":"a"}],)"
          R"("rejected":[{"role":"assistant","content":"b"}]})"),
      Contains("repeat"));
  REQUIRE_THAT(
      pair_error(
          prompt +
          R"("chosen":[{"role":"user","content":"Hi"},{"role":"assistant","content":"a"}],)"
          R"("rejected":[{"role":"user","content":"Hi"},{"role":"assistant","content":"b"}]})"),
      Contains("repeat"));
}

TEST_CASE("prompt: lists prove themselves, unless a field says something else", "[data][prompt]") {
  REQUIRE(pair_of(R"({"question":"Hi",)" + conversations).prompt ==
          turns(conversation{{"system", "Be kind."}, {"user", "Hi"}}));
  REQUIRE_THAT(pair_error(R"({"question":"Ho",)" + conversations),
               StartsWith("field \"prompt\" is missing; \"question\" looks like it"));
}
