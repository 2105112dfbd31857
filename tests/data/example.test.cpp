// SPDX-License-Identifier: MIT
#include <catch2/catch.hpp>

#include <string>

#include <prefer/data/example.hpp>

using prefer::data::conversation;
using prefer::data::preference_pair;
using prefer::data::turns;

TEST_CASE("turns: the form is kept", "[data][example]") {
  turns const text = "hello";
  turns const messages = conversation{{"user", "hello"}};
  REQUIRE(text.is_text());
  REQUIRE(text.text() == "hello");
  REQUIRE_FALSE(messages.is_text());
  REQUIRE(messages.messages()[0].content.text() == "hello");
  REQUIRE_FALSE(text == messages);
}

TEST_CASE("turns: asking for the other form is a precondition_error", "[data][example]") {
  REQUIRE_THROWS_AS(turns("a").messages(), prefer::precondition_error);
  REQUIRE_THROWS_AS(turns(conversation{}).text(), prefer::precondition_error);
}

TEST_CASE("turns: blank means that no character would reach the model", "[data][example]") {
  REQUIRE(turns().blank());
  REQUIRE(turns("").blank());
  REQUIRE(turns(conversation{}).blank());
  REQUIRE(turns(conversation{{"assistant", ""}}).blank());
  REQUIRE_FALSE(turns(" ").blank());
  REQUIRE_FALSE(turns(conversation{{"assistant", ""}, {"assistant", "x"}}).blank());
}

TEST_CASE("preference_pair: the score margin needs both scores", "[data][example]") {
  preference_pair pair;
  REQUIRE_FALSE(pair.score_margin().has_value());
  pair.score_chosen = 7.5;
  REQUIRE_FALSE(pair.score_margin().has_value());
  pair.score_rejected = 9;
  REQUIRE(pair.score_margin() == -1.5);
}
