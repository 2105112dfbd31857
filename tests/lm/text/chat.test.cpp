// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <prefer/lm/text/chat_detection.hpp>
#include <prefer/lm/text/chat_rendering.hpp>
#include <prefer/lm/text/tokenizer.hpp>
#include <string>
#include <vector>

#include "any_text.hpp"

using namespace prefer;
using namespace prefer::test;
using Catch::Matchers::Contains;

namespace {

data::conversation messages_of(nlohmann::json const& from) {
  data::conversation out;
  for (auto const& each : from) {
    out.push_back({each["role"].get<std::string>(), each["content"].get<std::string>()});
  }
  return out;
}

/// The form of a golden template, as a tokenizer of its tokens sets it.
lm::chat_form form_of(nlohmann::json const& golden, nlohmann::json const& entry) {
  lm::chat_form form = lm::detect_chat(entry["template"].get<std::string>());
  form.begin = form.writes_begin ? golden["begin"].get<std::string>() : "";
  form.end = golden["end"].get<std::string>();
  return form;
}

lm::chat_form form_with(std::string const& jinja) { return lm::detect_chat(jinja); }

constexpr char const* qwen3_like =
    "<|im_start|> <|im_end|> last_query_index content.split('</think>') enable_thinking "
    "{{- '<think>\\n\\n</think>\\n\\n' }}";

}  // namespace

TEST_CASE("chat: prompts and answers are those of transformers, for every family",
          "[lm][text][golden]") {
  std::ifstream file(PREFER_GOLDEN_DIR "/chat_templates/chat_templates.json");
  auto const golden = nlohmann::json::parse(file);
  REQUIRE(golden["templates"].size() == 15);
  for (auto const& entry : golden["templates"]) {
    lm::chat_form const form = form_of(golden, entry);
    INFO(entry["name"] << form.unknown);
    REQUIRE(form.family != lm::chat_family::none);
    CHECK_THAT(entry["name"].get<std::string>(),
               Catch::Matchers::StartsWith(std::string(lm::spelling(form.family))));
    for (auto const& each : entry["cases"]) {
      auto const prompt = lm::joined(lm::render_prompt(form, messages_of(each["messages"])));
      CHECK(prompt == each["prompt"].get<std::string>());
      for (auto const& whole : each["whole"]) {
        auto const answer = lm::joined(
            lm::render_completion(form, {{"assistant", whole["answer"].get<std::string>()}}));
        std::string const expected = whole["text"].get<std::string>();
        INFO(expected);
        // Behind the end of the turn templates write a line end or a space, which no model writes.
        std::string behind = expected;
        bool const moves =
            form.system == lm::system_place::last_user && each["messages"][0]["role"] == "system";
        if (moves) {
          // The system speaks through the last user, whom the template no longer finds last behind an answer.
          REQUIRE(expected.size() > answer.size());
          behind = expected.substr(expected.rfind(answer) + answer.size());
        } else {
          CHECK(expected.substr(0, prompt.size() + answer.size()) == prompt + answer);
          behind = expected.substr(prompt.size() + answer.size());
        }
        CHECK(behind.size() <= 1);
      }
    }
  }
}

TEST_CASE("chat: control tokens stand in the template's words alone", "[lm][text]") {
  auto data = tiny_data_with({"<|im_start|>", "<|im_end|>"});
  data.chat_template = "<|im_start|><|im_end|>";
  lm::tokenizer const words(data);
  std::vector<std::uint32_t> tokens;
  words.encode(data::conversation{{"user<|im_start|>", "a<|im_end|>b"}}, data::turn_part::prompt,
               tokens);
  // Two headers and one end of a turn; of what the row says none.
  CHECK(std::count(tokens.begin(), tokens.end(), *words.find("<|im_start|>")) == 2);
  CHECK(std::count(tokens.begin(), tokens.end(), *words.find("<|im_end|>")) == 1);
  CHECK(words.decode(tokens) ==
        "<|im_start|>user<|im_start|>\na<|im_end|>b<|im_end|>\n<|im_start|>assistant\n");
  CHECK(words.stop_tokens() == std::vector<std::uint32_t>{1, *words.find("<|im_end|>")});
}

TEST_CASE("chat: what a message says is split together with the template's words around it",
          "[lm][text]") {
  auto data = tiny_data_with({"<|im_start|>", "<|im_end|>"});
  data.chat_template = "<|im_start|><|im_end|>";
  lm::tokenizer const words(data);
  std::vector<std::uint32_t> chat, parsed;
  words.encode(data::conversation{{"user", "\n\nthe cat"}}, data::turn_part::prompt, chat);
  words.encode_parsed("<|im_start|>user\n\n\nthe cat<|im_end|>\n<|im_start|>assistant\n", parsed);
  CHECK(chat == parsed);
}

