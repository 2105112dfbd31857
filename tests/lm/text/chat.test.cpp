// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <prefer/lm/text/chat_comparison.hpp>
#include <prefer/lm/text/chat_detection.hpp>
#include <prefer/lm/text/chat_rendering.hpp>
#include <prefer/lm/text/template_program.hpp>
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

TEST_CASE("chat: a template that is run writes what transformers writes", "[lm][text][golden]") {
  std::ifstream file(PREFER_GOLDEN_DIR "/chat_templates/chat_templates.json");
  auto const golden = nlohmann::json::parse(file);
  for (auto const& entry : golden["templates"]) {
    INFO(entry["name"]);
    lm::detail::template_program const program(entry["template"].get<std::string>());
    for (auto const& each : entry["cases"]) {
      nlohmann::json given = {{"messages", each["messages"]},
                              {"add_generation_prompt", true},
                              {"enable_thinking", false},
                              {"bos_token", golden["begin"]},
                              {"eos_token", golden["end"]}};
      auto const prompt = program.run(given);
      CHECK(prompt.end == lm::detail::template_end::written);
      CHECK(prompt.text == each["prompt"].get<std::string>());
      given["add_generation_prompt"] = false;
      for (auto const& whole : each["whole"]) {
        given["messages"] = each["messages"];
        given["messages"].push_back({{"role", "assistant"}, {"content", whole["answer"]}});
        CHECK(program.run(given).text == whole["text"].get<std::string>());
      }
    }
    lm::chat_form form = form_of(golden, entry);
    auto const roles = form.refused_roles;
    CHECK(lm::hold_against_template(form, entry["template"].get<std::string>(),
                                    golden["begin"].get<std::string>()) ==
          lm::template_agreement::agrees);
    CHECK(form.refused_roles == roles);
  }
}

TEST_CASE("chat: a template with a family's marks that writes something else is refused",
          "[lm][text]") {
  // What a template writes for each message, and for the answer that it opens.
  auto const jinja = [](std::string const& each, std::string const& opens) {
    return "{% for message in messages %}{{ " + each +
           " }}{% endfor %}{% if add_generation_prompt %}{{ '" + opens + "' }}{% endif %}";
  };
  auto const held = [](std::string const& text) {
    lm::chat_form form = lm::detect_chat(text);
    form.end = "</s>";
    (void)lm::hold_against_template(form, text, "<s>");
    return form;
  };
  std::string const role = "'<|im_start|>' + message['role'] + '\n' + ";
  std::string const opens = "<|im_start|>assistant\n";
  CHECK(held(jinja(role + "message['content'] + '<|im_end|>\n'", opens)).family ==
        lm::chat_family::chatml);
  struct wrong {
    std::string text;
    char const* says;
  };
  for (wrong const& each :
       {wrong{jinja(role + "message['content'] + '<|im_end|>'", opens), "<|im_end|><|im_start|>"},
        wrong{jinja(role + "message['content'] + '<|im_end|>\n'", opens + "Well, "), "Well, "},
        wrong{jinja(role + "message['content'].strip() + '<|im_end|>\n'", opens), "user\\nWhat"},
        wrong{jinja(role + "message['content'] | replace('h', 'H') + '<|im_end|>\n'", opens),
              "WHat"},
        wrong{jinja("'<|im_start|>' + message['role'] | upper + '\n' + message['content'] + "
                    "'<|im_end|>\n'",
                    "<|im_start|>ASSISTANT\n"),
              "USER"},
        wrong{jinja("'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n' + "
                    "message['content'] + '<|eot_id|>'",
                    "<|start_header_id|>assistant<|end_header_id|>\n"),
              "header_id|>\\n What"},
        wrong{jinja("'<|user|>' + message['content'] + eos_token if message['role'] == 'user' else "
                    "'<|assistant|>' + message['content'] + eos_token",
                    "<|assistant|>"),
              "<|user|> What"},
        wrong{"{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST]' + '\n' + "
              "message['content'] + '[/INST]' }}{% else %}{{ message['content'] + eos_token }}{% "
              "endif %}{% endfor %}",
              "[INST]\\n What"}}) {
    INFO(each.text);
    auto const form = held(each.text);
    CHECK(form.family == lm::chat_family::none);
    CHECK_THAT(form.unknown, Contains("has the marks of the family"));
    CHECK_THAT(form.unknown, Contains(each.says));
  }

  // A template that leaves the system out writes the others' turns as the family does.
  auto const users =
      held("{% for message in messages %}{% if message['role'] != 'system' %}{{ " + role +
           "message['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}{% if "
           "add_generation_prompt %}{{ '" +
           opens + "' }}{% endif %}");
  CHECK(lm::joined(lm::render_prompt(users, {{"user", "Hi"}})) ==
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
  CHECK_THROWS_WITH(lm::render_prompt(users, {{"system", "Be brief."}, {"user", "Hi"}}),
                    Contains("message 1: is by \"system\""));
  auto const first = held(
      "{% for message in messages %}{% if message['role'] != 'system' or "
      "loop.first %}{{ " +
      role +
      "message['content'] + '<|im_end|>\n' }}{% endif %}{% endfor %}{% if "
      "add_generation_prompt %}{{ '" +
      opens + "' }}{% endif %}");
  CHECK_NOTHROW(lm::render_prompt(first, {{"system", "Be brief."}, {"user", "Hi"}}));
  CHECK_THROWS_WITH(
      lm::render_prompt(
          first,
          {{"user", "Hi"}, {"assistant", "Hello"}, {"system", "Be brief."}, {"user", "Well?"}}),
      Contains("message 3: is by \"system\""));
}

TEST_CASE("chat: a template that is not known, or does not end, is run no further", "[lm][text]") {
  auto const end_of = [](std::string const& jinja) {
    return lm::detail::template_program(jinja)
        .run({{"messages", nlohmann::json::array({1, 2, 3})}, {"text", "ab"}})
        .end;
  };
  using lm::detail::template_end;
  CHECK(end_of("{{ text }}") == template_end::written);
  CHECK(end_of("{{ raise_exception('no') }}") == template_end::raised);
  std::string grows = "{% set x = text %}";
  for (int i = 0; i != 60; ++i) grows += "{% set x = x + x %}";
  std::string nested = "{{ text }}";
  for (int i = 0; i != 12; ++i) {
    nested = "{% for a in messages %}" + nested + "{% endfor %}";
  }
  for (std::string const& jinja :
       {grows, nested, std::string(10000, '('), "{{ " + std::string(10000, '(') + " }}",
        "{{ " + std::string(10000, '-') + "1 }}", std::string("{% if %}"), std::string("{% for"),
        std::string("{% macro f() %}{% endmacro %}"), std::string("{{ strftime_now('%d') }}"),
        std::string("{{ text | unknown }}"), std::string("{{ 'a' + 1 }}"),
        std::string("{% set x = text.replace('', 'b') %}{% for a in text %}{% endfor %}")}) {
    INFO(jinja.substr(0, 60));
    bool const plain = jinja.front() == '(';
    CHECK(end_of(jinja) == (plain ? template_end::written : template_end::beyond));
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