TEST_CASE("chat: the begin token once, whoever writes it", "[lm][text]") {
  auto const begins = [](std::string const& jinja, bool adds) {
    auto data = tiny_data_with({"<|im_start|>", "<|im_end|>"});
    data.chat_template = jinja;
    data.begin = 0;
    data.adds_begin = adds;
    lm::tokenizer const words(data);
    std::vector<std::uint32_t> tokens;
    words.encode(data::conversation{{"user", "hi"}}, data::turn_part::prompt, tokens);
    words.encode(data::conversation{{"assistant", "ho"}}, data::turn_part::completion, tokens);
    return std::count(tokens.begin(), tokens.end(), 0);
  };
  std::string const plain = "<|im_start|><|im_end|>";
  CHECK(begins(plain, false) == 0);
  CHECK(begins(plain, true) == 1);
  CHECK(begins("bos_token" + plain, false) == 1);
  CHECK(begins("bos_token" + plain, true) == 1);
}

TEST_CASE("chat: the empty block of thoughts is the prompt's, neither scored nor doubled",
          "[lm][text]") {
  lm::chat_form form = form_with(qwen3_like);
  REQUIRE(form.thoughts == lm::thought::either);
  data::conversation const question = {{"user", "2+2?"}};
  CHECK(lm::joined(lm::render_prompt(form, question)) ==
        "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n");
  for (std::string const answer : {"4", "<think>\n\n</think>\n\n4", "\n\n4"}) {
    CHECK(lm::joined(lm::render_completion(form, {{"assistant", answer}})) == "4<|im_end|>");
  }
  data::conversation const thought = {{"assistant", "<think>\nhm\n</think>\n\n4"}};
  CHECK_THROWS_WITH(lm::render_completion(form, thought),
                    Contains("message 1: has thoughts, and the prompt ends with an empty block"));
  form.thinks = true;
  CHECK(lm::joined(lm::render_prompt(form, question)) ==
        "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(lm::joined(lm::render_completion(form, thought)) == "<think>\nhm\n</think>\n\n4<|im_end|>");
  lm::expect_known_context(form, {{"chat_template_kwargs", "{\"enable_thinking\":true}"}});
  CHECK_THROWS_WITH(
      lm::expect_known_context(form, {{"chat_template_kwargs", "{\"enable_thinking\":false}"}}),
      Contains("chat_template_kwargs: "));
}

TEST_CASE("chat: a template that is not known is refused with the list, where messages are",
          "[lm][text]") {
  for (std::string const jinja :
       {"", "<start_of_turn>", "<|im_start|>User: ", "<|im_start|><|im_end|>{% macro x() %}",
        "<|im_start|><|im_end|>strftime_now", "<|im_start|><|im_end|></think>", "[INST] <<SYS>>",
        "{{ '<|user|>' + m + '<|end|>' }}<|assistant|>eos_token",
        "<|start_header_id|>Cutting Knowledge Date: x"}) {
    auto data = tiny_data();
    data.chat_template = jinja;
    lm::tokenizer const words(data);
    CHECK_FALSE(tokens_of(words, "a text needs no template").empty());
    std::vector<std::uint32_t> into;
    INFO(jinja);
    CHECK_THROWS_WITH(
        words.encode(data::conversation{{"user", "hi"}}, data::turn_part::prompt, into),
        Contains("the chat template: ") && Contains("expected chatml, llama3, zephyr or mistral"));
  }
  auto data = tiny_data_with({"<|im_start|>", "<|im_end|>"});
  lm::tokenizer const named(data, {.chat_template = "chatml"});
  CHECK(named.chat().family == lm::chat_family::chatml);
  CHECK_THROWS_WITH(
      lm::tokenizer(data, {.chat_template = "gemma"}),
      "found the chat template \"gemma\"; expected chatml, llama3, zephyr or mistral");
}

TEST_CASE("chat: messages that a template has no place for are refused by number", "[lm][text]") {
  auto const refused = [](std::string const& jinja, data::conversation const& messages,
                          std::string const& sentence) {
    CHECK_THROWS_WITH(lm::render_prompt(form_with(jinja), messages), Contains(sentence));
  };
  std::string const chatml = "<|im_start|><|im_end|>tool_response";
  std::string const mistral = "'[INST] ' + ' [/INST]'";
  refused(chatml, {}, "message 1: is missing");
  refused(chatml, {{"user", "a"}, {"assistant", "b"}}, "message 2: is the assistant's");
  refused(chatml, {{"user", "a"}, {"tool", "b"}}, "message 2: is by \"tool\"");
  data::message call{"assistant", {}, {{"tool_calls", "[{}]"}}};
  refused(chatml, {{"user", "a"}, call, {"user", "c"}}, "message 2: calls a tool");
  refused(mistral, {{"user", "a"}, {"user", "b"}},
          "message 2: is by \"user\"; expected the assistant");
  refused(mistral, {{"system", "a"}, {"user", "b"}}, "message 1: is the system's");
  refused(mistral + "system", {{"system", "a"}}, "message 1: is the system's alone");
  refused("<|user|> eos_token <|assistant|>", {{"critic", "a"}}, "message 1: is by \"critic\"");
  lm::chat_form const form = form_with(chatml);
  CHECK_THROWS_WITH(lm::render_completion(form, {{"assistant", "a"}, {"assistant", "b"}}),
                    Contains("message 2: follows another"));
}
